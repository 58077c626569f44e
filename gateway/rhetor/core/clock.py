"""Time is handed in: durations from a monotonic clock, timestamps in aware UTC."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    def monotonic_s(self) -> float:
        """Seconds that never go back; only differences mean something."""

    def utc(self) -> datetime:
        """The wall clock, aware, in UTC."""


class SystemClock:
    monotonic_s = staticmethod(time.monotonic)

    def utc(self) -> datetime:
        return datetime.now(UTC)
