"""OpenSSL's command line at the other end."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import Any, Iterator

import pytest
from conftest import PATIENCE, Certificates, client_context, receive, server_context

import guest_tls

COUNT = 10 << 20
# With the upper bit set: no byte is one of the letters that are commands to these programs.
PAYLOAD = os.urandom(COUNT).translate(bytes(byte | 0x80 for byte in range(256)))


@pytest.fixture
def mutual(pki: Certificates) -> list[str]:
    """Options by which OpenSSL verifies its peer, and ends where that fails."""
    return ["-CAfile", pki.ca.file, "-verify_return_error"]


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_our_client(pki: Certificates, mutual: list[str], version: str) -> None:
    """mTLS and ALPN, and 10 MiB each way at once."""
    options = [*mutual, "-Verify", "1", "-alpn", "h2", "-cert", pki.server.chain, "-key", pki.server.key_file, version]
    with s_server(options) as (program, port):
        context = client_context(guest_tls, pki)
        context.load_cert_chain(*pki.client.files)
        context.set_alpn_protocols(["http/1.1", "h2"])
        with context.wrap_socket(socket.create_connection(("127.0.0.1", port), PATIENCE), server_hostname="server.test") as connection:
            assert connection.selected_alpn_protocol() == "h2"
            assert connection.version() == {"-tls1_2": "TLSv1.2", "-tls1_3": "TLSv1.3"}[version]
            feeder = threading.Thread(target=feed, args=(program,))
            feeder.start()
            found: list[bytes] = []
            drainer = threading.Thread(target=lambda: found.append(drain(program, COUNT)))
            drainer.start()
            writer = threading.Thread(target=connection.sendall, args=(PAYLOAD,))
            writer.start()
            assert digest(receive(connection, COUNT)) == digest(PAYLOAD)
            for thread in (feeder, writer, drainer):
                thread.join(PATIENCE)
            assert digest(found[0]) == digest(PAYLOAD)


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_our_server(pki: Certificates, mutual: list[str], version: str) -> None:
    context = server_context(guest_tls, pki.server, verify_mode=guest_tls.CERT_REQUIRED)
    context.load_verify_locations(pki.ca.file)
    context.set_alpn_protocols(["h2"])
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE)
        options = [*mutual, "-servername", "server.test", "-verify_hostname", "server.test", "-alpn", "http/1.1,h2", "-quiet", version]
        identity = ["-cert", pki.client.chain, "-key", pki.client.key_file]
        with openssl("s_client", ["-connect", f"127.0.0.1:{listener.getsockname()[1]}", *options, *identity]) as program:
            with context.wrap_socket(listener.accept()[0], server_side=True) as connection:
                certificate = connection.getpeercert()
                assert isinstance(certificate, dict)
                assert certificate["subject"] == ((("commonName", "client.test"),),)
                assert connection.selected_alpn_protocol() == "h2"
                feeder = threading.Thread(target=feed, args=(program,))
                feeder.start()
                found: list[bytes] = []
                drainer = threading.Thread(target=lambda: found.append(drain(program, COUNT)))
                drainer.start()
                writer = threading.Thread(target=connection.sendall, args=(PAYLOAD,))
                writer.start()
                assert digest(receive(connection, COUNT)) == digest(PAYLOAD)
                for thread in (feeder, writer, drainer):
                    thread.join(PATIENCE)
                assert digest(found[0]) == digest(PAYLOAD)


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_our_server_resumes(pki: Certificates, tmp_path: Path, version: str) -> None:
    context = server_context(guest_tls, pki.server)
    session = str(tmp_path / "session")
    seen = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        for option in ("-sess_out", "-sess_in"):
            address = f"127.0.0.1:{listener.getsockname()[1]}"
            options = ["-connect", address, "-CAfile", pki.ca.file, "-servername", "server.test", option, session, version]
            with openssl("s_client", options) as program:
                with context.wrap_socket(listener.accept()[0], server_side=True) as connection:
                    seen.append(connection.session_reused)
                    connection.sendall(b"served\n")
                    connection.close_notify()
                    assert program.stdout is not None
                    assert b"served" in program.stdout.read()
    assert seen == [False, True]


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_our_client_resumes(pki: Certificates, version: str) -> None:
    context, session, seen = client_context(guest_tls, pki), None, []
    with s_server(["-cert", pki.server.chain, "-key", pki.server.key_file, version, "-www"], quiet=False) as (_, port):
        for _ in range(2):
            sock = socket.create_connection(("127.0.0.1", port), PATIENCE)
            with context.wrap_socket(sock, server_hostname="server.test", session=session) as connection:
                connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
                page = receive(connection, 1 << 20).decode()
                seen.append((connection.session_reused, re.search("^(New|Reused), ", page, re.MULTILINE)[1]))  # type: ignore[index]
                session = connection.session
    assert seen == [(False, "New"), (True, "Reused")]


def test_the_exporter_is_openssls(pki: Certificates) -> None:
    options = ["-cert", pki.server.chain, "-key", pki.server.key_file, "-keymatexport", "EXPORTER-test", "-keymatexportlen", "32"]
    with s_server(options, quiet=False) as (program, port):
        sock = socket.create_connection(("127.0.0.1", port), PATIENCE)
        with client_context(guest_tls, pki).wrap_socket(sock, server_hostname="server.test") as connection:
            keys = connection.export_keying_material("EXPORTER-test", 32)
            assert program.stdout is not None
            for line in program.stdout:
                if line.strip().startswith(b"Keying material: "):
                    assert line.split()[-1].decode() == keys.hex().upper()
                    return
    raise AssertionError("s_server printed no keying material")


def test_key_update(pki: Certificates) -> None:
    """A client changes its keys and wants ours changed, which is done before the next bytes that we send."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        options = ["-connect", f"127.0.0.1:{listener.getsockname()[1]}", "-CAfile", pki.ca.file, "-msg"]
        with openssl("s_client", options) as program:
            with server_context(guest_tls, pki.server).wrap_socket(listener.accept()[0], server_side=True) as connection:
                connection.settimeout(PATIENCE)
                # A line is a command where it is all that there is to read, so each waits until what was before it is over.
                for sign, line in ((b"read R BLOCK", b"K\n"), (b"KeyUpdate", b"by new\n")):
                    assert any(sign in said for said in program.stdout)
                    program.stdin.write(line)
                    program.stdin.flush()
                assert receive(connection, 7) == b"by new\n"
                connection.sendall(b"keys\n")
                connection.close_notify()
                said = program.stdout.read()
                assert b"KeyUpdate" in said
                assert b"keys\n" in said


