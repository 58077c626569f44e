"""How long something may take: asyncio's timeout where every microsecond is paid a thousand times."""

from __future__ import annotations

import asyncio
from types import TracebackType


class Patience:
    """`with Patience(loop, seconds):` ends what is awaited inside with `TimeoutError` when they are over.

    As with `asyncio.timeout`, whoever cancels the task from outside is heard, even at the same moment.
    """

    __slots__ = ("_before", "_expired", "_loop", "_seconds", "_task", "_timer")

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        self._loop = loop
        self._seconds = seconds
        self._expired = False

    def __enter__(self) -> None:
        task = self._task = asyncio.current_task(self._loop)
        assert task is not None
        self._before = task.cancelling()
        self._timer = self._loop.call_later(max(self._seconds, 0.0), self._expire)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._timer.cancel()
        if not self._expired:
            return
        assert self._task is not None
        if self._task.uncancel() <= self._before and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def renew(self, seconds: float) -> None:
        """From now on it may take so long."""
        if not self._expired:
            self._timer.cancel()
            self._timer = self._loop.call_later(max(seconds, 0.0), self._expire)

    def _expire(self) -> None:
        assert self._task is not None
        self._expired = True
        self._task.cancel()
