"""Who reads the files? Children: a file that brings its parser down must not bring us down."""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Generic, Self, TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")

PATIENCE_S = 30.0  # for one file; two megabytes of ordinary code take a tenth of it
GRACE_S = 5.0  # for a child that was told to go


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a job has no result."""

    reason: str


@dataclass(slots=True)
class _Hand(Generic[Job]):
    """A child, and what it is doing."""

    process: BaseProcess
    wire: Connection
    job: Job | None = None
    until_s: float = 0.0


class Crew(Generic[Job, Result]):
    """Children that do jobs one by one.

    `work` must be a function at the top of a module, and jobs and results what
    can be sent to another process.
    """

    def __init__(self, work: Callable[[Job], Result], hands: int, patience_s: float = PATIENCE_S) -> None:
        self._work = work
        self._size = hands
        self._patience_s = patience_s
        self._hands: list[_Hand[Job]] = []
        # A fork would copy the locks of whatever threads the caller has.
        self._context = multiprocessing.get_context("spawn")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._hands:
            self._dismiss(self._hands[-1])

    def do(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, Result | Failure]]:
        """Each job with its result, as they get ready."""
        waiting = deque(jobs)
        busy: list[_Hand[Job]] = []
        while waiting or busy:
            while waiting and len(busy) < self._size:
                busy.append(self._given(waiting.popleft(), busy))
            patience_s = max(0.0, min(hand.until_s for hand in busy) - time.monotonic())
            ready = wait([hand.wire for hand in busy], patience_s)
            late = [hand for hand in busy if hand.until_s <= time.monotonic()]
            for hand in [hand for hand in busy if hand.wire in ready or hand in late]:
                busy.remove(hand)
                job = hand.job
                assert job is not None
                yield job, self._result(hand, is_late=hand.wire not in ready)

    def _given(self, job: Job, busy: list[_Hand[Job]]) -> _Hand[Job]:
        hand = next((hand for hand in self._hands if hand not in busy), None) or self._hire()
        hand.job, hand.until_s = job, time.monotonic() + self._patience_s
        with suppress(OSError):  # it died meanwhile: whoever waits for its result is told
            hand.wire.send(job)
        return hand

    def _hire(self) -> _Hand[Job]:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(theirs, self._work), daemon=True)
        process.start()
        theirs.close()
        hand: _Hand[Job] = _Hand(process, ours)
        self._hands.append(hand)
        return hand

    def _result(self, hand: _Hand[Job], is_late: bool) -> Result | Failure:
        if is_late:
            self._dismiss(hand)
            return Failure(f"it took longer than {self._patience_s:g} s to read")
        try:
            result: Result | Failure = hand.wire.recv()
        except (EOFError, OSError):
            self._dismiss(hand)
            return Failure("it brings the parser down")
        return result

    def _dismiss(self, hand: _Hand[Job]) -> None:
        self._hands.remove(hand)
        hand.wire.close()
        hand.process.kill()
        hand.process.join(GRACE_S)
        hand.process.close()


def _serve(wire: Connection, work: Callable[[Job], Result]) -> None:
    """What a child does until nobody wants more of it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is interrupted too, and ends us
    while True:
        try:
            job = wire.recv()
        except (EOFError, OSError):
            return
        try:
            answer: Result | Failure = work(job)
        except (RecursionError, MemoryError):
            answer = Failure("it is nested too deeply")
        except Exception as error:  # whatever a file provokes is said of that file
            answer = Failure(f"{type(error).__name__}: {str(error)[:200]}")
        wire.send(answer)
