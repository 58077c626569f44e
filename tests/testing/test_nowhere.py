"""Addresses at which nobody answers."""

from __future__ import annotations

import asyncio
import sys

import pytest

from rhetor.testing.nowhere import refused, unreachable
from tests.testing.caller import Caller


async def test_a_refused_connection_fails_at_once() -> None:
    with refused() as base_url, pytest.raises(ConnectionRefusedError):
        async with Caller(base_url):
            pass


@pytest.mark.skipif(sys.platform != "linux", reason="other kernels answer a full backlog otherwise")
async def test_an_unreachable_address_never_connects() -> None:
    with unreachable() as base_url, pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05), Caller(base_url):
            pass
