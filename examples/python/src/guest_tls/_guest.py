"""Instances of the guest: what each may use, and how it is called."""

from __future__ import annotations

import collections
import ctypes
import hashlib
import os
import platform
import struct
import threading
import time
import weakref
from typing import Any, Callable, Optional, Union

import wasmtime

from . import _component
from ._call import callee, caller
from ._canonical import Function, GuestFault, write
from ._contract import FUNCTIONS, VERSION

#: How much memory an instance may have, in bytes. A connection has some 0.3 MiB.
MEMORY_LIMIT = 512 << 20
#: How many seconds one call may run before it is ended. Nothing takes so long but a hostile input that found a hole.
CALL_LIMIT = 60
#: How many bytes of this process the result of one call may take: so many, and so many more for each byte that the call passed in. What a
#: peer can make an honest guest give is far below: the certificates of a handshake, which are 64 KiB, take some 8 MiB at the worst.
RESULT_LIMIT, RESULT_FACTOR = 32 << 20, 64
#: How many resources the guest may hold by handles at once. An honest one holds a handful, during a call.
HANDLES_LIMIT = 10_000


class Resource:
    """A resource that the guest made and this process owns. The guest drops it some time after nothing refers to it any more."""

    __slots__ = ("_guest", "kind", "representation", "__weakref__")

    def __init__(self, guest: Guest, kind: str, representation: int) -> None:
        self._guest: Optional[Guest] = guest
        self.kind = kind
        self.representation = representation

    def give(self) -> int:
        """Gives up the ownership, and what it stands for."""
        if self._guest is None:
            raise ValueError(f"this {self.kind} was given away")
        self._guest = None
        return self.representation

    def __del__(self) -> None:
        guest = getattr(self, "_guest", None)
        if guest is not None:
            # This may run anywhere, in a call to the guest too, so the next call does the work.
            guest.garbage.append((self.kind, self.representation))


