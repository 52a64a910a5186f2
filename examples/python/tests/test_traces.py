"""The same small program over `ssl` and over `guest_tls`, against the same peer: what each step gives or raises has to be the same.

The peer is `ssl`'s, in memory, so a program says which of its bytes are in the transport and when.
"""

from __future__ import annotations

import gc
import select
import socket
import ssl
import struct
import warnings
from types import ModuleType
from typing import Any, Callable, Iterator

import pytest
from conftest import Certificates, client_context, server_context

import guest_tls

Trace = list[Any]
Program = Callable[["Ends"], Iterator[Any]]


class Ends:
    """A socket of the module that is looked at, and at its other end a peer whose records go out when the program says so."""

    def __init__(self, module: ModuleType, pki: Certificates, role: str, version: str) -> None:
        self.module, self.pki, self.role = module, pki, role
        versions = {"minimum_version": ssl.TLSVersion[version], "maximum_version": ssl.TLSVersion[version]}
        mine, its = (client_context, server_context) if role == "client" else (server_context, client_context)
        identities = {client_context: pki, server_context: pki.server}
        self.context = mine(module, identities[mine], **versions)
        self.from_peer, self.to_peer = ssl.MemoryBIO(), ssl.MemoryBIO()
        name = {"server_hostname": "server.test"}
        self.names = name if role == "client" else {}
        self.peer = its(ssl, identities[its], **versions).wrap_bio(
            self.to_peer, self.from_peer, server_side=role == "client", **({} if role == "client" else name)
        )
        self.sock, self.wire = socket.socketpair()
        self.wire.settimeout(10)

    def wrap(self, **options: Any) -> Any:
        """A connection before its handshake. It does not block."""
        self.sock.setblocking(False)
        return self.context.wrap_socket(
            self.sock, server_side=self.role == "server", do_handshake_on_connect=False, **{**self.names, **options}
        )

    def secure(self, **options: Any) -> Any:
        """The same after it, with nothing left in the transport."""
        connection = self.wrap(**options)
        self.shake_hands(connection.do_handshake)
        with pytest.raises(ssl.SSLWantReadError):
            connection.recv(1)
        return connection

    def secure_object(self) -> tuple[Any, ssl.MemoryBIO]:
        """A connection without a transport, after its handshake, and its buffer, which is empty."""
        incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        end = self.context.wrap_bio(incoming, self.outgoing, server_side=self.role == "server", **self.names)
        done = [False, False]
        while not all(done):
            for index, step in enumerate((end.do_handshake, self.peer.do_handshake)):
                try:
                    step()
                    done[index] = True
                except ssl.SSLWantReadError:
                    pass
                incoming.write(self.from_peer.read())
                self.to_peer.write(self.outgoing.read())
        with pytest.raises(ssl.SSLWantReadError):
            end.read(1)
        assert incoming.pending == 0
        return end, incoming

    def shake_hands(self, act: Callable[[], Any]) -> None:
        """Both ends, until they are done."""
        done = [False, False]
        while not all(done):
            for index, step in enumerate((act, self.peer.do_handshake)):
                try:
                    step()
                    done[index] = True
                except ssl.SSLWantReadError:
                    pass
                self.carry()

    def carry(self) -> None:
        """What each end has for the other."""
        self.say()
        while select.select([self.wire], [], [], 0)[0] and (data := self.wire.recv(1 << 16)):
            self.to_peer.write(data)

    def say(self, *more: bytes) -> None:
        """The peer's records go out, and then these bytes, all at once."""
        if data := self.from_peer.read() + b"".join(more):
            self.wire.sendall(data)

    connection: Any = None
    outgoing: ssl.MemoryBIO

    def close(self) -> None:
        for end in (self.sock, self.wire, self.connection):
            if end is not None:
                end.close()


def told(act: Callable[[], Any]) -> Any:
    """What a step gives, or what it raises with all that `ssl` says of it by attributes."""
    try:
        found = act()
    except Exception as error:
        attributes = ("errno", "library", "reason", "verify_code", "verify_message")
        said = {name: getattr(error, name, "missing") for name in attributes} if isinstance(error, OSError) else {}
        return type(error).__name__, said
    return found


