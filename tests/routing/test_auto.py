"""Callers who name no model, and say what they demand of it."""

from __future__ import annotations

import pytest

from rhetor.core.capability import Feature
from rhetor.core.content import Part, Text
from rhetor.core.errors import BadRequest
from rhetor.core.request import Request, Wanted
from rhetor.core.usage import Price
from rhetor.routing.catalog import Catalog
from rhetor.routing.decision import Plan
from rhetor.routing.health import Health
from rhetor.routing.plan import SHORTLIST
from rhetor.testing.clock import FakeClock
from tests.routing.stock import PNG, SEEING, attempt, candidate, catalog, chat, off, offer, plan, provider

TOOLS = frozenset({Feature.TOOLS})


def priced(dollars: int) -> Price:
    """So many dollars for a million tokens, in and out."""
    return Price(dollars * 1_000_000, dollars * 1_000_000)


STOCK = catalog(
    provider("lab", default_model="small", tags=frozenset({"eu"})),
    provider("cloud", default_model="big", tags=frozenset({"us", "eu"})),
    provider("home", free=True),
    off("keyless"),
    provider("offline", default_model="echo", last_resort=True),
    offer("lab/tiny", features=TOOLS, price=priced(1)),
    offer("lab/small", features=TOOLS | SEEING, price=priced(2)),
    offer("cloud/big", features=TOOLS | SEEING, price=priced(9)),
    offer("cloud/blind", features=TOOLS, price=priced(5)),
    offer("cloud/dumb", features=frozenset(), price=priced(4)),
    offer("home/llama"),
    offer("keyless/x", features=TOOLS, price=priced(1)),
    offer("offline/echo", features=TOOLS),
)


def wanting(*parts: Part, model: str = "auto", **said: object) -> Request:
    request = chat(model, *parts, max_tokens=500)
    request.wanted = Wanted(**said)  # type: ignore[arg-type]
    return request


def names(planned: Plan) -> list[str]:
    return [target.name for target in planned.targets]


@pytest.mark.promise("M26")
def test_who_is_known_for_what_is_wished_comes_first_and_nobody_is_refused() -> None:
    stock = catalog(
        provider("lab"),
        offer("lab/a"),
        offer("lab/b", tags=frozenset({"coding"})),
        offer("lab/c", tags=frozenset({"coding", "agents"})),
    )
    wished = wanting(strengths=frozenset({"coding", "agents"}))
    assert names(plan(wished, stock)) == ["lab/c", "lab/b", "lab/a"]
    demanded = wanting(tags=frozenset({"coding"}))
    assert names(plan(demanded, stock)) == ["lab/b", "lab/c"]


@pytest.mark.parametrize(
    ("price_class", "expected"),
    [
        ("free", ["home/llama"]),
        ("cheap", ["home/llama"]),
        ("premium", ["cloud/big", "cloud/blind", "cloud/dumb"]),
    ],
)
def test_a_class_of_prices(price_class: str, expected: list[str]) -> None:
    assert sorted(names(plan(wanting(price_class=price_class), STOCK))) == sorted(expected)


@pytest.mark.promise("M32")
@pytest.mark.parametrize(
    ("balance", "expected"),
    [
        ("round_robin", ["lab/a", "lab/b", "lab/c", "lab/a"]),
        ("cheapest", ["lab/b"] * 4),
        ("least_busy", ["lab/a", "lab/b", "lab/c", "lab/a"]),
    ],
)
def test_requests_are_shared_out(balance: str, expected: list[str]) -> None:
    stock = catalog(
        provider("lab"),
        offer("lab/a", price=priced(3)),
        offer("lab/b", price=priced(1)),
        offer("lab/c", price=priced(2)),
    )
    health = Health(FakeClock())
    asked = []
    for _ in expected:
        first = plan(wanting(balance=balance), stock, health).first
        health.began(first)
        asked.append(first.name)
    assert asked == expected


