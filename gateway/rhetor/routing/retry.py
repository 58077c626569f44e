"""What follows a failed attempt: by its cause, as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

from rhetor.core.errors import MEANING, Code, Retry
from rhetor.core.value import value
from rhetor.routing.breaker import State
from rhetor.routing.catalog import Candidate
from rhetor.routing.decision import Plan
from rhetor.routing.health import Health

LONGEST_WAIT_S = 30.0  # for a window to end; callers that would wait longer are told instead
JITTER_S = 0.25  # more than that: those who wait for the same window do not come back all at once
SOON_S = (0.05, 0.25)  # before the same target is asked again after a fault that passes
LATER_S = (0.5, 1.0)  # before the only target is asked again that was too busy


class Remedy(StrEnum):
    """What is done about a failure."""

    STOP = "stop"
    """Every target would say the same."""
    AGAIN = "again"
    """The same target once more, then another one."""
    ELSEWHERE = "elsewhere"
    """Another target, of another provider if there is one; the same only where it is alone."""
    SLOW = "slow"
    """Another target; whoever kept us waiting so long is not asked again."""
    WAIT = "wait"
    """Another quota domain at once; without one, this one when its window has ended."""
    OTHER_KEY = "other_key"
    """Another key or target."""
    OTHER_MODEL = "other_model"
    """A target with another model: the same one would refuse it with any key."""
    LARGER = "larger"
    """A target that is known to take longer conversations."""


REMEDIES: Mapping[Code, Remedy] = {
    Code.CONNECT_TIMEOUT: Remedy.ELSEWHERE,
    Code.FIRST_EVENT_TIMEOUT: Remedy.SLOW,
    Code.POOL_FULL: Remedy.SLOW,
    Code.UPSTREAM_AUTH: Remedy.OTHER_KEY,
    Code.UPSTREAM_BILLING: Remedy.OTHER_KEY,
    Code.NO_KEY: Remedy.OTHER_KEY,
    Code.MODEL_NOT_FOUND: Remedy.OTHER_MODEL,
    Code.UNSUPPORTED: Remedy.OTHER_MODEL,
    Code.CONTEXT_LENGTH: Remedy.LARGER,
}
"""The rest follows from what `core.errors` says of a code."""
_USUAL: Mapping[Retry, Remedy] = {
    Retry.NEVER: Remedy.STOP,
    Retry.SAME: Remedy.AGAIN,
    Retry.NEXT: Remedy.ELSEWHERE,
    Retry.LATER: Remedy.WAIT,
}
_ALONE = frozenset({Code.UNAVAILABLE, Code.OVERLOADED, Code.CONNECT_TIMEOUT})
"""What may have passed when the only target is asked again."""


@value
class Tried:
    """An attempt that failed."""

    candidate: Candidate
    code: Code
    retry_after_s: float | None = None
    spoke: bool = False
    """It had begun to answer, and broke off: the rest is for another one to say."""
    paid: bool = False
    """It works on it, or is done, and nobody hears of it: it would be paid once more for the same."""


@value
class Step:
    """The next attempt, and how long to wait before it."""

    candidate: Candidate
    wait_s: float
    reason: str
    again: bool = False
    """The same target as before: it counts against its provider's budget, see `Health.on_repeat`."""


def remedy_of(code: Code, reroute_refused: bool = False) -> Remedy:
    """What is done about a failure with this code."""
    if code is Code.CONTENT_POLICY and reroute_refused:
        return Remedy.OTHER_MODEL
    return REMEDIES.get(code) or _USUAL[MEANING[code].retry]


def next_step(plan: Plan, tried: Sequence[Tried], health: Health, now_s: float, left_s: float) -> Step | None:
    """Whom to ask next, and when; None: nobody any more. Pure: it only looks at health.

    Args:
        tried: every failed attempt of this trip, in order.
        left_s: of the time that the whole trip has.
    """
    if not tried:
        return _first(plan, health, now_s, left_s)
    known = (*plan.candidates, *plan.cooling)
    if len(tried) >= len(known) + plan.route.retries:
        return None
    last = tried[-1]
    remedy = remedy_of(last.code, plan.route.reroute_refused)
    if remedy is Remedy.STOP:
        return None
    repeat = _repeat(plan, tried, remedy, health, now_s, left_s)
    if remedy is Remedy.AGAIN and repeat is not None and not last.spoke:
        return repeat
    rest = [candidate for candidate in _untried(known, tried) if _suits(candidate, tried, plan)]
    if (healthy := _best(rest, last, remedy, health, now_s)) is not None:
        return Step(healthy, 0.0, f"after {last.code} of {last.candidate.target.name}")
    if (waiting := _wait(rest, tried, plan, health, now_s, left_s)) is not None:
        return waiting
    alone = len(known) == 1 and last.code in _ALONE and not last.spoke
    return repeat if alone else None


