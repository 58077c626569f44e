"""What providers allow: when they are left alone, which keys they refuse, how many repeats they bear."""

from __future__ import annotations

from math import inf

from rhetor.core.errors import Code

FIRST_WINDOW_S = 1.0
LONGEST_WINDOW_S = 30.0  # where the provider does not say how long
BELIEVED_S = 3600.0  # a provider whose clock is wrong may ask for years
MOST_DOMAINS = 4000  # callers may make up the names of models
FORGOTTEN = MOST_DOMAINS // 4  # at once, when there are more: those that end first

REFUSED_S = {Code.UPSTREAM_AUTH: 600.0, Code.UPSTREAM_BILLING: 60.0}
"""How long a key is not used again; a bill is paid sooner than a key is replaced."""

RESERVE = 10.0  # repeats that are always there at first
MOST_REPEATS = 100.0
SHARE = 0.2  # repeats for each request
PATIENCE_S = 1.0  # one repeat in so long is no storm

_ASKS = frozenset({Code.RATE_LIMITED, Code.OVERLOADED, Code.UNAVAILABLE})
"""Refusals whose `Retry-After` is meant for everybody."""


class Windows:
    """Until when each quota domain wants to be left alone."""

    __slots__ = ("_latest_s", "_until")

    def __init__(self) -> None:
        self._until: dict[str, tuple[float, float]] = {}
        """Domain → when its window ends, and how long the one was that nobody gave a length."""
        self._latest_s = -inf
        """None ends later."""

    def any_left(self, now_s: float) -> bool:
        """Whether there may be a window that has not ended."""
        return now_s < self._latest_s

    def left_s(self, domain: str, now_s: float) -> float:
        """How long the domain still wants to be left alone."""
        if not self._until or (window := self._until.get(domain)) is None:
            return 0.0
        return max(0.0, window[0] - now_s)

    def on_success(self, domain: str, now_s: float) -> None:
        """What ends well after a window ends the row of refusals; what began before it says nothing."""
        if self._until and (window := self._until.get(domain)) is not None and now_s >= window[0]:
            del self._until[domain]

    def on_failure(self, domain: str, code: Code, now_s: float, retry_after_s: float | None) -> None:
        if code is not Code.RATE_LIMITED and not (retry_after_s and code in _ASKS):
            return
        until_s, length_s = self._until.get(domain, (0.0, 0.0))
        if retry_after_s:
            until_s = max(until_s, now_s + min(retry_after_s, BELIEVED_S))
        elif now_s >= until_s:  # in a window of ours, the refusals are answers to what was under way
            length_s = min(length_s * 2 or FIRST_WINDOW_S, LONGEST_WINDOW_S)
            until_s = now_s + length_s
        self._until[domain] = (until_s, length_s)
        self._latest_s = max(self._latest_s, until_s)
        if len(self._until) > MOST_DOMAINS:
            self._until = dict(sorted(self._until.items(), key=lambda kept: kept[1])[FORGOTTEN:])


class Marks:
    """Keys that were refused.

    A refusal may be about the model alone, so the mark is for the key with this model: its quota domain.
    """

    __slots__ = ("_latest_s", "_until_s")

    def __init__(self) -> None:
        self._until_s: dict[str, float] = {}
        self._latest_s = -inf
        """None ends later."""

    def any_left(self, now_s: float) -> bool:
        """Whether there may be a key that is still marked."""
        return now_s < self._latest_s

    def is_bad(self, domain: str, now_s: float) -> bool:
        return bool(self._until_s) and self._until_s.get(domain, 0.0) > now_s

    def on_success(self, domain: str) -> None:
        if self._until_s and self._until_s.pop(domain, None) is not None and not self._until_s:
            self._latest_s = -inf

    def on_failure(self, domain: str, code: Code, now_s: float) -> None:
        if (refused_s := REFUSED_S.get(code)) is None:
            return
        self._until_s[domain] = now_s + refused_s
        self._latest_s = max(self._latest_s, now_s + refused_s)
        if len(self._until_s) > MOST_DOMAINS:
            self._until_s = dict(sorted(self._until_s.items(), key=lambda kept: kept[1])[FORGOTTEN:])

    def clear(self) -> None:
        self._until_s.clear()
        self._latest_s = -inf


class Budgets:
    """How many repeats a provider can bear: a share of its requests, so that no storm feeds itself."""

    __slots__ = ("_left", "_repeated_s")

    def __init__(self) -> None:
        self._left: dict[str, float] = {}
        self._repeated_s: dict[str, float] = {}

    def on_request(self, provider: str) -> None:
        left = self._left.get(provider, RESERVE) + SHARE
        self._left[provider] = min(MOST_REPEATS, left)

    def on_repeat(self, provider: str, now_s: float) -> None:
        self._left[provider] = max(0.0, self._left.get(provider, RESERVE) - 1)
        self._repeated_s[provider] = now_s

    def may_repeat(self, provider: str, now_s: float) -> bool:
        if self._left.get(provider, RESERVE) >= 1:
            return True
        return now_s - self._repeated_s.get(provider, -PATIENCE_S) >= PATIENCE_S
