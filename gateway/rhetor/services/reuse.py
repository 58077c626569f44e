"""A server that runs already: it is found by its health, used where it listens, and never ended by us."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from urllib.parse import urlsplit

from rhetor.core.errors import Code, RhetorError
from rhetor.services.contact import Probe
from rhetor.services.launch import Launcher, Running
from rhetor.services.probing import PORTS
from rhetor.services.process import OnSaid

WATCH_S = 5.0
MISSES = 2  # in a row: a connection that is refused once may be a server that somebody starts anew


class Reused:
    """A launcher that looks first whether one runs there; else another launcher starts one."""

    def __init__(
        self, label: str, origin: str, healthy: Probe, alive: Probe, otherwise: Launcher | None
    ) -> None:
        self._label = label
        self._origin = origin
        self._healthy = healthy
        self._alive = alive
        self._otherwise = otherwise

    async def launch(self, on_said: OnSaid) -> Running:
        if await self._healthy(self._origin):
            return RunningElsewhere(self._origin, self._alive)
        if self._otherwise is None:
            message = f"nothing answers at {self._origin}: start it there, or give {self._label} a command"
            raise RhetorError(message, Code.UNAVAILABLE)
        return await self._otherwise.launch(on_said)


class RunningElsewhere:
    """Implements `Running`. As nobody tells when it ends, it is looked at now and then."""

    own = False
    pid = None

    def __init__(self, origin: str, alive: Probe) -> None:
        where = urlsplit(origin)
        self.origin = origin
        self.port = where.port or PORTS[where.scheme]
        self._alive = alive
        self._left = asyncio.Event()

    def said(self) -> str:
        return ""

    async def wait(self) -> int:
        misses = 0
        while misses < MISSES:
            with suppress(TimeoutError):
                async with asyncio.timeout(WATCH_S):
                    await self._left.wait()
                    return 0
            misses = 0 if await self._alive(self.origin) else misses + 1
        return 0

    async def vouches(self) -> bool:
        return True

    def is_robbed(self) -> bool:
        return False

    async def stop(self, grace_s: float) -> None:
        """It goes on; we have left."""
        self._left.set()