def kind(act: Callable[[], Any]) -> Any:
    """What a step gives, or the kind of what it raises."""
    found = told(act)
    return found[0] if isinstance(found, tuple) else found


# Programs over a socket: each gives what it sees, step by step.


def two_records_at_once(ends: Ends) -> Iterator[Any]:
    """A select loop takes one and is called again for the other."""
    connection = ends.connection = ends.secure()
    ends.peer.write(b"first")
    ends.peer.write(b"second")
    ends.say()
    for _ in range(3):
        yield told(lambda: connection.recv(100)), connection.pending(), readable(connection)


def one_record_in_parts(ends: Ends) -> Iterator[Any]:
    connection = ends.connection = ends.secure()
    ends.peer.write(b"12345")
    ends.say()
    for _ in range(4):
        yield connection.pending(), readable(connection), told(lambda: connection.recv(2))


def a_record_that_comes_in_pieces(ends: Ends) -> Iterator[Any]:
    connection = ends.connection = ends.secure()
    ends.peer.write(b"whole")
    record = ends.from_peer.read()
    for piece in (record[:3], record[3:5], record[5:9], record[9:]):
        ends.say(piece)
        yield readable(connection), told(lambda: connection.recv(100)), readable(connection)


def data_and_the_end_at_once(ends: Ends) -> Iterator[Any]:
    connection = ends.connection = ends.secure()
    ends.peer.write(b"last")
    told(ends.peer.unwrap)
    ends.say()
    for _ in range(3):
        yield readable(connection), told(lambda: connection.recv(100)), connection.pending()
    yield told(lambda: connection.send(b"still open on our side"))


def cleartext_after_the_end(ends: Ends) -> Iterator[Any]:
    """TLS goes off, as FTP's CCC does it: what follows `close_notify` in the same segment is for the plain socket."""
    connection = ends.connection = ends.secure()
    ends.peer.write(b"last")
    told(ends.peer.unwrap)
    ends.say(b"in the clear")
    yield told(lambda: connection.recv(100)), told(lambda: connection.recv(100))
    plain = connection.unwrap()
    yield plain is connection, readable(plain), plain.recv(100), plain.gettimeout()
    ends.carry()
    yield told(ends.peer.unwrap)
    plain.sendall(b"answer")
    yield ends.wire.recv(100), told(plain.unwrap), told(plain.read), told(lambda: plain.write(b"x"))
    yield told(plain.version), told(plain.cipher), told(plain.pending), told(lambda: plain.recv_into(bytearray(1)))


def cleartext_after_an_end_that_we_begin(ends: Ends) -> Iterator[Any]:
    connection = ends.connection = ends.secure()
    yield told(connection.unwrap), told(connection.unwrap)
    ends.carry()
    yield told(lambda: ends.peer.read(1)), told(ends.peer.unwrap)
    ends.say(b"in the clear")
    plain = connection.unwrap()
    yield plain is connection, plain.recv(5), plain.recv(100), told(lambda: plain.recv(1))
    plain.shutdown(socket.SHUT_RDWR)
    plain.close()
    yield told(lambda: plain.recv(1)), told(lambda: plain.send(b"x")), told(plain.unwrap)


def the_end_with_data_unread(ends: Ends) -> Iterator[Any]:
    connection = ends.connection = ends.secure()
    ends.peer.write(b"unread")
    ends.say()
    yield told(connection.unwrap)


def the_transport_ends(ends: Ends) -> Iterator[Any]:
    connection = ends.connection = ends.secure()
    ends.peer.write(b"data")
    ends.say()
    ends.wire.close()
    for _ in range(3):
        yield readable(connection), told(lambda: connection.recv(100))
    # OpenSSL has no reason for it the second time; ours says the same again.
    yield told(lambda: connection.recv_into(bytearray(9))), kind(connection.unwrap) in ("SSLError", "SSLEOFError")


def the_transport_ends_and_that_counts(ends: Ends) -> Iterator[Any]:
    connection = ends.connection = ends.secure(suppress_ragged_eofs=False)
    ends.wire.close()
    yield told(lambda: connection.recv(100))
    yield kind(lambda: connection.recv(100)), kind(lambda: connection.read(100, bytearray(9)))


