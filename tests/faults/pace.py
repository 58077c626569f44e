"""A loop whose time passes faster: every timer of gateway, provider and caller shortens alike.

Nothing in the house needs other settings for it: 20 seconds are 20 seconds for everybody who
asks the loop or the clock, and take two of the real ones at a pace of 10.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

T = TypeVar("T")

REAL = 1.0


class PacedLoop(asyncio.SelectorEventLoop):
    """Its seconds are `pace` times shorter than real ones."""

    def __init__(self, pace: float) -> None:
        self._pace = pace
        super().__init__(_PacedSelector(pace))

    def time(self) -> float:
        return super().time() * self._pace


class _PacedSelector(selectors.DefaultSelector):
    def __init__(self, pace: float) -> None:
        super().__init__()
        self._pace = pace

    def select(self, timeout: float | None = None) -> Any:
        return super().select(timeout if timeout is None else timeout / self._pace)


class LoopClock:
    """Implements `core.clock.Clock` with the time of the running loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._began = datetime.now(UTC)
        self.began_s = self._loop.time()

    def monotonic_s(self) -> float:
        return self._loop.time()

    def utc(self) -> datetime:
        return self._began + timedelta(seconds=self._loop.time() - self.began_s)


def run(work: Coroutine[Any, Any, T], pace: float) -> T:
    """Do this work to its end on a loop of its own."""
    with asyncio.Runner(loop_factory=lambda: PacedLoop(pace)) as runner:
        return runner.run(work)
