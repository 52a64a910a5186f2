"""Contexts by default, and what is no part of one."""

from __future__ import annotations

import os
import ssl
from typing import Any, Optional, Union

from . import _certificates, _errors
from ._canonical import Failed
from ._context import Path_, SSLContext
from ._guest import POOL
from ._options import ask


def create_default_context(
    purpose: ssl.Purpose = ssl.Purpose.SERVER_AUTH,
    *,
    cafile: Optional[Path_] = None,
    capath: Optional[Path_] = None,
    cadata: Union[str, bytes, bytearray, None] = None,
) -> SSLContext:
    """A context for clients (`Purpose.SERVER_AUTH`: verifies the server, by the given authorities or the system's) or for servers
    (`Purpose.CLIENT_AUTH`).
    """
    if not isinstance(purpose, ssl._ASN1Object):
        raise TypeError(purpose)
    context = SSLContext(ssl.PROTOCOL_TLS_CLIENT if purpose == ssl.Purpose.SERVER_AUTH else ssl.PROTOCOL_TLS_SERVER)
    if cafile or capath or cadata:
        context.load_verify_locations(cafile, capath, cadata)
    elif context.verify_mode != ssl.CERT_NONE:
        context.load_default_certs(purpose)
    if keylog := os.environ.get("SSLKEYLOGFILE"):
        context.keylog_filename = keylog
    return context


def decode_certificate(certificate: bytes) -> dict[str, Any]:
    """Reads a certificate in DER or PEM, in the sandbox, into a dictionary as `SSLSocket.getpeercert` gives it. `SSLError` where it is
    none.
    """
    parsed = ask(POOL.guest(), "certificate#parse", certificate)
    if isinstance(parsed, Failed):
        raise _errors.exception(parsed.error)
    return _certificates.decoded(parsed)


def configure(instances: int) -> None:
    """How many instances of the component this process may have: 1 by default. Each is a sandbox of its own and runs on one processor at a
    time; a new connection goes to the one with the fewest. It holds for instances to come.
    """
    if instances < 1:
        raise ValueError(f"instances is {instances}, and has to be at least 1")
    POOL.size = instances
