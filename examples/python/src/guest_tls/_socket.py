"""`SSLSocket`: TLS over a socket."""

from __future__ import annotations

import errno
import select
import socket
import ssl
import threading
import time
from typing import TYPE_CHECKING, Any, NoReturn, Optional

from . import _errors
from ._connection import CHUNK, Connection, Endpoint, SSLSession

if TYPE_CHECKING:
    from ._context import SSLContext


class SSLSocket(Endpoint, ssl.SSLSocket):
    """As `ssl.SSLSocket`: made by `SSLContext.wrap_socket`. One thread may read while another writes.

    Nothing ever goes over it in the clear: where `ssl` would, before `connect` or after `unwrap`, there is an `OSError` or the plain
    socket that `unwrap` gives.
    """

    do_handshake_on_connect: bool
    suppress_ragged_eofs: bool
    # Who reads, and who writes, of the transport. A thread that has `_writing` may call the guest, and never waits for `_reading`.
    _reading: threading.Lock
    _writing: threading.Lock
    _flush_wanted: bool
    # What the guest gave for the transport and that was not sent yet, and how many bytes of a caller's are in there: see `send`.
    _unsent: memoryview
    _accepted: int

    @classmethod
    def _create(
        cls,
        sock: socket.socket,
        server_side: bool = False,
        do_handshake_on_connect: bool = True,
        suppress_ragged_eofs: bool = True,
        server_hostname: Optional[str] = None,
        context: Optional[SSLContext] = None,
        session: Optional[SSLSession] = None,
    ) -> SSLSocket:
        if sock.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE) != socket.SOCK_STREAM:
            raise NotImplementedError("only stream sockets are supported")
        self = cls.__new__(cls)
        self._set_up(server_side, server_hostname, context, session)
        self.do_handshake_on_connect = do_handshake_on_connect
        self.suppress_ragged_eofs = suppress_ragged_eofs
        self._reading = threading.Lock()
        self._writing = threading.Lock()
        self._flush_wanted = False
        self._unsent = memoryview(b"")
        self._accepted = 0
        socket.socket.__init__(self, family=sock.family, type=sock.type, proto=sock.proto, fileno=sock.fileno())
        timeout = sock.gettimeout()
        sock.detach()
        try:
            self.settimeout(timeout)
            if self._is_connected():
                self._begin()
        except BaseException:
            self.close()
            raise
        return self

    # The handshake and the end.

    def do_handshake(self, block: bool = False) -> None:
        """Makes the handshake. With `block`, it waits even where the timeout is 0."""
        timeout = self.gettimeout()
        try:
            if block and timeout == 0.0:
                self.settimeout(None)
            self._shake_hands()
        finally:
            if block and timeout == 0.0:
                self.settimeout(timeout)

    def unwrap(self) -> socket.socket:
        """Ends TLS: sends `close_notify`, waits for the peer's, and gives the plain socket. `SSLError` where bytes of the peer are still
        to be read.
        """
        connection = self._made()
        deadline = self._deadline()
        connection.end()
        self._flush(deadline)
        with self._reading:
            while not connection.has_ended():
                self._fetch(connection, deadline)
        self._connection = None
        timeout = self.gettimeout()
        plain = socket.socket(family=self.family, type=self.type, proto=self.proto, fileno=self.detach())
        plain.settimeout(timeout)
        return plain

    def close_notify(self) -> None:
        """Ends our side by `close_notify`, and leaves the peer's open (RFC 8446 section 6.1); what it sends can still be read. `ssl` has
        no such method.
        """
        self._made().end()
        self._flush(self._deadline())

    def connect(self, addr: Any) -> None:
        """Connects, and makes the handshake."""
        self._may_connect()
        socket.socket.connect(self, addr)
        self._begin()

    def connect_ex(self, addr: Any) -> int:
        """The same, and gives the error number of `connect`."""
        self._may_connect()
        if (number := socket.socket.connect_ex(self, addr)) == 0:
            self._begin()
        return number

    def accept(self) -> tuple[SSLSocket, Any]:
        """A connection, with the handshake where `do_handshake_on_connect` says so."""
        sock, address = socket.socket.accept(self)
        wrapped = self.context.wrap_socket(
            sock,
            server_side=True,
            do_handshake_on_connect=self.do_handshake_on_connect,
            suppress_ragged_eofs=self.suppress_ragged_eofs,
        )
        return wrapped, address

    def shutdown(self, how: int) -> None:
        """Ends the transport, without `close_notify`, as in `ssl`."""
        socket.socket.shutdown(self, how)

    # Reading.

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        """At most so many bytes; none at the end."""
        self._no_flags(flags, "recv")
        found: bytes = self.read(buflen)
        return found

    def recv_into(self, buffer: Any, nbytes: Optional[int] = None, flags: int = 0) -> int:
        """The same into a buffer; gives their number."""
        self._no_flags(flags, "recv_into")
        count: int = self.read(nbytes or memoryview(buffer).nbytes, buffer)
        return count

    def read(self, len: int = 1024, buffer: Any = None) -> Any:
        """As `recv`, or as `recv_into` with a buffer. Where the transport ends without the peer's `close_notify` (truncation), it is
        `SSLEOFError`, or the end where `suppress_ragged_eofs`.
        """
        if len < 0:
            raise ValueError("negative buffersize in recv")
        view = None if buffer is None else memoryview(buffer).cast("B")
        most = len if view is None else min(len or view.nbytes, view.nbytes)
        try:
            data = self._read(most)
        except ssl.SSLEOFError:
            if not self.suppress_ragged_eofs:
                raise
            data = b""
        if view is None:
            return data
        view[: data.__len__()] = data
        return data.__len__()

    def pending(self) -> int:
        """How many bytes can be read without waiting for the transport."""
        connection = self._connection
        if connection is None or not self._reading.acquire(blocking=False):
            # Another thread is reading: what there was, it has.
            return 0
        try:
            return connection.pending()
        finally:
            self._reading.release()

    # Writing.

    def send(self, data: Any, flags: int = 0) -> int:
        """Sends some of the bytes, and gives their number. Where it raises `SSLWantWriteError` or `TimeoutError`, it has to be called
        again with the same bytes, as OpenSSL's `SSL_write`: they may have been taken already.
        """
        self._no_flags(flags, "send")
        connection = self._secured()
        view = memoryview(data).cast("B")
        with self._writing:
            deadline = self._deadline()
            if not self._accepted:
                self._drain(connection, deadline)
                self._accepted = connection.write(view[:CHUNK]) if view else 0
            elif view.nbytes < self._accepted:
                raise _errors.refused("BAD_LENGTH", "a repeated send has fewer bytes than the one before took")
            self._drain(connection, deadline)
            sent, self._accepted = self._accepted, 0
        self._flush_beside(connection)
        return sent

    def write(self, data: Any) -> int:
        """As `send`."""
        return self.send(data)

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Sends all bytes."""
        self._no_flags(flags, "sendall")
        view = memoryview(data).cast("B")
        while view:
            view = view[self.send(view) :]

    def sendfile(self, file: Any, offset: int = 0, count: Optional[int] = None) -> int:
        """Sends a file."""
        if offset:
            file.seek(offset)
        sent = 0
        while count is None or sent < count:
            data = file.read(CHUNK if count is None else min(CHUNK, count - sent))
            if not data:
                break
            self.sendall(data)
            sent += len(data)
        if sent and hasattr(file, "seek"):
            file.seek(offset + sent)
        return sent

    # What a connection of TLS does not do.

    def sendto(self, data: Any, flags_or_addr: Any, addr: Any = None) -> NoReturn:
        """Raises `ValueError`."""
        raise ValueError(f"sendto not allowed on instances of {self.__class__}")

    def recvfrom(self, buflen: int = 1024, flags: int = 0) -> NoReturn:
        """Raises `ValueError`."""
        raise ValueError(f"recvfrom not allowed on instances of {self.__class__}")

    def recvfrom_into(self, buffer: Any, nbytes: Optional[int] = None, flags: int = 0) -> NoReturn:
        """Raises `ValueError`."""
        raise ValueError(f"recvfrom_into not allowed on instances of {self.__class__}")

    def recvmsg(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raises `NotImplementedError`."""
        raise NotImplementedError(f"recvmsg not allowed on instances of {self.__class__}")

    def recvmsg_into(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raises `NotImplementedError`."""
        raise NotImplementedError(f"recvmsg_into not allowed on instances of {self.__class__}")

    def sendmsg(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raises `NotImplementedError`."""
        raise NotImplementedError(f"sendmsg not allowed on instances of {self.__class__}")

    def dup(self) -> NoReturn:
        """Raises `NotImplementedError`."""
        raise NotImplementedError(f"Can't dup() {self.__class__.__name__} instances")

    # Below.

    def _real_close(self, *args: Any) -> None:
        self._connection = None
        socket.socket._real_close(self, *args)  # type: ignore[attr-defined]

    def _begin(self) -> None:
        self._connection = Connection(self, self.server_hostname, self._session)
        if self.do_handshake_on_connect:
            if self.gettimeout() == 0.0:
                raise ValueError("do_handshake_on_connect should not be specified for non-blocking sockets")
            self.do_handshake()

    def _may_connect(self) -> None:
        if self.server_side:
            raise ValueError("can't connect in server-side mode")
        if self._connection is not None:
            raise ValueError("attempt to connect already-connected SSLSocket!")

    def _is_connected(self) -> bool:
        try:
            self.getpeername()
        except OSError as error:
            if error.errno not in (errno.ENOTCONN, errno.EINVAL):
                raise
            return False
        return True

    def _made(self) -> Connection:
        if self._connection is None:
            raise OSError(errno.ENOTCONN, "the socket is not connected, or TLS has ended on it")
        return self._connection

    def _secured(self) -> Connection:
        connection = self._made()
        if not connection.is_secure:
            self._shake_hands()
        return connection

    def _shake_hands(self) -> None:
        connection = self._made()
        until = time.monotonic() + self._context.handshake_timeout
        deadline = min(until, self._deadline() or until)
        with self._reading:
            while True:
                try:
                    is_secure = connection.handshake()
                except OSError:
                    self._farewell(connection)
                    raise
                try:
                    self._flush(deadline)
                except ConnectionError:
                    # A client may be gone before it takes the tickets, and have said all that it had to say.
                    if not is_secure:
                        raise
                if is_secure:
                    return
                self._fetch(connection, deadline, "handshake")

    def _read(self, most: int) -> bytes:
        connection = self._secured()
        if not most:
            return b""
        deadline = self._deadline()
        with self._reading:
            while True:
                try:
                    data = connection.read(most)
                except OSError:
                    self._farewell(connection)
                    raise
                if data is not None:
                    return data
                # The answer to a key update, for example.
                self._flush_beside(connection, wanted=True)
                self._fetch(connection, deadline)

    def _fetch(self, connection: Connection, deadline: Optional[float], what: str = "read") -> None:
        """Waits for bytes of the transport, and takes them."""
        if not connection.is_hungry:
            return
        if self.gettimeout() == 0.0:
            try:
                data = socket.socket.recv(self, CHUNK)
            except BlockingIOError:
                raise _errors.want_read() from None
        else:
            self._wait(select.POLLIN, deadline, what)
            data = socket.socket.recv(self, CHUNK)
        connection.feed(data)

    def _flush(self, deadline: Optional[float]) -> None:
        with self._writing:
            self._drain(self._made(), deadline)

    def _flush_beside(self, connection: Connection, wanted: bool = False) -> None:
        """Sends what can be sent at once, where no other thread is sending. Where one is, it does it afterwards: so a reader never waits
        for a writer, whom the peer may not read before we read.
        """
        self._flush_wanted = self._flush_wanted or wanted
        while self._flush_wanted and self._writing.acquire(blocking=False):
            try:
                self._flush_wanted = False
                self._drain(connection, time.monotonic())
            except (TimeoutError, ssl.SSLWantWriteError, ConnectionError):
                # It is sent before what is sent next. A peer that takes nothing any more is told to who sends: there may be more to read.
                return
            finally:
                self._writing.release()

    def _farewell(self, connection: Connection) -> None:
        """Tells the peer of an error by an alert, if that works at once."""
        try:
            self._flush_beside(connection, wanted=True)
        except OSError:
            pass

    def _drain(self, connection: Connection, deadline: Optional[float]) -> None:
        """Sends what the guest has for the transport. `_writing` is held."""
        while self._unsent or (unsent := connection.outgoing()):
            if not self._unsent:
                self._unsent = memoryview(unsent)
            if self.gettimeout() == 0.0:
                try:
                    sent = socket.socket.send(self, self._unsent)
                except BlockingIOError:
                    raise _errors.want_write() from None
            else:
                self._wait(select.POLLOUT, deadline, "write")
                # Without waiting: on a blocking socket it would be until all is sent, past the deadline.
                try:
                    sent = socket.socket.send(self, self._unsent, DO_NOT_WAIT)
                except BlockingIOError:
                    continue
            self._unsent = self._unsent[sent:]

    def _wait(self, event: int, deadline: Optional[float], what: str) -> None:
        """Waits for the transport. `TimeoutError` at the deadline."""
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        if hasattr(select, "poll"):
            poll = select.poll()
            poll.register(self, event)
            ready: Any = poll.poll(None if left is None else left * 1000)
        else:
            ready = any(select.select([self] * (event == select.POLLIN), [self] * (event != select.POLLIN), [], left))
        if not ready:
            raise TimeoutError(f"The {what} operation timed out")

    def _deadline(self) -> Optional[float]:
        timeout = self.gettimeout()
        return None if timeout is None else time.monotonic() + timeout

    def _no_flags(self, flags: int, what: str) -> None:
        if flags != 0:
            raise ValueError(f"non-zero flags not allowed in calls to {what}() on {self.__class__}")


DO_NOT_WAIT = getattr(socket, "MSG_DONTWAIT", 0)
