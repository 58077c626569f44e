"""Which hosts are inside: this machine, its networks, and what clouds answer only to their own machines."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Collection

from rhetor.core.errors import BadRequest, Code

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
OURSELVES = frozenset({"localhost", "ip6-localhost", "localhost.localdomain"})
INSIDE = (".localhost", ".local", ".internal", ".lan", ".home.arpa")


def is_inside(host: str) -> bool:
    """Whether a name says by itself that it leads to this machine or its networks."""
    host = host.lower().rstrip(".")
    if (address := _address(host)) is not None:
        return not is_public(address)
    return host in OURSELVES or host.endswith(INSIDE) or "." not in host


def is_link_local(host: str) -> bool:
    """Where clouds tell a machine its secrets: nobody's model lives there."""
    address = _address(host)
    return address is not None and _bare(address).is_link_local


def is_public(address: Address) -> bool:
    """Whether everybody reaches the same machine by it. An address inside another one counts as that."""
    address = _bare(address)
    return address.is_global and not address.is_multicast


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


def _address(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        pass
    try:  # 127.1, 0x7f000001 and 2130706433 are addresses, too, for those who connect
        return ipaddress.IPv4Address(socket.inet_aton(host))
    except (OSError, ValueError, UnicodeError):
        return None


def _bare(address: Address) -> Address:
    """An IPv4 address that is written as an IPv6 one, by whichever rule."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address.sixtofour is not None:
            return address.sixtofour
        if address in NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