def test_nothing_of_the_past(pki: Certificates) -> None:
    """TLS 1.1, and key exchange by static RSA, are refused by both of our ends."""
    for options in (["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], ["-tls1_2", "-cipher", "AES128-GCM-SHA256"]):
        with s_server(["-cert", pki.other_server.chain, "-key", pki.other_server.key_file, *options]) as (_, port):
            sock = socket.create_connection(("127.0.0.1", port), PATIENCE)
            with pytest.raises(guest_tls.SSLError):
                client_context(guest_tls, pki).wrap_socket(sock, server_hostname="other.test")
        with socket.create_server(("127.0.0.1", 0)) as listener:
            with openssl("s_client", ["-connect", f"127.0.0.1:{listener.getsockname()[1]}", *options]):
                with pytest.raises(guest_tls.SSLError):
                    server_context(guest_tls, pki.other_server).wrap_socket(listener.accept()[0], server_side=True)


@contextlib.contextmanager
def openssl(command: str, options: list[str]) -> Iterator[Any]:
    """A program, which ends with the block."""
    program = subprocess.Popen(["openssl", command, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        yield program
    finally:
        program.kill()
        with contextlib.suppress(BrokenPipeError):
            program.communicate()


@contextlib.contextmanager
def s_server(options: list[str], quiet: bool = True) -> Iterator[tuple[Any, int]]:
    """`openssl s_server`, and its port."""
    # It says its port before it is quiet.
    with openssl("s_server", ["-accept", "127.0.0.1:0", *options, *["-quiet"] * quiet]) as program:
        if quiet:
            yield program, port_of(program.pid)
        else:
            for line in program.stdout:
                if line.startswith(b"ACCEPT"):
                    yield program, int(line.rsplit(b":", 1)[1])
                    return
            raise AssertionError("s_server does not start")


def port_of(pid: int) -> int:
    """The port that a process listens on, by Linux's tables: a quiet `s_server` does not say it."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        sockets = {os.readlink(path) for path in Path(f"/proc/{pid}/fd").iterdir() if path.is_symlink()}
        for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTENING and f"socket:[{fields[9]}]" in sockets:
                return int(fields[1].split(":")[1], 16)
        time.sleep(0.02)
    raise AssertionError("s_server does not listen")


def feed(program: Any) -> None:
    """Gives the program the payload to send."""
    program.stdin.write(PAYLOAD)
    program.stdin.flush()


def drain(program: Any, count: int) -> bytes:
    """What the program received. It says other things on the same pipe, in ASCII."""
    found = bytearray()
    while len(found) < count and (piece := os.read(program.stdout.fileno(), 1 << 16)):
        found += piece.translate(None, bytes(range(0x80)))
    return bytes(found)


def digest(data: bytes) -> tuple[int, str]:
    """What to compare: a difference of ten mebibytes is no help."""
    return len(data), hashlib.sha256(data).hexdigest()


LISTENING = "0A"
