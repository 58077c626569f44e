"""What follows a failed attempt, by its cause."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhetor.core.errors import Code
from rhetor.routing.breaker import IN_A_ROW
from rhetor.routing.catalog import Candidate, Strategy
from rhetor.routing.decision import Plan
from rhetor.routing.health import Health
from rhetor.routing.retry import (
    JITTER_S,
    LATER_S,
    LONGEST_WAIT_S,
    SOON_S,
    Remedy,
    Step,
    Tried,
    next_step,
    remedy_of,
)
from rhetor.testing.clock import FakeClock
from tests.routing.stock import attempt, candidate, route

A, B, C = candidate("a/m"), candidate("b/m"), candidate("c/m")


class Trip:
    """A plan, and what was tried of it so far."""

    def __init__(
        self, *candidates: Candidate, cooling: tuple[Candidate, ...] = (), id: str = "gen_1", **said: Any
    ) -> None:
        made = route("r", *(c.target.name for c in candidates), **said)
        self.plan = Plan(made, candidates, (), cooling, id=id)
        self.health = Health(FakeClock())
        self.tried: list[Tried] = []
        self.now_s = 0.0

    def fails(self, asked: Candidate, code: Code, retry_after_s: float | None = None, **said: Any) -> Trip:
        attempt(self.health, asked, code, self.now_s, retry_after_s=retry_after_s)
        self.tried.append(Tried(asked, code, retry_after_s, **said))
        return self

    def next(self, left_s: float = 600.0) -> Step | None:
        return next_step(self.plan, self.tried, self.health, self.now_s, left_s)

    def whom(self) -> str | None:
        step = self.next()
        return None if step is None else step.candidate.target.name


def ends_in(step: Step | None, seconds: float) -> bool:
    """Whether a step waits for a window of this length: a bit longer, each request by its own measure."""
    return step is not None and seconds <= step.wait_s <= seconds + JITTER_S


class TestFirst:
    def test_the_first_of_the_plan_at_once(self) -> None:
        assert Trip(A, B).next() == Step(A, 0.0, A.reason)

    def test_who_is_left_alone_is_waited_for(self) -> None:
        trip = Trip(A)
        attempt(trip.health, A, Code.RATE_LIMITED, 0, retry_after_s=3)
        assert ends_in(trip.next(), 3)

    def test_of_several_whose_window_ends_first(self) -> None:
        trip = Trip(A, B, C)
        for asked, window_s in ((A, 20), (B, 2), (C, 5)):
            attempt(trip.health, asked, Code.RATE_LIMITED, 0, retry_after_s=window_s)
        assert trip.whom() == "b/m"
        assert ends_in(trip.next(), 2)

    def test_a_crowd_does_not_come_back_in_the_same_moment(self) -> None:
        waits: list[float] = []
        for n in range(100):
            trip = Trip(A, id=f"gen_{n}")
            attempt(trip.health, A, Code.RATE_LIMITED, 0, retry_after_s=3)
            step = trip.next()
            assert ends_in(step, 3)
            assert step == trip.next(), "it is the request's own"
            waits.append(0.0 if step is None else step.wait_s)
        waits.sort()
        assert max(b - a for a, b in pairwise(waits)) < JITTER_S / 4
        assert waits[-1] - waits[0] > JITTER_S * 0.9

    @pytest.mark.parametrize(("window_s", "left_s"), [(LONGEST_WAIT_S + 1, 600), (3, 2)])
    def test_but_not_for_longer_than_a_caller_should_wait(self, window_s: float, left_s: float) -> None:
        trip = Trip(A)
        attempt(trip.health, A, Code.RATE_LIMITED, 0, retry_after_s=window_s)
        assert trip.next(left_s) is None


class TestFaultsThatPass:
    CODES = (Code.UPSTREAM_ERROR, Code.CONNECTION_LOST, Code.CONNECT_FAILED, Code.TRUNCATED)

    @pytest.mark.parametrize("code", CODES)
    def test_the_same_once_more_then_the_next(self, code: Code) -> None:
        trip = Trip(A, B).fails(A, code)
        step = trip.next()
        assert step is not None
        assert (step.candidate, step.again) == (A, True)
        assert SOON_S[0] <= step.wait_s <= SOON_S[1]
        assert trip.fails(A, code).whom() == "b/m"

    def test_alone_once_more_then_nobody(self) -> None:
        trip = Trip(A).fails(A, Code.UPSTREAM_ERROR)
        assert trip.whom() == "a/m"
        assert trip.fails(A, Code.UPSTREAM_ERROR).whom() is None

    def test_not_where_nothing_is_repeated(self) -> None:
        assert Trip(A, B, retries=0).fails(A, Code.UPSTREAM_ERROR).whom() == "b/m"

    def test_not_when_its_provider_has_had_enough(self) -> None:
        trip = Trip(A, B)
        for _ in range(20):
            trip.health.on_repeat("a")
        assert trip.fails(A, Code.UPSTREAM_ERROR).whom() == "b/m"

    def test_not_when_its_breaker_has_opened(self) -> None:
        trip = Trip(A, B)
        for _ in range(IN_A_ROW):
            attempt(trip.health, A, Code.UPSTREAM_ERROR)
        assert trip.fails(A, Code.UPSTREAM_ERROR).whom() == "b/m"

    def test_who_broke_off_is_not_asked_for_the_rest(self) -> None:
        assert Trip(A, B).fails(A, Code.TRUNCATED, spoke=True).whom() == "b/m"
        assert Trip(A).fails(A, Code.TRUNCATED, spoke=True).whom() is None

    @pytest.mark.parametrize("code", [*CODES, Code.UNAVAILABLE, Code.OVERLOADED, Code.RATE_LIMITED])
    def test_not_who_would_be_paid_once_more(self, code: Code) -> None:
        assert Trip(A).fails(A, code, 0.1, paid=True).whom() is None
        assert Trip(A, B).fails(A, code, 0.1, paid=True).whom() == "b/m"
        assert Trip(A, B).fails(A, code, 0.1, paid=True).fails(B, Code.FIRST_EVENT_TIMEOUT).whom() is None

    def test_when_its_provider_said_not_before(self) -> None:
        step = Trip(A).fails(A, Code.UPSTREAM_ERROR, 4).next()
        assert ends_in(step, 4)

    def test_not_without_the_time_for_it(self) -> None:
        assert Trip(A).fails(A, Code.UPSTREAM_ERROR).next(left_s=0.01) is None


class TestLimits:
    def test_another_account_at_once(self) -> None:
        step = Trip(A, B).fails(A, Code.RATE_LIMITED, 10).next()
        assert step is not None
        assert (step.candidate, step.wait_s) == (B, 0)

    def test_never_the_same_account_inside_its_window(self) -> None:
        eu, us = candidate("eu/m", domain="x/m"), candidate("us/m", domain="x/m")
        trip = Trip(eu, us).fails(eu, Code.RATE_LIMITED, 2)
        assert ends_in(trip.next(), 2)

    def test_alone_it_waits_so_often_as_the_route_says(self) -> None:
        trip, waits = Trip(A, retries=2), []
        while (step := trip.fails(A, Code.RATE_LIMITED).next()) is not None:
            waits.append(int(step.wait_s))
            trip.now_s += step.wait_s
        assert waits == [1, 2]

    def test_when_all_are_limited_the_earliest(self) -> None:
        trip = Trip(A, B).fails(A, Code.RATE_LIMITED, 5).fails(B, Code.RATE_LIMITED, 3)
        step = trip.next()
        assert step is not None
        assert step.candidate == B
        assert ends_in(step, 3)

    @pytest.mark.parametrize(("window_s", "left_s"), [(LONGEST_WAIT_S + 1, 600), (10, 9)])
    def test_not_longer_than_a_caller_should_wait(self, window_s: float, left_s: float) -> None:
        assert Trip(A).fails(A, Code.RATE_LIMITED, window_s).next(left_s) is None

    def test_who_was_left_alone_is_waited_for_when_the_others_have_failed(self) -> None:
        trip = Trip(A, cooling=(B,))
        attempt(trip.health, B, Code.RATE_LIMITED, 0, retry_after_s=2)
        step = trip.fails(A, Code.FIRST_EVENT_TIMEOUT).next()
        assert step is not None
        assert (step.candidate, step.again) == (B, False)
        assert ends_in(step, 2)


class TestOthers:
    @pytest.mark.parametrize("code", [Code.FIRST_EVENT_TIMEOUT, Code.POOL_FULL])
    def test_who_kept_us_waiting_is_not_asked_again(self, code: Code) -> None:
        assert Trip(A, B).fails(A, code).whom() == "b/m"
        assert Trip(A).fails(A, code).whom() is None

    @pytest.mark.parametrize("code", [Code.UNAVAILABLE, Code.OVERLOADED, Code.CONNECT_TIMEOUT])
    def test_who_is_too_busy_is_asked_once_more_only_alone(self, code: Code) -> None:
        assert Trip(A, B).fails(A, code).whom() == "b/m"
        trip = Trip(A).fails(A, code)
        step = trip.next()
        assert step is not None
        assert LATER_S[0] <= step.wait_s <= LATER_S[1]
        assert trip.fails(A, code).whom() is None

    def test_another_provider_rather_than_another_key_of_a_silent_one(self) -> None:
        second = candidate("a/m", key=1, domain="a#2/m")
        assert Trip(A, second, B).fails(A, Code.FIRST_EVENT_TIMEOUT).whom() == "b/m"
        step = Trip(A, second).fails(A, Code.FIRST_EVENT_TIMEOUT).next()
        assert step is not None
        assert step.candidate == second

    def test_a_refused_key_leads_to_the_next(self) -> None:
        second = candidate("a/m", key=1, domain="a#2/m")
        step = Trip(A, second, B).fails(A, Code.UPSTREAM_AUTH).next()
        assert step is not None
        assert step.candidate == second
        assert Trip(A).fails(A, Code.UPSTREAM_AUTH).whom() is None

    def test_who_shares_the_refused_account_is_passed_over(self) -> None:
        shared = candidate("b/m", domain="a/m")
        assert Trip(A, shared, C).fails(A, Code.UPSTREAM_BILLING).whom() == "c/m"

    def test_a_model_that_is_unknown_is_so_with_any_key(self) -> None:
        second = candidate("a/m", key=1, domain="a#2/m")
        assert Trip(A, second, B).fails(A, Code.MODEL_NOT_FOUND).whom() == "b/m"

    @pytest.mark.parametrize(
        ("mine", "others", "whom"),
        [(8, 16, "b/m"), (8, 8, None), (8, None, None), (None, 16, None)],
    )
    def test_what_was_too_long_goes_only_where_more_is_known_to_fit(
        self, mine: int | None, others: int | None, whom: str | None
    ) -> None:
        small = candidate("a/m", context_tokens=mine)
        trip = Trip(small, candidate("b/m", context_tokens=others))
        assert trip.fails(small, Code.CONTEXT_LENGTH).whom() == whom

    def test_what_was_refused_is_not_asked_elsewhere_unless_the_route_says_so(self) -> None:
        assert Trip(A, B).fails(A, Code.CONTENT_POLICY).whom() is None
        assert Trip(A, B, reroute_refused=True).fails(A, Code.CONTENT_POLICY).whom() == "b/m"

    def test_who_failed_too_often_comes_after_who_is_well(self) -> None:
        trip = Trip(A, B, C)
        for _ in range(IN_A_ROW):
            attempt(trip.health, B, Code.UNAVAILABLE)
        assert trip.fails(A, Code.UNAVAILABLE).whom() == "c/m"
        assert trip.fails(C, Code.UNAVAILABLE).whom() == "b/m"

    @pytest.mark.parametrize(
        "code", [Code.INVALID_REQUEST, Code.TOTAL_TIMEOUT, Code.CANCELLED, Code.INTERNAL]
    )
    def test_what_every_target_would_refuse_ends_it(self, code: Code) -> None:
        assert remedy_of(code) is Remedy.STOP
        assert Trip(A, B).fails(A, code).whom() is None


@pytest.mark.promise("P21")
@given(
    st.lists(st.tuples(st.sampled_from(Code), st.floats(0, 40), st.booleans()), max_size=30),
    st.integers(0, 3),
)
def test_whatever_happens_it_ends_and_keeps_its_promises(
    outcomes: list[tuple[Code, float, bool]], retries: int
) -> None:
    """No more attempts than targets and repeats, none inside a window, none waited for without end."""
    trip = Trip(A, B, C, retries=retries, strategy=Strategy.PRIORITY)
    for code, retry_after_s, spoke in outcomes:
        step = trip.next()
        assert step == trip.next(), "it only looks"
        if step is None:
            return
        assert step.wait_s <= LONGEST_WAIT_S + JITTER_S
        trip.now_s += step.wait_s
        assert trip.health.cooling_s(step.candidate.domain, trip.now_s) == pytest.approx(0)
        trip.fails(step.candidate, code, retry_after_s, spoke=spoke)
        assert len(trip.tried) <= 3 + retries
