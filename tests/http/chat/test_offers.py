"""Providers and models in the chat platform's words: named, chosen, and offered to its settings page."""

from __future__ import annotations

from typing import Any

import pytest

from rhetor.core.errors import BadRequest, Code, RhetorError
from rhetor.http.chat.offers import model_of, named
from rhetor.http.house import House
from rhetor.routing.catalog import Catalog
from rhetor.testing import Upstream
from tests.conftest import MakeGateway, settings

PROVIDERS: Any = {
    "lab": {
        "wire": "openai",
        "base_url": "http://127.0.0.1:9/v1",
        "models": ["small", "meta/large"],
        "default_model": "small",
    },
    "groq": {},
}
ROUTES: Any = {"fast": {"targets": ["lab/small"]}}


@pytest.fixture
async def house(make_gateway: MakeGateway, upstream: Upstream) -> House:
    """`lab` is on and knows its models, `groq` has no key, `fast` is a route."""
    gateway = await make_gateway(settings(upstream, providers=PROVIDERS, routes=ROUTES))
    return gateway.app.house


@pytest.fixture
def catalog(house: House) -> Catalog:
    return house.catalog


@pytest.mark.promise("P10")
@pytest.mark.parametrize(
    ("provider", "model", "name"),
    [
        (None, None, ""),
        (None, "auto", ""),
        ("rhetor", None, ""),
        ("auto", "default", ""),
        ("lab", None, "lab/small"),
        ("lab", "small", "lab/small"),
        ("lab", "lab/small", "lab/small"),
        ("lab", "meta/large", "lab/meta/large"),
        ("oai", "anything", "oai/anything"),
        (None, "small", "small"),
        (None, "fast", "fast"),
        ("rhetor", "fast", "fast"),
        ("fast", None, "fast"),
        (None, "lab/small", "lab/small"),
    ],
)
def test_what_is_wanted_has_a_name(
    catalog: Catalog, provider: str | None, model: str | None, name: str
) -> None:
    assert model_of(catalog, provider, model) == name


@pytest.mark.parametrize(
    ("provider", "model", "words"),
    [
        ("dialogflow", None, "unknown provider 'dialogflow'; available are"),
        ("mock", "mock-model-v1", "unknown provider 'mock'"),
        ("lab", "huge", "unknown model 'lab/huge'"),
        (None, "nobody-has-it", "unknown model"),
        ("oai", None, "no default model"),
    ],
)
def test_what_there_is_not_is_named(
    catalog: Catalog, provider: str | None, model: str | None, words: str
) -> None:
    with pytest.raises(BadRequest, match=words) as refused:
        model_of(catalog, provider, model)
    assert refused.value.code is Code.MODEL_NOT_FOUND


def test_a_provider_that_is_off_says_why(catalog: Catalog) -> None:
    with pytest.raises(RhetorError, match="GROQ_API_KEY") as refused:
        model_of(catalog, "groq", None)
    assert refused.value.code is Code.UNAVAILABLE


@pytest.mark.parametrize(
    ("name", "pair"),
    [
        ("lab/small", ("lab", "small")),
        ("lab/meta/large", ("lab", "meta/large")),
        ("lab/", ("lab", "small")),
        ("small", ("lab", "small")),
        ("fast", ("rhetor", "fast")),
        ("gone/model", ("rhetor", "gone/model")),
    ],
)
def test_a_name_is_read_back(catalog: Catalog, name: str, pair: tuple[str, str]) -> None:
    assert named(catalog, name) == pair


def test_who_answers_unnamed_is_named(catalog: Catalog) -> None:
    provider, model = named(catalog, "")
    assert provider in catalog.providers or provider == "rhetor"
    assert isinstance(model, str)


@pytest.mark.promise("P04", "P08", "P09", "P15")
async def test_the_list_of_providers_says_who_is_there_and_why_not(
    make_gateway: MakeGateway, upstream: Upstream
) -> None:
    """From a key in the environment on a provider is there; without it, the list says what is missing."""
    for environ, there in (({}, False), ({"GROQ_API_KEY": "gsk-1234567890"}, True)):
        gateway = await make_gateway(settings(upstream, providers=PROVIDERS), environ)
        status, told = await gateway.get("/api/v1/providers")
        assert status == 200
        assert ("groq" in told["available"]) is there
        assert told["status"]["lab"] == {"success": True, "provider": "lab"}
        groq = told["status"]["groq"]
        assert (groq["success"], groq["provider"]) == (there, "groq")
        assert ("GROQ_API_KEY" in groq.get("error", "")) is not there
