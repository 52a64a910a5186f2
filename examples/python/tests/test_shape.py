"""The shape of Python's `ssl`: every test runs with each of the two modules at each end. Where both ends are `ssl`, it shows that the
test says what is so; where one is ours, that ours does the same and speaks with the other.
"""

from __future__ import annotations

import os
import select
import socket
import ssl
import threading
import time
from types import ModuleType
from typing import Any

import pytest
from conftest import (
    PATIENCE,
    Authority,
    Certificates,
    Identity,
    Outcome,
    client_context,
    meet,
    receive,
    server_context,
    succeed,
)
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

import guest_tls

Module = ModuleType


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_properties(client: Module, server: Module, pki: Certificates, version: str) -> None:
    attributes = {"minimum_version": ssl.TLSVersion[version], "maximum_version": ssl.TLSVersion[version]}
    server_side = server_context(server, pki.server, **attributes)
    client_side = client_context(client, pki, **attributes)
    for context in (client_side, server_side):
        context.set_alpn_protocols(["h2", "http/1.1"])

    def describe(connection: Any) -> dict[str, Any]:
        return {
            "cipher": connection.cipher(),
            "version": connection.version(),
            "alpn": connection.selected_alpn_protocol(),
            "reused": connection.session_reused,
            "compression": connection.compression(),
            "binding": connection.get_channel_binding() if version == "TLSv1_2" else None,
        }

    def visit(connection: Any) -> Any:
        connection.sendall(b"question")
        assert receive(connection, 6) == b"answer"
        return describe(connection), connection.getpeercert(), connection.getpeercert(binary_form=True)

    def serve(connection: Any) -> Any:
        assert receive(connection, 8) == b"question"
        connection.sendall(b"answer")
        assert connection.getpeercert() is None
        return describe(connection)

    outcome = succeed(client_side, server_side, visit, serve)
    seen, certificate, der = outcome.client
    assert seen == outcome.server
    assert seen["version"] == version.replace("_", ".")
    assert seen["cipher"][1] == seen["version"]
    assert seen["alpn"] == "h2"
    assert seen["reused"] is False
    assert version == "TLSv1_3" or len(seen["binding"]) == 12
    assert der == pki.server.certificate.public_bytes(Encoding.DER)
    assert certificate["subjectAltName"] == (
        ("DNS", "server.test"),
        ("DNS", "localhost"),
        ("DNS", "*.wild.test"),
        ("IP Address", "127.0.0.1"),
    )


def test_peer_certificates_read_the_same(pki: Certificates) -> None:
    """The dictionary of a certificate with all kinds of names, by both modules."""
    identity = pki.ca.issue("names.test", names=("names.test", "::1", "10.0.0.1", "https://names.test/a,b?c=DNS:d"))
    found = []
    for module in (guest_tls, ssl):
        context = client_context(module, pki)
        outcome = succeed(context, server_context(ssl, identity), lambda tls: tls.getpeercert(), server_hostname="names.test")
        found.append(outcome.client)
    assert found[0] == found[1]


def test_bytes_both_ways(client: Module, server: Module, pki: Certificates) -> None:
    """10 MiB each way at once. Ours has a thread that writes and one that reads; `ssl` does not bear that before Python 3.13, so it has one."""
    count = 10 << 20

    def exchange(module: Module, mine: bytes, others: bytes) -> Any:
        def run(connection: Any) -> None:
            found = (by_threads if module is guest_tls else by_select)(connection, mine, len(others))
            assert hash(found) == hash(others)

        return run

    first, second = os.urandom(count), os.urandom(count)
    ends = exchange(client, first, second), exchange(server, second, first)
    succeed(client_context(client, pki), server_context(server, pki.server), *ends)


def by_threads(connection: Any, mine: bytes, count: int) -> bytes:
    """Sends and receives, each on a thread."""
    writer = threading.Thread(target=connection.sendall, args=(mine,))
    writer.start()
    found = receive(connection, count)
    writer.join(PATIENCE)
    return found


