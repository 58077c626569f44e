"""Trips through real providers on a real wire to servers that misbehave, on every loop of production."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

import pytest

from rhetor.testing import Upstream
from tests.pipeline.house import House


@pytest.hookimpl(optionalhook=True)
def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    try:
        import uvloop
    except ImportError:  # there is none for Windows
        return {"asyncio": asyncio.new_event_loop}
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture
async def house(no_leaks: None) -> AsyncIterator[House]:
    """Two providers `a` and `b` with a server each, and the route `fast` over both."""
    async with Upstream() as a, Upstream() as b, House({"a": a, "b": b}) as house:
        yield house
