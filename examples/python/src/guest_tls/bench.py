"""Measures how fast bytes cross into the guest, and how fast connections are: `python -m guest_tls.bench [MEBIBYTES]`.

First a buffer goes into the guest, in the three ways that wasmtime-py has. Then a connection of TLS 1.3 in memory, with a client and a
server in one process, so that every byte is encrypted once, decrypted once, and crosses four times; and the same with Python's own `ssl`.
All in one run, by the processor's time, so that what else the machine does counts little.
"""

from __future__ import annotations

import ctypes
import ssl
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import ModuleType
from typing import Any, Callable

import wasmtime
from wasmtime import _ffi, component

import guest_tls

from . import _component
from ._contract import VERSION
from ._guest import POOL

MEBIBYTE = 1 << 20
# Four records of TLS.
PIECE = bytes(1 << 16)

Call = Callable[..., Any]


def main() -> None:
    """Prints the tables."""
    count = (int(sys.argv[1]) if len(sys.argv) > 1 else 32) * MEBIBYTE
    with tempfile.TemporaryDirectory() as folder:
        chain, key = make_certificate(Path(folder))
        by_component, by_values = component_calls()
        table(
            "list<u8> into the guest",
            "MB/s",
            {
                "wasmtime-py's component API": into(by_component, MEBIBYTE // 2),
                "its C API, values by slices": into(by_values, 8 * MEBIBYTE),
                "canonical ABI (this package)": into(POOL.guest().call, count),
            },
        )
        table(
            "TLS 1.3 in memory, both ends in one process",
            "MB/s",
            {
                "wasmtime-py's component API": through_guest(by_component, chain, key, MEBIBYTE // 4),
                "canonical ABI (this package)": through_guest(POOL.guest().call, chain, key, count),
                "guest_tls.SSLObject": through_objects(guest_tls, chain, key, count),
                "ssl.SSLObject": through_objects(ssl, chain, key, count),
            },
        )
        table(
            "full handshakes, TLS 1.3, P-256, both ends",
            "a second",
            {"guest_tls": handshakes(guest_tls, chain, key, 100), "ssl": handshakes(ssl, chain, key, 300)},
        )


def table(title: str, unit: str, rows: dict[str, float]) -> None:
    """Prints one, each row with its ratio to the first."""
    first = next(iter(rows.values()))
    print(f"{title:45} {unit:>10}      ratio")
    for name, rate in rows.items():
        print(f"  {name:43} {rate:10.1f} {rate / first:9.1f}x")
    print()


def into(call: Call, count: int) -> float:
    """Gives bytes to setters, which only keep them."""
    options = [call(f"{CONTEXT}#[constructor]secure-context-options") for _ in range(-(-count // MEBIBYTE))]
    start = time.process_time()
    for one in options:
        for _ in range(min(count, MEBIBYTE) // len(PIECE)):
            call(f"{CONTEXT}#[method]secure-context-options.add-cert", one, PIECE)
    return count / (time.process_time() - start) / 1e6


def through_guest(call: Call, chain: Path, key: Path, count: int) -> float:
    """A connection by the functions of the interface alone."""

    def pair(is_server: bool) -> Any:
        options = call(f"{CONTEXT}#[constructor]secure-context-options")
        if is_server:
            call(f"{CONTEXT}#[method]secure-context-options.add-cert", options, chain.read_bytes())
            call(f"{CONTEXT}#[method]secure-context-options.add-key", options, key.read_bytes(), None)
        else:
            call(f"{CONTEXT}#[method]secure-context-options.add-ca", options, chain.read_bytes())
        context = call(f"{CONTEXT}#[static]secure-context.create", options)
        options = call(f"{PAIR}#[constructor]secure-pair-options")
        call(f"{PAIR}#[method]secure-pair-options.set-is-server", options, is_server)
        if not is_server:
            call(f"{PAIR}#[method]secure-pair-options.set-servername", options, NAME)
        call(f"{PAIR}#[method]secure-pair-options.set-buffer-limit", options, 1 << 18)
        return call(f"{PAIR}#[static]secure-pair.create", context, options)

    def carry(source: Any, target: Any) -> None:
        while data := call(f"{METHOD}.read-encrypted", source, len(PIECE)):
            while data:
                data = data[call(f"{METHOD}.write-encrypted", target, data) :]
                moved.append(drain(target))

    def drain(target: Any) -> int:
        found = 0
        while (answer := call(f"{METHOD}.read-cleartext", target, len(PIECE)))[0] == "data":
            found += len(answer[1])
        return found

    moved: list[int] = []
    client, server = pair(False), pair(True)
    for _ in range(3):
        carry(client, server)
        carry(server, client)
    if not call(f"{METHOD}.authorized", client):
        raise RuntimeError("the handshake has failed")
    moved.clear()
    start = time.process_time()
    while sum(moved) < count:
        call(f"{METHOD}.write-cleartext", client, PIECE)
        carry(client, server)
    return sum(moved) / (time.process_time() - start) / 1e6


def through_objects(module: ModuleType, chain: Path, key: Path, count: int) -> float:
    """A connection of a module with the shape of `ssl`."""
    client, server, incoming, outgoing = ends(module, *contexts(module, chain, key))
    moved = 0
    start = time.process_time()
    while moved < count:
        client.write(PIECE)
        incoming.write(outgoing.read())
        try:
            while True:
                moved += len(server.read(len(PIECE)))
        except ssl.SSLWantReadError:
            pass
    return moved / (time.process_time() - start) / 1e6


def handshakes(module: ModuleType, chain: Path, key: Path, count: int) -> float:
    """How many a second."""
    both = contexts(module, chain, key)
    ends(module, *both)
    start = time.process_time()
    for _ in range(count):
        ends(module, *both)
    return count / (time.process_time() - start)


def contexts(module: ModuleType, chain: Path, key: Path) -> tuple[Any, Any]:
    """A client's and a server's."""
    client = module.SSLContext(module.PROTOCOL_TLS_CLIENT)
    client.load_verify_locations(str(chain))
    server = module.SSLContext(module.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(str(chain), str(key))
    return client, server


def ends(module: ModuleType, client_context: Any, server_context: Any) -> tuple[Any, Any, Any, Any]:
    """A client and a server after the handshake, and the server's input and the client's output."""
    to_client, from_client, to_server, from_server = (module.MemoryBIO() for _ in range(4))
    client = client_context.wrap_bio(to_client, from_client, server_hostname=NAME)
    server = server_context.wrap_bio(to_server, from_server, server_side=True)
    waiting = [client, server]
    while waiting:
        for end in list(waiting):
            try:
                end.do_handshake()
                waiting.remove(end)
            except ssl.SSLWantReadError:
                pass
            to_server.write(from_client.read())
            to_client.write(from_server.read())
    return client, server, to_server, from_client


def component_calls() -> tuple[Call, Call]:
    """The functions of the interface by wasmtime-py's component API; and with lists that are built by its C API."""
    engine = wasmtime.Engine()
    store = wasmtime.Store(engine)
    store.set_wasi(wasmtime.WasiConfig())
    linker = component.Linker(engine)
    linker.add_wasip2()
    instance = linker.instantiate(store, component.Component(engine, _component.find().read_bytes()))

    def function(name: str) -> component.Func:
        interface, _, item = name.partition("#")
        index = instance.get_export_index(store, item, instance.get_export_index(store, f"guest:tls/{interface}@{VERSION}"))
        found = instance.get_func(store, index) if index else None
        if found is None:
            raise LookupError(name)
        return found

    functions: dict[str, component.Func] = {}

    def call(name: str, *values: Any) -> Any:
        if name not in functions:
            functions[name] = function(name)
        found = functions[name](store, *values)
        # `result` and `variant` are both of this kind; a result whose cases are of different classes is just its value.
        if isinstance(found, component.Variant):
            found = found.payload if found.tag in ("ok", "err") else (found.tag, found.payload)
        return (found.tag, found.payload) if isinstance(found, component.Variant) else found

    def call_with_values(name: str, *values: Any) -> Any:
        if len(values) != 2 or not isinstance(values[1], bytes):
            return call(name, *values)
        if name not in functions:
            functions[name] = function(name)
        params = (_ffi.wasmtime_component_val_t * 2)()
        params[0].kind = _ffi.WASMTIME_COMPONENT_RESOURCE.value
        params[0].of.resource = _ffi.wasmtime_component_resource_any_clone(values[0].ptr())
        params[1].kind = _ffi.WASMTIME_COMPONENT_LIST.value
        params[1].of.list = values_of(values[1])
        error = _ffi.wasmtime_component_func_call(ctypes.byref(functions[name]._func), store._context(), params, 2, None, 0)
        for param in params:
            _ffi.wasmtime_component_val_delete(ctypes.byref(param))
        if error:
            raise wasmtime.WasmtimeError._from_ptr(error)
        return None

    return call, call_with_values


def values_of(data: bytes) -> Any:
    """A list of the C API, a value of 32 bytes for each byte, filled by two strided copies."""
    made = _ffi.wasmtime_component_vallist_t()
    _ffi.wasmtime_component_vallist_new_uninit(made, len(data))
    size = ctypes.sizeof(_ffi.wasmtime_component_val_t)
    raw = (ctypes.c_char * (size * len(data))).from_address(ctypes.addressof(made.data.contents))
    view = memoryview(raw).cast("B")
    view[0::size] = bytes([_ffi.WASMTIME_COMPONENT_U8.value]) * len(data)
    view[_ffi.wasmtime_component_val_t.of.offset :: size] = data
    return made


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate that is its own authority, by OpenSSL's program."""
    chain, key = folder / "chain.pem", folder / "key.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -addext basicConstraints=critical,CA:FALSE"
    names = ["-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}", "-keyout", str(key), "-out", str(chain)]
    subprocess.run([*command.split(), *names], check=True, capture_output=True)
    return chain, key


NAME = "bench.test"
CONTEXT = "secure-context"
PAIR = "secure-pair"
METHOD = f"{PAIR}#[method]secure-pair"

if __name__ == "__main__":
    main()
