"""What callers demand who leave the choice to us."""

from __future__ import annotations

from typing import Any

import pytest

from rhetor.core.capability import Feature
from rhetor.core.errors import BadRequest
from rhetor.core.request import Wanted
from rhetor.wire.wanted import read_wanted


def test_all_of_it() -> None:
    said = {
        "capabilities": ["tools", "images"],
        "max_cost": 0.015,
        "prefer": "speed",
        "tags": ["fast"],
        "region": "eu",
    }
    assert read_wanted({"requirements": said}) == Wanted(
        features=frozenset({Feature.TOOLS, Feature.IMAGES}),
        max_cost_micros=15_000,
        prefer="speed",
        tags=frozenset({"fast", "eu"}),
    )


@pytest.mark.promise("M31")
@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ({"speed": "fast"}, Wanted(prefer="speed")),
        ({"speed": "balanced", "cost": "free"}, Wanted(price_class="free")),
        ({"speed": "quality", "cost": "cheap"}, Wanted(prefer="quality", price_class="cheap")),
        ({"cost": "premium", "capability": "basic"}, Wanted(price_class="premium")),
        (
            {"capability": "reasoning"},
            Wanted(features=frozenset({Feature.THINKING}), strengths=frozenset({"reasoning"})),
        ),
        ({"capability": "creative"}, Wanted(strengths=frozenset({"creative"}))),
        ({"strengths": ["Coding"], "use_cases": ["chat"]}, Wanted(strengths=frozenset({"coding", "chat"}))),
        ({"load_balancing": "health"}, Wanted(balance="least_busy")),
        ({"load_balancing": "round-robin"}, Wanted(balance="round_robin")),
        ({"load_balancing": "cost"}, Wanted(balance="cheapest")),
    ],
)
def test_what_others_call_it(said: dict[str, Any], meant: Wanted) -> None:
    assert read_wanted({"requirements": said}) == meant


@pytest.mark.parametrize("said", [{}, {"requirements": None}])
def test_no_demands(said: dict[str, Any]) -> None:
    assert read_wanted(said) is None


def test_to_demand_nothing_is_to_leave_the_choice() -> None:
    assert read_wanted({"requirements": {}}) == Wanted()


@pytest.mark.parametrize(
    ("demands", "param", "words"),
    [
        ({"haste": 1}, "haste", "tags, use_cases, got 'haste'"),
        ({"capabilities": ["magic"]}, "capabilities[0]", "thinking, tools, got 'magic'"),
        ({"capabilities": "tools"}, "capabilities", "expected an array"),
        ({"prefer": "beauty"}, "prefer", "expected one of cost, quality, speed"),
        ({"speed": "quick"}, "speed", "expected one of balanced, fast, quality, got 'quick'"),
        ({"cost": "dear"}, "cost", "expected one of cheap, free, premium"),
        ({"load_balancing": "luck"}, "load_balancing", "round_robin"),
        ({"max_cost": -1}, "max_cost", "must be dollars for this request, got -1"),
        ({"max_cost": float("inf")}, "max_cost", "must be dollars"),
        ({"max_cost": "1"}, "max_cost", "expected a number"),
        ({"region": 7}, "region", "expected a string"),
    ],
)
def test_a_word_that_nobody_knows_is_answered_with_those_that_are(
    demands: dict[str, Any], param: str, words: str
) -> None:
    with pytest.raises(BadRequest) as caught:
        read_wanted({"requirements": demands})
    assert words in caught.value.message
    assert caught.value.param == f"requirements.{param}"
