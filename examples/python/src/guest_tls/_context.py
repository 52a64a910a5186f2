"""`SSLContext`: what connections have in common."""

from __future__ import annotations

import collections
import os
import re
import secrets
import socket
import ssl
import threading
import time
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Iterable, Optional, Sequence, Union

from . import _certificates, _ciphers, _errors
from ._absent import Absent
from ._canonical import Failed
from ._guest import POOL, Guest, Resource
from ._objects import SSLObject
from ._options import Options, ask, supported
from ._socket import SSLSocket
from ._trust import Anchors

if TYPE_CHECKING:
    from ._connection import SSLSession

Path_ = Union[str, bytes, "os.PathLike[str]", "os.PathLike[bytes]"]
SniCallback = Callable[[Any, Optional[str], "SSLContext"], Optional[int]]


class SSLContext(Absent, ssl.SSLContext):
    """As `ssl.SSLContext`, with all of TLS in the sandbox.

    It is a subclass because asyncio, and others, ask for `isinstance(context, ssl.SSLContext)`. The base class brings an OpenSSL context
    along that nothing ever uses: every public method and attribute is defined anew here, which a test makes sure of.

    What differs from `ssl`, each for a reason that the README gives: TLS 1.2 and 1.3 only; a server and a client without an application
    protocol in common do not connect (RFC 7301 section 3.2); `hostname_checks_common_name` is False.
    """

    sslsocket_class: type[SSLSocket] = SSLSocket
    sslobject_class: type[SSLObject] = SSLObject

    def __new__(cls, protocol: int = ssl.PROTOCOL_TLS, *args: Any, **kwargs: Any) -> SSLContext:
        # The base's own context; the two protocols that it does not warn of.
        return super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)

    def __init__(self, protocol: int = ssl.PROTOCOL_TLS) -> None:
        """`protocol` is one of `PROTOCOL_TLS_CLIENT`, `PROTOCOL_TLS_SERVER`, `PROTOCOL_TLS` and `PROTOCOL_TLSv1_2`; for older ones there is
        a `ValueError`.
        """
        if protocol not in PROTOCOLS:
            raise ValueError(f"{ssl._SSLMethod(protocol).name} is not supported: TLS 1.2 and 1.3 are (RFC 8996)")
        self._protocol = ssl._SSLMethod(protocol)
        is_client = protocol == ssl.PROTOCOL_TLS_CLIENT
        self._verify_mode = ssl.CERT_REQUIRED if is_client else ssl.CERT_NONE
        self._check_hostname = is_client
        self._verify_flags = ssl.VERIFY_X509_TRUSTED_FIRST
        self._options = ssl.OP_ALL | ssl.OP_NO_SSLv3 | ssl.OP_CIPHER_SERVER_PREFERENCE | ssl.OP_NO_COMPRESSION
        self._options |= ssl.OP_ENABLE_MIDDLEBOX_COMPAT
        only = ssl.TLSVersion.TLSv1_2 if protocol == ssl.PROTOCOL_TLSv1_2 else None
        self._minimum = ssl.TLSVersion.TLSv1_2
        self._maximum = only or ssl.TLSVersion.MAXIMUM_SUPPORTED
        self._identities: list[tuple[bytes, bytes, Optional[bytes]]] = []
        self._anchors = Anchors()
        self._ciphers: Optional[str] = None
        self._curve: Optional[str] = None
        self._alpn: list[bytes] = []
        self._compat = False
        self._keylog: Optional[str] = None
        self._keylog_lock = threading.Lock()
        self._sni: Optional[SniCallback] = None
        self._handshake_timeout = HANDSHAKE_TIMEOUT
        self._ticket_keys = secrets.token_bytes(TICKET_KEYS_LENGTH)
        self._ticket_keys_end = time.monotonic() + TICKET_KEYS_LIFE
        self._statistics: collections.Counter[str] = collections.Counter()
        self._made: weakref.WeakKeyDictionary[Guest, Resource] = weakref.WeakKeyDictionary()
        self._lock = threading.Lock()

    # Connections.

    def wrap_socket(
        self,
        sock: socket.socket,
        server_side: bool = False,
        do_handshake_on_connect: bool = True,
        suppress_ragged_eofs: bool = True,
        server_hostname: Optional[str] = None,
        session: Optional[SSLSession] = None,
    ) -> SSLSocket:
        """TLS over a stream socket, which it takes over."""
        return self.sslsocket_class._create(
            sock=sock,
            server_side=server_side,
            do_handshake_on_connect=do_handshake_on_connect,
            suppress_ragged_eofs=suppress_ragged_eofs,
            server_hostname=self._encode_hostname(server_hostname),
            context=self,
            session=session,
        )

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: Optional[str] = None,
        session: Optional[SSLSession] = None,
    ) -> SSLObject:
        """TLS over two buffers, without I/O."""
        return self.sslobject_class._create(
            incoming,
            outgoing,
            server_side=server_side,
            server_hostname=self._encode_hostname(server_hostname),
            session=session,
            context=self,
        )

    # Certificates.

    def load_cert_chain(self, certfile: Path_, keyfile: Optional[Path_] = None, password: _certificates.Password = None) -> None:
        """Adds a certificate, with its chain, and its key, which are in PEM. Several may be added; a connection shows the one that suits
        the peer. `password` is for an encrypted key; there is no prompt.
        """
        chain = Path(os.fsdecode(certfile)).read_bytes()
        key = chain if keyfile is None else Path(os.fsdecode(keyfile)).read_bytes()
        given = _certificates.password(password)
        identity = (
            b"".join(_certificates.pem_blocks(chain, b"CERTIFICATE")) or chain,
            _certificates.key_blocks(key),
            given,
        )
        self._check(identities=[identity])
        self._identities = [other for other in self._identities if other[0] != identity[0]] + [identity]
        self._change()

    def load_verify_locations(
        self,
        cafile: Optional[Path_] = None,
        capath: Optional[Path_] = None,
        cadata: Union[str, bytes, bytearray, None] = None,
    ) -> None:
        """Adds certificates to trust, and revocation lists: a file in PEM, a folder as `openssl rehash` makes it (read at once), or PEM as
        `str` or DER as bytes.
        """
        if cafile is None and capath is None and cadata is None:
            raise TypeError("cafile, capath and cadata cannot be all omitted")
        if cafile is not None:
            self._anchors.load_pem(Path(os.fsdecode(cafile)).read_bytes(), os.fsdecode(cafile))
        if capath is not None:
            # As in `ssl`, a folder that is not there holds nothing.
            folder = Path(os.fsdecode(capath))
            for path in sorted(folder.iterdir()) if folder.is_dir() else ():
                if HASHED_NAME.fullmatch(path.name):
                    self._anchors.load_pem(path.read_bytes(), str(path))
        if cadata is not None:
            self._anchors.load_data(cadata)
        self._change()

    def set_default_verify_paths(self) -> None:
        """Trusts what OpenSSL's default paths hold, `SSL_CERT_FILE` and `SSL_CERT_DIR` included; Mozilla's roots of the component's build
        where they hold nothing.
        """
        paths = ssl.get_default_verify_paths()
        before = len(self._anchors)
        if paths.cafile is not None:
            self.load_verify_locations(cafile=paths.cafile)
        if paths.capath is not None:
            self.load_verify_locations(capath=paths.capath)
        if len(self._anchors) == before:
            roots = ask(POOL.guest(), "certificate#root-certificates")
            self._anchors.add_known(root.encode() for root in roots)
            self._change()

    def load_default_certs(self, purpose: ssl.Purpose = ssl.Purpose.SERVER_AUTH) -> None:
        """As `set_default_verify_paths`."""
        if not isinstance(purpose, ssl._ASN1Object):
            raise TypeError(purpose)
        self.set_default_verify_paths()

    def get_ca_certs(self, binary_form: bool = False) -> list[Any]:
        """The authorities that are trusted, as dictionaries or in DER."""
        found = [certificate for certificate in self._anchors.parsed() if certificate.ca]
        return [certificate.raw if binary_form else _certificates.decoded(certificate) for certificate in found]

    def cert_store_stats(self) -> dict[str, int]:
        """How many certificates, authorities among them, and revocation lists were loaded."""
        return {
            "x509": len(self._anchors),
            "crl": len(self._anchors.crls),
            "x509_ca": sum(certificate.ca for certificate in self._anchors.parsed()),
        }

    # Policy.

    @property
    def protocol(self) -> Any:
        """What the context was made for."""
        return self._protocol

    @property
    def verify_mode(self) -> ssl.VerifyMode:
        """Whether the peer's certificate is verified. On a server it is also whether a client is asked for one."""
        return self._verify_mode

    @verify_mode.setter
    def verify_mode(self, value: int) -> None:
        mode = ssl.VerifyMode(value)
        if mode == ssl.CERT_NONE and self._check_hostname:
            raise ValueError("Cannot set verify_mode to CERT_NONE when check_hostname is enabled.")
        self._verify_mode = mode

    @property
    def check_hostname(self) -> bool:
        """Whether a server's certificate has to be for `server_hostname`."""
        return self._check_hostname

    @check_hostname.setter
    def check_hostname(self, value: bool) -> None:
        self._check_hostname = bool(value)
        if value and self._verify_mode == ssl.CERT_NONE:
            self._verify_mode = ssl.CERT_REQUIRED

    @property
    def hostname_checks_common_name(self) -> bool:
        """False: names in the common name do not count (RFC 9525 section 6.3); they do with `openssl_compat`."""
        return self._compat

    @hostname_checks_common_name.setter
    def hostname_checks_common_name(self, value: bool) -> None:
        if value and not self._compat:
            raise NotImplementedError("common names do not count (RFC 9525 section 6.3); openssl_compat takes them where it has to be")

    @property
    def openssl_compat(self) -> bool:
        """Whether to accept certificates that OpenSSL accepts and webpki does not: one that is signed by itself, says that it is an
        authority and is trusted as a server's; version 1; a name that is only in the common name. Weaker, so False by default. `ssl` has
        no such attribute.
        """
        return self._compat

    @openssl_compat.setter
    def openssl_compat(self, value: bool) -> None:
        self._compat = bool(value)
        self._change()

    @property
    def verify_flags(self) -> ssl.VerifyFlags:
        """`VERIFY_CRL_CHECK_LEAF` and `VERIFY_CRL_CHECK_CHAIN` (which both check the whole chain) and `VERIFY_X509_PARTIAL_CHAIN` have an
        effect; the others say what is so in any case.
        """
        return self._verify_flags

    @verify_flags.setter
    def verify_flags(self, value: int) -> None:
        self._verify_flags = ssl.VerifyFlags(value)
        self._change()

    @property
    def options(self) -> ssl.Options:
        """`OP_NO_TLSv1_2`, `OP_NO_TLSv1_3`, `OP_NO_TICKET` and `OP_CIPHER_SERVER_PREFERENCE` have an effect; what the others switch off
        is not there, and what they switch on can't be had.
        """
        return self._options

    @options.setter
    def options(self, value: int) -> None:
        self._options = ssl.Options(value)
        self._change()

    @property
    def minimum_version(self) -> ssl.TLSVersion:
        """The lowest version that is spoken. A `ValueError` for one below TLS 1.2."""
        return self._minimum

    @minimum_version.setter
    def minimum_version(self, value: int) -> None:
        self._minimum = supported(value)
        self._change()

    @property
    def maximum_version(self) -> ssl.TLSVersion:
        """The highest version that is spoken. A `ValueError` for one below TLS 1.2."""
        return self._maximum

    @maximum_version.setter
    def maximum_version(self, value: int) -> None:
        self._maximum = supported(value)
        self._change()

    def set_ciphers(self, ciphers: str) -> None:
        """The cipher suites, in OpenSSL's language. Unlike in `ssl`, suites of TLS 1.3 can be named too."""
        if not isinstance(ciphers, str):
            raise TypeError(f"set_ciphers() argument must be str, not {type(ciphers).__name__}")
        self._check(ciphers=ciphers)
        self._ciphers = ciphers
        self._change()

    def get_ciphers(self) -> list[dict[str, Any]]:
        """The suites that are offered, in order; as in `ssl`, those of all versions."""
        guest = POOL.guest()
        return _ciphers.offered(guest, self._make(guest, (), self._ciphers, None, only=True))

    def set_alpn_protocols(self, alpn_protocols: Iterable[str]) -> None:
        """The application protocols, in order of preference."""
        protocols = [bytes(protocol, "ascii") for protocol in alpn_protocols]
        if any(not 0 < len(protocol) < 256 for protocol in protocols):
            raise ssl.SSLError("ALPN protocols must be 1 to 255 bytes long")
        self._alpn = protocols

    def set_ecdh_curve(self, name: str) -> None:
        """The groups for the key exchange, in order and with `:` between, for example `X25519MLKEM768:X25519`. `ValueError` where there
        is none such.
        """
        name = os.fsdecode(name)
        try:
            self._check(curve=name)
        except ssl.SSLError as error:
            raise ValueError(f"unknown elliptic curve name {name!r}: {error}") from error
        self._curve = name
        self._change()

    @property
    def sni_callback(self) -> Optional[SniCallback]:
        """Called with the connection, the name that a client asks for or None, and this context. It may set the connection's `context`,
        and returns None; anything else ends the connection. An exception of its goes through the handshake to its caller.
        """
        return self._sni

    @sni_callback.setter
    def sni_callback(self, value: Optional[SniCallback]) -> None:
        if self._protocol == ssl.PROTOCOL_TLS_CLIENT:
            raise ValueError("sni_callback cannot be set on TLS_CLIENT context")
        if value is not None and not callable(value):
            raise TypeError("not a callable object")
        self._sni = value

    def set_servername_callback(self, server_name_callback: Optional[SniCallback]) -> None:
        """The older way to set `sni_callback`."""
        self.sni_callback = server_name_callback

    @property
    def keylog_filename(self) -> Optional[str]:
        """A file for the secrets of connections, for debugging: who reads it reads all that is said. None by default."""
        return self._keylog

    @keylog_filename.setter
    def keylog_filename(self, value: Optional[Path_]) -> None:
        self._keylog = None if value is None else os.fsdecode(value)
        if self._keylog is not None:
            self._log_keys([])

    @property
    def handshake_timeout(self) -> float:
        """How many seconds a handshake may take: 120 by default. `ssl` has no such attribute."""
        return self._handshake_timeout

    @handshake_timeout.setter
    def handshake_timeout(self, value: float) -> None:
        if not 0 < value < 4_294_967:
            raise ValueError(f"handshake_timeout is {value} seconds, and has to be more than 0 and less than 4294967")
        self._handshake_timeout = float(value)

    @property
    def security_level(self) -> int:
        """2, by OpenSSL's scale: nothing weaker is there."""
        return 2

    @property
    def num_tickets(self) -> int:
        """How many tickets a server gives, where it gives any: see `OP_NO_TICKET`."""
        return 0 if self._options & ssl.OP_NO_TICKET else 2

    @num_tickets.setter
    def num_tickets(self, value: int) -> None:
        raise NotImplementedError("the guest does not let the number of tickets be set; OP_NO_TICKET in options switches them off")

    @property
    def post_handshake_auth(self) -> None:
        """None, as in `ssl` where OpenSSL has none: rustls does not do post-handshake authentication."""
        return None

    @post_handshake_auth.setter
    def post_handshake_auth(self, value: bool) -> None:
        if value:
            raise NotImplementedError("rustls has no post-handshake authentication: ask for the certificate in the handshake")

    def session_stats(self) -> dict[str, int]:
        """How many handshakes were begun and done, and how many resumed a session. The other numbers of `ssl` are 0: there is no
        renegotiation, and no store of sessions that could be searched, since clients hold them as tickets.
        """
        nothing = ("number", "connect_renegotiate", "accept_renegotiate", "misses", "timeouts", "cache_full")
        keys = ("connect", "connect_good", "accept", "accept_good", "hits")
        return {**dict.fromkeys(nothing, 0), **{key: self._statistics[key] for key in keys}}

    # For connections.

    def _encode_hostname(self, hostname: Union[str, bytes, None]) -> Optional[str]:
        if hostname is None:
            return None
        name = hostname.encode("idna").decode("ascii") if isinstance(hostname, str) else hostname.decode("ascii")
        if "\0" in name:
            raise TypeError("server_hostname has to be a name without null bytes")
        return name

    def _secure_context(self, guest: Guest) -> Resource:
        """This context in an instance of the guest."""
        with self._lock:
            if time.monotonic() > self._ticket_keys_end:
                self._ticket_keys = secrets.token_bytes(TICKET_KEYS_LENGTH)
                self._ticket_keys_end = time.monotonic() + TICKET_KEYS_LIFE
                self._made.clear()
            if (made := self._made.get(guest)) is None:
                made = self._made[guest] = self._make(guest, self._identities, self._ciphers, self._curve)
            return made

    def _log_keys(self, lines: Sequence[str]) -> None:
        assert self._keylog is not None
        with self._keylog_lock, open(os.open(self._keylog, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a") as file:
            file.writelines(f"{line}\n" for line in lines)

    def _count(self, what: str) -> None:
        self._statistics[what] += 1

    def _change(self) -> None:
        """Connections to come get another context; open ones keep theirs."""
        with self._lock:
            self._made.clear()

    def _check(
        self,
        identities: Sequence[tuple[bytes, bytes, Optional[bytes]]] = (),
        ciphers: Optional[str] = None,
        curve: Optional[str] = None,
    ) -> None:
        """Raises what is wrong with these."""
        self._make(POOL.guest(), identities, ciphers, curve, only=True)

    def _make(
        self,
        guest: Guest,
        identities: Sequence[tuple[bytes, bytes, Optional[bytes]]],
        ciphers: Optional[str],
        curve: Optional[str],
        only: bool = False,
    ) -> Resource:
        options = Options(guest, "secure-context")
        for chain, key, password in identities:
            options.give("add-cert", chain)
            options.give("add-key", key, password)
        if ciphers is not None:
            options.give("set-ciphers", ciphers)
        if curve is not None:
            options.give("set-ecdh-curve", curve)
        if not only:
            self._give_policy(options.give)
        made = options.create()
        if isinstance(made, Failed):
            raise _errors.unreadable(made.error[0])
        return made  # type: ignore[no-any-return]

    def _give_policy(self, give: Callable[..., None]) -> None:
        give("add-ca", self._anchors.pem)
        give("set-allow-partial-trust-chain", bool(self._verify_flags & ssl.VERIFY_X509_PARTIAL_CHAIN))
        give("set-compat", self._compat)
        if self._verify_flags & (ssl.VERIFY_CRL_CHECK_LEAF | ssl.VERIFY_CRL_CHECK_CHAIN):
            if not self._anchors.crls:
                raise _errors.refused("CRL_MISSING", "verify_flags has VERIFY_CRL_CHECK_… and load_verify_locations has loaded no list")
            for crl in self._anchors.crls:
                give("add-crl", crl)
        lowest, highest = self._versions()
        give("set-min-version", lowest)
        give("set-max-version", highest)
        give("set-honor-cipher-order", bool(self._options & ssl.OP_CIPHER_SERVER_PREFERENCE))
        give("set-ticket-keys", self._ticket_keys)

    def _versions(self) -> tuple[str, str]:
        """The range of versions, of the attributes and of the options together."""
        lowest = "tls13" if self._minimum in (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.MAXIMUM_SUPPORTED) else "tls12"
        highest = "tls12" if self._maximum in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.MINIMUM_SUPPORTED) else "tls13"
        if self._options & ssl.OP_NO_TLSv1_2:
            lowest = "tls13"
        if self._options & ssl.OP_NO_TLSv1_3:
            highest = "tls12"
        return lowest, highest


PROTOCOLS = (ssl.PROTOCOL_TLS_CLIENT, ssl.PROTOCOL_TLS_SERVER, ssl.PROTOCOL_TLS, ssl.PROTOCOL_TLSv1_2)
HANDSHAKE_TIMEOUT = 120.0
TICKET_KEYS_LENGTH = 48
# In seconds. Who steals the keys of tickets reads what was said in resumed connections of TLS 1.2, so they do not stay.
TICKET_KEYS_LIFE = 6 * 3600
# As `openssl rehash` names them: the hash of the subject, and a number.
HASHED_NAME = re.compile(r"[0-9a-f]{8}\.r?[0-9]+")
