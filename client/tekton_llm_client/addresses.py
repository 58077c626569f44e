"""Where the gateway is: for a WebSocket, and in words that may be shown."""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

_USERINFO = re.compile(r"^(\w+://)?.*@", re.DOTALL)
"""Greedy: of an address that is written wrongly nobody knows where its password ends."""


def shown(url: str) -> str:
    """The address without a name and a password in it."""
    return _USERINFO.sub(r"\1", url)


def socket_url(url: str) -> str:
    """`http://host/prefix` → `ws://host/prefix/ws`.

    Raises:
        ValueError: this is no address.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port  # it is looked at only when it is asked for
    except ValueError:
        raise ValueError(f"no address of a gateway: {shown(url)!r}") from None
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    path = parts.path.rstrip("/")
    return urlunsplit((scheme, parts.netloc, path if path.endswith("/ws") else f"{path}/ws", parts.query, ""))
