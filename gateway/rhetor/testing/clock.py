"""A clock that moves when a test says so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)


class FakeClock:
    """Implements `core.clock.Clock`; both of its times stand still until `advance`."""

    def __init__(self, utc: datetime = BEGINNING) -> None:
        self._began = utc
        self._passed_s = 0.0

    def monotonic_s(self) -> float:
        return self._passed_s

    def utc(self) -> datetime:
        return self._began + timedelta(seconds=self._passed_s)

    def advance(self, seconds: float) -> None:
        """Let time pass. It never goes back."""
        if seconds < 0:
            raise ValueError(f"time does not go back: {seconds}")
        self._passed_s += seconds
