"""Certificates: files of them, and the dictionaries that `SSLSocket.getpeercert` gives."""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Any, Callable, Iterator, Optional, Union

PeerCertificate = dict[str, Any]
Password = Union[str, bytes, bytearray, Callable[[], Union[str, bytes, bytearray]], None]


def pem_blocks(text: bytes, label: bytes) -> Iterator[bytes]:
    """The PEM blocks with this label, one after another."""
    for match in re.finditer(rb"-----BEGIN %s-----.*?-----END %s-----" % (label, label), text, re.DOTALL):
        yield match.group() + b"\n"


def key_blocks(text: bytes) -> bytes:
    """The private keys of a file, which may hold certificates too."""
    labels = (b"PRIVATE KEY", b"ENCRYPTED PRIVATE KEY", b"RSA PRIVATE KEY", b"EC PRIVATE KEY")
    return b"".join(block for label in labels for block in pem_blocks(text, label)) or text


def password(given: Password) -> Optional[bytes]:
    """The password of a key that was given, or that a callback gives."""
    if given is None:
        return None
    found = given() if callable(given) else given
    if not isinstance(found, (str, bytes, bytearray)):
        raise TypeError("password callback must return a string" if callable(given) else "password should be a string or callable")
    encoded = found.encode() if isinstance(found, str) else bytes(found)
    if len(encoded) > MOST_PASSWORD:
        raise ValueError(f"password cannot be longer than {MOST_PASSWORD} bytes")
    return encoded


def pem(der: bytes, label: str) -> bytes:
    """In PEM."""
    return f"-----BEGIN {label}-----\n{base64.encodebytes(der).decode()}-----END {label}-----\n".encode()


def from_pem(block: bytes) -> bytes:
    """The DER in a PEM block. Raises `ValueError` where it is not base64."""
    body = b"".join(block.strip().splitlines()[1:-1])
    try:
        return base64.b64decode(body, validate=True)
    except binascii.Error as error:
        raise ValueError(f"not PEM: {error}") from error


def split_der(data: bytes) -> Iterator[bytes]:
    """DER values that stand one after another, each a SEQUENCE. Raises `ValueError` where they are none."""
    position = 0
    while position < len(data):
        end = value_end(data, position)
        yield data[position:end]
        position = end


def decoded(certificate: Any) -> PeerCertificate:
    """What `ssl` says of a certificate, of what the guest has read of it. `crlDistributionPoints` is missing: the guest does not tell."""
    found: PeerCertificate = {
        "subject": name(certificate.subject),
        "issuer": name(certificate.issuer),
        "version": version(certificate.raw),
        "serialNumber": serial(certificate.serial_number),
        "notBefore": certificate.valid_from,
        "notAfter": certificate.valid_to,
    }
    if certificate.subjectaltname is not None:
        found["subjectAltName"] = tuple(alternative_names(certificate.subjectaltname))
    for access in certificate.info_access or ():
        if (key := INFO_ACCESS.get(access.method)) is not None:
            found[key] = found.get(key, ()) + tuple(access.values)
    return found


def name(attributes: list[Any]) -> tuple[tuple[tuple[str, str]], ...]:
    """A distinguished name, each attribute as an RDN of its own: the guest does not tell which of them share one."""
    return tuple(((LONG_NAMES.get(attribute.name, attribute.name), attribute.value),) for attribute in attributes)


def alternative_names(text: str) -> Iterator[tuple[str, str]]:
    """The names of Node's text, in which those that could be misread are JSON strings."""
    for kind, value in re.findall(r'(?:^|, )([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^,]*)', text):
        yield kind, json.loads(value) if value.startswith('"') else value


def serial(text: str) -> str:
    """OpenSSL's text has whole bytes."""
    sign, digits = ("-", text[1:]) if text.startswith("-") else ("", text)
    return sign + (digits if len(digits) % 2 == 0 else f"0{digits}")


def version(der: bytes) -> int:
    """The version of a certificate: 1 where it says nothing (RFC 5280 section 4.1.2.1). The guest does not tell."""
    _, certificate = value_start(der, 0)
    _, to_be_signed = value_start(der, certificate)
    # [0] EXPLICIT INTEGER
    head = der[to_be_signed : to_be_signed + 5]
    return head[4] + 1 if head[:4] == b"\xa0\x03\x02\x01" else 1


def value_end(data: bytes, position: int) -> int:
    """Where a SEQUENCE ends that starts here."""
    if data[position : position + 1] != b"\x30":
        raise ValueError(f"no certificate in DER at byte {position}: it has to start with the tag 30")
    length, start = value_start(data, position)
    if start + length > len(data):
        raise ValueError(f"the certificate at byte {position} is cut short")
    return start + length


def value_start(data: bytes, position: int) -> tuple[int, int]:
    """The length of a value in DER, and where its content starts."""
    head = data[position + 1 : position + 6]
    if not head:
        raise ValueError("the certificate is cut short")
    if head[0] < 0x80:
        return head[0], position + 2
    count = head[0] & 0x7F
    if not 1 <= count <= 4 or len(head) <= count:
        raise ValueError(f"byte {position + 1} is no length in DER")
    return int.from_bytes(head[1 : 1 + count], "big"), position + 2 + count


# In bytes, as in `ssl`.
MOST_PASSWORD = 1024

# Node's keys, and those of `ssl`.
INFO_ACCESS = {"OCSP - URI": "OCSP", "CA Issuers - URI": "caIssuers"}

# OpenSSL's short names, and its long ones, which `ssl` gives.
LONG_NAMES = {
    "C": "countryName",
    "CN": "commonName",
    "DC": "domainComponent",
    "GN": "givenName",
    "L": "localityName",
    "O": "organizationName",
    "OU": "organizationalUnitName",
    "SN": "surname",
    "ST": "stateOrProvinceName",
    "UID": "userId",
    "businessCategory": "businessCategory",
    "jurisdictionC": "jurisdictionCountryName",
    "jurisdictionL": "jurisdictionLocalityName",
    "jurisdictionST": "jurisdictionStateOrProvinceName",
    "street": "streetAddress",
}
