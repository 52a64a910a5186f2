"""What stands between this process and the guest: the cache of compiled code, the imports, the limits, the checks of what the guest
gives.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import os
import socket
import ssl
import stat
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import wasmtime
from conftest import Certificates, attempt, client_context, receive, server_context, succeed
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

import guest_tls
from guest_tls import _call, _canonical, _component, _guest
from guest_tls._canonical import GuestFault


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(guest_tls.SSLContext, ssl.SSLContext), (guest_tls.SSLSocket, ssl.SSLSocket), (guest_tls.SSLObject, ssl.SSLObject)],
)
def test_nothing_reaches_the_base(ours: type, theirs: type) -> None:
    """Each public name of the base class is defined anew: what is inherited would speak to an OpenSSL that does nothing."""
    own = {name for base in ours.__mro__[: ours.__mro__.index(theirs)] for name in vars(base)}
    stop = ours.__mro__.index(theirs)
    inherited = {
        name
        for base in ours.__mro__[stop : stop + 2]
        if base.__module__ in ("ssl", "_ssl")
        for name in vars(base)
        if not name.startswith("_")
    }
    assert len(inherited) > 8
    assert inherited <= own


def test_host_tls_is_never_used(pki: Certificates) -> None:
    """A whole connection without OpenSSL: the standard `ssl`'s own connections are made impossible."""
    code = f"""
import ssl, _ssl, sys, threading, socket
class Refusing:
    def __get__(self, instance, owner): raise AssertionError("OpenSSL was asked")
for name in ("_wrap_socket", "_wrap_bio"):
    setattr(ssl.SSLContext, name, Refusing())
sys.path[:0] = {[str(Path(__file__).parent), str(Path(guest_tls.__file__).parents[1])]!r}
import guest_tls
server = guest_tls.SSLContext(guest_tls.PROTOCOL_TLS_SERVER)
server.load_cert_chain(*{pki.server.files!r})
client = guest_tls.create_default_context(cafile={pki.ca.file!r})
a, b = socket.socketpair()
thread = threading.Thread(target=lambda: server.wrap_socket(b, server_side=True).sendall(b"hello"))
thread.start()
print(client.wrap_socket(a, server_hostname="server.test").recv(5).decode())
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert found.stdout == "hello\n", found.stderr


def test_imports_are_those_of_the_contract() -> None:
    module = wasmtime.Module(wasmtime.Engine(), _component.core_module(_component.find().read_bytes()))
    interfaces = {item.module.partition("@")[0] for item in module.imports if not item.module.startswith("[export]guest:tls/")}
    allowed = {"wasi:io/error", "wasi:io/poll", "wasi:io/streams", "wasi:clocks/monotonic-clock", "wasi:clocks/wall-clock"}
    assert interfaces <= allowed | {"wasi:random/random", "wasi:random/insecure-seed"}


def test_streams_are_refused() -> None:
    imports = _guest.Imports(_guest.POOL.guest())
    for interface, name in (("wasi:io/streams", "[method]input-stream.read"), ("wasi:sockets/tcp", "create-tcp-socket")):
        with pytest.raises(GuestFault, match="which it is not given"):
            imports._function(interface, name)(0)


def test_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a regular file of this user's, which nobody else can write, in such a folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    path = _component.cache() / "code"
    assert _component.read_own(path) is None
    _component.write_own(path, b"code")
    assert _component.read_own(path) == b"code"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert os.listdir(path.parent) == ["code"]

    path.chmod(0o620)
    assert _component.read_own(path) is None
    path.chmod(0o600)
    path.parent.chmod(0o770)
    assert _component.read_own(path) is None
    # Nor is anything written there.
    path.unlink()
    _component.write_own(path, b"code")
    assert not path.exists()
    path.parent.chmod(0o700)

    target = tmp_path / "elsewhere"
    target.write_bytes(b"other code")
    path.symlink_to(target)
    assert _component.read_own(path) is None
    path.unlink()
    if os.getuid() == 0:
        path.write_bytes(b"code")
        path.chmod(0o600)
        os.chown(path, 12345, 12345)
        assert _component.read_own(path) is None


def test_damaged_code_is_compiled_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(_component, "core_module", lambda component: wasmtime.wat2wasm("(module)"))
    engine = wasmtime.Engine()
    _component.load(engine, "test")
    (path,) = _component.cache().iterdir()
    good = path.read_bytes()
    path.write_bytes(b"not code")
    _component.load(engine, "test")
    assert path.read_bytes() == good


def test_where_the_component_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(_component.VARIABLE, "/somewhere/guest-tls.wasm")
    assert _component.find() == Path("/somewhere/guest-tls.wasm")
    monkeypatch.delenv(_component.VARIABLE)
    monkeypatch.setattr(_component, "__file__", str(tmp_path / "a/b/c/d/e/_component.py"))
    with pytest.raises(FileNotFoundError, match="cargo xtask build"):
        _component.find()
    built = tmp_path / "a/target/components/guest-tls.wasm"
    built.parent.mkdir(parents=True)
    built.touch()
    assert _component.find() == built
    inside = tmp_path / "a/b/c/d/e/guest-tls.wasm"
    inside.parent.mkdir(parents=True)
    inside.touch()
    assert _component.find() == inside


def test_what_is_no_component() -> None:
    with pytest.raises(GuestFault, match="is no WebAssembly component"):
        _component.core_module(wasmtime.wat2wasm("(module)"))


class Memory:
    """A guest of 100 bytes, for what no honest guest gives."""

    def __init__(self, content: bytes) -> None:
        import ctypes

        self.buffer = ctypes.create_string_buffer(content.ljust(100, b"\0"), 100)
        self.start = ctypes.addressof(self.buffer)

    def bounds(self, address: int, length: int) -> int:
        if address + length > 100:
            raise GuestFault("outside")
        return self.start + address

    def charge(self, size: int) -> None:
        pass


@pytest.mark.parametrize(
    ("type", "content"),
    [
        (_canonical.BYTES, struct.pack("<II", 8, 93)),
        (_canonical.BYTES, struct.pack("<II", 0xFFFF_FFFF, 0xFFFF_FFFF)),
        (_canonical.List(_canonical.U64), struct.pack("<II", 0, 0x2000_0001)),
        (_canonical.STRING, struct.pack("<II", 8, 2) + b"\xff\xfe"),
        (_canonical.Enum("a", "b"), b"\x02"),
        (_canonical.Variant(a=None, b=_canonical.U32), b"\x02"),
        (_canonical.Option(_canonical.BYTES), struct.pack("<III", 1, 99, 2)),
        (_canonical.Result(None, _canonical.STRING), struct.pack("<III", 7, 0, 0)),
    ],
)
def test_what_no_honest_guest_gives(type: _canonical.Type, content: bytes) -> None:
    with pytest.raises(GuestFault):
        type.load(Memory(content), 0)  # type: ignore[arg-type]


def test_bounds_and_handles_of_a_guest() -> None:
    guest = fresh_guest()
    size = guest._memory.data_len(guest._store)
    guest.bounds(size, 0)
    guest.bounds(size - 1, 1)
    for address, length in ((size, 1), (size - 1, 2), (0xFFFF_FFFF, 0xFFFF_FFFF), (-1, 1)):
        with pytest.raises(GuestFault, match="not in its memory"):
            guest.bounds(address, length)
    handle = guest.add("secure-pair/secure-pair", 7)
    with pytest.raises(GuestFault, match="where it has to give"):
        guest.resource("secure-context/secure-context", handle)
    for method in (guest.look, guest.take):
        with pytest.raises(GuestFault, match="does not have"):
            method(handle)


def test_a_guest_that_stops(pki: Certificates, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its connections end by an error, and the next ones get another instance."""
    pool = _guest.Pool()
    pool._compiled = _guest.POOL._module()
    monkeypatch.setattr("guest_tls._connection.POOL", pool)
    context = client_context(guest_tls, pki)
    connection = context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="server.test")
    first = pool.guest()

    # Randomness that fails, in the middle of a call: a client asks for it when its handshake begins.
    monkeypatch.setattr(_guest.os, "urandom", broken)
    with pytest.raises(OSError, match="no randomness"):
        context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="server.test").do_handshake()
    monkeypatch.undo()
    monkeypatch.setattr("guest_tls._connection.POOL", pool)
    assert not first.is_usable
    with pytest.raises(ssl.SSLError, match="sandbox stopped") as caught:
        connection.do_handshake()
    assert caught.value.reason == "INTERNAL_ERROR"
    assert pool.guest() is not first
    succeed(context, server_context(ssl, pki.server))


