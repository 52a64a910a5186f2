"""Python's own libraries with our context, unchanged, against servers that have their TLS from OpenSSL; and servers of ours."""

from __future__ import annotations

import asyncio
import contextlib
import ftplib
import http.client
import http.server
import imaplib
import io
import os
import smtplib
import socket
import ssl
import subprocess
import threading
import urllib.error
import urllib.request
from email.message import EmailMessage
from typing import Any, Callable, Iterator

import pytest
from aiosmtpd.controller import Controller
from conftest import PATIENCE, Certificates, client_context, server_context
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import TLS_FTPHandler
from pyftpdlib.servers import FTPServer

import guest_tls

BODY = os.urandom(1 << 20)


class Pages(http.server.BaseHTTPRequestHandler):
    """Gives `BODY`, and what was posted."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.answer(BODY)

    def do_POST(self) -> None:
        self.answer(self.rfile.read(int(self.headers["Content-Length"])))

    def answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@contextlib.contextmanager
def https(context: Any) -> Iterator[int]:
    """`http.server` with a context: its port."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join(PATIENCE)


@pytest.fixture(params=["ours", "theirs"])
def https_port(request: pytest.FixtureRequest, pki: Certificates) -> Iterator[int]:
    """A server whose TLS is ours, and one whose is `ssl`'s."""
    with https(server_context(guest_tls if request.param == "ours" else ssl, pki.server)) as port:
        yield port


def test_http_client(https_port: int, pki: Certificates) -> None:
    context = client_context(guest_tls, pki)
    connection = http.client.HTTPSConnection("localhost", https_port, context=context, timeout=PATIENCE)
    with contextlib.closing(connection):
        for _ in range(2):
            connection.request("GET", "/")
            assert connection.getresponse().read() == BODY
        connection.request("POST", "/", body=BODY)
        assert connection.getresponse().read() == BODY
        assert isinstance(connection.sock, guest_tls.SSLSocket)


def test_urllib(https_port: int, pki: Certificates) -> None:
    context = client_context(guest_tls, pki)
    with urllib.request.urlopen(f"https://localhost:{https_port}/", context=context, timeout=PATIENCE) as response:
        assert response.read() == BODY
    with pytest.raises(urllib.error.URLError) as caught:
        urllib.request.urlopen(f"https://localhost:{https_port}/", context=guest_tls.SSLContext(ssl.PROTOCOL_TLS_CLIENT), timeout=PATIENCE)
    assert isinstance(caught.value.reason, ssl.SSLCertVerificationError)


def test_curl_gets_from_our_server(pki: Certificates) -> None:
    with https(server_context(guest_tls, pki.server)) as port:
        command = ["curl", "--silent", "--show-error", "--noproxy", "*", "--cacert", pki.ca.file, "--max-time", str(PATIENCE)]
        found = subprocess.run([*command, f"https://localhost:{port}/"], capture_output=True, check=True)
    assert found.stdout == BODY


def test_smtp_starttls(pki: Certificates) -> None:
    received = []

    class Keeper:
        async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
            received.append((session.ssl is not None, envelope.content))
            return "250 OK"

    tls = {"tls_context": server_context(ssl, pki.server), "require_starttls": True}
    controller = Controller(Keeper(), hostname="127.0.0.1", port=free_port(), **tls)
    controller.start()
    try:
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = "a@a.test", "b@b.test", "by guest_tls"
        message.set_content("x" * 100_000)
        with smtplib.SMTP("localhost", controller.port, timeout=PATIENCE) as client:
            client.starttls(context=client_context(guest_tls, pki))
            assert isinstance(client.sock, guest_tls.SSLSocket)
            client.send_message(message)
        ((encrypted, content),) = received
        assert encrypted
        assert b"Subject: by guest_tls" in content
        with smtplib.SMTP("localhost", controller.port, timeout=PATIENCE) as client, pytest.raises(ssl.SSLCertVerificationError):
            client.starttls(context=guest_tls.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    finally:
        controller.stop()


def test_ftp(pki: Certificates, tmp_path: Any) -> None:
    both = tmp_path / "server.pem"
    both.write_bytes(open(pki.server.chain, "rb").read() + open(pki.server.key_file, "rb").read())
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "file").write_bytes(BODY)
    authorizer = DummyAuthorizer()
    authorizer.add_user("user", "secret", str(folder), perm="elrw")

    class Handler(TLS_FTPHandler):  # type: ignore[misc]
        certfile = str(both)
        tls_control_required = True
        tls_data_required = True

    Handler.authorizer = authorizer
    server = FTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=lambda: server.serve_forever(timeout=0.1, handle_exit=False))
    thread.start()
    try:
        with ftplib.FTP_TLS(context=client_context(guest_tls, pki), timeout=PATIENCE) as client:
            client.connect("localhost", server.address[1])
            client.login("user", "secret")
            client.prot_p()
            found = io.BytesIO()
            client.retrbinary("RETR file", found.write)
            assert found.getvalue() == BODY
            client.storbinary("STOR copy", io.BytesIO(BODY))
            assert client.nlst() and sorted(client.nlst()) == ["copy", "file"]
    finally:
        server.close_all()
        thread.join(PATIENCE)
    assert (folder / "copy").read_bytes() == BODY


