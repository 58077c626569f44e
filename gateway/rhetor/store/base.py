"""What the house asks of a store, named after operations rather than tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from rhetor.core.record import TripRecord


class Ledger(Protocol):
    """The books: appended in batches by one writer, read by people."""

    async def append(self, records: Sequence[TripRecord]) -> None:
        """Book these. A record whose id is in the books already is left as it is: a batch may come again."""

    async def latest(self, limit: int) -> Sequence[TripRecord]:
        """Newest first."""
