"""Packages of PyPI with our context, unchanged, as people deploy them: httpx, requests and urllib3, aiohttp, anyio, and servers on cheroot.
Each runs with `ssl` too, which shows that the test says what is so.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import os
import select
import socket
import ssl
import subprocess
import threading
import time
from types import ModuleType
from typing import Any, Iterator

import aiohttp
import aiohttp.web
import anyio
import anyio.abc
import anyio.streams.tls
import httpx
import pytest
import requests
import requests.adapters
import urllib3
from cheroot import wsgi
from cheroot.ssl.builtin import BuiltinSSLAdapter
from conftest import PATIENCE, Certificates, client_context, server_context

import guest_tls

BODY = os.urandom(300_000)
Environ = dict[str, Any]


class Site:
    """A server on cheroot, whose adapter has the context of a module."""

    def __init__(self, module: ModuleType, pki: Certificates, **attributes: Any) -> None:
        self.environs: list[Environ] = []
        self.server = wsgi.Server(("127.0.0.1", 0), self.answer, numthreads=2)
        self.server.ssl_adapter = BuiltinSSLAdapter(*pki.server.files)
        context = server_context(module, pki.server, **attributes)
        if context.verify_mode != ssl.CERT_NONE:
            context.load_verify_locations(pki.ca.file)
        self.server.ssl_adapter.context = context
        self.server.prepare()
        self.port: int = self.server.bind_addr[1]
        self.log, self.said = threading.Event(), ""
        self.server.error_log = self.say
        self.thread = threading.Thread(target=self.server.serve)
        self.thread.start()

    def answer(self, environ: Environ, start_response: Any) -> list[bytes]:
        self.environs.append(environ)
        start_response("200 OK", [("Content-Length", str(len(BODY)))])
        return [BODY]

    def say(self, message: str = "", *_: Any, **__: Any) -> None:
        self.said += message
        self.log.set()

    def __enter__(self) -> Site:
        return self

    def __exit__(self, *_: Any) -> None:
        self.server.stop()
        self.thread.join(PATIENCE)


@pytest.fixture
def site(pki: Certificates, server: ModuleType) -> Iterator[Site]:
    """A server on cheroot by each module."""
    with Site(server, pki) as site:
        yield site


def test_httpx(client: ModuleType, site: Site, pki: Certificates) -> None:
    """The synchronous client, whose connection is used again. It asks `_sslobj` for the protocol, and whether a connection is readable."""
    with httpx.Client(verify=client_context(client, pki), timeout=PATIENCE, trust_env=False) as session:
        for _ in range(3):
            response = session.get(f"https://localhost:{site.port}/")
            assert response.content == BODY
        stream = response.extensions["network_stream"]
        assert stream.get_extra_info("ssl_object").version() == "TLSv1.3"
        assert stream.get_extra_info("ssl_object").selected_alpn_protocol() in (None, "http/1.1")
        assert len({environ["REMOTE_PORT"] for environ in site.environs}) == 1
    with httpx.Client(verify=client.SSLContext(client.PROTOCOL_TLS_CLIENT), timeout=PATIENCE, trust_env=False) as session:
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            session.get(f"https://localhost:{site.port}/")


def test_httpx_without_waiting(client: ModuleType, site: Site, pki: Certificates) -> None:
    """Its asynchronous client, which is on anyio."""

    async def run() -> None:
        async with httpx.AsyncClient(verify=client_context(client, pki), timeout=PATIENCE, trust_env=False) as session:
            for response in await asyncio.gather(*(session.get(f"https://localhost:{site.port}/") for _ in range(3))):
                assert response.content == BODY

    asyncio.run(run())


def test_requests(client: ModuleType, site: Site, pki: Certificates) -> None:
    class Adapter(requests.adapters.HTTPAdapter):
        """As requests' manual has it for a context of one's own."""

        def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
            super().init_poolmanager(*args, ssl_context=client_context(client, pki), **kwargs)

    with requests.Session() as session:
        session.trust_env = False
        session.mount("https://", Adapter())
        for _ in range(3):
            assert session.get(f"https://localhost:{site.port}/", timeout=PATIENCE, verify=pki.ca.file).content == BODY
    assert len({environ["REMOTE_PORT"] for environ in site.environs}) == 1


def test_urllib3(client: ModuleType, site: Site, pki: Certificates) -> None:
    with urllib3.PoolManager(ssl_context=client_context(client, pki), timeout=PATIENCE, retries=False) as pool:
        for _ in range(3):
            response = pool.request("GET", f"https://localhost:{site.port}/")
            assert response.data == BODY
    nobody = client.SSLContext(client.PROTOCOL_TLS_CLIENT)
    with urllib3.PoolManager(ssl_context=nobody, timeout=PATIENCE, retries=False) as pool:
        with pytest.raises(urllib3.exceptions.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
            pool.request("GET", f"https://localhost:{site.port}/")


def test_aiohttp(client: ModuleType, server: ModuleType, pki: Certificates) -> None:
    """Both ends."""

    async def answer(request: aiohttp.web.Request) -> aiohttp.web.Response:
        return aiohttp.web.Response(body=await request.read())

    async def run() -> None:
        app = aiohttp.web.Application(client_max_size=1 << 20)
        app.router.add_post("/", answer)
        runner = aiohttp.web.AppRunner(app)
        await runner.setup()
        try:
            await aiohttp.web.TCPSite(runner, "127.0.0.1", 0, ssl_context=server_context(server, pki.server)).start()
            url = f"https://127.0.0.1:{runner.addresses[0][1]}/"
            async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(PATIENCE)) as session:
                for _ in range(3):
                    async with session.post(url, data=BODY, ssl=client_context(client, pki)) as response:
                        assert await response.read() == BODY
                with pytest.raises(aiohttp.ClientConnectorCertificateError):
                    await session.post(url, data=BODY, ssl=client.SSLContext(client.PROTOCOL_TLS_CLIENT))
        finally:
            await runner.cleanup()

    start = time.monotonic()
    asyncio.run(run())
    # Else someone has waited for an end that did not come.
    assert time.monotonic() - start < PATIENCE / 2


def test_anyio_gives_the_bytes_after_tls(client: ModuleType, server: ModuleType, pki: Certificates) -> None:
    """Both ends; then TLS goes off, and what came in the clear with `close_notify` is there."""

    async def run() -> None:
        seen: list[bytes] = []

        async def serve(stream: anyio.abc.SocketStream) -> None:
            tls = await anyio.streams.tls.TLSStream.wrap(stream, server_side=True, ssl_context=server_context(server, pki.server))
            assert await tls.receive() == b"question"
            await tls.send(b"answer")
            plain, rest = await tls.unwrap()
            while len(rest) < len(b"in the clear"):
                rest += await plain.receive()
            seen.append(rest)
            await stream.aclose()
            group.cancel_scope.cancel()

        with anyio.fail_after(PATIENCE):
            listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
            async with anyio.create_task_group() as group:
                group.start_soon(listener.serve, serve)
                port = listener.extra(anyio.abc.SocketAttribute.local_port)
                stream = await anyio.connect_tcp("127.0.0.1", port)
                tls = await anyio.streams.tls.TLSStream.wrap(stream, hostname="server.test", ssl_context=client_context(client, pki))
                await tls.send(b"question")
                assert await tls.receive() == b"answer"
                assert tls.extra(anyio.streams.tls.TLSAttribute.tls_version) == "TLSv1.3"
                plain, _ = await tls.unwrap()
                await plain.send(b"in the clear")
                with contextlib.suppress(anyio.EndOfStream, anyio.ClosedResourceError):
                    await plain.receive()
        assert seen == [b"in the clear"]

    asyncio.run(run())


def test_cheroot_tells_a_program_of_tls(pki: Certificates) -> None:
    """The variables of WSGI, with a client's certificate, by both modules: the same but for the suite that our server likes better."""
    found = {}
    for module in (guest_tls, ssl):
        with Site(module, pki, verify_mode=ssl.CERT_OPTIONAL) as site:
            context = client_context(ssl, pki)
            context.load_cert_chain(*pki.client.files)
            connection = http.client.HTTPSConnection("localhost", site.port, context=context, timeout=PATIENCE)
            with contextlib.closing(connection):
                connection.request("GET", "/")
                assert connection.getresponse().read() == BODY
            found[module] = {name: value for name, value in site.environs[0].items() if name.startswith(("SSL_", "HTTPS", "wsgi.url"))}
    ours, theirs = found[guest_tls], found[ssl]
    assert ours.pop("SSL_CIPHER") == "TLS_CHACHA20_POLY1305_SHA256"
    assert theirs.pop("SSL_CIPHER") == "TLS_AES_256_GCM_SHA384"
    assert ours["SSL_CIPHER_ALGKEYSIZE"] == 256
    assert ours["SSL_CLIENT_VERIFY"] == "SUCCESS"
    assert ours["SSL_CLIENT_S_DN_CN"] == "client.test"
    # The id of a session, which ours are without.
    theirs.pop("SSL_SESSION_ID", None)
    assert ours == theirs


