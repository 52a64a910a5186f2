"""A guest that was taken over: what it can make this process allocate, hold and nest. Each module here stands for the component's core
module, and does one thing that no honest guest does.
"""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest
import wasmtime

import guest_tls
from guest_tls import _canonical, _guest
from guest_tls._canonical import GuestFault
from guest_tls._contract import CERTIFICATE, VERSION

CERTIFICATE_ = f"guest:tls/certificate@{VERSION}"
PAIR = f"guest:tls/secure-pair@{VERSION}"
#: The guest's memory in bytes: as large as in the case that made 3.9 GiB of it.
MEMORY = 8 << 20
#: The budget of these tests, since what measures takes its time; and what this process may take for a result that is refused, in bytes.
LIMIT = 4 << 20
MOST = 2 * LIMIT


def hostile(*items: str, memory: int = MEMORY) -> _guest.Guest:
    """An instance of a module with these items, which has zeros in its memory."""
    text = f"""(module
      (import "wasi:clocks/monotonic-clock@0.2.6" "now" (func (result i64)))
      (import "[export]{PAIR}" "[resource-new]secure-pair" (func $new (param i32) (result i32)))
      (import "[export]{PAIR}" "[resource-drop]secure-pair" (func $drop (param i32)))
      (memory (export "memory") {memory >> 16})
      (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
      {" ".join(items)})"""
    config = wasmtime.Config()
    config.epoch_interruption = True
    engine = wasmtime.Engine(config)
    return _guest.Guest(wasmtime.Module(engine, wasmtime.wat2wasm(text)), engine)


def gives(name: str, address: int = 0) -> str:
    """A function that gives what is at an address."""
    return f'(func (export "{name}") (result i32) (i32.const {address}))'


def words(address: int, *values: int) -> str:
    """Numbers of 32 bits in its memory."""
    data = "".join(f"\\{byte:02x}" for value in values for byte in value.to_bytes(4, "little"))
    return f'(data (i32.const {address}) "{data}")'


def many(address: int, count: int, start: int, length: int) -> str:
    """The same list or text many times: they overlap."""
    return words(address, *[start, length] * count)


ROOTS, CHAIN = f"{CERTIFICATE_}#root-certificates", f"{PAIR}#[method]secure-pair.peer-certificates"
PARSE = f"{CERTIFICATE_}#parse"


