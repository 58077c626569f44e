"""Who is asked: by what is wanted, in turn, by health and by price; and whether all of it works."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from rhetor.testing import Upstream, fails, raw_frames
from tekton_llm_client import InvalidRequestError
from tekton_llm_client.media import (
    MediaCapability,
    MigrationValidator,
    ProviderHealthMonitor,
    ProviderLoadBalancer,
    ProviderNotFoundError,
    ProviderRegistry,
    SmartProviderSelector,
)
from tests.conftest import Gateway, MakeGateway, settings
from tests.http.media.test_vendors import ALL, vendor
from tests.wire.media.test_elevenlabs import VOICES

DRAWING = MediaCapability.TEXT_TO_IMAGE
WRITING = MediaCapability.TEXT_TO_TEXT


@pytest.fixture(autouse=True)
async def patience() -> AsyncIterator[None]:
    async with asyncio.timeout(30):
        yield


@pytest.fixture
async def vendors(make_gateway: MakeGateway) -> AsyncIterator[ProviderRegistry]:
    """ElevenLabs and OpenRouter, with the lists that they publish."""
    async with Upstream(anything=True, served=()) as upstream:
        upstream.always(lambda seen: raw_frames([VOICES if "voices" in seen.path else ALL]))
        providers = {"elevenlabs": vendor(upstream), "openrouter": vendor(upstream)}
        gateway = await make_gateway(
            settings(providers=providers, discovery={"enabled": True, "local": False})
        )
        await gateway.app.discovered.wait()
        async with ProviderRegistry(gateway.url) as registry:
            yield registry


@pytest.mark.promise("M25")
async def test_free_models_latest_ones_and_voices(vendors: ProviderRegistry) -> None:
    router = await vendors.get_provider("openrouter")
    free = {model.id for model in router.get_free_models()}
    assert "openai/gpt-oss-20b:free" in free
    assert len(free) < len(router.models)
    latest = await router.get_latest_model("text-to-text")
    fastest = await router.get_fastest_model("text-to-text")
    assert latest is not None
    assert fastest is not None  # nobody was asked yet: its vendor says so
    assert {latest.id, fastest.id} <= set(router.get_available_models())
    assert "speed" in fastest.tags
    voices = await vendors.get_provider("elevenlabs")
    assert [voice.name for voice in voices.get_cloned_voices()] == ["Me"]
    assert voices.get_professional_voices()
    assert {*voices.get_cloned_voices()} < {*voices.get_models_for_capability("text-to-audio")}


@pytest.mark.promise("M31")
async def test_a_text_provider_is_chosen_by_three_words(vendors: ProviderRegistry) -> None:
    selector = SmartProviderSelector(vendors)
    free = await selector.get_best_text_provider(speed="fast", cost="free")
    assert (free.id, free.best_model in free.get_free_models()) == ("openrouter", True)
    thinks = await selector.get_best_text_provider(capability="reasoning")
    assert thinks.best_model is not None
    assert "thinking" in thinks.best_model.features
    dear = await selector.get_best_text_provider(speed="quality", cost="premium")
    assert dear.best_model is not None
    assert dear.best_model.pricing is not None
    assert free.best_model is not None
    assert free.best_model.pricing is not None
    assert dear.best_model.pricing["output_cost"] > free.best_model.pricing["output_cost"] == 0
    with pytest.raises(InvalidRequestError, match=r"expected one of .*fast"):
        await selector.get_best_text_provider(speed="soon")  # type: ignore[arg-type]  # no such word


async def test_the_best_provider_is_the_gateways(registry: ProviderRegistry) -> None:
    best = await registry.find_best_provider(WRITING)
    assert best is not None
    other = await registry.find_best_provider(DRAWING, exclude_providers=["lab", "draws"])
    assert other is not None
    assert other.id == "replicate"
    assert await registry.find_best_provider("rerank", prefer_local=True) is None
    cheap = await registry.find_best_provider(DRAWING, max_cost=0.01)
    assert cheap is not None
    assert cheap.best_model is not None


@pytest.mark.promise("M32")
async def test_what_is_asked_is_shared_out(registry: ProviderRegistry) -> None:
    balancer = ProviderLoadBalancer(registry)
    turns = [(await balancer.get_provider(DRAWING)).id for _ in range(6)]
    assert turns == ["draws", "lab", "replicate"] * 2
    cheapest = await ProviderLoadBalancer(registry, "cost").get_provider(DRAWING)
    assert cheapest.best_model is not None
    assert cheapest.best_model.pricing is not None  # the others' prices nobody knows
    healthy = await ProviderLoadBalancer(registry, "health").get_provider(WRITING)
    assert healthy.best_model is not None
    with pytest.raises(ProviderNotFoundError, match="rerank"):
        await balancer.get_provider("rerank")


@pytest.mark.promise("M32")
async def test_who_fails_is_passed_over(
    registry: ProviderRegistry, gateway: Gateway, upstream: Upstream
) -> None:
    """Until it is asked again: its breaker is the gateway's, so all callers count."""
    upstream.always(fails(status=503))
    asked = {"capability": DRAWING, "input": "a fox", "model": "draws/brush"}
    while not gateway.app.house.pipeline.health.open_breakers()["draws"]:
        assert (await gateway.post("/v1/generate", asked))[0] >= 500
    balancer = ProviderLoadBalancer(registry)
    assert "draws" not in [(await balancer.get_provider(DRAWING)).id for _ in range(4)]


@pytest.mark.promise("M18", "M30")
async def test_every_provider_tells_how_it_is(registry: ProviderRegistry) -> None:
    reports = {
        report.provider: report for report in await ProviderHealthMonitor(registry).check_all_providers()
    }
    assert (reports["oai"].status, reports["oai"].available) == ("healthy", True)
    assert (reports["openai"].status, reports["openai"].available) == ("off", False)
    assert "OPENAI_API_KEY" in str(reports["openai"].last_error)
    health = await (await registry.get_provider("oai")).get_health()
    assert (health.status, health.active_jobs, health.uptime > 0) == ("healthy", 0, True)
    assert (await (await registry.get_provider("openai")).get_health()).status == "unhealthy"


@pytest.mark.promise("M33")
async def test_a_provider_is_tried_from_its_loading_to_its_errors(registry: ProviderRegistry) -> None:
    validator = MigrationValidator(registry)
    report = await validator.validate_provider("lab")
    assert [(check.name, check.ok) for check in report.checks] == [
        (name, True) for name in ("loading", "available", "models", "generation", "errors")
    ]
    assert (report.valid, report.provider, report.checks[3].detail) == (True, "lab", "text-to-text by small")
    drawn = await validator.validate_provider("draws")
    assert drawn.checks[3].detail == "text-to-image by brush"
    off = await validator.validate_provider("openai", generate=False)
    assert (off.valid, off.checks[1].ok) == (False, False)
    assert "OPENAI_API_KEY" in off.errors[0]
    nobody = await validator.validate_provider("github:somebody/thing")
    assert (nobody.provider, [check.name for check in nobody.checks]) == (None, ["loading"])
