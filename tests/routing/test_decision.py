"""Plans as data: chance that can be repeated, and words for people."""

from __future__ import annotations

from rhetor.routing.decision import Plan, drawn, explained
from tests.routing.stock import candidate, route


def test_what_is_left_to_chance_is_the_same_again() -> None:
    one, other = (Plan(route("r", "a/m"), (), (), id=id) for id in ("gen_1", "gen_2"))
    assert 0 <= one.draw < 1
    assert one.draw != other.draw
    assert drawn("gen_1") == drawn("gen_1")


def test_a_plan_explains_itself() -> None:
    plan = Plan(route("r", "a/m"), (candidate("a/m"), candidate("a/m", key=1)), (candidate("b/m"),))
    assert explained(plan) == {
        "route": "r",
        "strategy": "priority",
        "targets": [
            {"target": "a/m", "reason": "a test's"},
            {"target": "a/m", "reason": "a test's", "key": 1},
        ],
        "left_out": [{"target": "b/m", "reason": "a test's"}],
    }