def the_transport_ends_within_a_record(ends: Ends) -> Iterator[Any]:
    connection = ends.connection = ends.secure(suppress_ragged_eofs=False)
    ends.peer.write(b"data")
    ends.say()
    ends.peer.write(b"more data")
    ends.wire.sendall(ends.from_peer.read()[:-1])
    ends.wire.close()
    yield told(lambda: connection.recv(100)), told(lambda: connection.recv(100))


def the_transport_ends_in_the_handshake(ends: Ends) -> Iterator[Any]:
    connection = ends.connection = ends.wrap()
    yield told(connection.do_handshake)
    ends.wire.shutdown(socket.SHUT_WR)
    yield told(connection.do_handshake), kind(connection.do_handshake)


def the_peer_ends_in_the_handshake(ends: Ends) -> Iterator[Any]:
    """By an alert of its own, in the clear."""
    connection = ends.connection = ends.wrap()
    told(connection.do_handshake)
    ends.say(b"\x15\x03\x03\x00\x02\x02\x28")
    seen = told(connection.do_handshake)
    # A server of ssl's says UNEXPECTED_MESSAGE, and ours the alert that the client sent.
    yield seen if ends.role == "client" else seen[0]


def no_tls_at_all(ends: Ends) -> Iterator[Any]:
    for text in (b"GET / HTTP/1.0\r\n\r\n", b"POST / HTTP/1.1\r\n\r\n", b"HEAD / HTTP/1.1\r\n", b"220 ready\r\n", b"SSH-2.0-x\r\n"):
        other = Ends(ends.module, ends.pki, ends.role, "TLSv1_3")
        connection = other.connection = other.wrap()
        told(connection.do_handshake)
        other.say(text)
        yield text, told(connection.do_handshake)
        # A server says nothing to who speaks something else.
        yield other.role == "client" or select.select([other.wire], [], [], 0)[0] == []
        other.close()


def a_record_that_was_changed(ends: Ends) -> Iterator[Any]:
    connection = ends.connection = ends.secure()
    ends.peer.write(b"data")
    record = ends.from_peer.read()
    ends.say(record[:-1] + bytes([record[-1] ^ 1]))
    yield told(lambda: connection.recv(100))


def a_record_that_is_too_long(ends: Ends) -> Iterator[Any]:
    connection = ends.connection = ends.secure()
    ends.say(struct.pack(">BHH", 23, 0x303, 0xFFFF) + b"x" * 100)
    yield told(lambda: connection.recv(100))


def plain_text_after_the_handshake(ends: Ends) -> Iterator[Any]:
    connection = ends.connection = ends.secure()
    ends.say(b"in the clear")
    yield told(lambda: connection.recv(100))


def nothing_is_asked_for(ends: Ends) -> Iterator[Any]:
    connection = ends.connection = ends.secure()
    ends.peer.write(b"data")
    ends.say()
    yield told(lambda: connection.recv(0)), told(lambda: connection.read(0)), told(lambda: connection.send(b""))
    yield told(lambda: connection.recv_into(bytearray(2))), told(lambda: connection.recv_into(bytearray(4), 0))
    yield told(lambda: connection.recv(-1)), told(lambda: connection.recv_into(bytearray(0)))


def what_is_closed(ends: Ends) -> Iterator[Any]:
    connection = ends.connection = ends.secure()
    connection.close()
    for name in ("recv", "read", "send", "write", "version", "cipher", "pending", "unwrap", "selected_alpn_protocol"):
        arguments = {"recv": (1,), "send": (b"x",), "write": (b"x",)}.get(name, ())
        yield name, told(lambda: getattr(connection, name)(*arguments))
    yield connection.fileno(), connection._sslobj, told(lambda: connection.session_reused), told(connection.compression)


def what_is_not_connected(ends: Ends) -> Iterator[Any]:
    connection = ends.connection = ends.context.wrap_socket(socket.socket(), server_side=ends.role == "server", **ends.names)
    for name in ("getpeercert", "version", "cipher", "pending", "unwrap", "compression", "shared_ciphers", "do_handshake"):
        yield name, told(getattr(connection, name))
    yield connection._sslobj, connection.session, told(lambda: connection.session_reused), told(lambda: connection.recv(1))