@pytest.mark.parametrize(
    ("items", "name", "why"),
    [
        pytest.param(
            [gives(ROOTS), words(0, 16, 500), many(16, 500, 0, MEMORY)], ROOTS, "more than the 4 MiB", id="500 texts of all its memory"
        ),
        pytest.param([gives(ROOTS), words(0, 0, MEMORY // 8)], ROOTS, "more than the 4 MiB", id="a million empty texts"),
        pytest.param([gives(ROOTS), words(0, 64, 1)], ROOTS, None, id="one empty text"),
        pytest.param([gives(ROOTS), words(0, 0, 0xFFFF_FFFF)], ROOTS, "not in its memory", id="a list longer than its memory"),
        pytest.param([gives(ROOTS), words(0, 16, 1, 0, 0, 16, MEMORY)], ROOTS, "not in its memory", id="a text longer than its memory"),
        pytest.param([gives(ROOTS), words(0, 18, 1)], ROOTS, "no multiple of 4", id="a list at an odd address"),
        pytest.param(
            [gives(CHAIN).replace("(result", "(param i32) (result"), words(0, 64, (MEMORY - 64) // CERTIFICATE.size)],
            CHAIN,
            "more than the 4 MiB",
            id="a chain of 30,000 empty certificates",
        ),
        pytest.param(
            [
                gives(CHAIN).replace("(result", "(param i32) (result"),
                words(0, 4096, 20),
                *(words(4096 + index * CERTIFICATE.size, 1 << 16, 400_000) for index in range(20)),
            ],
            CHAIN,
            "more than the 4 MiB",
            id="a chain whose names overlap",
        ),
    ],
)
def test_a_result_takes_no_more_than_its_budget(items: list[str], name: str, why: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_guest, "RESULT_LIMIT", LIMIT)
    guest = hostile(*items)
    short = name.removeprefix("guest:tls/").replace(f"@{VERSION}", "")
    values = [_guest.Resource(guest, "secure-pair/secure-pair", 1)] if "[method]" in name else []
    tracemalloc.start()
    try:
        if why is None:
            assert guest.call(short, *values) == [""]
            return
        with pytest.raises(GuestFault, match=why):
            guest.call(short, *values)
        assert tracemalloc.get_traced_memory()[1] < MOST
    finally:
        tracemalloc.stop()
    assert not guest.is_usable
    # It is an error of TLS for who uses the package.
    from guest_tls._options import ask

    with pytest.raises(guest_tls.SSLError, match="sandbox stopped"):
        ask(guest, short, *values)


def test_the_budget_is_that_of_one_call() -> None:
    length = 6 << 20
    guest = hostile(gives(ROOTS), words(0, 16, 1, 0, 0, 64, length))
    for _ in range(3):
        (found,) = guest.call("certificate#root-certificates")
        assert len(found) == length


def test_a_guest_holds_no_more_handles_than_it_may() -> None:
    loop = "(loop $again (drop (call $new (i32.const 7))) (br $again))"
    guest = hostile(f'(func (export "{ROOTS}") (result i32) {loop} (unreachable))')
    with pytest.raises(GuestFault, match="holds 10000 resources"):
        guest.call("certificate#root-certificates")


def test_handles_are_used_again() -> None:
    guest = hostile()
    for _ in range(3):
        handles = [guest.add("secure-pair/secure-pair", number) for number in range(5)]
        assert sorted(handles) == [1, 2, 3, 4, 5]
        assert [guest.take(handle)[1] for handle in handles] == [0, 1, 2, 3, 4]


def test_destructors_that_call_each_other_end() -> None:
    """Each makes a resource and drops it, whose destructor does the same."""
    again = "(call $drop (call $new (i32.const 7)))"
    guest = hostile(
        f'(func (export "{PAIR}#[dtor]secure-pair") (param i32) {again})',
        f'(func (export "{ROOTS}") (result i32) {again} (i32.const 0))',
    )
    with pytest.raises((GuestFault, RecursionError)):
        guest.call("certificate#root-certificates")
    assert not guest.is_usable


def test_a_large_input_has_a_larger_budget() -> None:
    """So that no certificate that a program reads can end an instance by being long."""
    data = bytes(1 << 20)
    guest = hostile('(func (export "unused"))')
    guest._budget = 0
    guest.allocate(1, len(data))
    assert guest._budget == len(data) * _guest.RESULT_FACTOR


def test_what_peers_can_cause_is_far_below_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """The certificates that make most of few bytes, in a handshake's 64 KiB: an eighth of the budget is enough."""
    engine, module = _guest.POOL._module()
    monkeypatch.setattr(_guest, "RESULT_LIMIT", _guest.RESULT_LIMIT // 8)
    monkeypatch.setattr(_guest, "RESULT_FACTOR", 0)
    guest = _guest.Guest(module, engine)
    for certificate in expansive():
        assert len(certificate) > 50_000
        found: Any = guest.call("certificate#parse", certificate)
        assert not isinstance(found, _canonical.Failed), found.error.message


def expansive() -> list[bytes]:
    """Certificates of some 60 KiB that have as many names, and as much to quote, as they can."""
    import datetime

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding

    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.timezone.utc)

    def build(attributes: int, extension: Any = None) -> bytes:
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a")] * attributes)
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        builder = builder.not_valid_before(now).not_valid_after(now + datetime.timedelta(1))
        if extension is not None:
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)

    uri = x509.UniformResourceIdentifier
    access = x509.AccessDescription(x509.AuthorityInformationAccessOID.OCSP, uri("a"))
    return [
        build(2400),
        build(1, x509.SubjectAlternativeName([x509.DNSName("aaa")] * 12_000)),
        build(1, x509.SubjectAlternativeName([uri("a,\x01\x02")] * 9000)),
        build(1, x509.AuthorityInformationAccess([access] * 4000)),
    ]
