"""A reply on its way in: what has arrived waits here until somebody reads it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Protocol

from rhetor.core.errors import Code, UpstreamError
from rhetor.transport.http1 import NO_FIELDS, Fields
from rhetor.transport.inflate import ENCODINGS, PIECE_BYTES, Inflater

GIVEN_UP = ("the call was given up before its end", Code.CONNECTION_LOST)


class Source(Protocol):
    """The connection that a reply comes from, for as long as it comes."""

    def on_taken(self) -> None:
        """There is room for more."""

    def abandon(self) -> None:
        """Nobody wants the rest."""


class HttpReply:
    """One reply. Its connection tells it what arrives; its reader takes it from here.

    There is one reader, and at most one wait at a time.
    """

    __slots__ = (
        "_arrived",
        "_failure",
        "_inflated",
        "_inflater",
        "_loop",
        "_pieces",
        "_read_to_end",
        "_source",
        "_waiter",
        "headers",
        "status",
        "waiting_bytes",
    )

    def __init__(self, source: Source, loop: asyncio.AbstractEventLoop) -> None:
        self.status = 0
        self.headers = NO_FIELDS
        self.waiting_bytes = 0
        """Arrived, and not read yet."""
        self._loop = loop
        self._source: Source | None = source  # until it has arrived whole, failed, or been given up
        self._pieces: list[bytes] = []
        self._inflater: Inflater | None = None
        self._inflated: Iterator[bytes] | None = None
        self._failure: tuple[str, Code] | None = None
        self._arrived = False
        self._read_to_end = False
        self._waiter: asyncio.Future[None] | None = None

    # What the connection tells.

    def on_head(self, status: int, headers: Fields) -> None:
        self.status = status
        self.headers = headers
        encoding = headers.raw.get("content-encoding", "").lower()
        if encoding in ENCODINGS:
            self._inflater = Inflater(encoding)

    def on_body(self, data: bytes) -> None:
        self._pieces.append(data)
        self.waiting_bytes += len(data)

    def on_end(self) -> None:
        self._source = None
        self._arrived = True

    def on_failure(self, message: str, code: Code) -> None:
        self._source = None
        self._failure = (message, code)

    def wake(self) -> None:
        """Something has changed for whoever waits."""
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            if not waiter.done():
                waiter.set_result(None)

    # What its reader asks.

    async def begun(self) -> None:
        """Return once the headers are there.

        Raises:
            UpstreamError: connection_lost or protocol_error.
        """
        while not self.status:
            self._raise_failure()
            await self._change()

    def chunks(self) -> AsyncIterator[bytes]:
        return self

    def __aiter__(self) -> AsyncIterator[bytes]:
        # Not an async generator: one that is left early is closed by a task that nobody awaits.
        return self

    async def __anext__(self) -> bytes:
        while (data := self._next()) is None:
            await self._change()
        if not data:
            raise StopAsyncIteration
        if len(data) == PIECE_BYTES:  # more may follow at once, and the loop has others to serve
            await asyncio.sleep(0)
        return data

    async def read(self, limit_bytes: int) -> bytes:
        pieces: list[bytes] = []
        size = 0
        async for data in self:
            pieces.append(data)
            size += len(data)
            if size >= limit_bytes:
                break
        return b"".join(pieces)[:limit_bytes]

    def close(self) -> None:
        source, self._source = self._source, None
        if source is not None:
            source.abandon()
        if not self._read_to_end:
            self._arrived = False
            self._pieces.clear()
            self._inflated = None
            self._failure = self._failure or GIVEN_UP
            self.wake()

    def _next(self) -> bytes | None:
        """The next chunk; empty at the end, None when it has not arrived yet."""
        if self._inflated is not None:
            piece = next(self._inflated, None)
            if piece is not None:
                return piece
            self._inflated = None
        if self._pieces:
            data = self._take()
            if self._inflater is None:
                return data
            self._inflated = self._inflater.feed(data)
            return self._next()
        if not self._arrived:
            self._raise_failure()
            return None
        if self._inflater is not None:
            self._inflater.close()
        self._read_to_end = True
        return b""

    def _take(self) -> bytes:
        """Everything that waits, in one piece."""
        pieces = self._pieces
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self.waiting_bytes = 0
        if self._source is not None:
            self._source.on_taken()
        return data

    def _raise_failure(self) -> None:
        if self._failure is not None:
            # A new one each time: an exception that is kept also keeps the frames it went through.
            raise UpstreamError(*self._failure)

    def _change(self) -> asyncio.Future[None]:
        """Done with the next `wake`."""
        waiter = self._waiter = self._loop.create_future()
        return waiter
