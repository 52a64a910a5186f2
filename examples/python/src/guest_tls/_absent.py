"""What `ssl.SSLContext` has and the guest has not: each says so, and what to do."""

from __future__ import annotations

from typing import Iterable, Optional


class Absent:
    """The methods of `SSLContext` that raise `NotImplementedError`."""

    def load_dh_params(self, path: object, /) -> None:
        """Raises `NotImplementedError`."""
        raise NotImplementedError("there is no finite-field Diffie-Hellman (RFC 9325 section 4.1): see set_ecdh_curve")

    def set_npn_protocols(self, npn_protocols: Iterable[str]) -> None:
        """Raises `NotImplementedError`."""
        raise NotImplementedError("NPN was never standardised: see set_alpn_protocols")

    def set_psk_client_callback(self, callback: object) -> None:
        """Raises `NotImplementedError`."""
        raise NotImplementedError("rustls has no external PSKs: use certificates, or sessions")

    def set_psk_server_callback(self, callback: object, identity_hint: Optional[str] = None) -> None:
        """Raises `NotImplementedError`."""
        raise NotImplementedError("rustls has no external PSKs: use certificates, or sessions")
