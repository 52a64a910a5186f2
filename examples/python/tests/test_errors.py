"""What a context says where it is given something wrong, and what it has by default: as `ssl`, by type, `errno`, `library` and `reason`."""

from __future__ import annotations

import ssl
from pathlib import Path
from types import ModuleType
from typing import Any, Callable

import pytest
from conftest import Certificates, Identity
from test_traces import told

import guest_tls
from guest_tls import _ciphers
from guest_tls._guest import POOL
from guest_tls._options import ask

Act = Callable[[Any, "Files"], Any]


class Files:
    """Good files, and bad ones."""

    def __init__(self, pki: Certificates, folder: Path) -> None:
        self.server, self.client, self.folder = pki.server, pki.client, str(folder)
        self.secret: Identity = pki.ca.issue("secret.test", names=("secret.test",), password=b"pass")
        self.empty = self._file("empty", b"")
        self.junk = self._file("junk", b"\0junk")
        self.no_base64 = self._file("no-base64", b"-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n")
        self.no_der = self._file("no-der", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")

    def _file(self, name: str, content: bytes) -> str:
        path = Path(self.folder) / name
        path.write_bytes(content)
        return str(path)


def wrap(context: Any, **options: Any) -> Any:
    return context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), **options).server_hostname


ROWS: dict[str, Act] = {
    "a key of another certificate": lambda c, f: c.load_cert_chain(f.server.chain, f.client.key_file),
    "no key": lambda c, f: c.load_cert_chain(f.server.chain),
    "no certificate": lambda c, f: c.load_cert_chain(f.server.key_file),
    "an empty certificate": lambda c, f: c.load_cert_chain(f.empty, f.server.key_file),
    "junk for a certificate": lambda c, f: c.load_cert_chain(f.junk, f.server.key_file),
    "a certificate without base64": lambda c, f: c.load_cert_chain(f.no_base64, f.server.key_file),
    "a certificate without DER": lambda c, f: c.load_cert_chain(f.no_der, f.server.key_file),
    "junk for a key": lambda c, f: c.load_cert_chain(f.server.chain, f.junk),
    "a wrong password": lambda c, f: c.load_cert_chain(*f.secret.files, password="wrong"),
    "a number for a password": lambda c, f: c.load_cert_chain(*f.secret.files, password=1),
    "a number by a callback": lambda c, f: c.load_cert_chain(*f.secret.files, password=lambda: 1),
    "no password by a callback": lambda c, f: c.load_cert_chain(*f.secret.files, password=lambda: None),
    "a callback that raises": lambda c, f: c.load_cert_chain(*f.secret.files, password=lambda: 1 / 0),
    "a password of 2000 letters": lambda c, f: c.load_cert_chain(*f.secret.files, password="x" * 2000),
    "no such certificate": lambda c, f: c.load_cert_chain("/does/not/exist"),
    "no such key": lambda c, f: c.load_cert_chain(f.server.chain, "/does/not/exist"),
    "a folder for a certificate": lambda c, f: c.load_cert_chain(f.folder),
    "a key for an authority": lambda c, f: c.load_verify_locations(f.server.key_file),
    "an empty file of authorities": lambda c, f: c.load_verify_locations(f.empty),
    "an authority without base64": lambda c, f: c.load_verify_locations(f.no_base64),
    "an authority without DER": lambda c, f: c.load_verify_locations(f.no_der),
    "no such file of authorities": lambda c, f: c.load_verify_locations("/does/not/exist"),
    "no such folder of authorities": lambda c, f: c.load_verify_locations(capath="/does/not/exist"),
    "a number for a file": lambda c, f: c.load_verify_locations(cafile=3.5),
    "no authorities named": lambda c, f: c.load_verify_locations(),
    "text that is no authority": lambda c, f: c.load_verify_locations(cadata="nothing"),
    "text without base64": lambda c, f: c.load_verify_locations(cadata=Path(f.no_base64).read_text()),
    "no text": lambda c, f: c.load_verify_locations(cadata=""),
    "bytes that are no authority": lambda c, f: c.load_verify_locations(cadata=b"nothing"),
    "no bytes": lambda c, f: c.load_verify_locations(cadata=b""),
    "text that is not ASCII": lambda c, f: c.load_verify_locations(cadata="\u1234"),
    "a number for data": lambda c, f: c.load_verify_locations(cadata=1),
    "no list of ciphers": lambda c, f: c.set_ciphers(None),
    "no such curve": lambda c, f: c.set_ecdh_curve("nonsense"),
    "a curve in bytes": lambda c, f: c.set_ecdh_curve(b"prime256v1"),
    "a protocol of 256 letters": lambda c, f: c.set_alpn_protocols(["x" * 256]),
    "an empty protocol": lambda c, f: c.set_alpn_protocols([""]),
    "no protocols": lambda c, f: c.set_alpn_protocols([]),
    "a protocol in bytes": lambda c, f: c.set_alpn_protocols([b"x"]),
    "a protocol that is not ASCII": lambda c, f: c.set_alpn_protocols(["\u1234"]),
    "a folder for keys": lambda c, f: setattr(c, "keylog_filename", f.folder),
    "no such version": lambda c, f: setattr(c, "minimum_version", 12345),
    "no such mode": lambda c, f: setattr(c, "verify_mode", 9),
    "an empty name": lambda c, f: wrap(c, server_hostname=""),
    "a name that begins with a dot": lambda c, f: wrap(c, server_hostname=".example.org"),
    "a name with a null byte": lambda c, f: wrap(c, server_hostname="a\0b"),
    "a name of 300 letters": lambda c, f: wrap(c, server_hostname="a" * 300 + ".test"),
    "a name that is not ASCII": lambda c, f: wrap(c, server_hostname="b\u00fccher.test"),
    "a name with upper letters": lambda c, f: wrap(c, server_hostname="Server.Test"),
    "a name with an underscore": lambda c, f: wrap(c, server_hostname="a_b.test"),
    "a name in bytes": lambda c, f: wrap(c, server_hostname=b"a.test"),
    "a context of the other side": lambda c, f: wrap(c, server_side=c.protocol == ssl.PROTOCOL_TLS_CLIENT),
    "no buffers": lambda c, f: c.wrap_bio(1, 2, server_hostname="a.test"),
    "options": lambda c, f: c.options,
    "verify_flags": lambda c, f: c.verify_flags,
    "verify_mode": lambda c, f: (c.verify_mode, c.check_hostname),
    "versions": lambda c, f: (c.minimum_version, c.maximum_version),
    "security_level": lambda c, f: c.security_level,
    "num_tickets": lambda c, f: c.num_tickets,
    "callbacks": lambda c, f: (c.sni_callback, c.keylog_filename),
    "session_stats": lambda c, f: c.session_stats(),
    "cert_store_stats": lambda c, f: c.cert_store_stats(),
}


