"""Providers by id, by where their plugin is, and by what they can do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rhetor.testing import Upstream
from tekton_llm_client import AuthenticationError, ConnectionError
from tekton_llm_client.media import (
    MediaCapability,
    ProviderCreationError,
    ProviderNotFoundError,
    ProviderRegistry,
    ProviderType,
    get_provider_registry,
)
from tests.conftest import Gateway, MakeGateway, free_port, settings
from tests.http.media.studio import studio
from tests.plugins.repository import Repository, manifest


@pytest.fixture(autouse=True)
async def patience() -> AsyncIterator[None]:
    async with asyncio.timeout(30):
        yield


@pytest.fixture
def cow(tmp_path: Path, upstream: Upstream) -> Repository:
    """A plugin's repository with a tag, and more behind it."""
    repository = Repository(tmp_path / "cow")
    row = manifest("cow", f"{upstream.base_url}/v1", ", local: true, models: [small]")
    repository.commit(**{"rhetor-plugin_dot_yaml": row})
    repository.git("tag", "v1")
    return repository


@pytest.mark.promise("M09", "M18", "M20")
async def test_a_provider_says_what_it_can_do(registry: ProviderRegistry) -> None:
    lab = await registry.get_provider("lab")
    assert (lab.name, lab.type, lab.default_model) == ("lab", ProviderType.REMOTE, "small")
    assert MediaCapability.AUDIO_TO_TEXT in lab.capabilities
    assert [model.id for model in lab.get_models_for_capability("text-to-image")] == ["small", "brush"]
    assert lab.get_available_models() == ["small", "brush"]
    assert await lab.is_available()
    assert await lab.get_model("brush").is_available()
    assert await registry.get_provider("lab") is lab

    ollama = await registry.get_provider("ollama")
    assert (ollama.type, await ollama.is_available()) == (ProviderType.LOCAL, False)
    drawing = await registry.get_providers_by_capability(MediaCapability.TEXT_TO_IMAGE)
    assert {provider.id for provider in drawing} >= {"lab", "draws", "replicate"}
    assert len(await registry.get_all_providers()) > len(await registry.get_available_providers())
    stats = await registry.get_stats()
    assert (stats["cached_providers"], await registry.has_provider("nobody")) == (2, False)


@pytest.mark.promise("M01", "M10")
async def test_a_repository_is_a_provider(
    registry: ProviderRegistry, gateway: Gateway, cow: Repository
) -> None:
    """Pinned, added by the gateway, and used at once; asked for again it is there."""
    provider = await registry.get_provider(cow.at("v1"))
    assert (provider.id, provider.type, await provider.is_available()) == ("cow", ProviderType.LOCAL, True)
    assert (await provider.get_model("small").transform("moo")).content == "a red fox in snow"
    assert (await registry.get_provider("cow")).id == "cow"
    async with ProviderRegistry(gateway.url) as elsewhere:
        assert (await elsewhere.get_provider(cow.at("v1"))).id == "cow"
    _, told = await gateway.get("/v1/plugins/cow")
    assert (told["ref"], told["commit"]) == ("v1", cow.git("rev-parse", "HEAD"))

    newer = cow.commit(more="")
    again = await registry.refresh_provider("cow", ref=newer)
    assert again.id == "cow"
    assert (await gateway.get("/v1/plugins/cow"))[1]["commit"] == newer
    with pytest.raises(ProviderCreationError, match="no-such-tag"):
        await registry.get_provider(cow.at("no-such-tag"))


async def test_those_of_mediaconduit_are_built_in(registry: ProviderRegistry) -> None:
    """Nothing is fetched: the gateway has a row of its own for them."""
    for page in (
        "https://github.com/MediaConduit/together-provider",
        "github:MediaConduit/together-provider@v1",
    ):
        assert (await registry.get_provider(page)).id == "together"


@pytest.mark.parametrize(
    ("identifier", "kind", "said"),
    [
        ("nobody", ProviderNotFoundError, r"'nobody' not found; there are .*lab"),
        ("https://github.com/somebody/thing", ProviderCreationError, "says no ref"),
        ("file:///no/such/folder", ProviderCreationError, "no folder"),
        ("git+http://x.example/y.git@v1", ProviderCreationError, "not encrypted"),
    ],
)
async def test_what_cannot_be_had_says_why(
    registry: ProviderRegistry, identifier: str, kind: type[Exception], said: str
) -> None:
    with pytest.raises(kind, match=said):
        await registry.get_provider(identifier)


async def test_a_gateway_that_does_not_add_plugins_says_so(
    make_gateway: MakeGateway, upstream: Upstream, cow: Repository
) -> None:
    gateway = await make_gateway(settings(upstream))
    async with ProviderRegistry(gateway.url) as registry:
        with pytest.raises(ProviderCreationError, match=r"plugins\.allow_add") as caught:
            await registry.get_provider(cow.at("v1"))
        assert (caught.value.status, caught.value.code) == (403, "forbidden")


async def test_a_token_goes_along(make_gateway: MakeGateway, upstream: Upstream) -> None:
    tokens = {"tokens": {"ann": "env:ANN"}}
    gateway = await make_gateway(studio(upstream, server=tokens), {"ANN": "a" * 32})
    async with ProviderRegistry(gateway.url, auth_token="a" * 32) as registry:
        drawn = (
            await (await registry.get_provider("lab"))
            .get_model("brush")
            .transform("a fox", capability="text-to-image")
        )
        assert await drawn.read()
    async with ProviderRegistry(gateway.url) as stranger:
        with pytest.raises(AuthenticationError):
            await stranger.get_provider("lab")


async def test_there_is_one_registry_for_each_gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RHETOR_MAX_RETRIES", "0")
    monkeypatch.setenv("RHETOR_URL", f"http://127.0.0.1:{free_port()}/")
    registry = get_provider_registry()
    assert registry is get_provider_registry()
    assert not registry.gateway.url.endswith("/")
    assert registry is not get_provider_registry("http://127.0.0.1:9")
    with pytest.raises(ConnectionError):
        await registry.get_provider("lab")