def test_imap(pki: Certificates) -> None:
    """STARTTLS, and TLS from the start, with a server that knows four commands."""

    def serve(sock: Any) -> None:
        context = server_context(ssl, pki.server)
        if tls_at_once:
            sock = context.wrap_socket(sock, server_side=True)
        sock.sendall(b"* OK ready\r\n")
        while line := readline(sock):
            tag, command, *_ = line.split()
            if command == b"CAPABILITY":
                sock.sendall(b"* CAPABILITY IMAP4rev1 STARTTLS\r\n")
            if command == b"LOGOUT":
                sock.sendall(b"* BYE\r\n")
            sock.sendall(tag + b" OK done\r\n")
            if command == b"STARTTLS":
                sock = context.wrap_socket(sock, server_side=True)
            if command == b"LOGOUT":
                break
        sock.close()

    for tls_at_once in (False, True):
        with serving(serve) as port:
            context = client_context(guest_tls, pki)
            if tls_at_once:
                client: imaplib.IMAP4 = imaplib.IMAP4_SSL("localhost", port, ssl_context=context, timeout=PATIENCE)
            else:
                client = imaplib.IMAP4("localhost", port, timeout=PATIENCE)
                assert client.starttls(context)[0] == "OK"
            assert isinstance(client.sock, guest_tls.SSLSocket)
            assert client.login("user", "secret")[0] == "OK"
            client.logout()


@pytest.mark.parametrize(("ours", "theirs"), [(guest_tls, ssl), (ssl, guest_tls), (guest_tls, guest_tls)])
def test_asyncio(pki: Certificates, ours: Any, theirs: Any) -> None:
    """A client and a server over streams: a mebibyte both ways, ten connections at once."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def visit(port: int) -> None:
        reader, writer = await asyncio.open_connection("localhost", port, ssl=client_context(ours, pki), family=socket.AF_INET)
        connection = writer.get_extra_info("ssl_object")
        assert isinstance(connection, ours.SSLObject)
        assert connection.version() == "TLSv1.3"
        assert writer.get_extra_info("peercert")["subject"] == ((("commonName", "server.test"),),)

        async def send() -> None:
            writer.write(BODY)
            await writer.drain()

        _, found = await asyncio.gather(send(), reader.readexactly(len(BODY)))
        assert found == BODY
        writer.close()
        await writer.wait_closed()

    async def run() -> None:
        server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=server_context(theirs, pki.server))
        async with server:
            port = server.sockets[0].getsockname()[1]
            await asyncio.wait_for(asyncio.gather(*(visit(port) for _ in range(10))), PATIENCE * 2)

    asyncio.run(run())


@pytest.mark.parametrize(("ours", "theirs"), [(guest_tls, ssl), (ssl, guest_tls)])
def test_asyncio_start_tls(pki: Certificates, ours: Any, theirs: Any) -> None:
    """In the middle of a connection, both roles, and the server's name not verified once."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readline() == b"STARTTLS\n"
        writer.write(b"OK\n")
        await writer.start_tls(server_context(theirs, pki.server))
        writer.write(await reader.readline())
        writer.close()

    async def run() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"STARTTLS\n")
            assert await reader.readline() == b"OK\n"
            await writer.start_tls(client_context(ours, pki), server_hostname="server.test")
            writer.write(b"in the dark\n")
            assert await asyncio.wait_for(reader.readline(), PATIENCE) == b"in the dark\n"
            writer.close()
            with pytest.raises(ssl.SSLCertVerificationError):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(b"STARTTLS\n")
                await reader.readline()
                await writer.start_tls(client_context(ours, pki), server_hostname="wrong.test")

    asyncio.run(run())


@contextlib.contextmanager
def serving(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server that takes one connection: its port. What it raises is raised."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            sock, _ = listener.accept()
            sock.settimeout(PATIENCE)
            serve(sock)
        except BaseException as error:
            failures.append(error)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=run)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(PATIENCE)
    if failures:
        raise failures[0]


def readline(sock: Any) -> bytes:
    """A line, byte by byte: what follows it may be TLS."""
    line = b""
    while not line.endswith(b"\n") and (byte := sock.recv(1)):
        line += byte
    return line


def free_port() -> int:
    """aiosmtpd's controller has to know its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]  # type: ignore[no-any-return]
