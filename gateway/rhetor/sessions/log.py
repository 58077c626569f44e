"""The end of a session's log in memory: where readers find what is new, each at its own pace.

Readers pull. Nothing is queued for anybody, so that one who does not read costs
nothing, and one who comes late gets the older part from the store.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from rhetor.store.base import LoggedEvent, SessionRow

TAIL_EVENTS = 512
TAIL_CHARS = 256 * 1024


class Feed:
    """What was logged last, and a bell for what comes next."""

    def __init__(self, row: SessionRow) -> None:
        self.row = row
        self.readers = 0
        self._tail: deque[LoggedEvent] = deque()
        self._chars = 0
        self._bell = asyncio.Event()

    def publish(self, row: SessionRow, events: Sequence[LoggedEvent]) -> None:
        """Events that are stored, with the row that is stored with them."""
        self.row = row
        for event in events:
            self._tail.append(event)
            self._chars += len(event.content)
        while len(self._tail) > TAIL_EVENTS or (self._chars > TAIL_CHARS and len(self._tail) > 1):
            self._chars -= len(self._tail.popleft().content)
        self._bell.set()
        self._bell = asyncio.Event()

    def after(self, seq: int, limit: int) -> list[LoggedEvent] | None:
        """Events with greater numbers; None: the older ones of them are in the store only."""
        if seq >= self.row.last_seq:
            return []
        if not self._tail or self._tail[0].seq > seq + 1:
            return None
        skipped = seq + 1 - self._tail[0].seq
        return [self._tail[n] for n in range(skipped, min(skipped + limit, len(self._tail)))]

    async def news(self, seq: int, within_s: float) -> None:
        """Wait for an event with a greater number, or until the time is over."""
        bell = self._bell
        if seq < self.row.last_seq:
            return
        try:
            async with asyncio.timeout(within_s):
                await bell.wait()
        except TimeoutError:
            return
