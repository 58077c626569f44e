"""Tasks that somebody owns: the only place where a task is made.

`spawn` is for work with a known end, `supervise` for parts that live as long
as the process and are started again when they fall over.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from rhetor.core.errors import RhetorError

log = logging.getLogger(__name__)

T = TypeVar("T")

RESTART_FIRST_S = 0.5
RESTART_MOST_S = 30.0


def spawn(work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
    """A named task. The caller keeps the reference and awaits its end, or hands it to `Tasks`."""
    return asyncio.get_running_loop().create_task(work, name=name)


class Tasks:
    """A set of tasks with one owner: kept while they run, cancelled together, errors logged."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        return len(self._running)

    def spawn(self, work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        task = spawn(work, name)
        self._running.add(task)
        task.add_done_callback(self._on_done)
        return task

    def _on_done(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("task failed", extra={"task": task.get_name()}, exc_info=error)

    async def settle(self, within_s: float) -> None:
        """Wait until nothing runs, for so long at most; what begins meanwhile is waited for as well."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while self._running:
                    await asyncio.wait(self._running)

    async def close(self) -> None:
        """Cancel what still runs and wait for its end."""
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def supervise(
    name: str,
    part: Callable[[], Awaitable[None]],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Run a long-lived part until it returns; one that fails is logged and started again, ever later."""
    pause_s = RESTART_FIRST_S
    while True:
        try:
            await part()
            return
        except Exception as error:
            log.exception("part failed", extra={"part": name, "error": str(error), "restart_in_s": pause_s})
        await sleep(pause_s)
        pause_s = min(pause_s * 2, RESTART_MOST_S)


def cancel(task: asyncio.Task[Any], reason: RhetorError) -> None:
    """Cancel a task and tell it why: where it answers somebody, it can pass that on, see `survive`."""
    task.cancel(reason)


def reason_of(cancelled: BaseException | None) -> RhetorError | None:
    """What a task was cancelled for; None when nobody said, or when it was not cancelled."""
    if isinstance(cancelled, asyncio.CancelledError) and cancelled.args:
        said = cancelled.args[0]
        return said if isinstance(said, RhetorError) else None
    return None


def survive(cancelled: asyncio.CancelledError) -> RhetorError:
    """What the current task was cancelled for; it goes on, so as to tell somebody.

    Raises:
        CancelledError: the same, when nobody said what for.
    """
    reason = reason_of(cancelled)
    task = asyncio.current_task()
    if reason is None or task is None:
        raise cancelled
    task.uncancel()
    return reason


async def stop(task: asyncio.Task[Any]) -> None:
    """Cancel a task and wait until it is gone. What it failed of is raised, being cancelled is no failure."""
    task.cancel()
    await asyncio.wait([task])  # unlike awaiting the task this tells its cancellation from our own
    if not task.cancelled():
        task.result()
