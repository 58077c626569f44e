"""Connections between two calls: the latest first, none beyond its time, none that is dead."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Self

import pytest

from rhetor.transport.connection import Connection
from rhetor.transport.dial import Dialer
from rhetor.transport.idle import Idle
from rhetor.transport.request import Origin
from tests.transport.exchange import turns
from tests.transport.peer import Line, Peer

LONG_S = 60.0
SHORT_S = 0.02


class Stock:
    """Idle connections to a peer."""

    def __init__(self) -> None:
        self.idle = Idle()
        self.closed: list[Connection] = []
        self._dialer = Dialer()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self.peer = await self._stack.enter_async_context(Peer())
        self.origin = Origin(False, "127.0.0.1", self.peer.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.idle.close()
        await turns()
        await self._stack.aclose()

    async def make(self, origin: Origin | None = None) -> tuple[Connection, Line]:
        connection = Connection(origin or self.origin, self, asyncio.get_running_loop())
        await self._dialer.dial(self.origin, connection)
        return connection, await self.peer.line()

    def on_done(self, connection: Connection, keep_s: float) -> None:
        raise AssertionError("there was no call")

    def on_closed(self, connection: Connection) -> None:
        self.closed.append(connection)
        self.idle.discard(connection)


async def test_the_latest_comes_out_first(no_leaks: None) -> None:
    """So that those which are not needed grow old."""
    async with Stock() as stock:
        connections = [(await stock.make())[0] for _ in range(3)]
        for connection in connections:
            stock.idle.put(connection, LONG_S)
        out = [stock.idle.take(stock.origin) for _ in range(4)]
        assert out == [*reversed(connections), None]
        for connection in connections:
            connection.abort()


async def test_only_what_leads_there_comes_out(no_leaks: None) -> None:
    async with Stock() as stock:
        connection, _ = await stock.make()
        stock.idle.put(connection, LONG_S)
        elsewhere = [Origin(True, *stock.origin[1:]), Origin(False, "localhost", stock.peer.port)]
        assert [stock.idle.take(origin) for origin in elsewhere] == [None, None]
        assert stock.idle.take(stock.origin) is connection
        connection.abort()


async def test_none_is_kept_beyond_its_time(no_leaks: None) -> None:
    """Also where one that came later has to go sooner."""
    async with Stock() as stock:
        (stays, _), (first, first_line), (second, second_line) = [await stock.make() for _ in range(3)]
        stock.idle.put(stays, LONG_S)
        stock.idle.put(second, 2 * SHORT_S)
        stock.idle.put(first, SHORT_S)
        await first_line.ended()
        await second_line.ended()
        await turns()
        assert stock.closed == [first, second]
        assert stock.idle.take(stock.origin) is stays
        stays.abort()


@pytest.mark.parametrize("end", [Line.close, Line.reset], ids=["closes", "resets"])
async def test_what_the_server_ends_is_gone(end: Callable[[Line], None], no_leaks: None) -> None:
    async with Stock() as stock:
        connection, line = await stock.make()
        stock.idle.put(connection, LONG_S)
        end(line)
        while not stock.closed:
            await asyncio.sleep(0)
        assert len(stock.idle) == 0
        assert stock.idle.take(stock.origin) is None


async def test_closing_closes_all(no_leaks: None) -> None:
    async with Stock() as stock:
        made = [await stock.make() for _ in range(2)]
        for connection, _ in made:
            stock.idle.put(connection, LONG_S)
        stock.idle.close()
        for _, line in made:
            await line.ended()
        assert len(stock.idle) == 0


async def test_the_oldest_makes_room(no_leaks: None) -> None:
    async with Stock() as stock:
        (old, line), (young, _) = [await stock.make() for _ in range(2)]
        stock.idle.put(old, LONG_S)
        stock.idle.put(young, LONG_S)
        stock.idle.drop_oldest()
        await line.ended()
        assert stock.idle.take(stock.origin) is young
        young.abort()
