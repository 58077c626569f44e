"""Every implementation of the transport, on every loop that production may run on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

import pytest

from rhetor.transport.base import Transport
from rhetor.transport.pool import HttpPool

IMPLEMENTATIONS: Mapping[str, Callable[[int, float], Transport]] = {"http": HttpPool}
"""Name → limit and connect_s → transport. Another implementation joins the contract by a line here."""

MakeTransport = Callable[..., Transport]
MakePool = Callable[..., HttpPool]


@pytest.hookimpl(optionalhook=True)
def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    try:
        import uvloop
    except ImportError:  # there is none for Windows
        return {"asyncio": asyncio.new_event_loop}
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture(params=list(IMPLEMENTATIONS.values()), ids=list(IMPLEMENTATIONS))
async def make_transport(request: pytest.FixtureRequest, no_leaks: None) -> AsyncIterator[MakeTransport]:
    """Transports that are closed with the test, and must leave no task behind."""
    made: list[Transport] = []

    def make(limit: int = 4, connect_s: float = 5.0) -> Transport:
        made.append(request.param(limit, connect_s))
        return made[-1]

    yield make
    for transport in made:
        await transport.close()


@pytest.fixture
def transport(make_transport: MakeTransport) -> Transport:
    return make_transport()


@pytest.fixture
async def make_pool(no_leaks: None) -> AsyncIterator[MakePool]:
    """Pools on sockets, for what is promised of them beyond the contract."""
    made: list[HttpPool] = []

    def make(limit: int = 4, connect_s: float = 5.0, waiting: int = 1000) -> HttpPool:
        made.append(HttpPool(limit, connect_s, waiting))
        return made[-1]

    yield make
    for pool in made:
        await pool.close()


@pytest.fixture
def pool(make_pool: MakePool) -> HttpPool:
    return make_pool()