def broken(count: int) -> bytes:
    raise OSError("no randomness")


def test_a_call_that_does_not_end() -> None:
    """The limit on time is that of the store: here for a guest that does nothing else."""
    config = wasmtime.Config()
    config.epoch_interruption = True
    engine = wasmtime.Engine(config)
    module = wasmtime.Module(engine, wasmtime.wat2wasm('(module (func (export "run") (loop br 0)))'))
    store = wasmtime.Store(engine)
    store.set_epoch_deadline(1)
    run = _call.caller(store, wasmtime.Instance(store, module, []).exports(store)["run"])  # type: ignore[arg-type]
    _guest.tick(engine)
    with pytest.raises((wasmtime.Trap, wasmtime.WasmtimeError), match="interrupt"):
        run()


def test_memory_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_guest, "MEMORY_LIMIT", 16 << 20)
    guest = fresh_guest()
    with pytest.raises(GuestFault):
        guest.call("certificate#parse", bytes(32 << 20))
    assert not guest.is_usable


def test_a_wrong_argument_does_no_harm() -> None:
    guest = fresh_guest()
    options = guest.call("secure-context#[constructor]secure-context-options")
    for value in (1, None, "\ud800"):
        with pytest.raises((TypeError, ValueError, AttributeError)):
            guest.call("secure-context#[method]secure-context-options.set-ciphers", options, value)
    guest.call("secure-context#[static]secure-context.create", options)
    with pytest.raises(ValueError, match="given away"):
        guest.call("secure-context#[static]secure-context.create", options)
    assert guest.is_usable


