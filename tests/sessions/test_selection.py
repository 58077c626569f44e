"""Who converses where the caller leaves that to us."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rhetor.core.capability import Feature
from rhetor.core.errors import BadRequest, Code, RhetorError, UpstreamError
from rhetor.core.request import Request, features_needed
from rhetor.routing.catalog import Candidate, Route, Target
from rhetor.routing.decision import Plan
from rhetor.sessions.asking import Requirements
from rhetor.sessions.backend import Ability, Condition
from rhetor.sessions.selection import Prospect, choose
from tests.sessions.scripted import Scripted


def backend(name: str, *abilities: Ability, places: int = 10, models: tuple[str, ...] = ()) -> Scripted:
    made = Scripted()
    made.name = name
    made.abilities = frozenset(abilities)
    made.max_sessions = places
    made.models = models
    return made


CHAT = backend("chat", Ability.STREAMING, Ability.CONTINUATION)
AGENT = backend("agent", *Ability)
OTHER = backend("other", *Ability)


def prospect(of: Scripted, live: int = 0, error: str | None = None) -> Prospect:
    return Prospect(backend=of, condition=Condition(healthy=error is None, error=error), live=live)


class Router:
    """Knows one model, and notes what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[Request] = []

    def explain(self, request: Request) -> Plan:
        self.asked.append(request)
        if request.model == "unknown":
            raise BadRequest("no model is called 'unknown'", Code.MODEL_NOT_FOUND)
        target = Target("lab", request.model.partition("/")[2] or "small")
        return Plan(Route(name="r", targets=(target,)), (Candidate(target, "well", "lab"),), ())


Choose = Callable[..., dict[str, Any]]


@pytest.fixture
def router() -> Router:
    return Router()


@pytest.fixture
def chosen(router: Router) -> Choose:
    def of(*prospects: Prospect, **requirements: Any) -> dict[str, Any]:
        return dict(choose(Requirements(**requirements), prospects, router.explain, "ann"))

    return of


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ((), "chat"),
        (("streaming",), "chat"),
        (("tools",), "agent"),
        (("tools", "file_operations"), "agent"),
        (("supports_tools",), "agent"),
        (("File-Operations",), "agent"),
        (("code",), "agent"),
    ],
    ids=str,
)
def test_the_first_who_can_do_it(chosen: Choose, capabilities: tuple[str, ...], expected: str) -> None:
    choice = chosen(prospect(CHAT), prospect(AGENT), capabilities=capabilities)
    assert choice["backend"] == expected
    assert ("chat" in choice["dropped"]) is (expected == "agent")


def test_why_the_others_are_not_is_told(chosen: Choose) -> None:
    choice = chosen(
        prospect(CHAT), prospect(OTHER, error="not installed"), prospect(AGENT), capabilities=("tools",)
    )
    assert choice["dropped"] == {"chat": "cannot do tools", "other": "not installed"}
    assert choice["plan"]["targets"][0]["target"] == "lab/small"
    assert choice["reasons"]


def test_a_word_that_nobody_knows_is_not_ignored(chosen: Choose) -> None:
    with pytest.raises(BadRequest, match="there are") as caught:
        chosen(prospect(CHAT), capabilities=("telepathy",))
    assert caught.value.param == "requirements.capabilities"


def test_load_is_spread(chosen: Choose) -> None:
    assert (
        chosen(prospect(AGENT, live=5), prospect(OTHER, live=1), capabilities=("tools",))["backend"]
        == "other"
    )
    assert (
        chosen(prospect(AGENT, live=1), prospect(OTHER, live=1), capabilities=("tools",))["backend"]
        == "agent"
    )


def test_unless_nobody_wants_that(chosen: Choose) -> None:
    choice = chosen(prospect(AGENT, live=5), prospect(OTHER), capabilities=("tools",), load_balancing=False)
    assert choice["backend"] == "agent"


def test_who_is_full_is_passed_over(chosen: Choose) -> None:
    choice = chosen(prospect(AGENT, live=10), prospect(OTHER, live=9), load_balancing=False)
    assert choice["backend"] == "other"


@pytest.mark.parametrize(
    ("prospects", "kind", "code"),
    [
        ([prospect(CHAT)], BadRequest, Code.UNSUPPORTED),
        ([prospect(CHAT), prospect(AGENT, error="down")], UpstreamError, Code.UNAVAILABLE),
        ([prospect(AGENT, live=10)], UpstreamError, Code.UNAVAILABLE),
    ],
    ids=["nobody can", "who can is down", "who can is full"],
)
def test_nobody_is_left(
    chosen: Choose, prospects: list[Prospect], kind: type[RhetorError], code: Code
) -> None:
    with pytest.raises(kind) as caught:
        chosen(*prospects, capabilities=("tools",))
    assert caught.value.code is code


def test_the_cheapest_model_is_asked_of_the_router(chosen: Choose, router: Router) -> None:
    choice = chosen(prospect(CHAT), model="auto", cost_optimization=True, max_tokens=4000)
    (asked,) = router.asked
    assert asked.wanted is not None
    assert (asked.model, asked.wanted.prefer) == ("", "cost")
    assert asked.input.max_tokens == 4000  # type: ignore[union-attr]
    assert choice["model"] == "lab/small"


def test_a_model_that_is_named_is_taken_if_it_can_do_it(chosen: Choose, router: Router) -> None:
    able = backend("able", *Ability)
    able.features = frozenset({Feature.TOOLS})
    choice = chosen(prospect(able), model="lab/large", capabilities=("json_schema",))
    assert choice["model"] == "lab/large"
    assert features_needed(router.asked[0]) == {Feature.TOOLS, Feature.JSON_SCHEMA}


def test_a_model_that_nobody_knows_is_said_to_be(chosen: Choose) -> None:
    with pytest.raises(BadRequest, match="unknown"):
        chosen(prospect(CHAT), model="unknown")


def test_a_backend_with_models_of_its_own_gets_none_else(chosen: Choose) -> None:
    limited = backend("limited", *Ability, models=("lab/a", "lab/b"))
    assert chosen(prospect(limited))["model"] == "lab/a"
    with pytest.raises(BadRequest, match="not offered"):
        chosen(prospect(limited), model="lab/c")
