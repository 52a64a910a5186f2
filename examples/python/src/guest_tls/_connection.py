"""One connection without I/O, and what a connection tells of itself."""

from __future__ import annotations

import ssl
import weakref
from typing import TYPE_CHECKING, Any, Optional, Union

from . import _certificates, _errors
from ._canonical import Failed
from ._guest import POOL, Guest, Resource
from ._inner import Inner
from ._options import Options, ask
from ._records import header_fault, record_length

if TYPE_CHECKING:
    from ._context import SSLContext

#: At most so many bytes are moved by one call.
CHUNK = 1 << 16


class SSLSession:
    """A session of a client's, to resume in a later connection of the same context. One of TLS 1.3 serves once (RFC 8446 appendix C.4).

    Where `ssl.SSLSession` tells an id, times and a hint of the session, the guest tells nothing.
    """

    def __init__(self, context: SSLContext, guest: Guest, data: bytes) -> None:
        self._context = context
        # The secrets stay in the guest: `data` is their name in there.
        self._guest = guest
        self._data = data

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SSLSession) and (self._guest, self._data) == (other._guest, other._data)

    def __hash__(self) -> int:
        return hash(self._data)

    @property
    def has_ticket(self) -> bool:
        """True: the guest keeps no other sessions."""
        return True


class Connection:
    """A connection in the guest. Bytes of the transport go in by `feed`, and come out by `outgoing`."""

    def __init__(self, owner: Endpoint, server_hostname: Optional[str], session: Optional[SSLSession]) -> None:
        # As `ssl`'s own: an endpoint that nothing refers to any more closes its socket at once, and a circle would keep it.
        self._owner = weakref.ref(owner)
        self._context = owner.context
        self._hostname = server_hostname
        self._is_server = owner.server_side
        self._guest = session._guest if session is not None and session._guest.is_usable else POOL.guest()
        #: Whether the handshake is done.
        self.is_secure = False
        self._unwraps = False
        # The record that is coming in; what the guest has not taken yet of what is whole; and whether the transport has ended.
        self._record = bytearray()
        self._encrypted = b""
        # What OpenSSL says of the header of the record that came last, where it is none.
        self._header_fault: Optional[str] = None
        self._is_first_record = True
        self._is_no_tls = False
        self._eof = self._eof_told = False
        # What was decrypted and not read yet.
        self._cleartext = memoryview(b"")
        self._pair = self._create(session)
        self._guest.connections.add(self)
        self._context._count("accept" if self._is_server else "connect")

    # The transport's side.

    @property
    def wanted(self) -> int:
        """How many bytes it wants of the transport: what is missing of a record's header, then of its body; 0 where it wants none.

        As OpenSSL, it takes no byte of a later record. So `select` and a `MemoryBIO` show what is left, and what follows `close_notify`,
        which may be no TLS, stays where it is.
        """
        if self._encrypted or self._eof:
            return 0
        return record_length(self._record) - len(self._record)

    def feed(self, data: bytes) -> None:
        """Takes at most as many bytes of the transport as are wanted; no bytes mean that it has ended."""
        self._record += data
        if not data:
            self._eof = True
        if self._eof or len(self._record) == record_length(self._record):
            self._encrypted, self._record = bytes(self._record), bytearray()
            self._header_fault = header_fault(self._encrypted, self._is_first_record)
            self._is_no_tls = self._is_no_tls or self._is_first_record and self._header_fault is not None
            self._is_first_record = False

    def outgoing(self) -> bytes:
        """Bytes for the transport; none where there are none now, and no alert for a peer that does not speak TLS, as of OpenSSL's."""
        if self._is_no_tls:
            return b""
        return self.call("read-encrypted", CHUNK)  # type: ignore[no-any-return]

    # The application's side.

    def handshake(self) -> bool:
        """Goes on with the handshake, and says whether it is done."""
        while not self.is_secure:
            has_pushed = self._push()
            if not self._events() and not has_pushed:
                break
        if self.is_secure:
            return True
        # Nothing can be read yet, but what went wrong, or that the peer has closed.
        kind, _ = self._read()
        if kind == "end":
            raise _errors.closed()
        return False

    def read(self, most: int) -> Optional[bytes]:
        """At most so many bytes; none at the end; None where they have yet to come. After `unwrap` the end is `SSLZeroReturnError`."""
        found = self._take(most)
        if found == b"" and self._unwraps:
            raise _errors.closed()
        return found

    def _take(self, most: int) -> Optional[bytes]:
        if not self._cleartext:
            kind, data = self._read()
            if kind != "data":
                return b"" if kind == "end" else None
            self._cleartext = memoryview(data)
        found = bytes(self._cleartext[:most])
        self._cleartext = self._cleartext[most:]
        return found

    def pending(self) -> int:
        """How many bytes of the record that was read last are left."""
        return len(self._cleartext)

    def write(self, data: Any) -> int:
        """Takes some bytes for the peer, and says how many."""
        return self.checked(self.call("write-cleartext", data))  # type: ignore[no-any-return]

    def end(self, unwraps: bool = False) -> None:
        """Ends our side, by `close_notify`: all of TLS, where `unwraps`."""
        self._unwraps = self._unwraps or unwraps
        self.call("end")

    def has_ended(self) -> bool:
        """Whether the peer has ended its side. Raises `SSLError` where it goes on sending."""
        # Takes nothing: what was not read can still be.
        found = self._take(0)
        if self._cleartext:
            raise _errors.refused("APPLICATION_DATA_AFTER_CLOSE_NOTIFY", "application data after close notify: read it before unwrap")
        return found is not None

    # The guest.

    def call(self, name: str, *values: Any) -> Any:
        """Calls a method of the guest's `secure-pair`."""
        return ask(self._guest, f"secure-pair#[method]secure-pair.{name}", self._pair, *values)

    def checked(self, result: Any) -> Any:
        """Raises the error of a result, where it is one."""
        if isinstance(result, Failed):
            # `create` gives all that is wrong, the first of which says enough.
            raise self.exception(result.error[0] if isinstance(result.error, list) else result.error)
        return result

    def exception(self, error: Any) -> OSError:
        """The exception for an error of this connection."""
        return _errors.exception(error, self._hostname, self._header_fault)

    def session(self) -> Optional[SSLSession]:
        """The session that came last."""
        data = None if self._is_server else self.call("session")
        return None if data is None else SSLSession(self._context, self._guest, data)

    def _create(self, session: Optional[SSLSession]) -> Resource:
        context = self._context
        options = Options(self._guest, "secure-pair")
        options.give("set-is-server", self._is_server)
        if context._alpn:
            options.give("set-alpn-protocols", context._alpn)
        options.give("set-reject-unauthorized", self._rejects())
        options.give("set-keylog", context.keylog_filename is not None)
        options.give("set-handshake-timeout", max(1, int(context.handshake_timeout * 1000)))
        options.give("set-buffer-limit", BUFFER_LIMIT)
        if self._is_server:
            options.give("set-request-cert", context.verify_mode != ssl.CERT_NONE)
            options.give("set-sni-event", context.sni_callback is not None)
            options.give("set-tickets", not context.options & ssl.OP_NO_TICKET)
        else:
            # The guest wants a name. An address is not sent, and where there was no name it is not checked either.
            options.give("set-servername", self._hostname or NO_NAME)
            options.give("set-danger-skip-server-identity", not context.check_hostname)
            if session is not None:
                options.give("set-session", session._data)
        return self.checked(options.create(context._secure_context(self._guest)))  # type: ignore[no-any-return]

    def _rejects(self) -> bool:
        """A server that asks for a certificate and does without one looks by itself: see `_secure`."""
        mode = self._context.verify_mode
        return mode == ssl.CERT_REQUIRED or mode == ssl.CERT_OPTIONAL and not self._is_server

    def _push(self) -> bool:
        """Gives the guest some of what came, and says whether it took any. An error is told by what reads."""
        if self._encrypted:
            taken = self.call("write-encrypted", self._encrypted)
            # After an error nothing will be taken any more.
            self._encrypted = b"" if isinstance(taken, Failed) else self._encrypted[taken:]
            return bool(taken != 0)
        if self._eof and not self._eof_told:
            self._eof_told = True
            self.call("end-encrypted")
            return True
        return False

    def _read(self) -> tuple[str, Any]:
        while True:
            # One record or two at a time: the guest takes no more before what was in them is read.
            has_pushed = self._push()
            kind, data = self.checked(self.call("read-cleartext", CHUNK))
            if has_pushed and self._context.keylog_filename is not None:
                self._events()
            if kind != "pending" or not has_pushed:
                return kind, data

    def _events(self) -> bool:
        """Takes the events, and says whether there were any."""
        found = False
        lines = []
        while (event := self.call("next-event")) is not None:
            found = True
            kind, value = event
            if kind == "keylog":
                lines.append(value)
            elif kind == "sni":
                self._choose_context(value)
            elif kind == "secure":
                self._secure()
        if lines:
            self._context._log_keys(lines)
        return found

    def _choose_context(self, servername: Optional[str]) -> None:
        callback, owner = self._context.sni_callback, self._owner()
        # It is one of the owner's methods that runs.
        assert callback is not None and owner is not None
        try:
            refusal = callback(owner, servername, self._context)
        except BaseException:
            self.call("abort", "the SNI callback raised an exception")
            raise
        if refusal is not None:
            self.call("abort", "the SNI callback refused the name")
            raise _errors.refused("CALLBACK_FAILED", f"callback failed: sni_callback refused {servername!r} by {refusal!r}")
        chosen = owner.context
        other = None if chosen is self._context else chosen._secure_context(self._guest)
        self.checked(self.call("answer-sni", other))

    def _secure(self) -> None:
        context = self._context
        if self._is_server and context.verify_mode == ssl.CERT_OPTIONAL and not self.call("authorized"):
            if self.call("peer-certificates"):
                error = self.call("authorization-error")
                self.call("abort", "the client's certificate was not verified")
                raise self.exception(error)
        self.is_secure = True
        context._count("accept_good" if self._is_server else "connect_good")
        if self.call("is-session-reused"):
            context._count("hits")


