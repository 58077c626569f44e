"""Waiting for something to become true, with an end: how tests synchronise without sleeping."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

WITHIN_S = 5.0  # loopback needs milliseconds; only a broken promise takes this long


class Changes:
    """Wakes whoever waits for a condition, each time something may have changed."""

    def __init__(self) -> None:
        self._waiters: set[asyncio.Future[None]] = set()

    def tell(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def until(self, holds: Callable[[], bool], within_s: float, what: str) -> None:
        """Return once `holds()` is true.

        Raises:
            AssertionError: it was not within that many seconds; says `what` was waited for.
        """
        try:
            async with asyncio.timeout(within_s):
                while not holds():
                    await self.change()
        except TimeoutError:
            raise AssertionError(f"did not happen within {within_s:g} s: {what}") from None

    async def change(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            await waiter
        finally:
            self._waiters.discard(waiter)


class Gate:
    """Where replies wait until the test lets them on. Once open it stays open."""

    def __init__(self) -> None:
        self._is_open = False
        self._waiting = 0
        self._changes = Changes()

    @property
    def is_open(self) -> bool:
        return self._is_open

    def open(self) -> None:
        self._is_open = True
        self._changes.tell()

    async def reached(self, count: int = 1, within_s: float = WITHIN_S) -> None:
        """Return once that many replies wait here.

        Raises:
            AssertionError: they did not come in time.
        """
        await self._changes.until(
            lambda: self._waiting >= count,
            within_s,
            f"{count} waiting at the gate, there are {self._waiting}",
        )

    async def passed(self) -> None:
        """Wait here until the gate is open."""
        self._waiting += 1
        self._changes.tell()
        try:
            while not self._is_open:
                await self._changes.change()
        finally:
            self._waiting -= 1
