"""Connections between two calls: kept until their time is over, and the latest is used first."""

from __future__ import annotations

import asyncio

from rhetor.transport.connection import Connection
from rhetor.transport.request import Origin


class Idle:
    """The connections of a pool that have no call.

    The one that came last goes out first, so that those which are not needed grow old. One timer
    serves all of them; it looks no sooner than the first of them is due.
    """

    def __init__(self) -> None:
        self._connections: list[Connection] = []
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._connections)

    def put(self, connection: Connection, keep_s: float) -> None:
        """Keep it, but no longer than that."""
        loop = connection.loop
        connection.keep_until_s = loop.time() + keep_s
        self._connections.append(connection)
        if self._timer is None or connection.keep_until_s < self._timer.when():
            self._arm(loop, connection.keep_until_s)

    def take(self, origin: Origin) -> Connection | None:
        """One that leads there and can be used; those that turn out to be dead are closed."""
        connections = self._connections
        for n in range(len(connections) - 1, -1, -1):
            connection = connections[n]
            if connection.origin == origin:
                del connections[n]
                if connection.alive and not connection.readable():
                    return connection
                connection.abort()
        return None

    def discard(self, connection: Connection) -> None:
        if connection in self._connections:
            self._connections.remove(connection)

    def drop_oldest(self) -> None:
        self._connections.pop(0).abort()

    def close(self) -> None:
        """Close all of them."""
        self._disarm()
        for connection in self._connections:
            connection.abort()
        self._connections.clear()

    def _arm(self, loop: asyncio.AbstractEventLoop, when_s: float) -> None:
        self._disarm()
        self._timer = loop.call_at(when_s, self._sweep)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _sweep(self) -> None:
        """Close those whose time is over."""
        self._timer = None
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        kept = []
        for connection in self._connections:
            if connection.keep_until_s > now_s:
                kept.append(connection)
            else:
                connection.abort()
        self._connections = kept
        if kept:
            self._arm(loop, min(connection.keep_until_s for connection in kept))