class Endpoint:
    """What `SSLSocket` and `SSLObject` have in common: what they tell of the connection, in the words of `ssl`."""

    _connection: Optional[Connection]
    _context: SSLContext
    _session: Optional[SSLSession]
    _server_side: bool
    _server_hostname: Optional[str]

    def _set_up(
        self, server_side: bool, server_hostname: Optional[str], context: Optional[SSLContext], session: Optional[SSLSession]
    ) -> None:
        """What `__init__` is for, which nobody may call in the classes of `ssl`. `ValueError` and `TypeError` where side, name and session
        do not go together.
        """
        assert context is not None
        self._server_side = server_side
        self._server_hostname = server_hostname
        self._context = context
        self._session = None
        self._connection = None
        check_names(self)
        if session is not None:
            check_session(self, session)
            self._session = session

    @property
    def _sslobj(self) -> Optional[Inner]:
        """What `ssl` has of OpenSSL's here: None where TLS has not begun, and after it has ended."""
        return None if self._connection is None else Inner(self)

    def _read_strictly(self, len: int, buffer: Any) -> Any:
        """As `read`; `SSLEOFError` where the transport ends without `close_notify`, whatever else `read` would do then."""
        raise NotImplementedError

    @property
    def server_side(self) -> bool:
        """Whether this end is the server."""
        return self._server_side

    @property
    def server_hostname(self) -> Optional[str]:
        """Client: the name that the server's certificate has to be for."""
        return self._server_hostname

    @property
    def context(self) -> SSLContext:
        """The context. A callback for SNI may set another one."""
        return self._context

    @context.setter
    def context(self, value: SSLContext) -> None:
        if not hasattr(value, "_secure_context"):
            raise TypeError("The value must be a guest_tls.SSLContext")
        self._context = value

    @property
    def session(self) -> Optional[SSLSession]:
        """Client: the session that came last, or that is to be resumed. In TLS 1.3 it comes after the handshake, with what is read next.
        It may be set before the handshake.
        """
        if self._connection is None or not self._connection.is_secure:
            return self._session
        return self._connection.session()

    @session.setter
    def session(self, value: SSLSession) -> None:
        check_session(self, value)
        if self._connection is not None:
            if self._connection.is_secure:
                raise ValueError("Cannot set session after handshake.")
            # Nothing was sent yet, as `ssl` asks too.
            self._connection = Connection(self, self.server_hostname, value)
        self._session = value

    @property
    def session_reused(self) -> Optional[bool]:
        """Whether a session was resumed; None before the handshake."""
        return self._tell("is-session-reused")  # type: ignore[no-any-return]

    def getpeercert(self, binary_form: bool = False) -> Union[_certificates.PeerCertificate, bytes, None]:
        """The peer's certificate: in DER, or as a dictionary, which is empty where the certificate was not verified. None where there is
        none. `ValueError` before the handshake.
        """
        self._check_connected()
        if self._secure() is None:
            raise ValueError("handshake not done yet")
        certificates = self._tell("peer-certificates")
        if not certificates:
            return None
        if binary_form:
            return certificates[0].raw  # type: ignore[no-any-return]
        if self._context.verify_mode == ssl.CERT_NONE:
            return {}
        return _certificates.decoded(certificates[0])

    def get_unverified_chain(self) -> list[bytes]:
        """The certificates that the peer sent, in DER, its own first; `ssl` has it from Python 3.13 on."""
        return [certificate.raw for certificate in self._tell("peer-certificates") or ()]

    def get_verified_chain(self) -> list[bytes]:
        """The chain from the peer's certificate to the trust anchor, in DER; empty where it was not verified. Likewise."""
        return [certificate.raw for certificate in self._tell("peer-certificate-chain")] if self.is_verified() else []

    def cipher(self) -> Optional[tuple[str, str, int]]:
        """The suite by OpenSSL's name, the version that it belongs to, and the bits of its key."""
        if (cipher := self._tell("cipher")) is None:
            return None
        return cipher.name, VERSIONS[cipher.version], 128 if "AES128" in cipher.name or "AES_128" in cipher.name else 256

    def shared_ciphers(self) -> None:
        """None, as `ssl` gives to a client: the guest does not tell what else the client offers."""
        return None

    def version(self) -> Optional[str]:
        """`TLSv1.2` or `TLSv1.3`."""
        cipher = self._tell("cipher")
        return None if cipher is None else VERSIONS[cipher.version]

    def group(self) -> Optional[str]:
        """The group of the key exchange by OpenSSL's name, for example `X25519MLKEM768`; `ssl` has it from Python 3.15 on."""
        found = self._tell("ephemeral-key-info")
        return None if found is None else found.name

    def compression(self) -> None:
        """None: TLS is never compressed."""
        return None

    def selected_alpn_protocol(self) -> Optional[str]:
        """The application protocol."""
        found = self._tell("alpn-protocol")
        return None if found is None else found.decode("ascii")

    def selected_npn_protocol(self) -> None:
        """None: there is no NPN."""
        return None

    def get_channel_binding(self, cb_type: str = "tls-unique") -> Optional[bytes]:
        """`tls-unique` (RFC 5929 section 3); None before the handshake, and in TLS 1.3, for which it is not defined (RFC 9266 section 2).
        `export_keying_material` gives `tls-exporter`.
        """
        if cb_type not in ssl.CHANNEL_BINDING_TYPES:
            raise ValueError(f"{cb_type} channel binding type not implemented")
        if self.version() != "TLSv1.2":
            return None
        # Whose Finished message came first: the client's, but in a resumed session.
        first_is_ours = bool(self.session_reused) == self.server_side
        return self._tell("finished" if first_is_ours else "peer-finished")  # type: ignore[no-any-return]

    def export_keying_material(self, label: str, length: int, context: Optional[bytes] = None) -> bytes:
        """Keys bound to this connection (RFC 5705, RFC 8446 section 7.5), 1 to 8160 bytes. `ssl` has no such method."""
        if (connection := self._secure()) is None:
            raise ValueError("handshake not done yet")
        return connection.checked(connection.call("export-keying-material", length, label.encode(), context))  # type: ignore[no-any-return]

    def is_verified(self) -> bool:
        """Whether the peer has shown a certificate that was verified. `ssl` has no such method."""
        return bool(self._tell("authorized"))

    def verification_error(self) -> Optional[OSError]:
        """Why the peer's certificate was not verified, where `verify_mode` let the connection be all the same. `ssl` has no such method."""
        error = self._tell("authorization-error")
        return None if error is None else _errors.exception(error, self.server_hostname)

    def sni_name(self) -> Optional[str]:
        """Server: the name that the client asked for. `ssl` has no such method."""
        return self._tell("servername")  # type: ignore[no-any-return]

    def verify_client_post_handshake(self) -> None:
        """Raises `NotImplementedError`."""
        raise NotImplementedError("rustls has no post-handshake authentication: ask for the certificate in the handshake")

    def _check_connected(self) -> None:
        """`OSError` where there is a transport, and it is not connected."""

    def _secure(self) -> Optional[Connection]:
        """The connection, where the handshake is done."""
        return self._connection if self._connection is not None and self._connection.is_secure else None

    def _tell(self, name: str) -> Any:
        connection = self._secure()
        return None if connection is None else connection.call(name)


