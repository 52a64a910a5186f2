"""Where a record of TLS ends, so that no byte after it is taken from the transport, and what is no record at all."""

from __future__ import annotations

from typing import Optional, Union


def record_length(record: bytearray) -> int:
    """How long the record is that begins so: that of its header, as long as the header is not whole. What can be no record's header has
    the length of one, so that the guest says at once what it is.
    """
    if len(record) < HEADER_LENGTH:
        return HEADER_LENGTH
    is_record = record[0] in RECORD_KINDS and header_fault(record, is_first=False) is None
    return HEADER_LENGTH + (int.from_bytes(record[3:HEADER_LENGTH], "big") if is_record else 0)


def header_fault(record: Union[bytes, bytearray], is_first: bool) -> Optional[str]:
    """OpenSSL's reason for refusing what can be no record, by its header; None where it can be one. Servers answer HTTP by it."""
    if len(record) < HEADER_LENGTH:
        return None
    if is_first and record.startswith(HTTP_METHODS):
        return "HTTP_REQUEST"
    if is_first and record.startswith(b"CONNE"):
        return "HTTPS_PROXY_REQUEST"
    if record[1] != 3:
        return "WRONG_VERSION_NUMBER"
    return "PACKET_LENGTH_TOO_LONG" if int.from_bytes(record[3:HEADER_LENGTH], "big") > MOST_CIPHERTEXT else None


# RFC 8446 section 5.1: the type, the version and the length. change_cipher_spec, alert, handshake, application_data.
HEADER_LENGTH = 5
RECORD_KINDS = (20, 21, 22, 23)
# Those that OpenSSL knows.
HTTP_METHODS = (b"GET ", b"POST ", b"HEAD ", b"PUT ")
# RFC 5246 section 6.2.3, which allows more than RFC 8446 section 5.2.
MOST_CIPHERTEXT = (1 << 14) + 2048
