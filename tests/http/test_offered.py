"""What is on offer: every list of models tells the same."""

from __future__ import annotations

import pytest

from rhetor.core.capability import Capability
from rhetor.http.offered import find, offered
from rhetor.routing.catalog import Catalog, Offer, ProviderFacts, Route, Target, build_catalog

CHAT = frozenset({Capability.CHAT})
SMALL = Offer(provider="lab", model="small", capabilities=CHAT, context_tokens=8192)
TAGGED = Offer(provider="lab", model="large:latest", capabilities=CHAT)
ELSEWHERE = Offer(provider="off", model="small", capabilities=CHAT)


def provider(id: str, available: bool) -> ProviderFacts:
    return ProviderFacts(id=id, name=id, available=available, capabilities=CHAT, features=frozenset())


@pytest.fixture
def catalog() -> Catalog:
    """A provider that is on, one that is off, a route, an alias."""
    fast = Route(name="fast", targets=(Target("lab", "small"), Target("lab", "unlisted")))
    new = Route(name="new", targets=(Target("lab", "unlisted"),))
    providers = [provider("lab", True), provider("off", False)]
    return build_catalog(providers, [SMALL, TAGGED, ELSEWHERE], [fast, new], {"quick": "fast"})


def test_routes_come_first_and_who_is_off_offers_nothing(catalog: Catalog) -> None:
    listed = list(offered(catalog))
    assert [it.id for it in listed] == ["fast", "new", "lab/small", "lab/large:latest"]
    assert [it.owner for it in listed] == ["rhetor", "rhetor", "lab", "lab"]


def test_a_route_promises_what_its_first_target_can(catalog: Catalog) -> None:
    fast, new, small, _ = offered(catalog)
    assert (fast.offer, fast.targets) == (SMALL, ("lab/small", "lab/unlisted"))
    assert (new.offer, new.targets) == (None, ("lab/unlisted",))
    assert (small.offer, small.targets) == (SMALL, ())


@pytest.mark.parametrize(
    ("name", "id"),
    [
        ("fast", "fast"),
        ("quick", "fast"),
        ("lab/small", "lab/small"),
        ("large:latest", "lab/large:latest"),
        ("small", "lab/small"),
    ],
)
def test_a_name_is_found_however_callers_write_it(catalog: Catalog, name: str, id: str) -> None:
    found = find(catalog, name)
    assert found is not None
    assert found.id == id
    assert found in list(offered(catalog))


@pytest.mark.parametrize("name", ["", "nobody", "lab/nobody", "lab/", "/small"])
def test_a_name_that_nobody_has(catalog: Catalog, name: str) -> None:
    assert find(catalog, name) is None