def by_select(connection: Any, mine: bytes, count: int) -> bytes:
    """The same on one thread, which waits for both."""
    connection.setblocking(False)
    found, rest = bytearray(), memoryview(mine)
    while rest or len(found) < count:
        wants_read = wants_write = False
        try:
            piece = connection.recv(1 << 16)
            if not piece and len(found) < count:
                break
            found += piece
        except ssl.SSLWantReadError:
            wants_read = True
        try:
            if rest:
                rest = rest[connection.send(rest[: 1 << 16]) :]
        except ssl.SSLWantWriteError:
            wants_write = True
        if wants_read and (wants_write or not rest):
            select.select([connection], [connection] if rest else [], [], PATIENCE)
    connection.setblocking(True)
    return bytes(found)


@pytest.mark.parametrize("mode", [ssl.CERT_REQUIRED, ssl.CERT_OPTIONAL])
@pytest.mark.parametrize("shown", ["client", "none"])
def test_client_certificates(client: Module, server: Module, pki: Certificates, mode: ssl.VerifyMode, shown: str) -> None:
    server_side = server_context(server, pki.server, verify_mode=mode)
    server_side.load_verify_locations(pki.ca.file)
    client_side = client_context(client, pki)
    if shown == "client":
        client_side.load_cert_chain(*pki.client.files)

    def serve(connection: Any) -> Any:
        connection.sendall(b"hello")
        return connection.getpeercert()

    outcome = meet(client_side, server_side, lambda connection: receive(connection, 5), serve)
    if shown == "client":
        assert outcome.client == b"hello"
        assert outcome.server["subject"] == ((("commonName", "client.test"),),)
        assert outcome.server["subjectAltName"] == (("DNS", "client.test"), ("URI", "https://client.test/id"))
    elif mode == ssl.CERT_OPTIONAL:
        assert outcome.client == b"hello"
        assert outcome.server is None
    else:
        assert isinstance(outcome.server, ssl.SSLError)
        assert outcome.server.reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE"
        # In TLS 1.3 the client hears of it when it reads.
        assert isinstance(outcome.client, ssl.SSLError)
        assert outcome.client.reason == "TLSV13_ALERT_CERTIFICATE_REQUIRED"


@pytest.mark.parametrize("mode", [ssl.CERT_REQUIRED, ssl.CERT_OPTIONAL])
def test_a_client_certificate_of_another_ca(client: Module, server: Module, pki: Certificates, mode: ssl.VerifyMode) -> None:
    server_side = server_context(server, pki.server, verify_mode=mode)
    server_side.load_verify_locations(pki.ca.file)
    client_side = client_context(client, pki)
    client_side.load_cert_chain(*pki.other_ca.issue("stranger.test").files)
    outcome = meet(client_side, server_side, lambda connection: receive(connection, 1), lambda connection: connection.sendall(b"!"))
    assert isinstance(outcome.server, ssl.SSLCertVerificationError)
    assert outcome.server.verify_code == 20
    if mode == ssl.CERT_REQUIRED or server is ssl:
        assert isinstance(outcome.client, ssl.SSLError)
        assert outcome.client.reason == "TLSV1_ALERT_UNKNOWN_CA"
    else:
        # The guest does not let us choose the alert.
        assert isinstance(outcome.client, OSError) or outcome.client == b""


def unverified(pki: Certificates) -> dict[str, tuple[Any, str, int, str]]:
    """Why a server is not verified: its identity, the name that is wanted, and the code and words of it."""
    ca, name = pki.ca, ("server.test",)
    return {
        "wrong CA": (pki.other_ca.issue("server.test", names=name), "server.test", 20, "unable to get local issuer certificate"),
        "self-signed": (self_signed(pki), "alone.test", 18, "self-signed certificate"),
        "expired": (ca.issue("old.test", names=name, days=(-9, -2)), "server.test", 10, "certificate has expired"),
        "not yet valid": (ca.issue("new.test", names=name, days=(2, 9)), "server.test", 9, "certificate is not yet valid"),
        "for clients": (
            ca.issue("purpose.test", names=name, usage=ExtendedKeyUsageOID.CLIENT_AUTH),
            "server.test",
            26,
            "unsuitable certificate purpose",
        ),
        "another name": (pki.server, "other.test", 62, "Hostname mismatch, certificate is not valid for 'other.test'."),
        "deep wildcard": (pki.server, "a.b.wild.test", 62, "Hostname mismatch, certificate is not valid for 'a.b.wild.test'."),
        "another address": (pki.server, "127.0.0.2", 64, "IP address mismatch, certificate is not valid for '127.0.0.2'."),
    }


