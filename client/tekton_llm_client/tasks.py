"""Tasks that somebody owns: the only place in this package where a task is made."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

log = logging.getLogger(__name__)

T = TypeVar("T")


class Tasks:
    """Kept while they run; their owner waits for their end."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    def spawn(self, work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._on_done)
        return task

    async def settle(self, within_s: float) -> None:
        """Wait for them, but not longer; who takes longer is cancelled. A task does not wait for itself."""
        ends_s = asyncio.get_running_loop().time() + within_s
        while others := [task for task in self._running if task is not asyncio.current_task()]:
            left_s = ends_s - asyncio.get_running_loop().time()
            if left_s <= 0:
                for task in others:
                    task.cancel()
            await asyncio.wait(others, timeout=max(left_s, 0) or None)

    def _on_done(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("task failed", extra={"task": task.get_name()}, exc_info=error)
