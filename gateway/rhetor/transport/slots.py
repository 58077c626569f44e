"""Turns: how many calls may be under way at the same time, and who is next."""

from __future__ import annotations

import asyncio
from collections import deque

from rhetor.core.errors import Code, UpstreamError

CLOSED = "the pool of this provider is closed"


class Slots:
    """So many at a time; who comes later waits in the order of coming.

    A slot that is given back while somebody waits goes straight to the one who waits longest, so
    that nobody who comes after takes it first.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._free = count
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._closed = False

    @property
    def taken(self) -> int:
        return self._count - self._free

    def take(self) -> bool:
        """Take a slot if there is one; whoever gets none may `wait`.

        Raises:
            UpstreamError: unavailable, there will be no slots any more.
        """
        if self._closed:
            raise _closed()
        if not self._free:
            return False
        self._free -= 1
        return True

    async def wait(self) -> None:
        """Take the next slot that is given back and that nobody else has waited for longer.

        Raises:
            UpstreamError: unavailable, there will be no slots any more.
        """
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn in self._waiting:
                self._waiting.remove(turn)
            elif not turn.cancelled() and turn.exception() is None:  # our turn came while we left
                self.give_back()
            raise
        if self._closed:  # our turn came just before
            self.give_back()
            raise _closed()

    def give_back(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

    def close(self) -> None:
        """Send everybody away who waits, and who comes from now on."""
        self._closed = True
        for turn in self._waiting:
            if not turn.done():
                turn.set_exception(_closed())
        self._waiting.clear()


def _closed() -> UpstreamError:
    return UpstreamError(CLOSED, Code.UNAVAILABLE)
