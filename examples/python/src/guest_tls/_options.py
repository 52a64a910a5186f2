"""Calls of the guest by the rest of this package, and what is made of options."""

from __future__ import annotations

import ssl
from typing import Any

from . import _errors
from ._canonical import GuestFault
from ._guest import Guest


def ask(guest: Guest, name: str, *values: Any) -> Any:
    """Calls a function of the interface, as `Guest.call`. `SSLError` where the guest has trapped, now or before."""
    try:
        return guest.call(name, *values)
    except GuestFault as fault:
        raise _errors.lost(fault) from fault


class Options:
    """Options for a resource of the guest's: `secure-context` or `secure-pair`."""

    def __init__(self, guest: Guest, kind: str) -> None:
        self._guest = guest
        self._kind = kind
        self._options = ask(guest, f"{kind}#[constructor]{kind}-options")

    def give(self, name: str, *values: Any) -> None:
        """Gives one of them."""
        ask(self._guest, f"{self._kind}#[method]{self._kind}-options.{name}", self._options, *values)

    def create(self, *values: Any) -> Any:
        """Makes the resource of them and of `values`, once. `Failed` for what is wrong with them."""
        return ask(self._guest, f"{self._kind}#[static]{self._kind}.create", *values, self._options)


def supported(value: int) -> ssl.TLSVersion:
    """A version that the guest speaks."""
    version = ssl.TLSVersion(value)
    if version in (ssl.TLSVersion.SSLv3, ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
        raise ValueError(f"{version.name} is not supported: TLS 1.2 and 1.3 are (RFC 8996)")
    return version