class Guest:
    """One instance of the component. Any thread may call it; one call runs at a time, and other threads run Python meanwhile."""

    def __init__(self, module: wasmtime.Module, engine: wasmtime.Engine) -> None:
        self.garbage: collections.deque[tuple[str, int]] = collections.deque()
        self.connections: weakref.WeakSet[object] = weakref.WeakSet()
        self._lock = threading.RLock()
        self._handles: dict[int, tuple[str, int]] = {}
        self._free_handles: list[int] = []
        self._budget = 0
        self._fault: Optional[str] = None
        self._store = wasmtime.Store(engine)
        self._store.set_limits(memory_size=MEMORY_LIMIT, instances=1, tables=1, memories=1)
        self._store.set_epoch_deadline(CALL_LIMIT)
        imports = Imports(self)
        functions, self._callbacks = zip(*(imports.of(item, self._store) for item in module.imports), strict=True)
        instance = wasmtime.Instance(self._store, module, functions)
        exports = instance.exports(self._store)
        self._functions = {
            name: caller(self._store, export)
            for name, export in exports.items()
            if isinstance(export, wasmtime.Func) and name.startswith(("guest:tls/", "cabi_"))
        }
        memory = exports["memory"]
        assert isinstance(memory, wasmtime.Memory)
        self._memory = memory
        # Where its memory is in this process, and its size, as long as the guest does not run.
        self._place: Optional[tuple[int, int]] = None

    @property
    def is_usable(self) -> bool:
        """False when it has trapped: what it holds is lost."""
        return self._fault is None

    def call(self, name: str, *values: Any) -> Any:
        """Calls a function of the interface. Gives `Failed` for an error of its own; raises `GuestFault` where the guest has trapped, now
        or before.
        """
        function = FUNCTIONS[name]
        with self._lock:
            if self._fault is not None:
                raise GuestFault(self._fault)
            self._store.set_epoch_deadline(CALL_LIMIT)
            self._budget = RESULT_LIMIT
            core: list[int] = []
            clear_vector_registers()
            try:
                while self.garbage:
                    self.destroy(*self.garbage.popleft())
                for param, value in zip(function.params, values, strict=True):
                    core += param.lower(self, value)
            except (wasmtime.WasmtimeError, wasmtime.Trap, GuestFault) as error:
                # Others are of values that are none of their type: the guest has not begun.
                raise self._stop(error) from error
            try:
                return self._call(name, function, core)
            except (wasmtime.WasmtimeError, wasmtime.Trap, GuestFault) as error:
                raise self._stop(error) from error
            except BaseException as error:
                # What ended a callback, such as KeyboardInterrupt: the guest stopped in the middle of something.
                self._stop(error)
                raise

    def _call(self, name: str, function: Function, core: list[int]) -> Any:
        interface, _, item = name.partition("#")
        export = f"guest:tls/{interface}@{VERSION}#{item}"
        result = self._run(export, *core)
        if function.result is None:
            return None
        if function.result.flat == 1:
            return function.result.lift(self, result)
        found = function.result.load(self, unsigned(result))
        # Frees what was returned.
        if (after := f"cabi_post_{export}") in self._functions:
            self._run(after, result)
        return found

    def _stop(self, error: BaseException) -> GuestFault:
        """Uses this instance no more, and says why."""
        self._fault = f"the TLS sandbox stopped, and its connections are lost: {str(error) or type(error).__name__}"
        return GuestFault(self._fault)

    def _run(self, export: str, *core: int) -> Any:
        if (function := self._functions.get(export)) is None:
            raise GuestFault(f"{_component.find()} has no export {export}: this package speaks guest:tls@{VERSION}")
        try:
            return function(*core)
        finally:
            # Memory grows, and may move, while the guest runs.
            self._place = None

    # What values need: see `_canonical.Instance`.

    def bounds(self, address: int, length: int) -> int:
        if self._place is None:
            start = ctypes.addressof(self._memory.data_ptr(self._store).contents)
            self._place = start, self._memory.data_len(self._store)
        start, size = self._place
        if address < 0 or length < 0 or address + length > size:
            raise GuestFault(f"the guest gave {length} bytes at {address:#x}, which are not in its memory")
        return start + address

    def charge(self, size: int) -> None:
        self._budget -= size
        if self._budget < 0:
            raise GuestFault(f"the guest gave a result that takes more than the {RESULT_LIMIT >> 20} MiB that a call may give")

    def allocate(self, alignment: int, size: int) -> int:
        self._budget += RESULT_FACTOR * size
        return unsigned(self._run("cabi_realloc", 0, 0, alignment, size))

    def resource(self, kind: str, handle: int) -> Resource:
        found, representation = self.take(handle)
        if found != kind:
            raise GuestFault(f"the guest gave a {found} where it has to give a {kind}")
        return Resource(self, kind, representation)

    def handle(self, resource: Resource) -> int:
        return self.add(resource.kind, resource.give())

    def representation(self, resource: Resource) -> int:
        return resource.representation

    # The table of the guest's handles.

    def add(self, kind: str, representation: int) -> int:
        """A new handle of the guest's."""
        if len(self._handles) >= HANDLES_LIMIT:
            raise GuestFault(f"the guest holds {HANDLES_LIMIT} resources, which is more than it may")
        # Used again, since they are numbers of 32 bits, and 0 is none of them.
        handle = self._free_handles.pop() if self._free_handles else len(self._handles) + 1
        self._handles[handle] = kind, unsigned(representation)
        return handle

    def look(self, handle: int) -> tuple[str, int]:
        """What a handle of the guest's stands for."""
        if (found := self._handles.get(handle)) is None:
            raise GuestFault(f"the guest used handle {handle}, which it does not have")
        return found

    def take(self, handle: int) -> tuple[str, int]:
        """The same, and it is not the guest's any more."""
        found = self.look(handle)
        del self._handles[handle]
        self._free_handles.append(handle)
        return found

    def destroy(self, kind: str, representation: int) -> None:
        """Runs a resource's destructor."""
        interface, _, name = kind.partition("/")
        self._run(f"guest:tls/{interface}@{VERSION}#[dtor]{name}", representation)


