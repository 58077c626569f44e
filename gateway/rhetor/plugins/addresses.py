"""What a host's name leads to, asked before anything is fetched from there."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Collection

from rhetor.core.addresses import is_public
from rhetor.core.errors import BadRequest, Code


def ensure_outside(host: str, port: int, allowed: Collection[str]) -> tuple[str, ...]:
    """The addresses of a host, once it is clear that none of them is inside, or that this host may be.

    Raises:
        BadRequest: forbidden, it is inside.
        RhetorError: connect_failed, nobody knows it.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise BadRequest(f"no address for {host}: {error.strerror or error}", Code.CONNECT_FAILED) from None
    addresses = tuple(dict.fromkeys(str(each[4][0]).partition("%")[0] for each in found))
    if host.lower() not in allowed:
        for text in addresses:
            if not is_public(ipaddress.ip_address(text)):
                raise BadRequest(
                    f"{host} is inside ({text}); to fetch from there add it to plugins.allowed_hosts",
                    Code.FORBIDDEN,
                )
    return addresses
