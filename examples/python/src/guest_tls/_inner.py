"""`_sslobj`: what stands where `ssl`'s sockets and objects have OpenSSL's connection. Programs reach for it: httpx asks it for ALPN, others
whether it is None.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

if TYPE_CHECKING:
    from ._connection import Endpoint

#: What it has of its endpoint's, by the same name.
SAME = {
    "cipher",
    "compression",
    "context",
    "do_handshake",
    "get_channel_binding",
    "get_unverified_chain",
    "get_verified_chain",
    "pending",
    "selected_alpn_protocol",
    "server_hostname",
    "server_side",
    "session",
    "session_reused",
    "shared_ciphers",
    "verify_client_post_handshake",
    "version",
    "write",
}


class Inner:
    """As `_ssl._SSLSocket`: an endpoint by the names that OpenSSL's object has."""

    __slots__ = ("owner",)

    def __init__(self, owner: Endpoint) -> None:
        self.owner = owner

    def __getattr__(self, name: str) -> Any:
        if name in SAME:
            return getattr(self.owner, name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        # The others can't be set in `ssl` either.
        if name in ("context", "session"):
            setattr(self.owner, name, value)
        else:
            object.__setattr__(self, name, value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Inner) and other.owner is self.owner

    def __hash__(self) -> int:
        return hash(id(self.owner))

    def getpeercert(self, binary_mode: bool = False) -> Any:
        """As that of the endpoint, whose argument has another name."""
        return self.owner.getpeercert(binary_mode)

    def read(self, size: int = 1024, buffer: Optional[Any] = None) -> Any:
        """As that of the endpoint; `SSLEOFError` where the transport ends without `close_notify`."""
        return self.owner._read_strictly(size, buffer)

    def shutdown(self) -> Any:
        """As `unwrap` of the endpoint."""
        return self.owner.unwrap()  # type: ignore[attr-defined]
