"""Values as they cross between Python and the guest: the component model's canonical ABI, as far as `guest:tls` needs it.

wasmtime-py's component API makes a Python object and a C value of 32 bytes of every byte of a `list<u8>`: under 1 MB/s. So this package
drives the component's core module itself, and bytes cross as two copies in one call. Whatever the guest gives (addresses, lengths, tags,
text) is checked here before it is used: the guest reads hostile bytes, and is not trusted.

Lists may overlap, and an empty one takes eight bytes of the guest and a Python object here, so being in the guest's memory does not bound
what a result takes in this process. Each value is charged to its call before it is made (`Instance.charge`), and a call has a budget.

Source: https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md
"""

from __future__ import annotations

import ctypes
import struct
from collections import namedtuple
from typing import TYPE_CHECKING, Any, NamedTuple, Optional, Protocol, Sequence

if TYPE_CHECKING:
    from ._guest import Resource


class GuestFault(Exception):
    """The guest trapped, or gave what its interface does not allow. Its instance is not used again."""


class Instance(Protocol):
    """What values need of an instance of the guest."""

    def bounds(self, address: int, length: int) -> int:
        """The address in this process of `length` bytes of the guest's memory; `GuestFault` where they are not in it."""

    def charge(self, size: int) -> None:
        """Counts bytes of this process that a value takes; `GuestFault` where the call's budget does not have them."""

    def allocate(self, alignment: int, size: int) -> int:
        """The address of new memory in the guest."""

    def resource(self, kind: str, handle: int) -> Resource:
        """The resource that the guest gave away by this handle."""

    def handle(self, resource: Resource) -> int:
        """A handle by which the resource becomes the guest's."""

    def representation(self, resource: Resource) -> int:
        """What stands for a resource that is lent to the guest."""


class Type:
    """A type of the interface: how its values lie in memory, and as how many core values they are passed."""

    size: int
    alignment: int
    #: How many core values it is as a parameter or result.
    flat: int

    def load(self, guest: Instance, address: int) -> Any:
        """The value at an address of the guest's memory."""
        raise NotImplementedError(type(self).__name__)

    def store(self, guest: Instance, value: Any, address: int) -> None:
        """Puts a value into the guest's memory."""
        raise NotImplementedError(type(self).__name__)

    def lower(self, guest: Instance, value: Any) -> list[int]:
        """The core values that stand for a value."""
        raise NotImplementedError(type(self).__name__)

    def lift(self, guest: Instance, core: int) -> Any:
        """The value that one core value stands for."""
        raise NotImplementedError(type(self).__name__)


class Function(NamedTuple):
    """A function of the interface."""

    params: tuple[Type, ...]
    result: Optional[Type]


class Int(Type):
    """`u8`, `u32` or `u64`, as an `int`."""

    flat = 1

    def __init__(self, size: int) -> None:
        self.size = self.alignment = size

    def load(self, guest: Instance, address: int) -> int:
        guest.charge(OBJECT)
        return int.from_bytes(read(guest, address, self.size), "little")

    def store(self, guest: Instance, value: int, address: int) -> None:
        write(guest, address, value.to_bytes(self.size, "little"))

    def lower(self, guest: Instance, value: int) -> list[int]:
        return [signed(value, 64 if self.size == 8 else 32)]

    def lift(self, guest: Instance, core: int) -> int:
        return core & (1 << 8 * self.size) - 1


class Bool(Type):
    """`bool`."""

    size = alignment = flat = 1

    def load(self, guest: Instance, address: int) -> bool:
        return read(guest, address, 1) != b"\0"

    def lower(self, guest: Instance, value: bool) -> list[int]:
        return [int(value)]

    def lift(self, guest: Instance, core: int) -> bool:
        return core != 0


class Enum(Type):
    """An `enum`, as the `str` of its case."""

    size = alignment = flat = 1

    def __init__(self, *cases: str) -> None:
        self.cases = cases

    def load(self, guest: Instance, address: int) -> str:
        return self.lift(guest, read(guest, address, 1)[0])

    def lower(self, guest: Instance, value: str) -> list[int]:
        return [self.cases.index(value)]

    def lift(self, guest: Instance, core: int) -> str:
        return case(self.cases, core)


class Bytes(Type):
    """`list<u8>`, as `bytes`. What is passed may be any buffer."""

    size, alignment, flat = 8, 4, 2

    def load(self, guest: Instance, address: int) -> bytes:
        start, length = struct.unpack("<II", read(guest, address, 8))
        # Before it is copied, and none of it where it is not in the guest's memory.
        guest.bounds(start, length)
        guest.charge(OBJECT + length)
        return read(guest, start, length)

    def store(self, guest: Instance, value: Any, address: int) -> None:
        write(guest, address, struct.pack("<II", *self.place(guest, value)))

    def lower(self, guest: Instance, value: Any) -> list[int]:
        return [signed(core, 32) for core in self.place(guest, value)]

    def place(self, guest: Instance, value: Any) -> tuple[int, int]:
        """Copies the bytes into the guest, and says where they are and how many."""
        data = value if type(value) is bytes else bytes(value)
        start = guest.allocate(1, len(data))
        write(guest, start, data)
        return start, len(data)


class String(Bytes):
    """`string`, as `str`."""

    def load(self, guest: Instance, address: int) -> Any:
        encoded = super().load(guest, address)
        # One character beyond the basic plane makes all of them take four bytes.
        guest.charge(OBJECT + 4 * len(encoded))
        try:
            return encoded.decode()
        except UnicodeDecodeError as error:
            raise GuestFault(f"the guest gave text that is not UTF-8: {error}") from error

    def place(self, guest: Instance, value: str) -> tuple[int, int]:
        return super().place(guest, value.encode())


