"""What a settings page chooses from: providers that are there, and their models."""

from __future__ import annotations

import pytest

from rhetor.http.options import providers_fields
from rhetor.testing import Upstream
from tests.conftest import MakeGateway, settings

PROVIDERS = {
    "lab": {"wire": "openai", "base_url": "http://127.0.0.1:9/v1", "models": ["small", "meta/large"]},
    "groq": {},
}


@pytest.mark.promise("P11")
async def test_a_settings_page_can_choose(make_gateway: MakeGateway, upstream: Upstream) -> None:
    """Values, labels and descriptions, as the page has them; who has no key is not offered."""
    routes = {"fast": {"targets": ["lab/small"]}}
    gateway = await make_gateway(settings(upstream, providers=PROVIDERS, routes=routes))

    told = providers_fields(gateway.app.house)

    providers, models = told["providerOptions"], told["modelOptions"]
    assert isinstance(providers, list)
    assert isinstance(models, dict)
    for each in [*providers, *(it for of in models.values() for it in of)]:
        assert each.keys() == {"value", "label", "description"}
        assert all(isinstance(text, str) for text in each.values())
    names = [it["value"] for it in providers]
    assert "lab" in names
    assert "groq" not in names
    assert [it["value"] for it in models["lab"]] == ["small", "meta/large"]
    assert [it["value"] for it in models["rhetor"]] == ["fast"]