def self_signed(pki: Certificates) -> Identity:
    """A server that nobody else vouches for."""
    signer = Authority(pki.folder, "alone.test")
    return signer.issue("alone.test", key=signer.key, names=("alone.test",), subject=signer.name)


UNVERIFIED = ["wrong CA", "self-signed", "expired", "not yet valid", "for clients", "another name", "deep wildcard", "another address"]


@pytest.mark.parametrize("why", UNVERIFIED)
def test_a_server_that_is_not_verified(client: Module, server: Module, pki: Certificates, why: str) -> None:
    identity, hostname, code, words = unverified(pki)[why]
    outcome = meet(client_context(client, pki), server_context(server, identity), server_hostname=hostname)
    error = outcome.client
    assert isinstance(error, ssl.SSLCertVerificationError)
    assert isinstance(error, ValueError)
    assert error.errno == ssl.SSL_ERROR_SSL
    assert error.library == "SSL"
    assert error.reason == "CERTIFICATE_VERIFY_FAILED"
    assert error.verify_code == code
    assert error.verify_message == words
    assert "certificate verify failed" in str(error)
    # The server hears the alert, or the end, when the client goes away.
    assert outcome.server is None or isinstance(outcome.server, OSError)


def test_the_table_of_the_unverified_is_whole(pki: Certificates) -> None:
    assert list(unverified(pki)) == UNVERIFIED


@pytest.mark.parametrize("hostname", ["server.test", "localhost", "a.wild.test", "127.0.0.1"])
def test_names_that_match(client: Module, pki: Certificates, hostname: str) -> None:
    succeed(client_context(client, pki), server_context(ssl, pki.server), server_hostname=hostname)


def test_a_context_without_authorities_trusts_nobody(module: Module, pki: Certificates) -> None:
    outcome = meet(module.SSLContext(module.PROTOCOL_TLS_CLIENT), server_context(ssl, pki.server))
    assert isinstance(outcome.client, ssl.SSLCertVerificationError)
    assert outcome.client.verify_code == 20


def test_no_verification(client: Module, server: Module, pki: Certificates) -> None:
    context = client.SSLContext(client.PROTOCOL_TLS_CLIENT)
    with pytest.raises(ValueError, match="check_hostname is enabled"):
        context.verify_mode = ssl.CERT_NONE
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    for hostname in ("wrong.test", None):
        outcome = succeed(
            context,
            server_context(server, pki.server),
            lambda tls: (tls.getpeercert(), tls.getpeercert(True)),
            server_hostname=hostname,
        )
        assert outcome.client == ({}, pki.server.certificate.public_bytes(Encoding.DER))


def test_chain_without_name(client: Module, server: Module, pki: Certificates) -> None:
    context = client_context(client, pki, check_hostname=False)
    succeed(context, server_context(server, pki.server), server_hostname="wrong.test")
    outcome = meet(context, server_context(server, pki.other_ca.issue("server.test")), server_hostname="wrong.test")
    assert isinstance(outcome.client, ssl.SSLCertVerificationError)


def test_revocation(client: Module, pki: Certificates) -> None:
    revoked = pki.ca.issue("revoked.test", names=("revoked.test",))
    context = client_context(client, pki, verify_flags=ssl.VERIFY_CRL_CHECK_LEAF)
    context.load_verify_locations(pki.ca.revoke(revoked))
    assert context.cert_store_stats() == {"x509": 1, "crl": 1, "x509_ca": 1}
    succeed(context, server_context(ssl, pki.server))
    outcome = meet(context, server_context(ssl, revoked), server_hostname="revoked.test")
    assert isinstance(outcome.client, ssl.SSLCertVerificationError)
    assert (outcome.client.verify_code, outcome.client.verify_message) == (23, "certificate revoked")