class Imports:
    """What an instance may do: read clocks, draw random bytes, and keep account of its own resources. Streams (`wasi:io`) it can't have
    got from anyone, so to use one is a fault.
    """

    def __init__(self, guest: Guest) -> None:
        # The functions live as long as the store: they may not keep it alive.
        self._guest = weakref.ref(guest)

    def of(self, item: wasmtime.ImportType, store: wasmtime.Store) -> tuple[wasmtime.Func, Any]:
        """An import, by the names that the component model gives to core modules, and what has to be kept with it."""
        assert isinstance(item.type, wasmtime.FuncType)
        interface = item.module.partition("@")[0]
        return callee(store, item.type, self._function(interface, item.name or ""))

    def _function(self, interface: str, name: str) -> Callable[..., Union[int, None]]:
        if interface == "wasi:random/random" and name == "get-random-u64":
            return lambda: int.from_bytes(os.urandom(8), "little", signed=True)
        if interface == "wasi:random/insecure-seed" and name == "insecure-seed":
            return lambda address: self._put(address, os.urandom(16))
        if interface == "wasi:clocks/monotonic-clock" and name == "now":
            return time.monotonic_ns
        if interface == "wasi:clocks/wall-clock" and name == "now":
            return self._wall_clock
        if interface.startswith("[export]guest:tls/"):
            action, _, resource = name.partition("]")
            kind = f"{interface.removeprefix('[export]guest:tls/')}/{resource}"
            if action == "[resource-new":
                return lambda representation: self._of().add(kind, representation)
            if action == "[resource-rep":
                return lambda handle: self._of().look(handle)[1]
            if action == "[resource-drop":
                return lambda handle: self._of().destroy(*self._of().take(handle))

        def refused(*_: int) -> None:
            raise GuestFault(f"the guest called {interface} {name}, which it is not given")

        return refused

    def _wall_clock(self, address: int) -> None:
        seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
        self._put(address, struct.pack("<QI", seconds, nanoseconds))

    def _put(self, address: int, data: bytes) -> None:
        guest = self._of()
        # It has run since this was known.
        guest._place = None
        write(guest, unsigned(address), data)

    def _of(self) -> Guest:
        guest = self._guest()
        assert guest is not None, "it runs"
        return guest


class Pool:
    """The instances of this process. A new connection goes to the one that has the fewest."""

    def __init__(self, size: int = 1) -> None:
        self.size = size
        self._guests: list[Guest] = []
        self._lock = threading.Lock()
        self._compiled: Optional[tuple[wasmtime.Engine, wasmtime.Module]] = None

    def guest(self) -> Guest:
        """An instance for a new connection."""
        with self._lock:
            self._guests = [guest for guest in self._guests if guest.is_usable]
            if len(self._guests) < self.size and all(guest.connections for guest in self._guests):
                engine, module = self._module()
                self._guests.append(Guest(module, engine))
            return min(self._guests, key=lambda guest: len(guest.connections))

    def _module(self) -> tuple[wasmtime.Engine, wasmtime.Module]:
        if self._compiled is None:
            config = wasmtime.Config()
            config.epoch_interruption = True
            engine = wasmtime.Engine(config)
            self._compiled = engine, _component.load(engine, "epochs")
            tick(engine)
        return self._compiled

    def after_fork(self) -> None:
        """A child gets instances of its own for new connections, which resume each other's sessions, since a context has the keys of its
        tickets. Connections that it inherits go on in its copy of the old ones; one of the two processes has to leave them alone, as with
        `ssl`.
        """
        self._guests = []
        self._lock = threading.Lock()
        if self._compiled is not None:
            tick(self._compiled[0])


def tick(engine: wasmtime.Engine) -> None:
    """Counts seconds for `CALL_LIMIT`, on a thread that ends with the process."""

    def run() -> None:
        while True:
            time.sleep(1)
            engine.increment_epoch()

    threading.Thread(target=run, name="guest-tls clock", daemon=True).start()


def clear_vector_registers() -> None:
    """Puts the upper halves of this thread's vector registers out of use (`vzeroupper`), which costs a microsecond.

    OpenSSL 3.0's ChaCha20 by AVX-512 leaves them in use, and wasmtime's code, which has short instructions between long ones, then runs
    40 times slower on that thread. OpenSSL's SHA-512 by AVX2 ends with that instruction; nothing else does that Python can call as cheaply.
    """
    if HAS_VECTOR_REGISTERS:
        hashlib.sha512(b"").digest()


def unsigned(core: int) -> int:
    """An address, of an `i32`."""
    return core & 0xFFFFFFFF


HAS_VECTOR_REGISTERS = platform.machine() in ("x86_64", "AMD64")
POOL = Pool()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=POOL.after_fork)
