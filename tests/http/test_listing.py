"""Who could answer: the catalog, as everybody reads it who wants to choose."""

from __future__ import annotations

from rhetor.http.listing import listing
from rhetor.testing import Upstream
from tests.conftest import Gateway, MakeGateway, settings


async def test_routes_are_models_of_a_provider_with_our_name(
    make_gateway: MakeGateway, upstream: Upstream
) -> None:
    routes = {"fast": {"targets": ["oai/m"]}, "default": {"targets": ["ant/m"]}}
    listed = listing((await make_gateway(settings(upstream, routes=routes))).app.house.catalog)
    ours, *_ = listed.providers
    assert (ours.id, ours.available, ours.default_model) == ("rhetor", True, "default")
    assert {model.id for model in ours.models} == {"fast", "default"}
    assert (listed.default_provider, listed.default_model) == ("rhetor", "default")


async def test_without_routes_the_default_is_a_providers(
    make_gateway: MakeGateway, upstream: Upstream
) -> None:
    oai = {"base_url": upstream.base_url, "key": "env:TEST_KEY", "wire": "openai", "default_model": "m"}
    listed = listing((await make_gateway(settings(providers={"oai": oai}))).app.house.catalog)
    assert "rhetor" not in {provider.id for provider in listed.providers}
    assert (listed.default_provider, listed.default_model) == ("oai", "m")


async def test_who_has_to_name_a_model_is_told_of_none(gateway: Gateway) -> None:
    """The providers that are on have no default."""
    listed = listing(gateway.app.house.catalog)
    assert (listed.default_provider, listed.default_model) == ("", "")


async def test_who_is_not_available_says_why(gateway: Gateway) -> None:
    by_id = {provider.id: provider for provider in listing(gateway.app.house.catalog).providers}
    assert by_id["oai"].available
    assert not by_id["groq"].available
    assert "GROQ_API_KEY" in (by_id["groq"].reason or "")
