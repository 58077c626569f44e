"""One queue, one writer: trips are booked in batches, and a store that lags or fails never delays a reply."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from rhetor.core.record import TripRecord
from rhetor.store.base import Ledger

log = logging.getLogger(__name__)

QUEUE_SIZE = 10_000  # a few seconds of a saturated core, for a store that is slow for a moment
BATCH_SIZE = 500
GATHER_S = 0.02  # trips end in crowds, and a crowd costs little more than one
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
        self._gathered: list[TripRecord] = []
        """Taken from the queue, told to nobody yet."""
        self._unwritten: list[TripRecord] = []
        """Told, and not in the store when the writer was stopped."""

    def put(self, record: TripRecord) -> None:
        """Never waits and never fails; a full queue drops the record and counts it."""
        try:
            self._queue.put_nowait(record)
        except asyncio.QueueFull:
            self._on_dropped(1)

    async def write(self) -> None:
        """The one writer: runs until cancelled."""
        while True:
            self._gathered.append(await self._queue.get())
            await asyncio.sleep(GATHER_S)
            await self._book(self._waiting(BATCH_SIZE))

    async def flush(self) -> None:
        """Book what still waits; bounded, for shutdown."""
        try:
            async with asyncio.timeout(FLUSH_S):
                if unwritten := self._unwritten:
                    self._unwritten = []
                    await self._append(unwritten)
                while batch := self._waiting(BATCH_SIZE):
                    await self._book(batch)
        except TimeoutError:
            lost = len(self._unwritten) + len(self._gathered) + self._queue.qsize()
            self._on_dropped(lost)
            log.error("ledger not flushed", extra={"lost": lost})

    def _waiting(self, most: int) -> list[TripRecord]:
        batch, self._gathered = self._gathered, []
        more = min(most - len(batch), self._queue.qsize())
        return batch + [self._queue.get_nowait() for _ in range(more)]

    async def _book(self, batch: list[TripRecord]) -> None:
        if log.isEnabledFor(logging.INFO):
            log.info("trip", extra={"each": [_line(record) for record in batch]})
        for record in batch:
            self._count(record)
        await self._append(batch)

    def _count(self, record: TripRecord) -> None:
        try:
            self._on_trip(record)
        except Exception:
            log.exception("trip not counted", extra={"trip": record.id})

    async def _append(self, batch: list[TripRecord]) -> None:
        try:
            await self._store.append(batch)
        except asyncio.CancelledError:
            self._unwritten = batch
            raise
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