def check_names(endpoint: Endpoint) -> None:
    """Raises what `ssl` raises where a side, a name and a context do not go together."""
    if endpoint.server_side and endpoint.server_hostname:
        raise ValueError("server_hostname can only be specified in client mode")
    if not endpoint.server_side and endpoint.context.check_hostname and not endpoint.server_hostname:
        raise ValueError("check_hostname requires server_hostname")
    protocol = endpoint.context.protocol
    # A server's context verifies nobody by default, which a client has to.
    if protocol == (ssl.PROTOCOL_TLS_CLIENT if endpoint.server_side else ssl.PROTOCOL_TLS_SERVER):
        side = "server" if endpoint.server_side else "client"
        raise _errors.unexplained(ssl.SSLError(0, f"Cannot create a {side} socket with a {protocol.name} context"))


def check_session(endpoint: Endpoint, session: object) -> None:
    """Whether a session can be offered here."""
    if not isinstance(session, SSLSession):
        raise TypeError("Value is not a guest_tls.SSLSession.")
    if endpoint.server_side:
        raise ValueError("Cannot set session for server-side SSLSocket.")
    if session._context is not endpoint.context:
        raise ValueError("Session refers to a different SSLContext.")


VERSIONS = {"tls12": "TLSv1.2", "tls13": "TLSv1.3"}
# An address that no server has.
NO_NAME = "0.0.0.0"
# In bytes: more than the guest's default of 64 KiB, so that fewer calls move more.
BUFFER_LIMIT = 1 << 18