def test_partial_chain(client: Module, pki: Certificates) -> None:
    middle = Authority(pki.folder, "middle.test", issuer=pki.ca)
    identity = middle.issue("server.test", names=("server.test",))
    context = client.SSLContext(client.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(middle.file)
    outcome = meet(context, server_context(ssl, identity))
    assert isinstance(outcome.client, ssl.SSLCertVerificationError)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    succeed(context, server_context(ssl, identity))


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_resumption(client: Module, server: Module, pki: Certificates, version: str) -> None:
    server_side = server_context(server, pki.server, maximum_version=ssl.TLSVersion[version])
    client_side = client_context(client, pki)

    def visit(connection: Any) -> Any:
        assert receive(connection, 1) == b"!"
        return connection.session, connection.session_reused

    def serve(connection: Any) -> Any:
        connection.sendall(b"!")
        return connection.session_reused

    first = succeed(client_side, server_side, visit, serve)
    session, reused = first.client
    assert session is not None
    assert session.has_ticket
    assert (reused, first.server) == (False, False)
    second = succeed(client_side, server_side, visit, serve, session=session)
    assert (second.client[1], second.server) == (True, True)
    assert client_side.session_stats()["connect_good"] == 2
    assert client_side.session_stats()["hits"] == 1
    assert server_side.session_stats()["accept_good"] == 2
    assert server_side.session_stats()["hits"] == 1
    # Another context's session is refused, and so is what is none.
    with pytest.raises(ValueError, match="different SSLContext"):
        client_context(client, pki).wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="a.test", session=session)
    with pytest.raises(TypeError):
        client_side.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="a.test", session="session")


def test_no_tickets(server: Module, pki: Certificates) -> None:
    context = server_context(server, pki.server, maximum_version=ssl.TLSVersion.TLSv1_2)

    def visit(connection: Any) -> Any:
        receive(connection, 1)
        return connection.session.has_ticket

    def outcome() -> Outcome:
        return succeed(client_context(ssl, pki), context, visit, lambda connection: connection.sendall(b"!"))

    assert outcome().client is True
    context.options |= ssl.OP_NO_TICKET
    assert outcome().client is False


def test_sni_callback(client: Module, server: Module, pki: Certificates) -> None:
    asked = []
    first, second = server_context(server, pki.server), server_context(server, pki.other_server)

    def choose(connection: Any, name: Any, context: Any) -> None:
        asked.append((name, context is first, connection.server_side))
        if name == "other.test":
            connection.context = second

    first.sni_callback = choose
    for name in ("server.test", "other.test"):
        outcome = succeed(client_context(client, pki), first, lambda tls: tls.getpeercert()["subject"], server_hostname=name)
        assert outcome.client == ((("commonName", name),),)
    assert asked == [("server.test", True, True), ("other.test", True, True)]


def test_sni_callback_refuses(client: Module, server: Module, pki: Certificates) -> None:
    context = server_context(server, pki.server, sni_callback=lambda *_: ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME)
    outcome = meet(client_context(client, pki), context)
    assert isinstance(outcome.client, ssl.SSLError)
    assert isinstance(outcome.server, ssl.SSLError)
    assert outcome.server.reason == "CALLBACK_FAILED"


def test_no_version_in_common(client: Module, server: Module, pki: Certificates) -> None:
    outcome = meet(
        client_context(client, pki, maximum_version=ssl.TLSVersion.TLSv1_2),
        server_context(server, pki.server, minimum_version=ssl.TLSVersion.TLSv1_3),
    )
    assert isinstance(outcome.client, ssl.SSLError)
    assert outcome.client.reason == "TLSV1_ALERT_PROTOCOL_VERSION"
    assert isinstance(outcome.server, ssl.SSLError)
    assert outcome.server.reason == "UNSUPPORTED_PROTOCOL"


@pytest.mark.parametrize("name", ["ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-CHACHA20-POLY1305", "ECDHE-RSA-AES256-GCM-SHA384"])
def test_ciphers(client: Module, server: Module, pki: Certificates, name: str) -> None:
    context = client_context(client, pki, maximum_version=ssl.TLSVersion.TLSv1_2)
    context.set_ciphers(name)
    outcome = succeed(context, server_context(server, pki.other_server), lambda tls: tls.cipher(), server_hostname="other.test")
    assert outcome.client == (name, "TLSv1.2", 128 if "AES128" in name else 256)


def test_curves(client: Module, server: Module, pki: Certificates) -> None:
    context = server_context(server, pki.server)
    context.set_ecdh_curve("secp384r1")
    succeed(client_context(client, pki), context)
    with pytest.raises(ValueError, match="nonsense"):
        context.set_ecdh_curve("nonsense")