def _first(plan: Plan, health: Health, now_s: float, left_s: float) -> Step | None:
    candidate = plan.candidates[0]
    window_s = health.cooling_s(candidate.domain, now_s)
    if window_s == 0:
        return Step(candidate, 0.0, candidate.reason)
    candidate = min(plan.candidates, key=lambda each: health.cooling_s(each.domain, now_s))
    wait_s = _until_after(health.cooling_s(candidate.domain, now_s), plan, left_s)
    return None if wait_s is None else Step(candidate, wait_s, candidate.reason)


def _until_after(window_s: float, plan: Plan, left_s: float) -> float | None:
    """How long to wait for a window that ends in so long; None: longer than there is time."""
    wait_s = window_s + JITTER_S * plan.draw if window_s > 0 else 0.0
    return wait_s if window_s <= LONGEST_WAIT_S and wait_s < left_s else None


def _repeat(
    plan: Plan, tried: Sequence[Tried], remedy: Remedy, health: Health, now_s: float, left_s: float
) -> Step | None:
    """The same target once more, unless it had its second chance or its provider has had enough of them."""
    last = tried[-1]
    target = last.candidate.target
    if last.paid or plan.route.retries == 0 or sum(each.candidate.target == target for each in tried) > 1:
        return None
    if not health.may_repeat(target.provider):
        return None
    standing = health.of(target, last.candidate.domain, now_s)
    if remedy is Remedy.AGAIN and standing.breaker is not State.CLOSED and len(plan.candidates) > 1:
        return None
    least_s, most_s = SOON_S if remedy is Remedy.AGAIN else LATER_S
    jittered_s = least_s + (most_s - least_s) * plan.draw
    window_s = _until_after(max(last.retry_after_s or 0.0, standing.cooling_s), plan, left_s)
    if window_s is None or jittered_s >= left_s:
        return None
    return Step(last.candidate, max(jittered_s, window_s), f"once more after {last.code}", again=True)


def _untried(known: Sequence[Candidate], tried: Sequence[Tried]) -> list[Candidate]:
    before = {each.candidate.target for each in tried}
    return [candidate for candidate in known if candidate.target not in before]


def _suits(candidate: Candidate, tried: Sequence[Tried], plan: Plan) -> bool:
    """Whether nothing that was learnt on this trip speaks against a candidate."""
    return not any(_speaks_against(candidate, each, plan.route.reroute_refused) for each in tried)


def _speaks_against(candidate: Candidate, tried: Tried, reroute_refused: bool) -> bool:
    there, here = tried.candidate, candidate
    match remedy_of(tried.code, reroute_refused):
        case Remedy.OTHER_MODEL:
            return (there.target.provider, there.target.model) == (here.target.provider, here.target.model)
        case Remedy.OTHER_KEY:
            return there.domain == here.domain
        case Remedy.LARGER:
            return (here.context_tokens or 0) <= (there.context_tokens or MOST_TOKENS)
    return False


MOST_TOKENS = 1 << 62  # nobody is known to take more than who is not known at all


def _best(
    rest: Sequence[Candidate], last: Tried, remedy: Remedy, health: Health, now_s: float
) -> Candidate | None:
    """The first of the rest that is well; one that is not where all are so. Never one inside its window."""
    host = last.candidate.target.provider if remedy in (Remedy.ELSEWHERE, Remedy.SLOW) else None
    best: Candidate | None = None
    least = 4
    for candidate in rest:
        standing = health.of(candidate.target, candidate.domain, now_s)
        if standing.cooling_s > 0 or standing.key_bad:
            continue
        rank = 2 * (standing.breaker is State.OPEN) + (candidate.target.provider == host)
        if rank < least:
            best, least = candidate, rank
    return best


def _wait(
    rest: Sequence[Candidate],
    tried: Sequence[Tried],
    plan: Plan,
    health: Health,
    now_s: float,
    left_s: float,
) -> Step | None:
    """Whose window ends first, where it ends in time and was not waited for too often."""
    limited = [each.candidate for each in tried if each.code is Code.RATE_LIMITED and not each.paid]
    waits = len(limited) - len({candidate.domain for candidate in limited})
    if waits >= plan.route.retries:
        return None
    before = {each.candidate.target for each in tried}
    windows = [
        (health.cooling_s(candidate.domain, now_s), n, candidate)
        for n, candidate in enumerate((*rest, *limited))
    ]
    windows = [window for window in windows if window[0] > 0 or window[2].target in before]
    if not windows:
        return None
    window_s, _, candidate = min(windows)
    wait_s = _until_after(window_s, plan, left_s)
    if wait_s is None:
        return None
    again = candidate.target in before
    if again and not health.may_repeat(candidate.target.provider):
        return None
    return Step(candidate, wait_s, f"{candidate.domain} asked to be left alone", again)
