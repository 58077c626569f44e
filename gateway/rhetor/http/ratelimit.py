"""How often callers may come, where a dialect promises a limit: so many calls in a window that slides."""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from datetime import datetime, timedelta
from ipaddress import IPv6Address, IPv6Network, ip_address

from rhetor.core.clock import Clock
from rhetor.core.value import value

MOST_KEYS = 10_000  # at 50 calls each some 30 MB, when all of them come in one window


V6_PREFIX = 64  # bits: whoever has one address of such a network has all of them


def place_of(address: str | None) -> str:
    """Whom an address stands for, as far as limits go: itself, or its whole network."""
    try:
        parsed = ip_address((address or "").partition("%")[0])
    except ValueError:
        return address or ""
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(IPv6Network((parsed, V6_PREFIX), strict=False))


@value(kw_only=True)
class Allowance:
    """What a caller was given, and what is left."""

    limit: int
    remaining: int
    reset_at: datetime
    """When there is more than what remains."""
    retry_after_s: float | None = None
    """Refused: come again after so many seconds."""

    @property
    def headers(self) -> dict[str, str]:
        """As callers read them; Reset is Unix time in seconds."""
        told = {
            "x-ratelimit-limit": str(self.limit),
            "x-ratelimit-remaining": str(self.remaining),
            "x-ratelimit-reset": str(math.ceil(self.reset_at.timestamp())),
        }
        if self.retry_after_s is not None:
            told["retry-after"] = str(self.retry_after)
        return told

    @property
    def retry_after(self) -> int:
        """Whole seconds, at least one."""
        return max(1, math.ceil(self.retry_after_s or 0.0))


class Windows:
    """At most `limit` calls of each key within any `window_s` seconds. What is refused does not count.

    When there is no room for a further key, the one that came longest ago is forgotten.
    """

    def __init__(self, limit: int, window_s: float, clock: Clock, most_keys: int = MOST_KEYS) -> None:
        self.limit = limit
        self._window_s = window_s
        self._clock = clock
        self._most_keys = most_keys
        self._taken: OrderedDict[str, deque[float]] = OrderedDict()
        """When, by key; who came last is last, so that what has passed is found at the front."""

    def take(self, key: str) -> Allowance:
        """One call of this key, if it is allowed."""
        now_s = self._clock.monotonic_s()
        self._forget_passed(now_s)
        if key not in self._taken and len(self._taken) >= self._most_keys:
            self._taken.popitem(last=False)
        taken = self._taken.setdefault(key, deque())
        self._taken.move_to_end(key)
        while taken and now_s - taken[0] >= self._window_s:
            taken.popleft()
        allowed = len(taken) < self.limit
        if allowed:
            taken.append(now_s)
        wait_s = taken[0] + self._window_s - now_s if taken else self._window_s
        return Allowance(
            limit=self.limit,
            remaining=self.limit - len(taken),
            reset_at=self._clock.utc() + timedelta(seconds=wait_s),
            retry_after_s=None if allowed else wait_s,
        )

    def give_back(self, key: str) -> None:
        """The last call of this key does not count."""
        if taken := self._taken.get(key):
            taken.pop()
        if not taken:
            self._taken.pop(key, None)

    def __len__(self) -> int:
        return len(self._taken)

    def _forget_passed(self, now_s: float) -> None:
        while self._taken:
            key, taken = next(iter(self._taken.items()))
            if taken and now_s - taken[-1] < self._window_s:
                return
            del self._taken[key]
