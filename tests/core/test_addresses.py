"""Inside is what only this machine, or only its networks, can reach: however it is written."""

from __future__ import annotations

import pytest

from rhetor.core.addresses import is_inside, is_link_local

INSIDE = (
    "localhost",
    "LOCALHOST.",
    "127.0.0.1",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "169.254.169.254",
    "[::1]",
    "fd00::1",
    "fe80::1",
    "::ffff:10.0.0.1",
    "64:ff9b::a00:1",
    "2002:7f00:1::",
    "224.0.0.1",
    "printer",
    "nas.local",
    "git.corp.internal",
    "x.localhost",
    "::127.0.0.1",
    "::ffff:0:127.0.0.1",
    "fec0::1",
    "168.63.129.16",  # of clouds: Azure, Alibaba, Oracle's older one, AWS and Google
    "::ffff:168.63.129.16",
    "100.100.100.200",
    "192.0.0.192",
    "fd00:ec2::254",
    "fd20:ce::254",
)
OUTSIDE = (
    "github.com",
    "168.63.129.17",
    "8.8.8.8",
    "2606:4700::1111",
    "registry.npmjs.org",
    "localhost.example.com",
)


@pytest.mark.parametrize("host", INSIDE)
def test_inside(host: str) -> None:
    assert is_inside(host)


@pytest.mark.parametrize("host", OUTSIDE)
def test_outside(host: str) -> None:
    assert not is_inside(host)


@pytest.mark.parametrize(
    "host", ["169.254.169.254", "0xa9fea9fe", "[fe80::1]", "::ffff:169.254.169.254", "2852039166"]
)
def test_where_clouds_tell_secrets(host: str) -> None:
    assert is_link_local(host)
