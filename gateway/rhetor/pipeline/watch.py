"""The clock over a reply that has begun: idle between reads, and the trip's total.

One timer for the whole reply, armed lazily: a read only notes when it began,
and the timer looks whether that was too long ago. So a chunk costs a
reading of the clock instead of a timer of its own, and time in which the
caller is slow does not count against the provider.
"""

from __future__ import annotations

import asyncio

from rhetor.core.errors import Code, UpstreamError
from rhetor.transport.base import Response


class Watch:
    """Closes the response when a read takes too long; the reader then finds `expired`.

    Args:
        idle_s: how long one read may take.
        left_s: how long the trip may go on from now.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, response: Response, idle_s: float, left_s: float
    ) -> None:
        self._loop = loop
        self._response = response
        self._ends_s = loop.time() + left_s
        self._reading_since_s: float | None = None
        self._idle_s = idle_s
        self._timer: asyncio.TimerHandle | None = None
        self.expired: UpstreamError | None = None

    def start(self) -> None:
        """A read begins; it may take as long as the route lets a provider be idle."""
        now_s = self._loop.time()
        self._reading_since_s = now_s
        if self._timer is None:
            self._arm(now_s)

    def end_within(self, left_s: float) -> None:
        """The reply has ended: whatever its provider still sends may take so long, and not longer."""
        self._ends_s = min(self._ends_s, self._loop.time() + left_s)
        self._cancel()

    def stop(self) -> None:
        self._reading_since_s = None

    def close(self) -> None:
        self._reading_since_s = None
        self._cancel()

    def _arm(self, since_s: float) -> None:
        self._timer = self._loop.call_at(min(since_s + self._idle_s, self._ends_s), self._look)

    def _look(self) -> None:
        self._timer = None
        since_s = self._reading_since_s
        if since_s is None:
            return  # nobody waits; the next read arms the timer again
        now_s = self._loop.time()
        if now_s >= self._ends_s:
            self._expire("the reply took longer than the whole trip may", Code.TOTAL_TIMEOUT)
        elif now_s >= since_s + self._idle_s:
            self._expire(f"the provider was silent for {self._idle_s:g} s", Code.IDLE_TIMEOUT)
        else:
            self._arm(since_s)

    def _expire(self, message: str, code: Code) -> None:
        self.expired = UpstreamError(message, code)
        self._response.close()

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
