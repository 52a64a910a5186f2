"""`SSLSocket`: TLS over a socket."""

from __future__ import annotations

import errno
import os
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

    Nothing goes over it in the clear before `unwrap` has ended TLS on both sides; from then on it is a plain socket, as in `ssl`.
    """

    do_handshake_on_connect: bool
    suppress_ragged_eofs: bool
    # Who reads, and who writes, of the transport. A thread that has `_writing` may call the guest, and never waits for `_reading`.
    _reading: threading.Lock
    _writing: threading.Lock
    _flush_wanted: bool
    # Whether `unwrap` has made it a plain socket.
    _is_plain: bool
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
        self._is_plain = False
        self._unsent = memoryview(b"")
        self._accepted = 0
        socket.socket.__init__(self, family=sock.family, type=sock.type, proto=sock.proto, fileno=sock.fileno())
        timeout = sock.gettimeout()
        sock.detach()
        try:
            self.settimeout(timeout)
            if self._is_connected():
                self._begin()
            elif self._has_data():
                # It was said before TLS, by a peer that has gone (CVE-2023-40217).
                raise _errors.before_tls()
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
        """Ends TLS: sends `close_notify`, waits for the peer's, and gives this socket, which is a plain one from then on. `SSLError` where
        bytes of the peer are still to be read; `ValueError` where there is no TLS.
        """
        if (connection := self._connection) is None:
            raise ValueError(f"No SSL wrapper around {self}")
        deadline = self._deadline()
        connection.end(unwraps=True)
        self._flush(deadline)
        with self._reading:
            while not connection.has_ended():
                self._fetch(connection, deadline)
        self._is_plain, self._connection = True, None
        return self

    def close_notify(self) -> None:
        """Ends our side by `close_notify`, and leaves the peer's open (RFC 8446 section 6.1); what it sends can still be read. `ssl` has
        no such method.
        """
        self._made().end()
        self._flush(self._deadline())

    def connect(self, addr: Any) -> None:
        """Connects, and makes the handshake."""
        self._connect(socket.socket.connect, addr)

    def connect_ex(self, addr: Any) -> int:
        """The same, and gives the error number of `connect`. Where that has only begun, `do_handshake` goes on when it is done."""
        number: int = self._connect(socket.socket.connect_ex, addr)
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
        if self._is_plain:
            return socket.socket.recv(self, buflen, flags)
        self._no_flags(flags, "recv")
        self._check_open()
        found: bytes = self.read(buflen)
        return found

    def recv_into(self, buffer: Any, nbytes: Optional[int] = None, flags: int = 0) -> int:
        """The same into a buffer; gives their number."""
        nbytes = memoryview(buffer).nbytes or 1024 if nbytes is None else nbytes
        if self._is_plain:
            return socket.socket.recv_into(self, buffer, nbytes, flags)
        self._no_flags(flags, "recv_into")
        self._check_open()
        count: int = self.read(nbytes, buffer)
        return count

    def read(self, len: int = 1024, buffer: Any = None) -> Any:
        """As `recv`, or as `recv_into` with a buffer. Where the transport ends without the peer's `close_notify` (truncation), it is
        `SSLEOFError`, or the end where `suppress_ragged_eofs`.
        """
        try:
            return self._read_strictly(len, buffer)
        except ssl.SSLEOFError:
            if not self.suppress_ragged_eofs:
                raise
            return b"" if buffer is None else 0

    def pending(self) -> int:
        """How many bytes of the record that was read last are left."""
        connection = self._connection
        return 0 if connection is None else connection.pending()

    # Writing.

    def send(self, data: Any, flags: int = 0) -> int:
        """Sends some of the bytes, and gives their number. Where it raises `SSLWantWriteError` or `TimeoutError`, it has to be called
        again with the same bytes, as OpenSSL's `SSL_write`: they may have been taken already.
        """
        if self._is_plain:
            return socket.socket.send(self, data, flags)
        self._no_flags(flags, "send")
        self._check_open()
        return self._send(self._secured(), memoryview(data).cast("B"))

    def _send(self, connection: Connection, view: memoryview) -> int:
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
        """As `send`; `ValueError` where there is no TLS."""
        if self._connection is None:
            raise ValueError("Write on closed or unwrapped SSL socket.")
        return self.send(data)

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Sends all bytes."""
        if self._is_plain:
            return socket.socket.sendall(self, data, flags)
        self._no_flags(flags, "sendall")
        self._check_open()
        view = memoryview(data).cast("B")
        # By one connection: where another thread ends TLS meanwhile, the rest does not go in the clear.
        connection = self._secured() if view else None
        while connection is not None and view:
            view = view[self._send(connection, view) :]

    def sendfile(self, file: Any, offset: int = 0, count: Optional[int] = None) -> int:
        """Sends a file."""
        if self._is_plain:
            return socket.socket.sendfile(self, file, offset, count)
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

    # What a connection of TLS does not do, and a plain one does.

    def sendto(self, data: Any, flags_or_addr: Any, addr: Any = None) -> int:
        """`ValueError` before `unwrap`."""
        self._only_plain("sendto")
        return socket.socket.sendto(self, data, flags_or_addr, *(() if addr is None else (addr,)))

    def recvfrom(self, buflen: int = 1024, flags: int = 0) -> tuple[bytes, Any]:
        """`ValueError` before `unwrap`."""
        self._only_plain("recvfrom")
        return socket.socket.recvfrom(self, buflen, flags)

    def recvfrom_into(self, buffer: Any, nbytes: Optional[int] = None, flags: int = 0) -> tuple[int, Any]:
        """`ValueError` before `unwrap`."""
        self._only_plain("recvfrom_into")
        return socket.socket.recvfrom_into(self, buffer, nbytes or 0, flags)

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

    def _connect(self, connect: Any, addr: Any) -> Any:
        if self.server_side:
            raise ValueError("can't connect in server-side mode")
        if self._connection is not None or self._is_plain:
            raise ValueError("attempt to connect already-connected SSLSocket!")
        found = connect(self, addr)
        try:
            if not found:
                self._begin()
            else:
                self._connection = Connection(self, self.server_hostname, self._session)
        except BaseException:
            self._connection = None
            raise
        return found

    def _is_connected(self) -> bool:
        try:
            self.getpeername()
        except OSError as error:
            if error.errno not in (errno.ENOTCONN, errno.EINVAL):
                raise
            return False
        return True

    def _has_data(self) -> bool:
        """Whether a socket that is not connected holds bytes, which are lost by that."""
        timeout = self.gettimeout()
        self.setblocking(False)
        try:
            return bool(socket.socket.recv(self, 1))
        except OSError:
            # It was never connected, or has nothing.
            return False
        finally:
            self.settimeout(timeout)

    def _check_connected(self) -> None:
        if self._connection is None:
            self._check_open()
            self.getpeername()

    def _check_open(self) -> None:
        if self.fileno() < 0:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    def _made(self) -> Connection:
        if self._connection is None:
            raise OSError(errno.ENOTCONN, "the socket is not connected")
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

    def _read_strictly(self, len: int, buffer: Any) -> Any:
        if len < 0 and buffer is None:
            raise ValueError("size should not be negative")
        if self._connection is None and (self._is_plain or self.fileno() < 0):
            raise ValueError("Read on closed or unwrapped SSL socket.")
        if buffer is None:
            return self._read(len)
        view = memoryview(buffer).cast("B")
        data = self._read(min(len, view.nbytes) if len > 0 else view.nbytes)
        count = data.__len__()
        view[:count] = data
        return count

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
        """Waits for the next record of the transport, and takes it. What it has of one stays where it does not come to the end."""
        while wanted := connection.wanted:
            if self.gettimeout() == 0.0:
                try:
                    data = socket.socket.recv(self, wanted)
                except BlockingIOError:
                    raise _errors.want_read() from None
            else:
                self._wait(select.POLLIN, deadline, what)
                data = socket.socket.recv(self, wanted)
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

    def _only_plain(self, what: str) -> None:
        if not self._is_plain:
            raise ValueError(f"{what} not allowed on instances of {self.__class__}")

    def _no_flags(self, flags: int, what: str) -> None:
        if flags != 0:
            raise ValueError(f"non-zero flags not allowed in calls to {what}() on {self.__class__}")


DO_NOT_WAIT = getattr(socket, "MSG_DONTWAIT", 0)
