"""Those who call a running server, and what is heard of it: whether one that is silent comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias

PROBE_EVERY_S = 0.1
MISSES = 3  # in a row, before silence means something: a loaded machine is late now and then

Probe: TypeAlias = Callable[[str], Awaitable[bool]]
"""Whether a server with this origin is ready; it raises nothing, and bounds itself."""


class Contact:
    """Between a running server and those who call it."""

    __slots__ = ("calls", "heard")

    def __init__(self) -> None:
        self.calls = 0
        """That were sent to it, and are waited for."""
        self.heard = False
        """Whether any of them has had a word from it; whoever wants to know since when says False first."""

    async def comes_back(
        self, looks: Callable[[], Awaitable[bool]], silent_s: float, on_missed: Callable[[], None]
    ) -> bool:
        """Look until it answers; False when it has not, time and again, for so long while nobody called it.

        A server may do one thing at a time, and be busy with a call that is waited for: that one has a
        clock of its own, and is not cut off. Who is sent there meanwhile puts the end off.

        Args:
            on_missed: told once, when it has not answered a few times in a row.
        """
        loop = asyncio.get_running_loop()
        misses, since_s = 0, loop.time()
        while not await looks():
            misses += 1
            if misses == MISSES:
                on_missed()
            if self.calls:
                since_s = loop.time()
            elif misses >= MISSES and loop.time() - since_s >= silent_s:
                return False
            await asyncio.sleep(PROBE_EVERY_S)
        return True
