"""Cipher suites as `SSLContext.get_ciphers` tells of them, by OpenSSL's names and words."""

from __future__ import annotations

from typing import Any, NamedTuple

from ._guest import Guest, Resource
from ._options import Options, ask

Suite = dict[str, Any]


class Encryption(NamedTuple):
    """How a suite encrypts: OpenSSL's name of the algorithm, that of its descriptions, and the bits of the key."""

    symmetric: str
    described: str
    bits: int


def offered(guest: Guest, context: Resource) -> list[Suite]:
    """The suites of a context in its order, which the guest tells by nothing but a ClientHello."""
    options = Options(guest, "secure-pair")
    options.give("set-servername", "suites.invalid")
    pair = options.create(context)
    hello = ask(guest, "secure-pair#[method]secure-pair.read-encrypted", pair, 1 << 16)
    return [described(number) for number in suites(hello) if number in NAMES]


def suites(hello: bytes) -> list[int]:
    """The numbers of the suites in a record with a ClientHello (RFC 8446 section 4.1.2)."""
    # The headers of the record and of the message, the version, the random bytes.
    position = 5 + 4 + 2 + 32
    position += 1 + hello[position]
    end = position + 2 + int.from_bytes(hello[position : position + 2], "big")
    return [int.from_bytes(hello[at : at + 2], "big") for at in range(position + 2, end, 2)]


def described(number: int) -> Suite:
    """What `ssl` tells of a suite."""
    name = NAMES[number]
    is_tls13 = name.startswith("TLS_")
    protocol = "TLSv1.3" if is_tls13 else "TLSv1.2"
    signature = "any" if is_tls13 else name.split("-")[1]
    encryption = CHACHA20 if "CHACHA20" in name else AES_128 if "128" in name else AES_256
    exchange = "any" if is_tls13 else "ECDH"
    cipher = f"{encryption.described}({encryption.bits})"
    return {
        "id": OPENSSL_PREFIX | number,
        "name": name,
        "protocol": protocol,
        # The format of SSL_CIPHER_description(3).
        "description": f"{name:<30} {protocol:<7} Kx={exchange:<8} Au={signature:<5} Enc={cipher:<22} Mac=AEAD",
        "strength_bits": encryption.bits,
        "alg_bits": encryption.bits,
        "aead": True,
        "symmetric": encryption.symmetric,
        "digest": None,
        "kea": "kx-any" if is_tls13 else "kx-ecdhe",
        "auth": f"auth-{signature.lower()}",
    }


AES_128 = Encryption("aes-128-gcm", "AESGCM", 128)
AES_256 = Encryption("aes-256-gcm", "AESGCM", 256)
CHACHA20 = Encryption("chacha20-poly1305", "CHACHA20/POLY1305", 256)

#: IANA's numbers of the suites that the guest has, and OpenSSL's names. A test compares them with those that the guest tells.
NAMES = {
    0x1301: "TLS_AES_128_GCM_SHA256",
    0x1302: "TLS_AES_256_GCM_SHA384",
    0x1303: "TLS_CHACHA20_POLY1305_SHA256",
    0xC02B: "ECDHE-ECDSA-AES128-GCM-SHA256",
    0xC02C: "ECDHE-ECDSA-AES256-GCM-SHA384",
    0xC02F: "ECDHE-RSA-AES128-GCM-SHA256",
    0xC030: "ECDHE-RSA-AES256-GCM-SHA384",
    0xCCA8: "ECDHE-RSA-CHACHA20-POLY1305",
    0xCCA9: "ECDHE-ECDSA-CHACHA20-POLY1305",
}
# OpenSSL's ids have it since SSLv2's suites had three bytes.
OPENSSL_PREFIX = 0x03000000