def test_a_providers_default_comes_before_its_others() -> None:
    assert names(plan(wanting(features=TOOLS), STOCK)) == [
        "lab/small",
        "cloud/big",
        "lab/tiny",
        "cloud/blind",
        "home/llama",
    ]


@pytest.mark.parametrize(
    ("prefer", "expected"),
    [
        ("cost", ["home/llama", "lab/tiny", "lab/small", "cloud/dumb", "cloud/blind", "cloud/big"]),
        ("quality", ["cloud/big", "cloud/blind", "cloud/dumb", "lab/small", "lab/tiny", "home/llama"]),
    ],
)
def test_what_is_preferred(prefer: str, expected: list[str]) -> None:
    assert names(plan(wanting(prefer=prefer), STOCK)) == expected


def test_speed_goes_by_who_spoke_soonest() -> None:
    health = Health(FakeClock())
    for name in STOCK.offers:
        attempt(health, candidate(name), None, first_event_s=0.1 if name == "cloud/blind" else 3.0)
    request = wanting(prefer="speed")
    seen = set()
    for n in range(60):
        request.id = f"gen_{n}"
        planned = names(plan(request, STOCK, health))
        seen.add(planned[0])
        assert "cloud/blind" in planned[:2], "the fastest, unless another one was drawn, and then the next"
    assert len(seen) > 1


def test_what_the_request_shows_counts_as_well() -> None:
    planned = plan(wanting(PNG, features=TOOLS), STOCK)
    assert names(planned) == ["lab/small", "cloud/big", "home/llama"]
    reasons = {c.target.name: c.reason for c in planned.left_out}
    assert reasons == {
        "lab/tiny": "lacks images",
        "cloud/blind": "lacks images",
        "cloud/dumb": "lacks images, tools",
        "offline/echo": "lacks images",
    }


def test_a_limit_of_cost() -> None:
    """500 tokens come out, and hardly any go in."""
    planned = plan(wanting(max_cost_micros=1200), STOCK)
    assert names(planned) == ["lab/small", "lab/tiny", "home/llama"]
    assert "would cost about" in planned.left_out[0].reason


def test_tags() -> None:
    assert names(plan(wanting(tags=frozenset({"us"})), STOCK)) == ["cloud/big", "cloud/blind", "cloud/dumb"]


def test_the_last_resort_answers_where_nobody_else_can() -> None:
    planned = plan(wanting(), STOCK)
    assert "offline/echo: answers only where nobody else can" in [
        f"{c.target.name}: {c.reason}" for c in planned.left_out
    ]
    last = catalog(provider("offline", last_resort=True), offer("offline/echo"))
    assert names(plan(wanting(), last)) == ["offline/echo"]


def test_nobody_satisfies_it() -> None:
    with pytest.raises(BadRequest, match="lab/tiny: is not tagged mars"):
        plan(wanting(tags=frozenset({"mars"})), STOCK)


def test_demands_hold_for_named_models_as_well() -> None:
    with pytest.raises(BadRequest, match="is not tagged us"):
        plan(wanting(model="lab/small", tags=frozenset({"us"})), STOCK)


def test_requests_of_one_size_share_a_line_and_have_the_same_plan() -> None:
    """Whoever came first with a request of this size has no influence on the others."""
    short, long = (
        wanting(Text("x" * chars), max_cost_micros=1290, prefer="quality") for chars in (900, 1200)
    )
    fresh = catalog(*STOCK.providers.values(), *STOCK.offers.values())
    assert names(plan(short, fresh)) == names(plan(short, STOCK))
    plan(long, fresh)
    assert names(plan(short, fresh)) == names(plan(short, STOCK))


def test_only_the_best_of_many_are_tried() -> None:
    many: Catalog = catalog(provider("lab"), *(offer(f"lab/{n}") for n in range(300)))
    assert len(plan(wanting(), many).candidates) == SHORTLIST