class List(Type):
    """`list<T>`, as a `list`. For `list<u8>` there is `Bytes`."""

    size, alignment, flat = 8, 4, 2

    def __init__(self, element: Type) -> None:
        self.element = element

    def load(self, guest: Instance, address: int) -> list[Any]:
        start, length = struct.unpack("<II", read(guest, address, 8))
        if start % self.element.alignment:
            raise GuestFault(f"the guest gave a list at {start:#x}, which is no multiple of {self.element.alignment}")
        guest.bounds(start, length * self.element.size)
        guest.charge(OBJECT + POINTER * length)
        return [self.element.load(guest, start + index * self.element.size) for index in range(length)]

    def lower(self, guest: Instance, value: Sequence[Any]) -> list[int]:
        start = guest.allocate(self.element.alignment, len(value) * self.element.size)
        for index, element in enumerate(value):
            self.element.store(guest, element, start + index * self.element.size)
        return [signed(start, 32), len(value)]


class Record(Type):
    """A `record`, as a named tuple."""

    def __init__(self, name: str, /, **fields: Type) -> None:
        self.tuple = namedtuple(name, list(fields))  # type: ignore[misc]
        self.fields: list[tuple[int, Type]] = []
        end = 0
        for field in fields.values():
            start = aligned(end, field.alignment)
            self.fields.append((start, field))
            end = start + field.size
        self.alignment = max(field.alignment for field in fields.values())
        self.size = aligned(end, self.alignment)
        self.flat = sum(field.flat for field in fields.values())

    def load(self, guest: Instance, address: int) -> Any:
        guest.charge(OBJECT + POINTER * len(self.fields))
        return self.tuple(*(field.load(guest, address + start) for start, field in self.fields))


class Variant(Type):
    """A `variant`, as the pair of its case's name and its payload, which is None where the case has none."""

    def __init__(self, **cases: Optional[Type]) -> None:
        self.names = [name.replace("_", "-") for name in cases]
        self.payloads = list(cases.values())
        payloads = [payload for payload in self.payloads if payload]
        self.alignment = max([1, *(payload.alignment for payload in payloads)])
        self.start = aligned(1, self.alignment)
        self.size = aligned(self.start + max([0, *(payload.size for payload in payloads)]), self.alignment)
        self.flat = 1 + max([0, *(payload.flat for payload in payloads)])

    def load(self, guest: Instance, address: int) -> Any:
        tag = read(guest, address, 1)[0]
        name, payload = case(self.names, tag), self.payloads[tag]
        guest.charge(OBJECT)
        return name, payload and payload.load(guest, address + self.start)


class Option(Variant):
    """`option<T>`: the value, or None."""

    def __init__(self, payload: Type) -> None:
        super().__init__(none=None, some=payload)
        self.payload = payload

    def load(self, guest: Instance, address: int) -> Any:
        return super().load(guest, address)[1]

    def lower(self, guest: Instance, value: Any) -> list[int]:
        return [0] * self.flat if value is None else [1, *self.payload.lower(guest, value)]


class Result(Variant):
    """`result<T, E>`: the value; where there is an error, `Failed` with it."""

    def __init__(self, ok: Optional[Type], err: Type) -> None:
        super().__init__(ok=ok, err=err)

    def load(self, guest: Instance, address: int) -> Any:
        name, payload = super().load(guest, address)
        return Failed(payload) if name == "err" else payload


class Failed(NamedTuple):
    """The error of a `result`. It is returned and not raised, so that the guest's memory is freed first."""

    error: Any


class Own(Type):
    """`own<R>`, as a `Resource`."""

    size = alignment = 4
    flat = 1

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def load(self, guest: Instance, address: int) -> Resource:
        return self.lift(guest, int.from_bytes(read(guest, address, 4), "little"))

    def lower(self, guest: Instance, value: Resource) -> list[int]:
        return [guest.handle(value)]

    def lift(self, guest: Instance, core: int) -> Resource:
        return guest.resource(self.kind, core)


class Borrow(Own):
    """`borrow<R>` of a resource that the guest defines: it is passed as what the guest itself made it of."""

    def lower(self, guest: Instance, value: Resource) -> list[int]:
        return [signed(guest.representation(value), 32)]


def read(guest: Instance, address: int, length: int) -> bytes:
    """A copy of the guest's memory."""
    return ctypes.string_at(guest.bounds(address, length), length)


def write(guest: Instance, address: int, data: bytes) -> None:
    """Copies into the guest's memory."""
    ctypes.memmove(guest.bounds(address, len(data)), data, len(data))


def signed(value: int, bits: int) -> int:
    """As wasmtime-py wants its `i32` and `i64`."""
    return value - (1 << bits) if value >> bits - 1 else value


def aligned(offset: int, alignment: int) -> int:
    """The next multiple of the alignment."""
    return -(-offset // alignment) * alignment


def case(names: Sequence[str], tag: int) -> str:
    """The name of a case."""
    if not 0 <= tag < len(names):
        raise GuestFault(f"the guest gave case {tag} of a type that has {len(names)}")
    return names[tag]


# In bytes, of CPython on 64 bits: an object with its header, rounded up, and one reference to it.
OBJECT, POINTER = 64, 8
BOOL, U32, U64, STRING, BYTES = Bool(), Int(4), Int(8), String(), Bytes()
