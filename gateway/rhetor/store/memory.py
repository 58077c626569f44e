"""The store of a gateway that keeps nothing: the newest trips, gone with the process."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from rhetor.core.record import TripRecord

KEPT_TRIPS = 1000  # some 0.5 MB


class MemoryLedger:
    def __init__(self, kept: int = KEPT_TRIPS) -> None:
        self._trips: deque[TripRecord] = deque(maxlen=kept)

    async def append(self, records: Sequence[TripRecord]) -> None:
        self._trips.extend(records)

    async def latest(self, limit: int) -> Sequence[TripRecord]:
        newest = min(limit, len(self._trips))
        return [self._trips[-1 - i] for i in range(newest)]