def test_unwrap(client: Module, server: Module, pki: Certificates) -> None:
    """TLS ends on both sides, and the socket goes on in the clear."""

    def unwrap(connection: Any, line: bytes) -> bytes:
        plain = connection.unwrap()
        with plain:
            plain.sendall(line)
            return plain.recv(100)  # type: ignore[no-any-return]

    def visit(connection: Any) -> bytes:
        assert receive(connection, 3) == b"bye"
        return unwrap(connection, b"client in the clear")

    def serve(connection: Any) -> bytes:
        connection.sendall(b"bye")
        return unwrap(connection, b"server in the clear")

    outcome = succeed(client_context(client, pki), server_context(server, pki.server), visit, serve)
    assert outcome == Outcome(b"server in the clear", b"client in the clear")


@pytest.mark.parametrize("suppress", [True, False])
def test_truncation(client: Module, server: Module, pki: Certificates, suppress: bool) -> None:
    """The transport ends, and the peer has not said that it is done."""

    def visit(connection: Any) -> bytes:
        connection.recv(100)
        return connection.recv(100)  # type: ignore[no-any-return]

    def serve(connection: Any) -> None:
        connection.sendall(b"half of it")
        connection.shutdown(socket.SHUT_RDWR)

    outcome = meet(client_context(client, pki), server_context(server, pki.server), visit, serve, suppress_ragged_eofs=suppress)
    if suppress:
        assert outcome.client == b""
    else:
        assert isinstance(outcome.client, ssl.SSLEOFError)
        assert outcome.client.errno == ssl.SSL_ERROR_EOF


@pytest.mark.parametrize("role", ["client", "server"])
def test_truncated_handshake(module: Module, pki: Certificates, role: str) -> None:
    context = client_context(module, pki) if role == "client" else server_context(module, pki.server)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.shutdown(socket.SHUT_WR)
        name = "server.test" if role == "client" else None
        with pytest.raises(ssl.SSLEOFError) as caught:
            context.wrap_socket(ours, server_side=role == "server", server_hostname=name)
        assert caught.value.errno == ssl.SSL_ERROR_EOF


def test_plain_text_is_no_tls(module: Module, pki: Certificates) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"GET / HTTP/1.0\r\n\r\n")
        with pytest.raises(ssl.SSLError) as caught:
            server_context(module, pki.server).wrap_socket(ours, server_side=True)
        assert caught.value.reason in ("HTTP_REQUEST", "WRONG_VERSION_NUMBER")


def test_non_blocking(client: Module, server: Module, pki: Certificates) -> None:
    """Handshake, more bytes than the transport takes, and the end, all by `select`."""
    payload = os.urandom(4 << 20)

    def again(connection: Any, act: Any) -> Any:
        while True:
            try:
                return act()
            except ssl.SSLWantReadError:
                select.select([connection], [], [], PATIENCE)
            except ssl.SSLWantWriteError:
                select.select([], [connection], [], PATIENCE)

    def serve(connection: Any) -> None:
        time.sleep(0.2)
        assert receive(connection, len(payload)) == payload
        connection.sendall(b"done")
        connection.unwrap().close()

    def visit(connection: Any) -> int:
        wanted = 0
        connection.setblocking(False)
        again(connection, connection.do_handshake)
        with pytest.raises(ssl.SSLWantReadError):
            while True:
                connection.recv(1)
        view = memoryview(payload)
        while view:
            try:
                view = view[connection.send(view) :]
            except ssl.SSLWantWriteError:
                wanted += 1
                select.select([], [connection], [], PATIENCE)
        assert again(connection, lambda: connection.recv(100)) == b"done"
        assert again(connection, lambda: connection.recv(100)) == b""
        again(connection, connection.unwrap).close()
        return wanted

    context = server_context(server, pki.server)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        # Else the system may have room for all of it.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        failures = []

        def run() -> None:
            try:
                with context.wrap_socket(listener.accept()[0], server_side=True) as connection:
                    serve(connection)
            except BaseException as error:
                failures.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        sock = socket.create_connection(listener.getsockname())
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
        with client_context(client, pki).wrap_socket(sock, server_hostname="server.test", do_handshake_on_connect=False) as connection:
            assert visit(connection) > 0, "the transport took all at once, so nothing was shown"
        thread.join(PATIENCE)
        assert not failures, failures