def what_was_there_before_tls(ends: Ends) -> Iterator[Any]:
    """The peer has gone, and what it said would be taken for what TLS brought (CVE-2023-40217)."""
    listener = socket.create_server(("127.0.0.1", 0))
    outer = socket.create_connection(listener.getsockname())
    inner, _ = listener.accept()
    inner.sendall(b"not by TLS")
    inner.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    select.select([outer], [], [], 10)
    inner.close()
    listener.close()
    found = told(lambda: ends.context.wrap_socket(outer, server_side=ends.role == "server", **ends.names))
    yield found[0] if isinstance(found, tuple) else told(lambda: found.recv(100))[0]
    outer.close()


def what_a_connection_is_made_of(ends: Ends) -> Iterator[Any]:
    """`_sslobj`, which httpx asks for, has what OpenSSL's object has."""
    connection = ends.connection = ends.wrap()
    yield connection._sslobj is None, connection._sslobj.version(), connection._sslobj.cipher()
    ends.shake_hands(connection.do_handshake)
    inner = connection._sslobj
    yield (
        inner.version(),
        inner.cipher()[1:] == (inner.version(), 256),
        inner.selected_alpn_protocol(),
        inner.compression(),
        inner.pending(),
    )
    yield told(inner.getpeercert), told(lambda: inner.getpeercert(True)), inner.server_side, inner.server_hostname
    yield inner.owner is connection, inner.context is connection.context, inner.session_reused
    yield told(lambda: inner.read(1)), inner.write(b"data")
    ends.carry()
    yield ends.peer.read(100), told(lambda: inner.get_channel_binding("nonsense"))
    ends.peer.write(b"answer")
    told(ends.peer.unwrap)
    ends.say(b"plain")
    buffer = bytearray(4)
    yield inner.read(2), inner.read(4, buffer), bytes(buffer), inner.read(1), inner.shutdown() is connection


def connecting_without_waiting(ends: Ends) -> Iterator[Any]:
    """`connect_ex`, then `select`, then the handshake."""
    if ends.role == "server":
        return
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sock = socket.socket()
        sock.setblocking(False)
        connection = ends.connection = ends.context.wrap_socket(sock, do_handshake_on_connect=False, **ends.names)
        number = connection.connect_ex(listener.getsockname())
        ends.wire.close()
        ends.wire, _ = listener.accept()
        ends.wire.settimeout(10)
        select.select([], [connection], [], 10)
        yield number in (0, 115), told(lambda: connection.connect(listener.getsockname()))
        ends.shake_hands(connection.do_handshake)
        yield connection.version()


# Programs over buffers.


def records_in_a_buffer(ends: Ends) -> Iterator[Any]:
    """What is not read yet stays in the buffer, where `pending` shows it; so does what is no TLS any more."""
    end, incoming = ends.secure_object()
    ends.peer.write(b"first")
    ends.peer.write(b"second")
    told(ends.peer.unwrap)
    incoming.write(ends.from_peer.read() + b"in the clear")
    left = [incoming.pending]
    for _ in range(4):
        yield told(lambda: end.read(3)), end.pending()
        left.append(incoming.pending)
    yield left[0] > left[1] == left[2] > left[3] == left[4] > len(b"in the clear")
    yield told(lambda: end.read(3)), incoming.pending
    yield told(end.unwrap), incoming.read(), told(lambda: end.read(1))


def pieces_in_a_buffer(ends: Ends) -> Iterator[Any]:
    end, incoming = ends.secure_object()
    ends.peer.write(b"whole")
    record = ends.from_peer.read()
    for piece in (record[:3], record[3:5], record[5:9], record[9:]):
        incoming.write(piece)
        yield told(lambda: end.read(100)), incoming.pending


def a_buffer_that_ends(ends: Ends) -> Iterator[Any]:
    end, incoming = ends.secure_object()
    ends.peer.write(b"data")
    incoming.write(ends.from_peer.read())
    incoming.write_eof()
    yield told(lambda: end.read(2)), told(lambda: end.read(20)), incoming.eof, told(lambda: end.read(20))
    yield kind(lambda: end.read(20)), kind(lambda: end.write(b"x"))


