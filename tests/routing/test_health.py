"""Health: what real traffic tells of every target."""

from __future__ import annotations

import json

import pytest

from rhetor.core.errors import Code
from rhetor.routing.breaker import FIRST_WAIT_S, IN_A_ROW, State
from rhetor.routing.catalog import Candidate, Target
from rhetor.routing.health import MOST_TARGETS, PENALTY_S, Health, Standing
from rhetor.testing.clock import FakeClock
from tests.routing.stock import attempt, candidate

LAB = candidate("lab/m")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def health(clock: FakeClock) -> Health:
    return Health(clock)


def of(health: Health, asked: Candidate = LAB, now_s: float = 0.0) -> Standing:
    return health.of(asked.target, asked.domain, now_s)


def test_of_strangers_nothing_is_known(health: Health) -> None:
    assert of(health) == Standing()
    assert health.is_calm(0)


def test_requests_under_way_are_counted(health: Health) -> None:
    health.began(LAB.target)
    health.began(Target("lab", "m", 1))
    assert (health.in_flight(LAB.target), health.under_way("lab")) == (1, 2)
    health.ended(LAB, Code.CANCELLED, 0)
    assert (health.in_flight(LAB.target), health.under_way("lab")) == (0, 1)


def test_a_peak_counts_at_once_and_fades(health: Health, clock: FakeClock) -> None:
    for first_event_s in (0.1, 4.0, 0.1):
        attempt(health, LAB, None, first_event_s=first_event_s)
    assert of(health).first_event_s == pytest.approx(4.0)
    clock.advance(10)
    attempt(health, LAB, None, 10, first_event_s=0.1)
    assert of(health, now_s=10).first_event_s == pytest.approx(1.53, abs=0.01)
    assert (of(health, now_s=60).first_event_s or 1) < 0.02, "who was slow is tried again"


def test_a_failure_counts_as_slow(health: Health) -> None:
    attempt(health, LAB, None)
    attempt(health, LAB, Code.UNAVAILABLE)
    assert of(health).first_event_s == PENALTY_S


def test_the_busier_the_slower(health: Health) -> None:
    attempt(health, LAB, None, first_event_s=0.5)
    idle = health.slowness(LAB.target, 0)
    health.began(LAB.target)
    assert (idle, health.slowness(LAB.target, 0)) == (0.5, 1.0)


def test_who_was_never_heard_gets_its_chance_but_not_everybodys(health: Health) -> None:
    assert health.slowness(LAB.target, 0) == 0
    health.began(LAB.target)
    assert health.slowness(LAB.target, 0) > 0


def test_one_in_twenty_is_late(health: Health) -> None:
    for n in range(3000):
        attempt(health, LAB, None, first_event_s=(n * 7919 % 1000) / 1000 + 0.001)
    assert 0.85 < (of(health).late_s or 0) < 1.1


def test_a_breaker_opens_and_the_next_request_that_is_due_is_its_probe(
    health: Health, clock: FakeClock
) -> None:
    for _ in range(IN_A_ROW):
        attempt(health, LAB, Code.UNAVAILABLE)
    assert of(health).breaker is State.OPEN
    assert (health.is_calm(0), health.open_breakers()) == (False, {"lab": 1})
    clock.advance(FIRST_WAIT_S)
    assert of(health, now_s=FIRST_WAIT_S).breaker is State.HALF_OPEN
    probe = Target("lab", "m")
    health.began(probe)
    assert of(health, now_s=FIRST_WAIT_S).breaker is State.OPEN
    health.spoke(probe, 0.1)
    assert of(health, now_s=FIRST_WAIT_S).breaker is State.CLOSED
    assert health.is_calm(FIRST_WAIT_S)


@pytest.mark.parametrize("code", [Code.RATE_LIMITED, Code.UPSTREAM_BILLING])
def test_what_has_ended_disturbs_nobody(health: Health, code: Code) -> None:
    """Also where nobody asks the target again."""
    attempt(health, LAB, code, 0, retry_after_s=3)
    assert not health.is_calm(0)
    assert health.is_calm(61)


def test_targets_of_one_account_share_its_window(health: Health) -> None:
    one, other = candidate("eu/m", domain="lab/m"), candidate("us/m", domain="lab/m")
    attempt(health, one, Code.RATE_LIMITED, 0, retry_after_s=3)
    assert of(health, other, 1).cooling_s == health.cooling_s("lab/m", 1) == 2
    assert of(health, candidate("us/other"), 1).cooling_s == 0


