"""Event loops in threads of their own, for code that has none."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future
from typing import Any, TypeVar

T = TypeVar("T")


class Loops:
    """A loop for each process that uses it: a fork has neither its parent's threads nor who would release
    their locks.

    Args:
        name: of the thread.
        last: what gives back whatever was opened in a loop, before it ends.
    """

    def __init__(self, name: str, last: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._name = name
        self._last = last
        self._loops: dict[int, Loop] = {}
        self._locks: dict[int, threading.Lock] = {}

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        return self.running().wait(work)

    def running(self) -> Loop:
        """The loop of this process, begun with its first use."""
        with self._lock():
            loop = self._loops.get(os.getpid())
            if loop is None:
                loop = self._loops[os.getpid()] = Loop(self._name)
            return loop

    def close(self) -> None:
        """Give everything back and end the thread; the next use begins another one."""
        with self._lock():
            if (loop := self._loops.pop(os.getpid(), None)) is not None:
                loop.close(self._last())

    def forget(self) -> None:
        """Nobody can ask any more: the same without waiting, and without locks."""
        if (loop := self._loops.pop(os.getpid(), None)) is not None:
            loop.begin_end(self._last())

    def _lock(self) -> threading.Lock:
        return self._locks.setdefault(os.getpid(), threading.Lock())


class Loop:
    """An event loop that runs in a thread until it is closed."""

    def __init__(self, name: str) -> None:
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._ends = False  # what begins after that would never run
        self._loop = asyncio.new_event_loop()
        # A daemon: who forgets to close it must not hang at the end of the program.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Its result; whoever is interrupted meanwhile stops it."""
        future = self._begin(work)
        try:
            return future.result()
        except CancelledError:
            raise RuntimeError("this client was shut down") from None
        except BaseException:
            future.cancel()
            raise

    def close(self, last: Coroutine[Any, Any, None]) -> None:
        """End it after this, and everything that runs in it."""
        ended = self.begin_end(last)
        try:
            ended.result()
        finally:
            self._thread.join()

    def begin_end(self, last: Coroutine[Any, Any, None]) -> Future[None]:
        """The same without waiting, for who may be in this very thread: a finalizer."""
        ended = self._begin(_end_after(last), ends=True)
        ended.add_done_callback(lambda _: self._loop.call_soon_threadsafe(self._loop.stop))
        return ended

    def _begin(self, work: Coroutine[Any, Any, T], ends: bool = False) -> Future[T]:
        if self._process != os.getpid():
            work.close()
            raise RuntimeError("this stream belongs to the process that began it")
        with self._lock:
            if self._ends:
                work.close()
                raise RuntimeError("this client was shut down")
            self._ends = ends
            return asyncio.run_coroutine_threadsafe(work, self._loop)

    def _run(self) -> None:
        try:
            self._loop.run_forever()
        finally:
            self._loop.close()


async def _end_after(last: Coroutine[Any, Any, None]) -> None:
    try:
        await last
    finally:
        await _end_all()


async def _end_all() -> None:
    """Calls of other threads end with the client, and what it started goes with it."""
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await asyncio.get_running_loop().shutdown_asyncgens()
    await asyncio.get_running_loop().shutdown_default_executor()
