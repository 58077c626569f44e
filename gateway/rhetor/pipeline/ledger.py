"""One queue, one writer: trips are booked in batches, and a store that lags or fails never delays a reply."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from rhetor.core.record import TripRecord
from rhetor.store.base import Ledger

log = logging.getLogger(__name__)

QUEUE_SIZE = 10_000  # half a minute of a saturated core
BATCH_SIZE = 500
FLUSH_S = 5.0  # a store that takes longer at shutdown is given up


class LedgerQueue:
    """What trips write to. `on_trip` is told of each record by the writer, off the reply's way."""

    def __init__(
        self,
        store: Ledger,
        on_trip: Callable[[TripRecord], None],
        on_dropped: Callable[[int], None],
        size: int = QUEUE_SIZE,
    ) -> None:
        self._queue: asyncio.Queue[TripRecord] = asyncio.Queue(size)
        self._store = store
        self._on_trip = on_trip
        self._on_dropped = on_dropped

    def put(self, record: TripRecord) -> None:
        """Never waits and never fails; a full queue drops the record and counts it."""
        try:
            self._queue.put_nowait(record)
        except asyncio.QueueFull:
            self._on_dropped(1)

    async def write(self) -> None:
        """The one writer: runs until cancelled."""
        while True:
            await self._book([await self._queue.get(), *self._waiting(BATCH_SIZE - 1)])

    async def flush(self) -> None:
        """Book what still waits; bounded, for shutdown."""
        try:
            async with asyncio.timeout(FLUSH_S):
                while batch := self._waiting(BATCH_SIZE):
                    await self._book(batch)
        except TimeoutError:
            self._on_dropped(self._queue.qsize())
            log.error("ledger not flushed", extra={"lost": self._queue.qsize()})

    def _waiting(self, most: int) -> list[TripRecord]:
        return [self._queue.get_nowait() for _ in range(min(most, self._queue.qsize()))]

    async def _book(self, batch: list[TripRecord]) -> None:
        for record in batch:
            self._on_trip(record)
            log.info("trip", extra=_line(record))
        try:
            await self._store.append(batch)
        except Exception:
            self._on_dropped(len(batch))
            log.exception("store failed", extra={"lost": len(batch)})


def _line(record: TripRecord) -> dict[str, object]:
    """The one line that a trip leaves in the log."""
    line: dict[str, object] = {
        "trip": record.id,
        "door": record.door,
        "model": record.requested_model,
        "served_by": record.served_by,
        "outcome": record.outcome,
        "ms": record.total_ms,
        "tokens_in": record.usage.input_tokens,
        "tokens_out": record.usage.output_tokens,
    }
    if record.component is not None:
        line["component"] = record.component
    if len(record.attempts) > 1 or record.outcome != "ok":
        line["attempts"] = [f"{a.target}:{a.outcome}" for a in record.attempts]
    return line
