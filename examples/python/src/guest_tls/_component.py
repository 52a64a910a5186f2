"""The component's file, the core module in it, and its compiled form in the user's cache."""

from __future__ import annotations

import hashlib
import os
import stat
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Callable

import wasmtime

from ._canonical import GuestFault

#: The variable that names the component's file.
VARIABLE = "GUEST_TLS_COMPONENT"


def find() -> Path:
    """The file that `GUEST_TLS_COMPONENT` names; else the one in this package; else that of the checkout that this package is in.

    Raises `FileNotFoundError` where there is none.
    """
    if named := os.environ.get(VARIABLE):
        return Path(named)
    here = Path(__file__).resolve()
    places = [here.with_name("guest-tls.wasm"), *(parent / "target/components/guest-tls.wasm" for parent in here.parents[4:5])]
    for place in places:
        if place.is_file():
            return place
    raise FileNotFoundError(
        f"guest-tls.wasm is in none of {', '.join(map(str, places))}: build it by `cargo xtask build`, or set {VARIABLE} to its path"
    )


def load(engine: wasmtime.Engine, settings: str) -> wasmtime.Module:
    """The component's core module, compiled. `settings` says what the engine was told, since compiled code depends on it."""
    component = find().read_bytes()
    key = hashlib.sha256(f"{version('wasmtime')} {sys.platform} {settings}\0".encode() + component).hexdigest()
    path = cache() / f"{key}.cwasm"
    if (compiled := read_own(path)) is not None:
        try:
            return wasmtime.Module.deserialize(engine, compiled)
        except wasmtime.WasmtimeError:
            # Of another machine's processor, for example: it is compiled again.
            pass
    module = wasmtime.Module(engine, core_module(component))
    write_own(path, bytes(module.serialize()))
    return module


def core_module(component: bytes) -> bytes:
    """The largest core module of a component in binary format. The others are those by which a host's component implementation
    connects this one with its imports.

    Source: https://github.com/WebAssembly/component-model/blob/main/design/mvp/Binary.md
    """
    if component[:8] != COMPONENT_HEADER:
        raise GuestFault(f"{find()} is no WebAssembly component: it starts with {component[:8].hex()}, not {COMPONENT_HEADER.hex()}")
    modules = [b""]
    position = len(COMPONENT_HEADER)
    while position < len(component):
        section = component[position]
        length, start = leb128(component, position + 1)
        position = start + length
        if section == CORE_MODULE_SECTION:
            modules.append(component[start:position])
    return max(modules, key=len)


def cache() -> Path:
    """The folder with compiled code: `$XDG_CACHE_HOME/guest-tls/python-code`, where `XDG_CACHE_HOME` is `~/.cache` by default."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "guest-tls" / "python-code"


def read_own(path: Path) -> bytes | None:
    """The content of a file that nobody but this user can have written, or None. What is in it will run as this process does, so a
    link, a file of someone else's, and one in a folder that others can write to do not count.
    """
    try:
        if not is_own(os.lstat(path.parent), stat.S_ISDIR):
            return None
        with open(os.open(path, os.O_RDONLY | NO_FOLLOW), "rb") as file:
            return file.read() if is_own(os.fstat(file.fileno()), stat.S_ISREG) else None
    except OSError:
        return None


def write_own(path: Path, content: bytes) -> None:
    """Writes a file for `read_own`, whole or not at all. A cache that can't be written is no reason to fail."""
    temporary = None
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if is_own(os.lstat(path.parent), stat.S_ISDIR):
            # mkstemp makes a file that only this user can read and write.
            number, temporary = tempfile.mkstemp(dir=path.parent)
            with open(number, "wb") as file:
                file.write(content)
            os.replace(temporary, path)
    except OSError:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def is_own(status: os.stat_result, is_kind: Callable[[int], bool]) -> bool:
    """Whether it is of that kind, this user's, and not to be written by others."""
    if not is_kind(status.st_mode):
        return False
    if not hasattr(os, "getuid"):
        # Windows has no modes to look at; its cache folder is in the user's profile.
        return True
    return status.st_uid == os.getuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def leb128(data: bytes, position: int) -> tuple[int, int]:
    """An unsigned number in LEB128, and where it ends."""
    number = shift = 0
    while True:
        byte = data[position]
        position += 1
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return number, position


COMPONENT_HEADER = b"\0asm\x0d\0\x01\0"
CORE_MODULE_SECTION = 1
NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