def test_memory_is_given_back(pki: Certificates) -> None:
    """A thousand connections one after another take no more than ten."""
    guest = _guest.POOL.guest()
    context = client_context(guest_tls, pki)

    def connect(count: int) -> int:
        for _ in range(count):
            connection = context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="server.test")
            with pytest.raises(ssl.SSLWantReadError):
                connection.do_handshake()
        gc.collect()
        return guest._memory.data_len(guest._store)

    before = connect(10)
    assert connect(1000) <= before + (1 << 20)
    assert len(guest.connections) < 5


def test_the_guest_is_not_slowed_by_openssl(pki: Certificates) -> None:
    """OpenSSL's ChaCha20 leaves vector registers in a state in which the guest was 40 times slower on that thread."""

    def end(module: Any, side: str) -> tuple[Any, ssl.MemoryBIO, ssl.MemoryBIO]:
        context = client_context(module, pki) if side == "client" else server_context(module, pki.server)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        options = {"server_hostname": "server.test"} if side == "client" else {"server_side": True}
        return context.wrap_bio(incoming, outgoing, **options), incoming, outgoing

    def pair(module: Any) -> tuple[Any, Any]:
        """The guest as server, which chooses ChaCha20 with every client."""
        client, server = end(module, "client"), end(guest_tls, "server")
        for _ in range(3):
            for connection, _, _ in (client, server):
                with contextlib.suppress(ssl.SSLWantReadError):
                    connection.do_handshake()
                client[1].write(server[2].read())
                server[1].write(client[2].read())
        assert client[0].cipher()[0] == "TLS_CHACHA20_POLY1305_SHA256"
        return client, server

    (client, server), (other, _) = pair(guest_tls), pair(ssl)

    def dirty() -> None:
        other[0].write(bytes(1 << 14))
        other[2].read()

    def clean() -> None:
        # By AVX2, and it puts them in order.
        hashlib.sha512(b"").digest()

    def seconds(before: Any) -> float:
        """What a record takes from ours to ours after that: the quickest of a few."""
        found = []
        for _ in range(20):
            before()
            start = time.thread_time()
            client[0].write(bytes(1 << 14))
            server[1].write(client[2].read())
            assert len(server[0].read(1 << 14)) == 1 << 14
            found.append(time.thread_time() - start)
        return min(found)

    assert seconds(dirty) < 5 * seconds(clean)


