"""Breakers: when a target is left alone, and how it is found to be well again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhetor.core.errors import Code
from rhetor.routing.breaker import (
    ANSWERS,
    ENOUGH,
    FAULTS,
    FIRST_WAIT_S,
    IN_A_ROW,
    LONGEST_WAIT_S,
    RECENT_S,
    Breaker,
    State,
)
from rhetor.routing.catalog import Target


def some() -> Target:
    """Each attempt has a target object of its own."""
    return Target("lab", "m")


def tell(breaker: Breaker, *codes: Code | None, now_s: float = 0.0) -> None:
    for code in codes:
        target = some()
        breaker.began(target, now_s)
        breaker.ended(target, code, now_s)


def tripped(now_s: float = 0.0) -> Breaker:
    breaker = Breaker()
    tell(breaker, *[Code.UNAVAILABLE] * IN_A_ROW, now_s=now_s)
    return breaker


def test_it_opens_after_so_many_failures_in_a_row() -> None:
    breaker = Breaker()
    tell(breaker, *[Code.UNAVAILABLE] * (IN_A_ROW - 1))
    assert breaker.state(0) is State.CLOSED
    tell(breaker, Code.CONNECT_FAILED)
    assert breaker.state(0) is State.OPEN


def test_a_success_ends_the_row() -> None:
    breaker = Breaker()
    tell(breaker, *[Code.UNAVAILABLE] * (IN_A_ROW - 1), None, *[Code.UNAVAILABLE] * (IN_A_ROW - 1))
    assert breaker.closed


def test_it_opens_when_most_fail() -> None:
    breaker = Breaker()
    tell(breaker, *[Code.TRUNCATED, None] * (ENOUGH // 2))
    assert breaker.closed, "half is not most"
    tell(breaker, Code.TRUNCATED)
    assert not breaker.closed


def test_what_is_long_ago_does_not_count() -> None:
    breaker = Breaker()
    tell(breaker, *[Code.TRUNCATED, None] * (ENOUGH // 2), now_s=0)
    tell(breaker, Code.TRUNCATED, now_s=RECENT_S + 1)
    assert breaker.closed


@pytest.mark.parametrize("code", sorted(set(Code) - FAULTS))
def test_what_is_not_its_fault_is_not_counted(code: Code) -> None:
    breaker = Breaker()
    tell(breaker, *[code] * 50)
    assert breaker.closed


def test_it_waits_before_one_may_try() -> None:
    breaker = tripped()
    assert breaker.state(FIRST_WAIT_S - 0.1) is State.OPEN
    assert breaker.due_in_s(FIRST_WAIT_S - 1) == pytest.approx(1)
    assert breaker.state(FIRST_WAIT_S) is State.HALF_OPEN


def test_while_one_tries_the_others_stay_away() -> None:
    breaker = tripped()
    breaker.began(some(), FIRST_WAIT_S)
    assert breaker.state(FIRST_WAIT_S + 1) is State.OPEN


@pytest.mark.parametrize("code", [None, *sorted(ANSWERS)])
def test_a_probe_that_is_answered_closes_it(code: Code | None) -> None:
    breaker = tripped()
    tell(breaker, code, now_s=FIRST_WAIT_S)
    assert breaker.closed
    assert breaker.failures == 0


def test_a_probe_that_speaks_closes_it_however_long_it_goes_on() -> None:
    breaker, probe = tripped(), some()
    breaker.began(probe, FIRST_WAIT_S)
    breaker.spoke(probe)
    assert breaker.closed


def test_a_probe_that_fails_opens_it_for_longer_up_to_a_limit() -> None:
    breaker, now_s, waits = tripped(), 0.0, []
    for _ in range(4):
        wait_s = breaker.due_in_s(now_s)
        waits.append(wait_s)
        now_s += wait_s
        tell(breaker, Code.FIRST_EVENT_TIMEOUT, now_s=now_s)
    assert waits == [FIRST_WAIT_S, 10.0, LONGEST_WAIT_S, LONGEST_WAIT_S]


def test_a_probe_that_is_cancelled_is_given_back() -> None:
    breaker = tripped()
    tell(breaker, Code.CANCELLED, now_s=FIRST_WAIT_S)
    assert breaker.state(FIRST_WAIT_S) is State.HALF_OPEN


@pytest.mark.parametrize("code", [None, Code.UNAVAILABLE, Code.CANCELLED])
def test_what_was_under_way_before_is_not_the_probe(code: Code | None) -> None:
    """Neither its success nor its failure says how the target is now."""
    breaker, early = Breaker(), some()
    breaker.began(early, 0)
    tell(breaker, *[Code.UNAVAILABLE] * IN_A_ROW)
    breaker.began(some(), FIRST_WAIT_S)
    breaker.ended(early, code, FIRST_WAIT_S)
    breaker.spoke(early)
    assert breaker.state(FIRST_WAIT_S) is State.OPEN, "the probe is still out"


def test_a_last_resort_is_no_probe() -> None:
    breaker, early = tripped(), some()
    breaker.began(early, FIRST_WAIT_S - 1)
    assert breaker.state(FIRST_WAIT_S) is State.HALF_OPEN, "the probe may still go out"
    breaker.ended(early, None, FIRST_WAIT_S)
    assert not breaker.closed


@given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from([None, *Code]), st.floats(0, 8))))
def test_never_more_than_one_probe_is_out(steps: list[tuple[int, Code | None, float]]) -> None:
    """Whatever begins and ends, in whatever order: `who` takes turns in beginning and ending its attempt."""
    breaker, now_s, out = tripped(), 0.0, dict[int, Target]()
    probes: list[Target] = []
    for who, code, passed_s in steps:
        now_s += passed_s
        if who in out:
            target = out.pop(who)
            breaker.ended(target, code, now_s)
            probes = [probe for probe in probes if probe is not target]
        else:
            target = out[who] = some()
            due = breaker.state(now_s) is State.HALF_OPEN
            breaker.began(target, now_s)
            probes += [target] if due else []
        assert len(probes) <= 1
        if probes:
            assert breaker.state(now_s + 1000) is State.OPEN, "nobody else may try"
    for target in out.values():
        breaker.ended(target, Code.CANCELLED, now_s)
    assert breaker.closed or breaker.state(now_s + LONGEST_WAIT_S) is State.HALF_OPEN, "nothing is kept"
