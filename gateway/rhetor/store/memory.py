"""The store of a gateway that keeps nothing: the newest trips, gone with the process."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from rhetor.core.record import TripRecord

KEPT_TRIPS = 1000  # some 0.8 MB


class MemoryLedger:
    def __init__(self, kept: int = KEPT_TRIPS) -> None:
        self._kept = kept
        self._trips: dict[str, TripRecord] = {}

    async def append(self, records: Sequence[TripRecord]) -> None:
        for record in records:
            self._trips.setdefault(record.id, record)
        for oldest in list(islice(self._trips, max(len(self._trips) - self._kept, 0))):
            del self._trips[oldest]

    async def latest(self, limit: int) -> Sequence[TripRecord]:
        return list(islice(reversed(self._trips.values()), limit))