def test_several_instances(pki: Certificates, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pool of two shares the tickets' keys: a session of one is resumed in the other."""
    pool = _guest.Pool(2)
    pool._compiled = _guest.POOL._module()
    monkeypatch.setattr("guest_tls._connection.POOL", pool)
    context = server_context(guest_tls, pki.server)
    held = [
        context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_side=True),
        context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_side=True),
    ]
    assert len({id(connection._connection._guest) for connection in held if connection._connection}) == 2
    client, session = client_context(ssl, pki), None
    used, reused = set(), []

    def serve(connection: Any) -> None:
        used.add(id(connection._connection._guest))
        connection.sendall(b"!")

    for number in range(2):
        outcome = succeed(client, context, lambda tls: (receive(tls, 1), tls.session, tls.session_reused)[1:], serve, session=session)
        session, was_reused = outcome.client
        reused.append(was_reused)
        # The next one goes to the other instance.
        del held[number:]
        gc.collect()
        held += [context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_side=True) for _ in range(2 - number)]
    assert reused == [False, True]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_fork(pki: Certificates) -> None:
    """A child makes connections of its own, in an instance of its own."""
    before = _guest.POOL.guest()
    context = client_context(guest_tls, pki)
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        status = 1
        try:
            outcome = succeed(context, server_context(ssl, pki.server), lambda connection: connection.version())
            assert _guest.POOL.guest() is not before
            os.write(writer, str(outcome.client).encode())
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    assert status == 0
    assert os.read(reader, 100) == b"TLSv1.3"
    succeed(context, server_context(ssl, pki.server))


def test_key_log_file_is_private(pki: Certificates, tmp_path: Path) -> None:
    context = client_context(guest_tls, pki)
    context.keylog_filename = tmp_path / "keys"
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "act",
    [
        lambda context: context.load_dh_params("file"),
        lambda context: context.set_npn_protocols(["h2"]),
        lambda context: context.set_psk_client_callback(print),
        lambda context: context.set_psk_server_callback(print),
        lambda context: setattr(context, "post_handshake_auth", True),
        lambda context: setattr(context, "num_tickets", 1),
        lambda context: setattr(context, "hostname_checks_common_name", True),
    ],
)
def test_what_can_not_be(act: Any) -> None:
    with pytest.raises(NotImplementedError, match=r"\w+ \w+ \w+"):
        act(guest_tls.SSLContext(guest_tls.PROTOCOL_TLS_SERVER))


