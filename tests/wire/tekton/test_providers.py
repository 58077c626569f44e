"""The hard rules for the list of providers, and the keys of the two other systems."""

from __future__ import annotations

from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from rhetor.core.usage import Price
from rhetor.wire.tekton.providers import ListedModel, ListedProvider, Listing, providers_body
from tests.wire.strategies import words
from tests.wire.tekton.samples import LISTING
from tests.wire.tekton.stock import AvailableProviders

micros = st.integers(0, 10**9)
models = st.builds(
    ListedModel,
    id=words,
    name=st.just("") | words,
    context_tokens=st.none() | st.integers(1, 10**7),
    capabilities=st.lists(words, max_size=2).map(tuple),
    price=st.none() | st.builds(Price, micros, micros, st.none() | micros, st.none() | micros),
)
providers = st.builds(
    ListedProvider,
    id=words,
    name=words,
    available=st.booleans(),
    reason=st.none() | words,
    default_model=st.just("") | words,
    models=st.lists(models, max_size=3).map(tuple),
)


def body(listing: Listing = LISTING) -> dict[str, Any]:
    told: dict[str, Any] = orjson.loads(orjson.dumps(providers_body(listing)))
    return told


@given(st.lists(providers, max_size=3).map(tuple), words, words)
def test_rule_the_stock_client_accepts_every_listing(
    listed: tuple[ListedProvider, ...], default_provider: str, default_model: str
) -> None:
    listing = Listing(providers=listed, default_provider=default_provider, default_model=default_model)

    AvailableProviders.model_validate(body(listing))


def test_rule_prices_are_floats_in_dollars_per_million_tokens() -> None:
    pricing = body()["providers"]["anthropic"]["models"][0]["pricing"]

    assert pricing == {"input": 3.0, "output": 15.0, "cache_read": 0.3}
    assert b'"input":3.0' in orjson.dumps(providers_body(LISTING))


def test_rule_defaults_are_strings_and_each_provider_has_one() -> None:
    told = body()

    assert (told["default_provider"], told["default_model"]) == ("anthropic", "m-def")
    assert [provider["default_model"] for provider in told["providers"].values()] == ["m-def", ""]


def test_rule_a_provider_that_may_be_named_is_listed_though_it_is_not_available() -> None:
    told = body()

    assert told["providers"]["groq"]["available"] is False
    assert told["providers"]["groq"]["models"] == []


def test_a_price_nobody_knows_is_left_out() -> None:
    model = body()["providers"]["anthropic"]["models"][1]

    assert model == {"id": "m-old", "name": "m-old", "capabilities": ["chat", "images"]}


def test_jelmores_readers_find_their_lists() -> None:
    told = body()

    assert told["available_providers"] == ["anthropic", "groq"]
    assert told["configured_providers"] == told["active_providers"] == ["anthropic"]


def test_the_chat_platforms_readers_find_their_status() -> None:
    told = body()

    assert told["available"] == ["anthropic"]
    assert told["status"] == {
        "anthropic": {"success": True, "provider": "anthropic"},
        "groq": {"success": False, "provider": "groq", "error": "no key: set GROQ_API_KEY"},
    }