def test_timeouts(module: Module, pki: Certificates) -> None:
    def visit(connection: Any) -> float:
        connection.settimeout(0.2)
        start = time.monotonic()
        with pytest.raises(TimeoutError, match="read operation timed out"):
            connection.recv(1)
        took = time.monotonic() - start
        with pytest.raises(TimeoutError, match="write operation timed out"):
            connection.sendall(bytes(64 << 20))
        return took

    done = threading.Event()
    outcome = meet(
        client_context(module, pki),
        server_context(ssl, pki.server),
        lambda connection: (visit(connection), done.set())[0],
        lambda connection: done.wait(PATIENCE),
    )
    done.set()
    assert isinstance(outcome.client, float), outcome.client
    assert 0.15 < outcome.client < 5


def test_handshake_timeout(module: Module, pki: Certificates) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(0.2)
        with pytest.raises(TimeoutError, match="handshake operation timed out"):
            server_context(module, pki.server).wrap_socket(ours, server_side=True)


def test_reading_into_buffers_and_files(client: Module, server: Module, pki: Certificates) -> None:
    def visit(connection: Any) -> Any:
        buffer = bytearray(8)
        assert connection.recv_into(memoryview(buffer)[2:], 3) == 3
        assert buffer == b"\0\0lin\0\0\0"
        assert connection.pending() == len(b"e 1\nline 2\n")
        with connection.makefile("rwb") as file:
            assert file.readline() == b"e 1\n"
            assert file.readline() == b"line 2\n"
            file.write(b"read")
            file.flush()

    def serve(connection: Any) -> None:
        connection.sendall(b"line 1\nline 2\n")
        assert receive(connection, 4) == b"read"

    succeed(client_context(client, pki), server_context(server, pki.server), visit, serve)


def test_sendfile(client: Module, pki: Certificates, tmp_path: Any) -> None:
    path = tmp_path / "file"
    path.write_bytes(os.urandom(300_000))
    with open(path, "rb") as file:
        outcome = succeed(
            client_context(client, pki),
            server_context(ssl, pki.server),
            # It waits, since whoever closes while something comes in throws away what goes out.
            lambda connection: (connection.sendfile(file, 100_000, 150_000), receive(connection, 1))[0],
            lambda connection: (receive(connection, 150_000), connection.sendall(b"!"))[0],
        )
    assert outcome.client == 150_000
    assert outcome.server == path.read_bytes()[100_000:250_000]


def test_a_listening_socket_that_is_wrapped(client: Module, server: Module, pki: Certificates) -> None:
    with server_context(server, pki.server).wrap_socket(socket.create_server(("127.0.0.1", 0)), server_side=True) as listener:
        found = []

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                found.append(receive(connection, 2))

        thread = threading.Thread(target=serve)
        thread.start()
        with client_context(client, pki).wrap_socket(socket.socket(), server_hostname="server.test") as connection:
            connection.connect(listener.getsockname())
            connection.sendall(b"hi")
        thread.join(PATIENCE)
        assert found == [b"hi"]


def test_what_a_connection_does_not_do(module: Module, pki: Certificates) -> None:
    def visit(connection: Any) -> None:
        for act, error in (
            (lambda: connection.recv(1, socket.MSG_PEEK), ValueError),
            (lambda: connection.sendto(b"", ("127.0.0.1", 1)), ValueError),
            (lambda: connection.recvfrom(1), ValueError),
            (lambda: connection.recvmsg(1), NotImplementedError),
            (lambda: connection.sendmsg([b""]), NotImplementedError),
            (lambda: connection.dup(), NotImplementedError),
            (lambda: connection.get_channel_binding("nonsense"), ValueError),
            (lambda: connection.connect(("127.0.0.1", 1)), ValueError),
        ):
            with pytest.raises(error):
                act()
        assert connection.selected_npn_protocol() is None

    succeed(client_context(module, pki), server_context(ssl, pki.server), visit)


