"""Breakers: a target that fails again and again is left alone for a while, then tried with one request."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from enum import StrEnum

from rhetor.core.errors import Code
from rhetor.routing.catalog import Target

IN_A_ROW = 5  # failures; fewer happen to anybody
RECENT = 20  # outcomes that are remembered
RECENT_S = 30.0  # for so long: what was before says nothing of now
ENOUGH = 10  # outcomes, before their ratio means something
FIRST_WAIT_S = 5.0
LONGEST_WAIT_S = 20.0  # a provider that is back is noticed within half a minute

FAULTS = frozenset(
    {
        Code.UPSTREAM_ERROR,
        Code.UNAVAILABLE,
        Code.OVERLOADED,
        Code.PROTOCOL,
        Code.TRUNCATED,
        Code.CONNECT_FAILED,
        Code.CONNECTION_LOST,
        Code.CONNECT_TIMEOUT,
        Code.FIRST_EVENT_TIMEOUT,
        Code.IDLE_TIMEOUT,
    }
)
"""What speaks against a target."""
ANSWERS = frozenset(
    {
        Code.RATE_LIMITED,
        Code.UPSTREAM_AUTH,
        Code.UPSTREAM_BILLING,
        Code.INVALID_REQUEST,
        Code.TOO_LARGE,
        Code.CONTEXT_LENGTH,
        Code.CONTENT_POLICY,
        Code.MODEL_NOT_FOUND,
    }
)
"""Refusals that only a working target gives. Whatever is in neither set says nothing about it."""


class State(StrEnum):
    CLOSED = "closed"
    """All is well."""
    OPEN = "open"
    """Left alone; asked only where nobody else is left."""
    HALF_OPEN = "half_open"
    """One request is out to see, or the next one will be."""


class _Event(StrEnum):
    TRIPPED = "tripped"
    PROBED = "probed"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    GAVE_UP = "gave_up"


_TABLE: Mapping[tuple[State, _Event], State] = {
    (State.CLOSED, _Event.TRIPPED): State.OPEN,
    (State.OPEN, _Event.PROBED): State.HALF_OPEN,
    (State.HALF_OPEN, _Event.SUCCEEDED): State.CLOSED,
    (State.HALF_OPEN, _Event.FAILED): State.OPEN,
    (State.HALF_OPEN, _Event.GAVE_UP): State.OPEN,  # still due: the next request is the probe
}


class Breaker:
    """One target's breaker.

    A probe is recognised by its `Target` object: every plan makes its own, so that a request which was
    under way before the breaker opened is not taken for the probe.
    """

    __slots__ = ("_due_s", "_probe", "_recent", "_row", "_state", "_wait_s")

    def __init__(self) -> None:
        self._state = State.CLOSED
        self._row = 0
        """Failures since the last success."""
        self._recent: deque[tuple[float, bool]] = deque(maxlen=RECENT)
        """When, and whether it failed."""
        self._wait_s = FIRST_WAIT_S
        self._due_s = 0.0
        self._probe: Target | None = None

    @property
    def closed(self) -> bool:
        return self._state is State.CLOSED

    @property
    def failures(self) -> int:
        """In a row, until now."""
        return self._row

    def state(self, now_s: float) -> State:
        """As whoever plans should see it: half open to one, open to the others while that one is out."""
        if self._state is State.CLOSED:
            return State.CLOSED
        return State.HALF_OPEN if self._probe is None and now_s >= self._due_s else State.OPEN

    def due_in_s(self, now_s: float) -> float:
        """Until a probe may go out; 0 when it may, or when all is well."""
        return max(0.0, self._due_s - now_s) if self._state is State.OPEN else 0.0

    def hurry(self, now_s: float) -> None:
        """Somebody has seen that it answers: the next request is the probe."""
        if self._state is State.OPEN:
            self._due_s = min(self._due_s, now_s)

    def began(self, target: Target, now_s: float) -> None:
        """A request goes out: the probe, if one is due."""
        if self.state(now_s) is State.HALF_OPEN:
            self._probe = target
            self._move(_Event.PROBED)

    def spoke(self, target: Target) -> None:
        """A probe that speaks has seen enough; how long it goes on speaking does not matter."""
        if self._probe is target:
            self._close()

    def ended(self, target: Target, code: Code | None, now_s: float) -> None:
        """How a request ended; None: well."""
        failed = code in FAULTS
        if self._probe is target:
            self._judge(failed, code, now_s)
        elif self._state is State.CLOSED and (failed or code is None):
            self._count(failed, now_s)

    def _judge(self, failed: bool, code: Code | None, now_s: float) -> None:
        if failed:
            self._wait_s = min(self._wait_s * 2, LONGEST_WAIT_S)
            self._open(_Event.FAILED, now_s)
        elif code is None or code in ANSWERS:
            self._close()
        else:
            self._probe = None
            self._move(_Event.GAVE_UP)

    def _count(self, failed: bool, now_s: float) -> None:
        self._recent.append((now_s, failed))
        if not failed:
            self._row = 0
            return
        self._row += 1
        if self._row >= IN_A_ROW or self._mostly_failed(now_s):
            self._wait_s = FIRST_WAIT_S
            self._open(_Event.TRIPPED, now_s)

    def _mostly_failed(self, now_s: float) -> bool:
        recent = [failed for at_s, failed in self._recent if now_s - at_s <= RECENT_S]
        return len(recent) >= ENOUGH and 2 * sum(recent) > len(recent)

    def _open(self, event: _Event, now_s: float) -> None:
        self._probe = None
        self._due_s = now_s + self._wait_s
        self._move(event)

    def _close(self) -> None:
        self._probe = None
        self._row = 0
        self._recent.clear()
        self._move(_Event.SUCCEEDED)

    def _move(self, event: _Event) -> None:
        self._state = _TABLE[self._state, event]
