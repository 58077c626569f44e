"""Lines: who stands behind a name, found once."""

from __future__ import annotations

from rhetor.core.capability import Capability
from rhetor.core.usage import Price
from rhetor.routing.catalog import Catalog, Strategy
from rhetor.routing.prospects import MOST_LINES, line_behind
from tests.routing.stock import catalog, offer, provider, route

CHAT = Capability.CHAT


def stock() -> Catalog:
    return catalog(
        provider("lab", accounts=("lab", "lab#2"), slots=7, tags=frozenset({"eu"})),
        provider("home", free=True),
        offer("lab/m", context_tokens=100, price=Price(1, 2)),
        route("fast", "lab/m", "gone/x", "home/x", weights=(3, 2, 1), strategy=Strategy.WEIGHTED),
        route("one", "home/x"),
    )


def test_a_target_stands_there_with_each_of_its_keys() -> None:
    (keys,) = line_behind("lab/m", CHAT, stock()).groups
    assert [(each.target.key, each.domain) for each in keys] == [(0, "lab/m"), (1, "lab#2/m")]


def test_what_is_known_of_it_stands_there_too() -> None:
    lab, gone, home = line_behind("fast", CHAT, stock()).groups
    first = lab[0]
    assert (first.context_tokens, first.price, first.slots) == (100, Price(1, 2), 7)
    assert (first.tags, first.weight, first.reason) == (frozenset({"eu"}), 3, "target 1 of fast")
    assert gone[0].against == "no provider 'gone'"
    assert home[0].price == Price(0, 0), "nobody sends a bill"


def test_who_has_read_a_conversation_counts_only_among_equals() -> None:
    assert line_behind("fast", CHAT, stock()).equals
    assert line_behind("lab/m", CHAT, stock()).equals, "two keys"
    assert not line_behind("one", CHAT, stock()).equals


def test_it_is_found_once() -> None:
    here = stock()
    assert line_behind("fast", CHAT, here) is line_behind("fast", CHAT, here)
    assert line_behind("fast", CHAT, here) is not line_behind("fast", Capability.EMBEDDINGS, here)


def test_names_that_callers_make_up_do_not_stay() -> None:
    here = stock()
    for n in range(MOST_LINES + 10):
        line_behind(f"lab/{n}", CHAT, here)
    assert len(here.lines) <= MOST_LINES
