"""`SSLObject`: TLS over two buffers."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any, Optional

from . import _errors
from ._connection import CHUNK, Connection, Endpoint, SSLSession

if TYPE_CHECKING:
    from ._context import SSLContext


class SSLObject(Endpoint, ssl.SSLObject):
    """As `ssl.SSLObject`: made by `SSLContext.wrap_bio`. Not for several threads at once."""

    _incoming: ssl.MemoryBIO
    _outgoing: ssl.MemoryBIO

    @classmethod
    def _create(
        cls,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: Optional[str] = None,
        session: Optional[SSLSession] = None,
        context: Optional[SSLContext] = None,
    ) -> SSLObject:
        for name, bio in (("incoming", incoming), ("outgoing", outgoing)):
            if not isinstance(bio, ssl.MemoryBIO):
                raise TypeError(f"{name} must be ssl.MemoryBIO, not {type(bio).__name__}")
        self = cls.__new__(cls)
        self._set_up(server_side, server_hostname, context, session)
        self._incoming = incoming
        self._outgoing = outgoing
        self._connection = Connection(self, server_hostname, session)
        return self

    def do_handshake(self) -> None:
        """Goes on with the handshake. `SSLWantReadError` where it needs bytes of the peer."""
        connection = self._made()
        try:
            while not connection.handshake():
                self._fetch()
        finally:
            # The alert of an error too.
            self._flush()

    def read(self, len: int = 1024, buffer: Any = None) -> Any:
        """At most `len` bytes, or into `buffer`, and then their number; none at the peer's end. `SSLWantReadError` where there are none
        yet, `SSLEOFError` where the transport ended and the peer had not.
        """
        connection = self._made()
        self._shake_hands()
        most = len if buffer is None else min(len or _length(buffer), _length(buffer))
        if len < 0 and buffer is None:
            raise ValueError("size should not be negative")
        try:
            while (data := connection.read(most) if most else b"") is None:
                self._fetch()
        except OSError:
            # The alert.
            self._flush()
            raise
        if buffer is None:
            return data
        memoryview(buffer).cast("B")[: _length(data)] = data
        return _length(data)

    def _read_strictly(self, len: int, buffer: Any) -> Any:
        return self.read(len, buffer)

    def write(self, data: Any) -> int:
        """Takes all bytes, and says how many they were."""
        connection = self._made()
        self._shake_hands()
        view = memoryview(data).cast("B")
        rest = view
        while rest:
            rest = rest[connection.write(rest[:CHUNK]) :]
            self._flush()
        return view.nbytes

    def unwrap(self) -> None:
        """Ends TLS: sends `close_notify`, and waits for the peer's (`SSLWantReadError`)."""
        connection = self._made()
        connection.end(unwraps=True)
        self._flush()
        while not connection.has_ended():
            self._fetch()

    def pending(self) -> int:
        """How many bytes can be read at once."""
        return self._made().pending()

    def _made(self) -> Connection:
        assert self._connection is not None
        return self._connection

    def _shake_hands(self) -> None:
        if not self._made().is_secure:
            self.do_handshake()

    def _fetch(self) -> None:
        """Takes the next record of what the transport brought."""
        self._flush()
        connection = self._made()
        while wanted := connection.wanted:
            data = self._incoming.read(wanted)
            if not data and not self._incoming.eof:
                raise _errors.want_read()
            connection.feed(data)

    def _flush(self) -> None:
        while data := self._made().outgoing():
            self._outgoing.write(data)


_length = len
