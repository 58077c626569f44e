"""Turns: how many calls may be under way at the same time, how many may wait, and who is next."""

from __future__ import annotations

import asyncio
from collections import deque

from rhetor.core.errors import Code, UpstreamError

CLOSED = "the pool of this provider is closed"
COME_AGAIN_S = 1.0  # what is told to those for whom even the queue is full: it moves as fast as replies end


class Slots:
    """So many at a time; who comes later waits, so many at most.

    Callers are served in turn, the calls of each in the order of coming: who sends a thousand
    calls at once waits for the most of them, and holds nobody else up.

    A slot that is given back while somebody waits goes straight to the one whose turn it is, so
    that nobody who comes after takes it first.

    Args:
        count: slots.
        waiting: how many may wait for one.
    """

    def __init__(self, count: int, waiting: int) -> None:
        self._count = count
        self._free = count
        self._most_waiting = waiting
        self._waiting = 0
        self._queues: dict[str, deque[asyncio.Future[None]]] = {}
        """By caller; whose turn it is comes first, and none is empty."""
        self._closed = False

    @property
    def taken(self) -> int:
        return self._count - self._free

    @property
    def waiting(self) -> int:
        return self._waiting

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

    async def wait(self, caller: str) -> None:
        """Take a slot that is given back, when it is this caller's turn and this call's among the caller's.

        Raises:
            UpstreamError: pool_full, too many wait already; unavailable, there will be no slots any more.
        """
        if self._waiting >= self._most_waiting:
            full = f"{self.taken} calls to this provider are under way, and {self._waiting} wait already"
            raise UpstreamError(full, Code.POOL_FULL, retry_after_s=COME_AGAIN_S)
        turn = asyncio.get_running_loop().create_future()
        self._queues.setdefault(caller, deque()).append(turn)
        self._waiting += 1
        try:
            await turn
        except asyncio.CancelledError:
            if not self._left(caller, turn) and not turn.cancelled() and turn.exception() is None:
                self.give_back()  # our turn came while we left
            raise
        if self._closed:  # our turn came just before
            self.give_back()
            raise _closed()

    def give_back(self) -> None:
        while self._queues:
            turn = self._next()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

    def close(self) -> None:
        """Send everybody away who waits, and who comes from now on."""
        self._closed = True
        while self._queues:
            turn = self._next()
            if not turn.done():
                turn.set_exception(_closed())

    def _next(self) -> asyncio.Future[None]:
        """Who waits longest of the caller whose turn it is; the caller's next turn is after the others'."""
        caller = next(iter(self._queues))
        queue = self._queues.pop(caller)
        turn = queue.popleft()
        if queue:
            self._queues[caller] = queue
        self._waiting -= 1
        return turn

    def _left(self, caller: str, turn: asyncio.Future[None]) -> bool:
        """Forget one who waits no longer; false when it was not waiting any more."""
        queue = self._queues.get(caller)
        if queue is None or turn not in queue:
            return False
        queue.remove(turn)
        if not queue:
            del self._queues[caller]
        self._waiting -= 1
        return True


def _closed() -> UpstreamError:
    return UpstreamError(CLOSED, Code.UNAVAILABLE)
