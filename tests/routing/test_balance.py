"""Strategies: who of several is asked first."""

from __future__ import annotations

from collections import Counter

import pytest

from rhetor.core.content import Text
from rhetor.core.usage import Price
from rhetor.routing.balance import CLOSE, ORDERS, order
from rhetor.routing.catalog import Prospect, Strategy, Target
from rhetor.routing.health import Health
from rhetor.routing.needs import Needs
from rhetor.testing.clock import FakeClock
from tests.routing.stock import attempt, candidate, chat, target


@pytest.fixture
def health() -> Health:
    return Health(FakeClock())


def line(*names: str, **said: object) -> list[Prospect]:
    return [Prospect(target(f"{name}/m"), "", f"{name}/m", **said) for name in names]  # type: ignore[arg-type]


def ordered(
    strategy: Strategy, asked: list[Prospect], health: Health, id: str = "gen_1", reader: Target | None = None
) -> str:
    """The providers in order, one letter each."""
    request = chat("r", Text("x" * 4000), max_tokens=100)
    request.id = id
    return "".join(p.target.provider for p in order(strategy, asked, Needs(request), health, 0.0, reader))


def firsts(strategy: Strategy, asked: list[Prospect], health: Health) -> Counter[str]:
    return Counter(ordered(strategy, asked, health, f"gen_{n}")[0] for n in range(1000))


@pytest.mark.parametrize("strategy", ORDERS)
def test_nobody_is_lost_and_nobody_asked_twice(health: Health, strategy: Strategy) -> None:
    for n in range(50):
        assert sorted(ordered(strategy, line("a", "b", "c", "d"), health, f"gen_{n}")) == list("abcd")


@pytest.mark.parametrize("strategy", ORDERS)
def test_the_same_request_has_the_same_order(health: Health, strategy: Strategy) -> None:
    asked = line("a", "b", "c")
    assert ordered(strategy, asked, health) == ordered(strategy, asked, health)


def test_priority_keeps_the_order(health: Health) -> None:
    assert firsts(Strategy.PRIORITY, line("a", "b"), health) == {"a": 1000}


def test_weighted_draws_each_as_often_as_its_weight_says(health: Health) -> None:
    drawn = firsts(Strategy.WEIGHTED, [*line("a", weight=3), *line("b", weight=1)], health)
    assert 680 < drawn["a"] < 820
    assert drawn.total() == 1000


def test_weighted_leaves_the_others_in_order(health: Health) -> None:
    seen = {ordered(Strategy.WEIGHTED, line("a", "b", "c"), health, f"gen_{n}") for n in range(100)}
    assert seen == {"abc", "bac", "cab"}


def test_least_busy_goes_by_what_is_under_way_then_by_order(health: Health) -> None:
    health.began(target("a/m"))
    assert ordered(Strategy.LEAST_BUSY, line("a", "b", "c"), health) == "bca"


def test_fastest_prefers_who_speaks_sooner(health: Health) -> None:
    attempt(health, candidate("a/m"), None, first_event_s=2.0)
    attempt(health, candidate("b/m"), None, first_event_s=0.1)
    assert firsts(Strategy.FASTEST, line("a", "b"), health) == {"b": 1000}
    assert ordered(Strategy.FASTEST, line("a", "b"), health) == "ba"


def test_fastest_does_not_send_everybody_to_the_same(health: Health) -> None:
    """Of two that are drawn the faster: the second fastest gets what the fastest is not drawn for."""
    for name, first_event_s in (("a", 3.0), ("b", 0.1), ("c", 1.0)):
        attempt(health, candidate(f"{name}/m"), None, first_event_s=first_event_s)
    drawn = firsts(Strategy.FASTEST, line("a", "b", "c"), health)
    assert set(drawn) == {"b", "c"}
    assert drawn["b"] > 1.5 * drawn["c"]


def test_cheapest_goes_by_the_price_of_this_request(health: Health) -> None:
    """1000 tokens go in, 100 come out."""
    wordy = line("a", price=Price(1_000_000, 30_000_000))
    terse = line("b", price=Price(2_000_000, 5_000_000))
    assert ordered(Strategy.CHEAPEST, [*line("x"), *wordy, *terse], health) == "bax", "the unknown price last"


def test_round_robin_goes_by_who_was_asked_longest_ago(health: Health) -> None:
    asked = line("a", "b", "c")
    for expected in ("abc", "bca", "cab", "abc"):
        assert ordered(Strategy.ROUND_ROBIN, asked, health) == expected
        health.began(next(p.target for p in asked if p.target.provider == expected[0]))


class TestWhoHasReadTheConversation:
    READER = target("c/m")

    @pytest.mark.parametrize("strategy", [Strategy.WEIGHTED, Strategy.LEAST_BUSY, Strategy.FASTEST])
    def test_goes_first_among_equals(self, health: Health, strategy: Strategy) -> None:
        for n in range(50):
            first = ordered(strategy, line("a", "b", "c"), health, f"gen_{n}", self.READER)[0]
            assert first == "c"

    @pytest.mark.parametrize("strategy", [Strategy.PRIORITY, Strategy.CHEAPEST])
    def test_does_not_where_there_is_a_better_reason(self, health: Health, strategy: Strategy) -> None:
        assert ordered(strategy, line("a", "b", "c"), health, reader=self.READER) == "abc"

    def test_waits_its_turn_when_it_is_much_busier(self, health: Health) -> None:
        for _ in range(CLOSE + 1):
            health.began(self.READER)
        assert ordered(Strategy.LEAST_BUSY, line("a", "c"), health, reader=self.READER) == "ac"

    def test_or_much_slower(self, health: Health) -> None:
        attempt(health, candidate("a/m"), None, first_event_s=0.1)
        attempt(health, candidate("c/m"), None, first_event_s=0.3)
        assert ordered(Strategy.FASTEST, line("a", "c"), health, reader=self.READER) == "ac"

    def test_or_is_no_longer_among_them(self, health: Health) -> None:
        assert ordered(Strategy.LEAST_BUSY, line("a", "b"), health, reader=self.READER) == "ab"
