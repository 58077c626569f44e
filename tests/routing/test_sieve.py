"""Who may be asked now, and why not the others."""

from __future__ import annotations

import pytest

from rhetor.core.capability import Feature
from rhetor.core.content import Text
from rhetor.core.errors import Code
from rhetor.core.request import Chat, Reasoning, Request, Tool, Wanted
from rhetor.core.usage import Price
from rhetor.routing.breaker import IN_A_ROW
from rhetor.routing.catalog import Prospect
from rhetor.routing.health import Health
from rhetor.routing.needs import Needs
from rhetor.routing.sieve import Hindrance, hindrance
from rhetor.testing.clock import FakeClock
from tests.routing.stock import attempt, candidate, chat, target


@pytest.fixture
def health() -> Health:
    return Health(FakeClock())


def prospect(**said: object) -> Prospect:
    return Prospect(target("lab/m"), "a test's", "lab/m", **said)  # type: ignore[arg-type]


def against(
    asked: Prospect, health: Health, request: Request | None = None, now_s: float = 0.0
) -> tuple[Hindrance, str] | None:
    return hindrance(asked, Needs(request or chat("lab/m")), health, now_s)


def demanding(**said: object) -> Request:
    request = chat("lab/m", Text("x" * 4000), max_tokens=1)
    request.wanted = Wanted(**said)  # type: ignore[arg-type]
    return request


def test_nothing_stands_against_a_stranger(health: Health) -> None:
    assert against(prospect(), health) is None


@pytest.mark.parametrize(
    ("asked", "request_", "why"),
    [
        (prospect(against="no key"), chat("m"), "no key"),
        (prospect(features=frozenset()), chat("m", tools=(Tool("f"),)), "lacks tools"),
        (prospect(tags=frozenset({"us"})), demanding(tags=frozenset({"eu"})), "is not tagged eu"),
        (prospect(), demanding(max_cost_micros=1), "has no known price"),
        (
            prospect(price=Price(1_000_000, 0)),
            demanding(max_cost_micros=999),
            "would cost about 1000 micro-dollars, more than 999",
        ),
    ],
)
def test_who_cannot_take_the_request(health: Health, asked: Prospect, request_: Request, why: str) -> None:
    assert against(asked, health, request_) == (Hindrance.UNABLE, why)


def test_demands_that_are_met(health: Health) -> None:
    asked = prospect(tags=frozenset({"eu"}), price=Price(1_000_000, 0))
    assert against(asked, health, demanding(tags=frozenset({"eu"}), max_cost_micros=1000)) is None


def test_a_guess_never_refuses(health: Health) -> None:
    """How long a request is, and whether a model thinks, its provider knows better."""
    long = chat("m", Text("x" * 500))
    assert against(prospect(context_tokens=100), health, long) == (
        Hindrance.DOUBTFUL,
        "takes 100 tokens, and the request has about 125",
    )
    thinking = chat("m")
    thinking.input = Chat(messages=(), reasoning=Reasoning("low"))
    asked = prospect(features=frozenset({Feature.TOOLS}))
    assert against(asked, health, thinking) == (Hindrance.DOUBTFUL, "does not think")
    assert against(prospect(), health, thinking) is None


def test_who_failed_too_often_comes_last(health: Health) -> None:
    for _ in range(IN_A_ROW):
        attempt(health, candidate("lab/m"), Code.UNAVAILABLE)
    assert against(prospect(), health) == (Hindrance.SICK, "failed too often of late")


def test_who_has_its_hands_full_comes_last(health: Health) -> None:
    health.began(target("lab/other"))
    assert against(prospect(slots=2), health) is None
    health.began(target("lab/m"))
    assert against(prospect(slots=2), health) == (
        Hindrance.SICK,
        "has 2 requests under way, and takes no more",
    )


def test_who_wants_to_be_left_alone_is(health: Health) -> None:
    attempt(health, candidate("lab/m"), Code.RATE_LIMITED, 0, retry_after_s=3)
    assert against(prospect(), health) == (Hindrance.COOLING, "asked to be left alone for 3 s")
    assert against(prospect(), health, now_s=3) is None


def test_a_refused_key_is_not_used(health: Health) -> None:
    attempt(health, candidate("lab/m"), Code.UPSTREAM_AUTH)
    assert against(prospect(), health) == (Hindrance.DOUBTFUL, "its key was refused a short while ago")