def test_arguments(module: Module, pki: Certificates) -> None:
    context = client_context(module, pki)
    for act, error in (
        (lambda: module.SSLSocket(), TypeError),
        (lambda: module.SSLObject(), TypeError),
        (lambda: context.wrap_socket(socket.socket()), ValueError),
        (lambda: context.wrap_socket(socket.socket(type=socket.SOCK_DGRAM), server_hostname="a.test"), NotImplementedError),
        (lambda: context.wrap_socket(socket.socket(), server_side=True, server_hostname="a.test"), ValueError),
        (lambda: context.load_verify_locations(), TypeError),
        (lambda: context.load_verify_locations("/does/not/exist"), FileNotFoundError),
        (lambda: context.load_verify_locations(pki.server.key_file), ssl.SSLError),
        (lambda: context.load_verify_locations(cadata="nothing"), ssl.SSLError),
        (lambda: context.load_verify_locations(cadata=b"nothing"), ssl.SSLError),
        (lambda: context.load_cert_chain("/does/not/exist"), FileNotFoundError),
        (lambda: context.load_cert_chain(pki.server.chain, pki.client.key_file), ssl.SSLError),
        (lambda: context.load_cert_chain(pki.server.chain), ssl.SSLError),
        (lambda: context.set_ciphers("NONSENSE"), ssl.SSLError),
        (lambda: setattr(context, "sni_callback", print), ValueError),
        (lambda: setattr(module.SSLContext(module.PROTOCOL_TLS_SERVER), "sni_callback", 1), TypeError),
        (lambda: module.create_default_context("nonsense"), TypeError),
    ):
        with pytest.raises(error):
            act()


def test_keys_with_passwords(module: Module, pki: Certificates) -> None:
    identity = pki.ca.issue("secret.test", names=("secret.test",), password=b"pass")
    context = module.SSLContext(module.PROTOCOL_TLS_SERVER)
    for wrong in (b"wrong", lambda: "wrong"):
        with pytest.raises(ssl.SSLError):
            context.load_cert_chain(*identity.files, password=wrong)
    for right in ("pass", b"pass", bytearray(b"pass"), lambda: b"pass"):
        context.load_cert_chain(*identity.files, password=right)
    succeed(client_context(ssl, pki), context, server_hostname="secret.test")


def test_authorities(module: Module, pki: Certificates) -> None:
    context = module.SSLContext(module.PROTOCOL_TLS_CLIENT)
    der = pki.ca.certificate.public_bytes(Encoding.DER)
    context.load_verify_locations(cadata=der + pki.other_ca.certificate.public_bytes(Encoding.DER))
    context.load_verify_locations(cadata=open(pki.ca.file).read())
    assert context.cert_store_stats() == {"x509": 2, "crl": 0, "x509_ca": 2}
    assert set(context.get_ca_certs(binary_form=True)) == {der, pki.other_ca.certificate.public_bytes(Encoding.DER)}
    found = {certificate["serialNumber"] for certificate in context.get_ca_certs()}
    assert f"{pki.ca.certificate.serial_number:X}".zfill(40) in {serial.zfill(40) for serial in found}
    assert all(certificate["subject"] == certificate["issuer"] for certificate in context.get_ca_certs())


def test_default_contexts(module: Module, pki: Certificates) -> None:
    context = module.create_default_context(cafile=pki.ca.file)
    assert isinstance(context, ssl.SSLContext)
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname is True
    assert context.protocol == ssl.PROTOCOL_TLS_CLIENT
    succeed(context, server_context(ssl, pki.server))
    of_server = module.create_default_context(ssl.Purpose.CLIENT_AUTH)
    assert of_server.verify_mode == ssl.CERT_NONE
    assert of_server.check_hostname is False
    # The system's authorities are not those of the test.
    outcome = meet(module.create_default_context(), server_context(ssl, pki.server))
    assert isinstance(outcome.client, ssl.SSLCertVerificationError)


