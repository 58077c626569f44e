"""What a settings page chooses from: providers that are there, and their models."""

from __future__ import annotations

from pathlib import Path

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


@pytest.mark.promise("M20")
async def test_a_page_can_tell_what_runs_here(make_gateway: MakeGateway, tmp_path: Path) -> None:
    """A server of a vendor, one of this machine, one that the gateway starts, and one in a container."""
    compose = tmp_path / "compose.yaml"
    compose.write_text("services: {web: {image: nginx}}")
    services = {
        "barn": {"command": ["barn", "{port}"]},
        "tank": {"compose": {"file": str(compose), "service": "web", "port": 80}},
    }
    providers = {
        "lab": PROVIDERS["lab"],
        "ollama": {},
        **{name: {"wire": "openai", "service": name, "models": ["m"]} for name in services},
    }
    gateway = await make_gateway(settings(providers=providers, services=services))

    types = providers_fields(gateway.app.house)["providerTypes"]

    assert isinstance(types, dict)
    named = [types[name] for name in ("lab", "openai", "ollama", "barn", "tank")]
    assert named == ["remote", "remote", "local", "local", "docker"]
