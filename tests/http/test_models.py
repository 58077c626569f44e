"""The models on offer, and what is known of them; how SDKs page through them is in tests/sdk."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from rhetor.testing import Upstream
from tests.conftest import Gateway, MakeGateway, settings
from tests.http.doors import anthropic_wrong, openai_wrong

ANTHROPIC = {"anthropic-version": "2023-06-01"}


@pytest.fixture
async def gateway(make_gateway: MakeGateway, upstream: Upstream) -> Gateway:
    """A provider whose models the catalogue knows, one with its own, one without a key, and a route."""
    openai = {"base_url": f"{upstream.base_url}/v1", "key": "env:TEST_KEY", "models": ["gpt-4o-mini"]}
    lab = {"wire": "openai", "base_url": f"{upstream.base_url}/v1", "models": ["small"]}
    routes = {"fast": {"targets": ["openai/gpt-4o-mini", "lab/small"]}}
    given = settings(providers={"openai": openai, "lab": lab, "groq": {}}, routes=routes)
    gateway = await make_gateway(given)
    async with asyncio.timeout(10):  # what the catalogue knows comes a moment after the start
        while (await listed(gateway))["openai/gpt-4o-mini"]["max_input_tokens"] is None:
            await asyncio.sleep(0)
    return gateway


async def listed(gateway: Gateway, **options: Any) -> dict[str, dict[str, Any]]:
    status, said = await gateway.get("/v1/models?limit=1000", **options)
    assert status == 200
    return {model["id"]: model for model in said["data"]}


async def test_what_openai_callers_are_told(gateway: Gateway) -> None:
    models = await listed(gateway)
    for model in models.values():
        assert model["object"] == "model"
        assert isinstance(model["created"], int)
        assert isinstance(model["owned_by"], str)
    known = models["openai/gpt-4o-mini"]
    assert (known["max_input_tokens"], known["max_tokens"]) == (128_000, 16_384)
    assert "text-to-text" in known["capabilities"]
    assert {"tools", "images"} <= set(known["features"])
    nobody_knows = models["lab/small"]
    assert nobody_knows["max_input_tokens"] is None
    assert nobody_knows["features"] is None


async def test_a_route_is_a_model(gateway: Gateway) -> None:
    """With what its first target can, and who stands behind it."""
    models = await listed(gateway)
    fast = models["fast"]
    assert fast["targets"] == ["openai/gpt-4o-mini", "lab/small"]
    assert fast["max_input_tokens"] == models["openai/gpt-4o-mini"]["max_input_tokens"]


async def test_who_was_asked_says_how_soon_it_spoke(gateway: Gateway) -> None:
    """And the route that begins with it; of others nobody knows."""
    asked = {"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}
    assert "first_event_s" not in (await listed(gateway))["fast"]
    assert (await gateway.post("/v1/chat/completions", asked))[0] == 200
    models = await listed(gateway)
    assert models["openai/gpt-4o-mini"]["first_event_s"] >= 0
    assert {id for id, said in models.items() if "first_event_s" in said} == {"openai/gpt-4o-mini", "fast"}


async def test_who_cannot_be_asked_is_not_on_offer(gateway: Gateway) -> None:
    assert not [id for id in await listed(gateway) if id.startswith("groq/")]


async def test_what_anthropic_callers_are_told(gateway: Gateway) -> None:
    models = await listed(gateway, headers=ANTHROPIC)
    assert models.keys() == (await listed(gateway)).keys()
    for model in models.values():
        assert model["type"] == "model"
        assert isinstance(model["display_name"], str)
        assert model["created_at"].endswith("Z")
    assert models["openai/gpt-4o-mini"]["max_input_tokens"] == 128_000


@pytest.mark.parametrize("name", ["openai/gpt-4o-mini", "gpt-4o-mini", "lab%2Fsmall", "fast"])
@pytest.mark.parametrize("headers", [{}, ANTHROPIC])
async def test_one_model(gateway: Gateway, name: str, headers: dict[str, str]) -> None:
    status, said = await gateway.get(f"/v1/models/{name}", headers=headers)
    assert status == 200
    assert said["id"].endswith(name.replace("%2F", "/"))
    assert said == (await listed(gateway, headers=headers))[said["id"]]


async def test_a_model_that_nobody_has(gateway: Gateway) -> None:
    for name in ("nobody", "openai/absent", "groq/llama", "x" * 5_000, "%00", "a/b/c"):
        status, said = await gateway.get(f"/v1/models/{name}")
        assert status == 404
        assert openai_wrong(said).param == "model"
        status, said = await gateway.get(f"/v1/models/{name}", headers=ANTHROPIC)
        assert (status, anthropic_wrong(said).kind) == (404, "not_found_error")


@pytest.mark.parametrize("limit", ["all", "1e3", ""])
async def test_a_page_of_no_size(gateway: Gateway, limit: str) -> None:
    status, said = await gateway.get(f"/v1/models?limit={limit}", headers=ANTHROPIC)
    assert status == 400
    assert anthropic_wrong(said).message.startswith("limit")


async def test_a_page_of_any_other_size(gateway: Gateway) -> None:
    for limit, count in (("-1", 1), ("0", 1), ("2", 2)):
        _, said = await gateway.get(f"/v1/models?limit={limit}", headers=ANTHROPIC)
        assert (len(said["data"]), said["has_more"]) == (count, True)
        assert said["first_id"] == said["data"][0]["id"]
        assert said["last_id"] == said["data"][-1]["id"]
