"""Whom a context trusts: its authorities, and the lists of what they have revoked."""

from __future__ import annotations

import ssl
from typing import Any, Iterable, Union

from . import _certificates, _errors
from ._canonical import Failed
from ._guest import POOL
from ._options import ask


class Anchors:
    """Authorities in PEM, each once and in one form, and revocation lists."""

    def __init__(self) -> None:
        self._anchors: dict[bytes, None] = {}
        self.crls: list[bytes] = []

    def __len__(self) -> int:
        return len(self._anchors)

    @property
    def pem(self) -> bytes:
        """All of them; where there are none, one that nobody is under. For without any, the guest would trust Mozilla's roots, where
        `ssl` trusts nobody.
        """
        return b"".join(self._anchors) or NO_ANCHOR

    def add_known(self, blocks: Iterable[bytes]) -> None:
        """Adds what the guest itself gave."""
        self._anchors.update(dict.fromkeys(blocks))

    def load_pem(self, text: bytes, what: str) -> None:
        """Adds the certificates and the revocation lists of a file in PEM. `SSLError` where it has neither."""
        certificates = [
            block
            for label in (b"CERTIFICATE", b"X509 CERTIFICATE", b"TRUSTED CERTIFICATE")
            for block in _certificates.pem_blocks(text, label)
        ]
        crls = list(_certificates.pem_blocks(text, b"X509 CRL"))
        if not certificates and not crls:
            message = f"{what} has no certificate and no revocation list in PEM"
            number = _errors.X509_R_NO_CERTIFICATE_OR_CRL_FOUND
            raise _errors.refused("NO_CERTIFICATE_OR_CRL_FOUND", message, "X509", number)
        for block in certificates:
            self._add(block, what)
        self.crls += crls

    def load_data(self, data: Union[str, bytes, bytearray]) -> None:
        """Adds `cadata`: PEM as `str`, or DER as bytes."""
        if isinstance(data, int) or isinstance(data, str) and not data.isascii():
            raise TypeError("cadata should be an ASCII string or a bytes-like object")
        if not data:
            raise ValueError("Empty certificate data")
        if isinstance(data, str):
            try:
                self.load_pem(data.encode("ascii"), "cadata")
            except ssl.SSLError as error:
                raise _errors.no_data("no start line", str(error)) from error
            return
        try:
            ders = list(_certificates.split_der(bytes(data)))
        except ValueError as error:
            raise _errors.no_data("not enough data", str(error)) from error
        for der in ders:
            self._add(_certificates.pem(der, "CERTIFICATE"), "cadata")

    def _add(self, block: bytes, what: str) -> None:
        """Adds a certificate in PEM. All are brought into one form, so that one is there once."""
        try:
            block = _certificates.pem(_certificates.from_pem(block), "CERTIFICATE")
        except ValueError as error:
            raise _errors.pem_lib("X509", f"{what}: {error}") from error
        if block not in self._anchors:
            parsed = ask(POOL.guest(), "certificate#parse", block)
            if isinstance(parsed, Failed):
                raise _errors.pem_lib("X509", f"{what}: {parsed.error.message}")
            self._anchors[block] = None

    def parsed(self) -> list[Any]:
        """The certificates, as the guest reads them."""
        return [ask(POOL.guest(), "certificate#parse", block) for block in self._anchors]


# A certificate that someone else issued is no anchor, and whoever made this one threw both keys away.
NO_ANCHOR = b"""-----BEGIN CERTIFICATE-----
MIIBKDCBzwIBATAKBggqhkjOPQQDAjAcMRowGAYDVQQDDBFndWVzdC10bHM6IG5v
Ym9keTAeFw0yNjExMjMxOTQwMTRaFw0yNjExMjQxOTQwMTRaMCUxIzAhBgNVBAMM
Gmd1ZXN0LXRsczogbm8gdHJ1c3QgYW5jaG9yMFkwEwYHKoZIzj0CAQYIKoZIzj0D
AQcDQgAE9bG3v8vSr2Ew/CqMfl3bruBQDx/iaagOow0Xg2hUSVj6/OFgIF5Gm/kZ
WaCLd4DgdC8dJ0oEFn2yV1LFGgxOJDAKBggqhkjOPQQDAgNIADBFAiADTokI+PUw
dTiVUwuLgOoPnmzlf5wln8ef6z0L+9732QIhAIqWEb3Fu3JRPdoRFC2h3wSI3l9s
GcGIR55Gl/cHHscl
-----END CERTIFICATE-----
"""
