"""A proxy that is running, and a back end for it."""

import contextlib
import pathlib
import re
import selectors
import shlex
import socket
import threading
import time


class Proxy:
    """A proxy that listens, and what it says."""

    def __init__(self, process, command):
        self.process, self.lines = process, []
        threading.Thread(target=self.read, daemon=True).start()
        if not eventually(lambda: self.place("listening") and self.place("admin")):
            raise AssertionError(f"{shlex.join(command)} does not listen: {self.said()}")
        self.port, self.admin = self.place("listening"), self.place("admin")

    def read(self):
        with contextlib.suppress(ValueError):
            self.lines.extend(self.process.stderr)

    def said(self):
        return "".join(self.lines)

    def resident(self):
        """The memory of wasmtime, in bytes: of the script in front of it, which has one child, or of the process itself."""
        number = self.process.pid
        children = pathlib.Path(f"/proc/{number}/task/{number}/children").read_text().split()
        status = pathlib.Path(f"/proc/{children[0] if children else number}/status").read_text()
        return int(re.search(r"^VmRSS:\s+(\d+) kB$", status, flags=re.M)[1]) << 10

    def place(self, what):
        found = re.search(rf"^{what} on 127\.0\.0\.1:(\d+)$", self.said(), flags=re.M)
        return found and int(found[1])


class Echo:
    """A back end that sends back what it gets; or, while it floods, sends without end, and reads nothing."""

    floods = False

    def __enter__(self):
        # Thousands wait to be taken when the proxy is filled.
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.listener.setblocking(False)
        self.port = self.listener.getsockname()[1]
        # Closing one of them ends the thread.
        self.mine, theirs = socket.socketpair()
        self.thread = threading.Thread(target=self.run, args=[theirs], daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.mine.close()
        self.thread.join()
        self.listener.close()

    def run(self, end):
        with end, selectors.DefaultSelector() as selector:
            selector.register(self.listener, selectors.EVENT_READ)
            selector.register(end, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.fileobj is end:
                        for other in list(selector.get_map().values()):
                            if other.fileobj not in (self.listener, end):
                                other.fileobj.close()
                        return
                    if key.events == selectors.EVENT_WRITE:
                        self.flood(selector, key.fileobj)
                        continue
                    if key.fileobj is not self.listener:
                        self.echo(selector, key.fileobj)
                        continue
                    with contextlib.suppress(BlockingIOError):
                        connection = self.listener.accept()[0]
                        if self.floods:
                            connection.setblocking(False)
                            selector.register(connection, selectors.EVENT_WRITE)
                        else:
                            selector.register(connection, selectors.EVENT_READ)

    @staticmethod
    def flood(selector, connection):
        try:
            connection.send(bytes(65536))
        except BlockingIOError:
            pass
        except OSError:
            selector.unregister(connection)
            connection.close()

    @staticmethod
    def echo(selector, connection):
        data = b""
        with contextlib.suppress(OSError):
            data = connection.recv(65536)
            connection.sendall(data)
        if not data:
            selector.unregister(connection)
            connection.close()


def say(connection, data):
    connection.sendall(data)
    return connection.recv(65536)


def get(port, path, method="GET"):
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


def refuses(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionError:
        return True
    return False


def eventually(condition, seconds=30):
    end = time.monotonic() + seconds
    while not (met := condition()) and time.monotonic() < end:
        time.sleep(0.1)
    return met
