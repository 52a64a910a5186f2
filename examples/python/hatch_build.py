"""Puts the component into what is built: a wheel without it could be installed and would do nothing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

#: The variable that names the component's file, as for the package itself.
VARIABLE = "GUEST_TLS_COMPONENT"
#: Where it is in the package. What is there is not committed: a source archive has it.
INSIDE = "src/guest_tls/guest-tls.wasm"
# https://github.com/WebAssembly/component-model/blob/main/design/mvp/Binary.md: a component, not a core module.
HEADER = b"\0asm\x0d\0\x01\0"
#: The interface that the package speaks, as its `_contract.py` says.
INTERFACE = b"guest:tls/secure-pair@0.1.0"


class ComponentHook(BuildHookInterface):  # type: ignore[type-arg]
    """Adds the component's file to a wheel or a source archive."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Raises `RuntimeError` where there is no component: what is built without it does not work."""
        if version == "editable":
            # The package finds the component that was built last, in the checkout that it is in.
            return
        target = "guest_tls/guest-tls.wasm" if self.target_name == "wheel" else INSIDE
        build_data["force_include"][str(find(Path(self.root)))] = target


def find(root: Path) -> Path:
    """The component's file: the one that the variable names; else the checkout's; else the one in the package."""
    if named := os.environ.get(VARIABLE):
        # Before the build's folder, it was relative to where the build was begun, which nobody knows here.
        places = [Path(named)]
    else:
        places = [root.parent.parent / "target/components/guest-tls.wasm"] if (root.parent.parent / "Cargo.toml").is_file() else []
        places.append(root / INSIDE)
    for place in places:
        if place.is_file():
            return checked(place)
    raise RuntimeError(
        f"the component is in none of {', '.join(map(str, places))}. A wheel without it does not work: build it by `cargo xtask build` in the"
        f" checkout, or set {VARIABLE} to the absolute path of guest-tls.wasm, and build again"
    )


def checked(path: Path) -> Path:
    """The same where it is the component. `RuntimeError` else."""
    content = path.read_bytes()
    if not content.startswith(HEADER):
        raise RuntimeError(f"{path} is no WebAssembly component: it starts with {content[:8].hex()}, not {HEADER.hex()}")
    if INTERFACE not in content:
        raise RuntimeError(f"{path} is a component without the interface {INTERFACE.decode()}, which this package speaks")
    return path
