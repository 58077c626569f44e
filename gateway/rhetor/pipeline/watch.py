"""The clock over a reply that has begun: idle between reads, and the trip's total.

One timer for the whole reply, armed lazily: a read only notes when it began,
and the timer looks whether that was too long ago. So a chunk costs a
reading of the clock instead of a timer of its own. Time in which the caller
is slow does not count against the provider, but against the trip.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from rhetor import tasks
from rhetor.core.errors import Code, UpstreamError
from rhetor.transport.base import Response


class Answering(Protocol):
    """Whoever is listened to; a reply that is told in several responses has another one each time."""

    @property
    def response(self) -> Response: ...


class Watch:
    """Closes the response when a read takes too long; the reader then finds `expired`.

    When the trip takes too long while nobody reads, the task that should is held up, as a rule by a
    caller who does not read: it is cancelled, with `expired` as the reason. So it is made by that task.

    Args:
        idle_s: how long one read may take.
        left_s: how long the trip may go on from now.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, answering: Answering, idle_s: float, left_s: float
    ) -> None:
        now_s = loop.time()
        self._loop = loop
        self._answering = answering
        self._task = asyncio.current_task(loop)
        self._trip_ends_s = now_s + left_s
        self._reads_end_s = self._trip_ends_s
        self._hurries = False
        """The timer may be too late for the next read."""
        self._reading_since_s: float | None = None
        self.idle_s = idle_s
        self._timer: asyncio.TimerHandle | None = None
        self.expired: UpstreamError | None = None
        self._arm(now_s, self._trip_ends_s)

    def start(self) -> None:
        """A read begins; it may take as long as the route lets a provider be idle."""
        now_s = self._loop.time()
        self._reading_since_s = now_s
        if self._hurries:
            self._hurries = False
            self._cancel()
            self._arm(now_s, self._reads_end_s)

    def end_within(self, left_s: float) -> None:
        """The reply has ended: whatever its provider still sends may take so long, and not longer."""
        self._reads_end_s = min(self._reads_end_s, self._loop.time() + left_s)
        self._hurries = True

    def stop(self) -> None:
        self._reading_since_s = None

    def close(self) -> None:
        self._reading_since_s = None
        self._hurries = False
        self._cancel()

    def _arm(self, since_s: float, ends_s: float) -> None:
        self._timer = self._loop.call_at(min(since_s + self.idle_s, ends_s), self._look)

    def _look(self) -> None:
        self._timer = None
        now_s = self._loop.time()
        if self._reading_since_s is None:
            self._look_while_nobody_reads(now_s)
        elif now_s >= self._reads_end_s:
            self._expire("the reply took longer than the whole trip may", Code.TOTAL_TIMEOUT)
        elif now_s >= self._reading_since_s + self.idle_s:
            self._expire(f"the provider was silent for {self.idle_s:g} s", Code.IDLE_TIMEOUT)
        else:
            self._arm(self._reading_since_s, self._reads_end_s)

    def _look_while_nobody_reads(self, now_s: float) -> None:
        if now_s < self._trip_ends_s:
            self._hurries = self._reads_end_s < self._trip_ends_s
            self._arm(now_s, self._trip_ends_s)
            return
        expired = self._expire("the caller took longer than the whole trip may", Code.TOTAL_TIMEOUT)
        if self._task is not None:
            tasks.cancel(self._task, expired)

    def _expire(self, message: str, code: Code) -> UpstreamError:
        self.expired = UpstreamError(message, code)
        self._answering.response.close()
        return self.expired

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
