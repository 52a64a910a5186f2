"""What `python -m build` and `pip install` make of this folder, by the real programs. Nothing is fetched: the backend is in the environment
of the tests, pinned by hash as all of it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path
from typing import Any

import pytest
from conftest import Certificates

from guest_tls import _component

PROJECT = Path(__file__).resolve().parents[1]
INSIDE = "guest_tls/guest-tls.wasm"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the folder as it is committed, at its depth in a checkout that has built nothing."""
    copy = tmp_path / "checkout/examples/python"
    shutil.copytree(PROJECT, copy, ignore=shutil.ignore_patterns("__pycache__", ".*_cache", "dist", "*.wasm"))
    (tmp_path / "checkout/Cargo.toml").touch()
    return copy


def run(*command: Any, component: Path | None = None, **options: Any) -> subprocess.CompletedProcess[str]:
    """A program, which is told of this component by the variable, or of none."""
    environment = {name: value for name, value in os.environ.items() if name not in (_component.VARIABLE, "PYTHONPATH")}
    if component is not None:
        environment[_component.VARIABLE] = str(component)
    command = tuple(map(str, command))
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, **options)


def build(project: Path, *options: str, component: Path | None = None) -> subprocess.CompletedProcess[str]:
    return run(sys.executable, "-m", "build", "--no-isolation", *options, project, component=component)


def wheel_of(folder: Path) -> Path:
    (wheel,) = folder.glob("*.whl")
    return wheel


def component_in(wheel: Path) -> bytes:
    with zipfile.ZipFile(wheel) as archive:
        assert archive.namelist().count(INSIDE) == 1
        return archive.read(INSIDE)


def environment(folder: Path) -> Path:
    """A new virtual environment that sees what the tests' own one has, and its Python."""
    venv.create(folder)
    python = folder / "bin/python"
    packages = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").stdout.strip())
    (packages / "tests.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def pip(python: Path, *arguments: Any, component: Path | None = None) -> subprocess.CompletedProcess[str]:
    """pip for that environment, which fetches nothing."""
    install = ("install", "--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check")
    return run(sys.executable, "-m", "pip", "--python", python, *install, *arguments, component=component)


def connects(python: Path, pki: Certificates, folder: Path) -> None:
    """The installed package makes a connection, with the component that it brings."""
    program = f"""
import socket, sys, threading, guest_tls
from guest_tls import _component
assert {str(PROJECT)!r} not in _component.__file__ and _component.find().parent == __import__("pathlib").Path(guest_tls.__file__).parent
server = guest_tls.SSLContext(guest_tls.PROTOCOL_TLS_SERVER)
server.load_cert_chain(*{pki.server.files!r})
a, b = socket.socketpair()
threading.Thread(target=lambda: server.wrap_socket(b, server_side=True).sendall(b"hello")).start()
print(guest_tls.create_default_context(cafile={pki.ca.file!r}).wrap_socket(a, server_hostname="server.test").recv(5).decode())
"""
    found = run(python, "-c", program, cwd=folder)
    assert found.stdout == "hello\n", found.stderr


@pytest.mark.parametrize("what", [["--wheel"], []], ids=["a wheel", "a source archive and a wheel"])
def test_nothing_is_built_without_the_component(project: Path, what: list[str]) -> None:
    found = build(project, *what)
    assert found.returncode != 0
    said = found.stdout + found.stderr
    for words in (f"{project.parents[1]}/target/components/guest-tls.wasm", "cargo xtask build", _component.VARIABLE):
        assert words in said
    assert not list(project.glob("dist/*"))


def test_pip_installs_nothing_without_the_component(project: Path, tmp_path: Path) -> None:
    python = environment(tmp_path / "environment")
    found = pip(python, project)
    assert found.returncode != 0
    assert "cargo xtask build" in found.stdout + found.stderr
    assert run(python, "-c", "import guest_tls", cwd=tmp_path).returncode != 0


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "is in none of"),
        (b"\0asm\x01\0\0\0", "is no WebAssembly component"),
        (b"\0asm\x0d\0\x01\0" + b"other:tls/secure-pair@0.1.0", "without the interface guest:tls/secure-pair@0.1.0"),
    ],
    ids=["no file", "a core module", "another component"],
)
def test_a_file_that_is_not_the_component_is_refused(project: Path, tmp_path: Path, content: bytes | None, why: str) -> None:
    named = tmp_path / "named.wasm"
    if content is not None:
        named.write_bytes(content)
    found = build(project, "--wheel", component=named)
    assert found.returncode != 0
    assert why in found.stdout + found.stderr


def test_a_wheel_by_way_of_a_source_archive_has_the_component(project: Path, pki: Certificates, tmp_path: Path) -> None:
    """`python -m build` makes the wheel of the archive, outside the checkout and without the variable."""
    component = _component.find()
    built = project.parents[1] / "target/components/guest-tls.wasm"
    built.parent.mkdir(parents=True)
    shutil.copy(component, built)
    # What an older instruction left in the package is not what is packed.
    (project / "src" / INSIDE).write_bytes(b"old")
    found = build(project)
    assert found.returncode == 0, found.stdout + found.stderr
    assert component_in(wheel_of(project / "dist")) == component.read_bytes()
    (archive,) = (project / "dist").glob("*.tar.gz")
    with tarfile.open(archive) as files:
        assert sum(name.endswith("guest-tls.wasm") for name in files.getnames()) == 1
        files.extractall(tmp_path / "elsewhere")
    (source,) = (tmp_path / "elsewhere").iterdir()
    found = build(source, "--wheel")
    assert found.returncode == 0, found.stdout + found.stderr
    assert component_in(wheel_of(source / "dist")) == component.read_bytes()
    python = environment(tmp_path / "environment")
    found = pip(python, wheel_of(source / "dist"))
    assert found.returncode == 0, found.stderr
    connects(python, pki, tmp_path)


def test_pip_installs_a_checkout_with_the_component_that_is_named(project: Path, pki: Certificates, tmp_path: Path) -> None:
    python = environment(tmp_path / "environment")
    found = pip(python, project, component=_component.find().resolve())
    assert found.returncode == 0, found.stderr
    connects(python, pki, tmp_path)


def test_an_editable_installation_needs_no_component_yet(project: Path, tmp_path: Path) -> None:
    """It finds the one that is built later."""
    python = environment(tmp_path / "environment")
    found = pip(python, "--editable", project)
    assert found.returncode == 0, found.stderr
    built = project.parents[1] / "target/components/guest-tls.wasm"
    built.parent.mkdir(parents=True)
    built.touch()
    found = run(python, "-c", "import guest_tls._component as c; print(c.find())", cwd=tmp_path)
    assert found.stdout.strip() == str(built), found.stderr
