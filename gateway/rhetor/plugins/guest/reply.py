"""One call to a guest while it is answered: what has come and was not read, and how much more may come."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from types import MappingProxyType
from typing import Protocol

from rhetor.core.errors import Code, UpstreamError
from rhetor.wire.guest.frames import Frame

WINDOW_BYTES = 1 << 20
"""What a guest may send for one call beyond what was read of it; its last frame may exceed that."""
MOST_FRAMES = 256  # some milliseconds of reading
PIECE_BYTES = 256 << 10
ENDINGS = frozenset({"finished", "failed", "cancelled", "result"})
CONTENT_TYPE = "application/x-rhetor-guest"


class Asked(Protocol):
    """Whoever talks to the guest."""

    def grant(self, reply: GuestReply, credit: int) -> None:
        """So much more may come."""

    def give_up(self, reply: GuestReply) -> None:
        """Nobody waits for it any more."""


class GuestReply:
    """A guest's frames for one call, as a response."""

    status = 200
    headers: Mapping[str, str] = MappingProxyType({"content-type": CONTENT_TYPE})

    def __init__(self, number: int, asked: Asked, on_done: Callable[[], None]) -> None:
        self.number = number
        self._asked = asked
        self._on_done = on_done
        self._held: deque[bytes] = deque()
        self._credit = WINDOW_BYTES
        self._read_bytes = 0
        """Since credit was last granted."""
        self._news: asyncio.Future[None] | None = None
        self._closed = False
        self._whole = False
        """It was read to its end before it was closed."""
        self._error: UpstreamError | None = None
        self.ended = False
        """Nothing more comes."""

    def put(self, frame: Frame) -> bool:
        """A frame has come; whether it was allowed to. Its ending always is."""
        ends = frame.fields.get("event") in ENDINGS
        if self._credit <= 0 and not ends:
            return False
        self._credit -= len(frame.raw)
        if not self._closed:
            self._held.append(frame.raw)
        if ends:
            self._end(None)
        else:
            self._tell()
        return True

    def fail(self, error: UpstreamError) -> None:
        """No ending will come."""
        if not self.ended:
            self._end(error)

    async def chunks(self) -> AsyncIterator[bytes]:
        while not self._closed:
            if self._held:
                data = self._some()
                yield data
                self._on_read(len(data))
                if self._held:
                    await asyncio.sleep(0)  # it is there already: others would wait until all of it is read
            elif self._error is not None:
                raise self._error
            elif self.ended:
                return
            else:
                self._news = asyncio.get_running_loop().create_future()
                await self._news
        if not self._whole:
            raise UpstreamError("the reply was closed before its end", Code.CONNECTION_LOST)

    async def read(self, limit_bytes: int) -> bytes:
        body = bytearray()
        async for data in self.chunks():
            body += data
            if len(body) >= limit_bytes:
                self.close()
                break
        return bytes(body[:limit_bytes])

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._whole = self.ended and not self._held and self._error is None
        if not self.ended:
            self._asked.give_up(self)
            self._on_done()
        self._tell()

    def _some(self) -> bytes:
        """A few frames: whoever reads makes all of them into events at once."""
        pieces: list[bytes] = []
        size = 0
        while self._held and len(pieces) < MOST_FRAMES and size < PIECE_BYTES:
            pieces.append(self._held.popleft())
            size += len(pieces[-1])
        return b"".join(pieces)

    def _end(self, error: UpstreamError | None) -> None:
        self.ended = True
        self._error = error
        if not self._closed:
            self._on_done()
        self._tell()

    def _on_read(self, size: int) -> None:
        self._read_bytes += size
        if self._read_bytes >= WINDOW_BYTES // 2 and not self.ended:
            self._credit += self._read_bytes
            self._asked.grant(self, self._read_bytes)
            self._read_bytes = 0

    def _tell(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)
