"""Which hosts are inside: this machine, its networks, and what clouds answer only to their own machines."""

from __future__ import annotations

import ipaddress
import socket

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
    if isinstance(address, ipaddress.IPv6Address) and address not in UNICAST:
        return False  # it is reserved, or an older way to write one that is inside
    return address.is_global and not address.is_multicast and address not in CLOUDS


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
UNICAST = ipaddress.IPv6Network("2000::/3")
"""All that is given to anybody, by IANA's list of the IPv6 address space, as it is in
https://sources.debian.org/src/python-netaddr/1.3.0-1/netaddr/ip/ipv6-address-space.xml (read 2026-11-21)."""
CLOUDS = frozenset({ipaddress.IPv4Address("168.63.129.16"), ipaddress.IPv4Address("192.0.0.192")})
"""What looks like everybody's, and is where a cloud answers to its own machines: Azure's WireServer,
https://learn.microsoft.com/en-us/azure/virtual-network/what-is-ip-address-168-63-129-16, and Oracle's older,
https://docs.oracle.com/en/cloud/iaas/compute-iaas-cloud/stcsg/retrieving-instance-metadata.html (both
read 2026-11-22). Others have link-local, private or shared addresses for that."""