@pytest.mark.parametrize("protocol", [ssl.PROTOCOL_TLS_CLIENT, ssl.PROTOCOL_TLS_SERVER], ids=lambda protocol: protocol.name)
def test_a_context_says_what_ssl_says(pki: Certificates, tmp_path: Path, protocol: int) -> None:
    files = Files(pki, tmp_path)

    def said(module: ModuleType) -> dict[str, Any]:
        return {name: told(lambda: act(module.SSLContext(protocol), files)) for name, act in ROWS.items()}

    assert said(guest_tls) == said(ssl)


def test_a_file_that_is_not_read_says_more_than_openssl(pki: Certificates, tmp_path: Path) -> None:
    """The message goes on where OpenSSL's ends, and `code` is a word."""
    files = Files(pki, tmp_path)
    context = guest_tls.SSLContext(guest_tls.PROTOCOL_TLS_SERVER)
    for act, code, words in (
        (ROWS["a wrong password"], "ERR_OSSL_BAD_DECRYPT", "PEM lib: The private key can't be decrypted"),
        (ROWS["no key"], "ERR_TLS_INVALID_KEY", "PEM lib: The file has no private key"),
        (ROWS["text that is no authority"], "NO_START_LINE", "no start line: cadata does not contain a certificate"),
    ):
        with pytest.raises(ssl.SSLError) as caught:
            act(context, files)
        assert caught.value.code == code  # type: ignore[attr-defined]
        assert words in str(caught.value)


@pytest.mark.parametrize(
    "list_", [None, "ECDHE+AESGCM", "ECDHE-RSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE+CHACHA20:!aRSA"]
)
def test_ciphers_are_described_as_ssl_does(list_: str | None) -> None:
    """Each suite word for word; and of those of TLS 1.2 that a list names, the same, in the same order."""
    found = {}
    for module in (guest_tls, ssl):
        context = module.SSLContext(module.PROTOCOL_TLS_CLIENT)
        if list_ is not None:
            context.set_ciphers(list_)
        found[module] = context.get_ciphers()
    theirs = {suite["id"]: suite for suite in found[ssl]}
    assert len(found[guest_tls]) >= 2
    for suite in found[guest_tls]:
        assert suite == theirs[suite["id"]]
    if list_ is not None:
        old = [[suite["name"] for suite in suites if suite["protocol"] == "TLSv1.2"] for suites in found.values()]
        # OpenSSL also has CCM, whose words are AESCCM.
        assert old[0] == [name for name in old[1] if name in _ciphers.NAMES.values()]


def test_every_suite_of_the_guest_is_known() -> None:
    names = {name.upper() for name in ask(POOL.guest(), "secure-context#ciphers")}
    assert names == set(_ciphers.NAMES.values())
    context = guest_tls.SSLContext(guest_tls.PROTOCOL_TLS_CLIENT)
    assert {suite["name"] for suite in context.get_ciphers()} == names
