"""The transport: a bounded pool of connections to one provider, on sockets of our own."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from rhetor.core.call import Call
from rhetor.core.errors import Code, UpstreamError
from rhetor.transport.base import Phase, Progress
from rhetor.transport.connection import Connection
from rhetor.transport.dial import Dialer
from rhetor.transport.idle import Idle
from rhetor.transport.reply import HttpReply
from rhetor.transport.request import Heads, Origin
from rhetor.transport.slots import CLOSED, Slots

WAITING = 1000  # as many as fit into the time that a caller waits, if a reply takes some seconds
CLOSING_S = 1.0  # an aborted socket is gone within a turn of the loop; this is for loops that stumble


class HttpPool:
    """Keeps up to `limit` connections to one provider; further calls wait for a slot, callers in turn.

    Args:
        limit: connections at the same time.
        connect_s: seconds for DNS, TCP and TLS of a new connection.
        waiting: calls that may wait for a slot; further ones are refused.
    """

    def __init__(self, limit: int, connect_s: float, waiting: int = WAITING) -> None:
        self._limit = limit
        self._connect_s = connect_s
        self._slots = Slots(limit, waiting)
        self._heads = Heads()
        self._dialer = Dialer()
        self._dialling: set[asyncio.Timeout] = set()
        self._connections: set[Connection] = set()
        self._idle = Idle()
        self._closed = False
        self._gone: asyncio.Future[None] | None = None

    async def open(self, call: Call, progress: Progress) -> HttpReply:
        head = self._heads.of(call)
        if not self._slots.take():
            progress.phase = Phase.QUEUED
            await self._slots.wait(call.caller)
        try:
            connection = self._idle.take(head.origin) or await self._connect(head.origin, progress)
        except BaseException:
            self._slots.give_back()
            raise
        progress.phase = Phase.AWAITING_HEADERS
        reply = connection.send(head, call.body)  # the slot is given back when this is done, see `on_done`
        try:
            await reply.begun()
        except BaseException:
            reply.close()
            raise
        progress.phase = Phase.READING
        return reply

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._slots.close()
        for clock in self._dialling:
            if not clock.expired():
                clock.reschedule(asyncio.get_running_loop().time())
        self._idle.close()
        for connection in list(self._connections):
            connection.break_off(CLOSED)
        if self._connections:
            self._gone = asyncio.get_running_loop().create_future()
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSING_S):
                    await self._gone

    # What connections tell.

    def on_done(self, connection: Connection, keep_s: float) -> None:
        if keep_s > 0:
            self._idle.put(connection, keep_s)
        self._slots.give_back()

    def on_closed(self, connection: Connection) -> None:
        self._connections.discard(connection)
        self._idle.discard(connection)
        if not self._connections and self._gone is not None and not self._gone.done():
            self._gone.set_result(None)

    async def _connect(self, origin: Origin, progress: Progress) -> Connection:
        """A new connection; idle ones that lead elsewhere make room for it."""
        progress.phase = Phase.CONNECTING
        while len(self._idle) > self._limit - self._slots.taken:
            self._idle.drop_oldest()
        connection = Connection(origin, self, asyncio.get_running_loop())
        try:
            await self._dial(connection)
            if self._closed:  # which ends the clock below, but may come too late for that
                raise UpstreamError(CLOSED, Code.UNAVAILABLE)
            if not connection.alive:
                raise UpstreamError("the provider closed the connection at once", Code.CONNECTION_LOST)
        except BaseException:
            connection.abort()
            raise
        # Only now: of connections that were given up while they were made, uvloop tells no end.
        self._connections.add(connection)
        return connection

    async def _dial(self, connection: Connection) -> None:
        """Connect, within the time there is for it."""
        try:
            async with asyncio.timeout(self._connect_s) as clock:
                self._dialling.add(clock)
                try:
                    await self._dialer.dial(connection.origin, connection)
                finally:
                    self._dialling.discard(clock)
        except TimeoutError as error:
            if self._closed:
                raise UpstreamError(CLOSED, Code.UNAVAILABLE) from error
            raise UpstreamError("the connection was not made in time", Code.CONNECT_TIMEOUT) from error