def test_cheroot_knows_plain_http(server: ModuleType, site: Site) -> None:
    """By the reason of the error. It would answer in the clear, if `wrap_socket` had not taken the socket; and it goes on serving."""
    with socket.create_connection(("127.0.0.1", site.port), PATIENCE) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while piece := sock.recv(4096):
                answer += piece
    assert answer == b""
    assert site.log.wait(PATIENCE) and "attempted to speak plain HTTP" in site.said
    assert site.thread.is_alive()


def test_curl_gets_from_cheroot(site: Site, pki: Certificates) -> None:
    """Twice by one connection, on a server whose threads wait by a selector for connections with something to read."""
    url = f"https://localhost:{site.port}/"
    command = ["curl", "--silent", "--show-error", "--noproxy", "*", "--cacert", pki.ca.file, "--max-time", str(PATIENCE), url, url]
    found = subprocess.run(command, capture_output=True, check=True)
    assert found.stdout == BODY * 2
    assert len({environ["REMOTE_PORT"] for environ in site.environs}) == 1


def test_requests_that_come_at_once_are_answered(server: ModuleType, site: Site, pki: Certificates) -> None:
    """Three of them in one segment: a server that waits by `select` between them has to see the rest."""
    with socket.create_connection(("127.0.0.1", site.port), PATIENCE) as sock:
        with client_context(ssl, pki).wrap_socket(sock, server_hostname="server.test") as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 2 + b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            size = 0
            start = time.monotonic()
            while select.select([connection], [], [], PATIENCE)[0] and (piece := connection.recv(1 << 16)):
                size += len(piece)
    assert size > 3 * len(BODY)
    assert time.monotonic() - start < PATIENCE / 2
