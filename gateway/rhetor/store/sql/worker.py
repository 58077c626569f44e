"""The one thread on which all SQL runs; what waits for it is done in one transaction."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from rhetor.core.errors import BadRequest, Code, RhetorError
from rhetor.store.sql.database import connect, unusable
from rhetor.store.sql.folder import Folder

MOST_TOGETHER = 256  # in one transaction: the first of them waits for the last

T = TypeVar("T")
Work: TypeAlias = Callable[[Connection], T]
"""What is done inside of a transaction. It may be done again, after all of it was taken back."""


@dataclass(frozen=True, slots=True)
class _Job:
    work: Work[Any]
    writes: bool
    loop: asyncio.AbstractEventLoop
    promised: asyncio.Future[Any]


@dataclass(frozen=True, slots=True)
class _Failed:
    error: Exception


class Worker:
    """What is asked here is done in the order of asking, whether or not anybody waits for it still.

    Nobody hears of anything before it is stored: what was read beside a write is
    told after both are committed.

    Args:
        folder: where the database is, given back with the end; None: in memory.
    """

    def __init__(self, folder: Folder | None) -> None:
        """
        Raises:
            RhetorError: unavailable, the database cannot be used.
        """
        self._folder = folder
        self._file = None if folder is None else folder.database
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._gate = threading.Lock()
        """Nothing gets into the queue behind the last one, whichever thread asks."""
        self._closed = False
        opened: Future[None] = Future()
        self._thread = threading.Thread(target=self._live, args=(opened,), name="store", daemon=True)
        self._thread.start()
        try:
            opened.result()
        except BaseException:
            self._thread.join()
            raise

    async def read(self, work: Work[T]) -> T:
        return await self._ask(work, writes=False)

    async def write(self, work: Work[T]) -> T:
        """Done when this returns. A caller that is cancelled does not hear of it, but done it is."""
        return await self._ask(work, writes=True)

    async def close(self) -> None:
        """Do what was asked before, then give everything back."""
        with self._gate:
            if not self._closed:
                self._closed = True
                self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)

    def _ask(self, work: Work[T], *, writes: bool) -> asyncio.Future[T]:
        loop = asyncio.get_running_loop()
        promised: asyncio.Future[T] = loop.create_future()
        with self._gate:
            if self._closed:
                raise RhetorError("the store is closed: the gateway is shutting down", Code.SHUTTING_DOWN)
            self._jobs.put(_Job(work, writes, loop, promised))
        return promised

    # On the thread.

    def _live(self, opened: Future[None]) -> None:
        try:
            connection = connect(self._file)
        except BaseException as error:
            opened.set_exception(error)
            return
        opened.set_result(None)
        while self._work(connection):
            pass
        with suppress(DBAPIError):
            connection.close()
        if self._folder is not None:
            self._folder.release()

    def _work(self, connection: Connection) -> bool:
        """Do what waits; False: that was the last."""
        batch, more = self._waiting()
        wanted = [job for job in batch if job.writes or not job.promised.cancelled()]
        _tell(wanted, self._outcomes(connection, wanted))
        return more

    def _waiting(self) -> tuple[list[_Job], bool]:
        batch: list[_Job] = []
        while len(batch) < MOST_TOGETHER:
            try:
                job = self._jobs.get(block=not batch)
            except queue.Empty:
                break
            if job is None:
                return batch, False
            batch.append(job)
        return batch, True

    def _outcomes(self, connection: Connection, batch: Sequence[_Job]) -> list[Any]:
        try:
            return self._together(connection, batch)
        except Exception as error:
            if len(batch) == 1:
                return [_Failed(self._translated(error))]
        # One of them failed, and nobody else shall with it. Savepoints would not do: SQLite itself takes the
        # whole transaction back when the disk is full.
        return [outcome for job in batch for outcome in self._outcomes(connection, [job])]

    def _together(self, connection: Connection, batch: Sequence[_Job]) -> list[Any]:
        try:
            connection.exec_driver_sql("BEGIN IMMEDIATE" if any(job.writes for job in batch) else "BEGIN")
        except DBAPIError as error:  # nobody is to blame, and each alone would wait as long
            return [_Failed(self._translated(error)) for _ in batch]
        try:
            outcomes = [job.work(connection) for job in batch]
            connection.commit()
        except BaseException:
            connection.rollback()
            raise
        return outcomes

    def _translated(self, error: Exception) -> Exception:
        translated: RhetorError
        match error:
            case DBAPIError():
                translated = unusable(self._file, error)
            case UnicodeEncodeError():
                translated = BadRequest("cannot be stored: it is not Unicode text")
            case _:
                return error
        translated.__cause__ = error
        return translated


def _tell(batch: Sequence[_Job], outcomes: Sequence[Any]) -> None:
    """Each caller on its own loop, and each loop once."""
    for loop in {job.loop for job in batch}:
        theirs = [(job.promised, said) for job, said in zip(batch, outcomes, strict=True) if job.loop is loop]
        with suppress(RuntimeError):  # the loop is gone, and its callers with it
            loop.call_soon_threadsafe(partial(_keep, theirs))


def _keep(promises: Sequence[tuple[asyncio.Future[Any], Any]]) -> None:
    for promised, outcome in promises:
        if promised.done():  # its caller was cancelled
            continue
        if isinstance(outcome, _Failed):
            promised.set_exception(outcome.error)
        else:
            promised.set_result(outcome)