@pytest.mark.parametrize("version", [ssl.TLSVersion.SSLv3, ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_old_versions(version: ssl.TLSVersion) -> None:
    context = guest_tls.SSLContext(guest_tls.PROTOCOL_TLS_CLIENT)
    for name in ("minimum_version", "maximum_version"):
        with pytest.raises(ValueError, match="RFC 8996"):
            setattr(context, name, version)
    with pytest.raises(ValueError, match="RFC 8996"):
        guest_tls.SSLContext(ssl.PROTOCOL_TLSv1_1)


def test_no_authorities_are_not_mozillas(pki: Certificates) -> None:
    """The guest trusts Mozilla's roots where it is given none, and `ssl` trusts nobody: so it is always given some."""

    def given(context: guest_tls.SSLContext) -> bytes:
        found: dict[str, Any] = {}
        context._give_policy(lambda name, value: found.update({name: value}))
        return bytes(found["add-ca"])

    context = guest_tls.SSLContext(guest_tls.PROTOCOL_TLS_CLIENT)
    nobody = x509.load_pem_x509_certificate(given(context))
    # No anchor, since someone else issued it; and nothing can be under it, since it is no authority.
    assert nobody.subject != nobody.issuer
    assert len(nobody.extensions) == 0
    context.load_verify_locations(pki.ca.file)
    assert x509.load_pem_x509_certificate(given(context)) == pki.ca.certificate


def test_post_quantum_key_exchange(pki: Certificates) -> None:
    outcome = succeed(client_context(guest_tls, pki), server_context(guest_tls, pki.server), lambda connection: connection.group())
    assert outcome.client == "X25519MLKEM768"


def test_no_application_protocol_in_common(pki: Certificates) -> None:
    """RFC 7301 section 3.2, where `ssl`'s servers go on without."""
    from conftest import meet

    client, server = client_context(ssl, pki), server_context(guest_tls, pki.server)
    client.set_alpn_protocols(["h2"])
    server.set_alpn_protocols(["http/1.1"])
    outcome = meet(client, server)
    assert "alert no application protocol" in str(outcome.client)
    assert outcome.server.reason == "NO_APPLICATION_PROTOCOL"


def test_chains(pki: Certificates) -> None:
    outcome = succeed(
        client_context(guest_tls, pki),
        server_context(ssl, pki.server),
        lambda connection: (connection.get_unverified_chain(), connection.get_verified_chain()),
    )
    leaf, anchor = (certificate.public_bytes(Encoding.DER) for certificate in (pki.server.certificate, pki.ca.certificate))
    assert outcome.client == ([leaf], [leaf, anchor])


def test_half_close(pki: Certificates) -> None:
    """Our side ends, and the peer's goes on (RFC 8446 section 6.1)."""

    def visit(connection: Any) -> bytes:
        connection.sendall(b"question")
        connection.close_notify()
        return receive(connection, 6)

    def serve(connection: Any) -> bytes:
        question: bytes = receive(connection, 100)
        connection.sendall(b"answer")
        return question

    outcome = succeed(client_context(guest_tls, pki), server_context(guest_tls, pki.server), visit, serve)
    assert (outcome.client, outcome.server) == (b"answer", b"question")


def test_nothing_is_sent_in_the_clear_by_a_thread_that_was_sending(pki: Certificates) -> None:
    """One thread is in `sendall` when another ends TLS: the rest is not sent, where `ssl` would send it in the clear."""
    ours, theirs = socket.socketpair()
    failures: list[BaseException] = []

    def serve() -> None:
        with server_context(guest_tls, pki.server).wrap_socket(theirs, server_side=True) as connection:
            with contextlib.suppress(ssl.SSLError):
                while connection.recv(1 << 16):
                    pass
            plain = connection.unwrap()
            plain.settimeout(0.5)
            with contextlib.suppress(TimeoutError):
                failures.append(AssertionError(f"in the clear: {plain.recv(100)!r}"))

    thread = threading.Thread(target=serve)
    thread.start()
    connection = client_context(guest_tls, pki).wrap_socket(ours, server_hostname="server.test")

    outcomes: list[Any] = []
    sender = threading.Thread(target=lambda: outcomes.append(attempt(lambda: connection.sendall(bytes(64 << 20)))))
    sender.start()
    time.sleep(0.05)
    plain = connection.unwrap()
    sender.join(30)
    thread.join(30)
    assert not sender.is_alive() and not thread.is_alive()
    plain.close()
    assert not failures, failures
    assert isinstance(outcomes[0], ssl.SSLError), outcomes


def test_a_self_signed_server_that_is_trusted(pki: Certificates) -> None:
    from test_shape import self_signed

    identity = self_signed(pki)
    context = guest_tls.create_default_context(cafile=identity.chain)
    succeed(context, server_context(ssl, identity), server_hostname="alone.test")


def fresh_guest() -> _guest.Guest:
    """An instance that no other test uses."""
    engine, module = _guest.POOL._module()
    return _guest.Guest(module, engine)