def test_default_authorities_by_environment(module: Module, pki: Certificates, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", pki.ca.file)
    succeed(module.create_default_context(), server_context(ssl, pki.server))


@pytest.mark.parametrize("role", ["client", "server"])
def test_key_log(module: Module, pki: Certificates, tmp_path: Any, role: str) -> None:
    path = tmp_path / "keys.log"
    contexts = [
        client_context(module if role == "client" else ssl, pki),
        server_context(module if role == "server" else ssl, pki.server),
    ]
    logging = contexts[role == "server"]
    assert logging.keylog_filename is None
    logging.keylog_filename = str(path)
    succeed(*contexts, lambda connection: receive(connection, 1), lambda connection: connection.sendall(b"!"))
    labels = {line.split()[0] for line in path.read_text().splitlines() if not line.startswith("#")}
    assert {"CLIENT_HANDSHAKE_TRAFFIC_SECRET", "SERVER_HANDSHAKE_TRAFFIC_SECRET", "CLIENT_TRAFFIC_SECRET_0"} <= labels


@pytest.mark.parametrize("piece", [1, 7, 1 << 20])
def test_memory_bios(client: Module, server: Module, pki: Certificates, piece: int) -> None:
    """Without I/O, in pieces of so many bytes."""
    ends = {}
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    from_client, from_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends["client"] = client_context(client, pki).wrap_bio(to_client, from_client, server_hostname="server.test")
    ends["server"] = server_context(server, pki.server).wrap_bio(to_server, from_server, server_side=True)

    def carry() -> None:
        for source, target in ((from_client, to_server), (from_server, to_client)):
            target.write(source.read(piece))

    def run(act: Any, patience: int = 200_000) -> Any:
        for _ in range(patience):
            try:
                return act()
            except ssl.SSLWantReadError:
                carry()
        raise AssertionError("nothing moves any more")

    for _ in range(200_000):
        done = []
        for end in ends.values():
            try:
                end.do_handshake()
                done.append(end)
            except ssl.SSLWantReadError:
                pass
        if len(done) == 2:
            break
        carry()
    assert ends["client"].version() == ends["server"].version() == "TLSv1.3"
    assert ends["client"].getpeercert()["subject"] == ((("commonName", "server.test"),),)
    for source, target in (("client", "server"), ("server", "client")):
        data = os.urandom(3000)
        assert ends[source].write(data) == len(data)
        found = b""
        while len(found) < len(data):
            found += run(lambda: ends[target].read(1000))
        assert found == data
        buffer = bytearray(10)
        assert ends[source].write(memoryview(b"buffer")) == 6
        read = 0
        while read < 6:
            read += run(lambda: ends[target].read(10, memoryview(buffer)[read:]))
        assert bytes(buffer[:6]) == b"buffer"
    with pytest.raises(ssl.SSLWantReadError):
        ends["client"].unwrap()
    for _ in range(1000):
        carry()
    assert run(lambda: ends["server"].read(1)) == b""
    ends["server"].unwrap()
    for _ in range(1000):
        carry()
    run(ends["client"].unwrap)
    # Nobody can write any more.
    with pytest.raises(ssl.SSLError):
        ends["client"].write(b"late")


def test_memory_bio_that_ends(module: Module, pki: Certificates) -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    end = client_context(module, pki).wrap_bio(incoming, outgoing, server_hostname="server.test")
    with pytest.raises(ssl.SSLWantReadError):
        end.do_handshake()
    assert outgoing.pending > 100
    incoming.write_eof()
    with pytest.raises(ssl.SSLEOFError):
        end.do_handshake()


def test_before_the_handshake(module: Module, pki: Certificates) -> None:
    end = client_context(module, pki).wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="server.test")
    assert end.version() is None
    assert end.cipher() is None
    assert end.selected_alpn_protocol() is None
    assert end.get_channel_binding() is None
    assert end.server_hostname == "server.test"
    assert end.server_side is False
    with pytest.raises(ValueError, match="handshake not done yet"):
        end.getpeercert()


def test_versions_by_options(client: Module, server: Module, pki: Certificates) -> None:
    context = client_context(client, pki)
    context.options |= ssl.OP_NO_TLSv1_3
    outcome = succeed(context, server_context(server, pki.server), lambda connection: connection.version())
    assert outcome.client == "TLSv1.2"


def test_many_connections_at_once(client: Module, server: Module, pki: Certificates) -> None:
    """Ten threads at each end of ten connections of one context."""
    client_side, server_side = client_context(client, pki), server_context(server, pki.server)
    failures: list[Any] = []

    def run(number: int) -> None:
        data = bytes([number]) * 100_000
        try:
            outcome = succeed(
                client_side,
                server_side,
                lambda connection: (connection.sendall(data), receive(connection, len(data)))[1],
                lambda connection: connection.sendall(receive(connection, len(data))),
            )
            assert outcome.client == data
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert not failures, failures