def test_a_refused_key_is_marked_until_a_reload(health: Health) -> None:
    attempt(health, LAB, Code.UPSTREAM_AUTH)
    assert of(health).key_bad
    health.on_reload()
    assert not of(health).key_bad


def test_the_budget_is_the_providers(health: Health) -> None:
    health.on_request("lab")
    for _ in range(20):
        health.on_repeat("lab")
    assert not health.may_repeat("lab")
    assert health.may_repeat("cloud")


def test_it_knows_who_read_a_conversation(health: Health) -> None:
    health.served(7, LAB.target)
    assert health.reader_of(7, 1) == LAB.target


def test_names_that_callers_make_up_do_not_stay(health: Health) -> None:
    health.began(LAB.target)
    for n in range(MOST_TARGETS + 1):
        attempt(health, candidate(f"lab/{n}"), None)
    rows = health.snapshot(0)
    assert len(rows) < MOST_TARGETS
    assert {"lab/m", f"lab/{MOST_TARGETS}"} <= {str(row["target"]) for row in rows}


def test_they_drive_nobody_out_who_is_in_trouble(health: Health) -> None:
    for _ in range(IN_A_ROW):
        attempt(health, LAB, Code.UNAVAILABLE)
    for n in range(2 * MOST_TARGETS):
        attempt(health, candidate(f"lab/{n}"), None, 1)
    assert of(health).breaker is State.OPEN
    assert health.open_breakers() == {"lab": 1}


def test_who_was_heard_longest_ago_is_forgotten_first(health: Health, clock: FakeClock) -> None:
    for n in range(MOST_TARGETS):
        attempt(health, candidate(f"lab/{n}"), None, float(n))
        clock.advance(1)
    attempt(health, LAB, None, float(MOST_TARGETS))
    assert of(health, candidate("lab/0")).first_event_s is None
    assert of(health, candidate(f"lab/{MOST_TARGETS // 2}")).first_event_s is not None


def test_even_of_those_in_trouble_not_all_are_kept(health: Health) -> None:
    for n in range(MOST_TARGETS + 10):
        for _ in range(IN_A_ROW):
            attempt(health, candidate(f"lab/{n}"), Code.UNAVAILABLE, n)
    rows = health.snapshot(0)
    assert len(rows) < MOST_TARGETS
    assert health.open_breakers() == {"lab": len(rows)}
    assert of(health, candidate(f"lab/{MOST_TARGETS + 9}"), MOST_TARGETS + 9).breaker is State.OPEN


def test_a_model_that_nobody_knows_is_not_kept_at_all(health: Health) -> None:
    attempt(health, LAB, Code.MODEL_NOT_FOUND)
    assert health.snapshot(0) == []
    attempt(health, LAB, None)
    attempt(health, LAB, Code.MODEL_NOT_FOUND)
    assert len(health.snapshot(0)) == 1, "there was something to know"


def test_not_while_somebody_else_still_asks_it(health: Health) -> None:
    health.began(LAB.target)
    attempt(health, LAB, Code.MODEL_NOT_FOUND)
    assert health.in_flight(LAB.target) == 1
    health.ended(LAB, Code.MODEL_NOT_FOUND, 0)
    assert (health.in_flight(LAB.target), health.snapshot(0)) == (0, [])


@pytest.mark.parametrize("now_s", [-1e9, -1.0, 1e9, float("inf")])
def test_an_odd_clock_breaks_nothing(health: Health, now_s: float) -> None:
    attempt(health, LAB, None, first_event_s=0.2)
    attempt(health, LAB, Code.UNAVAILABLE, now_s, retry_after_s=3)
    health.spoke(LAB.target, 0.1)
    (row,) = health.snapshot(now_s)
    json.dumps(row)


def test_a_snapshot_is_plain_data(health: Health) -> None:
    attempt(health, LAB, None, first_event_s=0.25)
    attempt(health, LAB, Code.RATE_LIMITED, 0, retry_after_s=2)
    (row,) = json.loads(json.dumps(health.snapshot(0.5)))
    assert row == {
        "target": "lab/m",
        "key": 0,
        "breaker": "closed",
        "probe_in_s": 0.0,
        "failures": 0,
        "cooling_s": 1.5,
        "key_bad": False,
        "in_flight": 0,
        "first_event_ms": 238,
        "late_ms": 250,
    }
