"""One turn of a chat: what it waits for ends when its caller does not want it any more."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import TypeVar

from rhetor.core.errors import Code, RhetorError
from rhetor.sessions.backend import Said

T = TypeVar("T")


class Stopped(RhetorError):
    """The turn was ended before its time."""

    default_code = Code.CANCELLED

    def __init__(self) -> None:
        super().__init__("the turn was interrupted")


class Turn:
    """A message, and the call that answers it. `stop` may come from another task, at any time."""

    def __init__(self, said: Said) -> None:
        self.said = said
        self.held = AsyncExitStack()
        """The call to the model, while there is one."""
        self.over = asyncio.Event()
        """Nothing of it is held any more."""
        self._stopped = False
        self._waiting: asyncio.Timeout | None = None

    @property
    def waits(self) -> bool:
        """Whether somebody waits in it, who gives everything back when it is stopped."""
        return self._waiting is not None

    def stop(self) -> None:
        self._stopped = True
        if self._waiting is not None:
            self._waiting.reschedule(asyncio.get_running_loop().time())

    async def wait(self, work: Callable[[], Awaitable[T]]) -> T:
        """What comes of it.

        Raises:
            Stopped: the turn was stopped, before or meanwhile.
        """
        if self._stopped:
            raise Stopped
        clock = asyncio.timeout(None)
        try:
            async with clock:
                self._waiting = clock
                return await work()
        except TimeoutError:
            if clock.expired():
                raise Stopped from None
            raise
        finally:
            self._waiting = None