def a_buffer_that_ends_within_a_record(ends: Ends) -> Iterator[Any]:
    end, incoming = ends.secure_object()
    ends.peer.write(b"data")
    incoming.write(ends.from_peer.read()[:-1])
    yield told(lambda: end.read(20))
    incoming.write_eof()
    yield told(lambda: end.read(20))


def an_end_by_both(ends: Ends) -> Iterator[Any]:
    end, incoming = ends.secure_object()
    yield told(end.unwrap), told(end.unwrap)
    ends.to_peer.write(ends.outgoing.read())
    yield told(lambda: ends.peer.read(1)), told(ends.peer.unwrap)
    incoming.write(ends.from_peer.read() + b"later")
    yield told(end.unwrap), incoming.read(), kind(lambda: end.write(b"x"))


def an_end_that_never_comes(ends: Ends) -> Iterator[Any]:
    end, incoming = ends.secure_object()
    yield told(end.unwrap)
    incoming.write_eof()
    yield told(end.unwrap)


def what_an_object_is_made_of(ends: Ends) -> Iterator[Any]:
    end, incoming = ends.secure_object()
    inner = end._sslobj
    yield inner.version(), inner.owner is end, inner.server_side, inner.pending(), told(lambda: inner.read(1))
    yield told(lambda: end.read(0)), told(lambda: end.read(-1)), told(lambda: end.write(b"")), told(lambda: end.read(0, bytearray(0)))
    yield kind(lambda: end.read(5, bytearray(3))), kind(lambda: end.read(-1, bytearray(3))), told(lambda: end.nothing)


def what_nobody_refers_to(ends: Ends) -> Iterator[Any]:
    """A connection closes its socket when the last reference goes, and does not wait for the collector of garbage."""
    gc.disable()
    try:
        connection = ends.secure()
        before = readable(ends.wire)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            del connection
        yield before, readable(ends.wire), ends.wire.recv(1)
    finally:
        gc.enable()


PROGRAMS: list[Program] = [
    two_records_at_once,
    one_record_in_parts,
    a_record_that_comes_in_pieces,
    data_and_the_end_at_once,
    cleartext_after_the_end,
    cleartext_after_an_end_that_we_begin,
    the_end_with_data_unread,
    the_transport_ends,
    the_transport_ends_and_that_counts,
    the_transport_ends_within_a_record,
    the_transport_ends_in_the_handshake,
    the_peer_ends_in_the_handshake,
    no_tls_at_all,
    a_record_that_was_changed,
    a_record_that_is_too_long,
    plain_text_after_the_handshake,
    nothing_is_asked_for,
    what_is_closed,
    what_is_not_connected,
    what_was_there_before_tls,
    what_a_connection_is_made_of,
    connecting_without_waiting,
    records_in_a_buffer,
    pieces_in_a_buffer,
    a_buffer_that_ends,
    a_buffer_that_ends_within_a_record,
    an_end_by_both,
    an_end_that_never_comes,
    what_an_object_is_made_of,
    what_nobody_refers_to,
]


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
@pytest.mark.parametrize("role", ["client", "server"])
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_a_program_sees_what_it_sees_over_ssl(pki: Certificates, program: Program, role: str, version: str) -> None:
    assert trace(guest_tls, pki, program, role, version) == trace(ssl, pki, program, role, version)


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_data_that_was_unread_at_the_end_can_be_read_after_it(pki: Certificates, version: str) -> None:
    """`ssl` loses it and gives nothing."""
    ends = Ends(guest_tls, pki, "client", version)
    try:
        connection = ends.connection = ends.secure()
        ends.peer.write(b"unread")
        ends.say()
        for _ in range(2):
            assert kind(connection.unwrap) == "SSLError"
        assert connection.recv(100) == b"unread"
    finally:
        ends.close()


def trace(module: ModuleType, pki: Certificates, program: Program, role: str, version: str) -> Trace:
    """What a program sees."""
    ends = Ends(module, pki, role, version)
    try:
        return list(program(ends))
    finally:
        ends.close()


def readable(connection: Any) -> bool:
    """Whether a select loop would call for this connection."""
    return bool(select.select([connection], [], [], 0)[0])
