"""The providers of a gateway, as MediaConduit's callers ask for them."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import quote, urlencode

from tekton_llm_client.exceptions import TektonLLMError
from tekton_llm_client.media.gateway import MediaGateway, MediaJob
from tekton_llm_client.media.provider import MediaProvider
from tekton_llm_client.media.results import MediaAsset
from tekton_llm_client.media.words import (
    OURSELVES,
    MediaCapability,
    ProviderCreationError,
    ProviderFacts,
    ProviderNotFoundError,
    ProviderType,
    known,
    read_model,
)

FRESH_S = 10.0  # who can be asked seldom changes
NOBODY = frozenset({"unsupported", "nothing_to_try", "no_key", "unavailable", "model_not_found", "not_found"})
WHERE = ("RHETOR_URL", "RHETOR_AUTH_TOKEN")
_DYNAMIC = re.compile(r"[/:@]")
_SOURCE = re.compile(
    r"(?:https://(?:www\.)?github\.com/|github:|file://)?(?P<place>@?[^@#]+?)(?:\.git)?/?"
    r"(?:(?:@|/tree/)(?P<ref>[^#]+))?(?P<below>#.*)?"
)
_BUILT_IN = re.compile(r"mediaconduit/(.+)-provider")

_registries: dict[tuple[str | None, ...], ProviderRegistry] = {}


def get_provider_registry(rhetor_url: str | None = None) -> ProviderRegistry:
    """The registry of this process, one for each gateway."""
    where = (rhetor_url, *map(os.environ.get, WHERE))
    if where not in _registries:
        _registries[where] = ProviderRegistry(rhetor_url)
    return _registries[where]


class ProviderRegistry:
    """The providers of a gateway.

        async with ProviderRegistry() as registry:
            provider = await registry.get_provider("together")
            result = await provider.get_model("black-forest-labs/FLUX.1-schnell").transform("a fox")

    Args:
        rhetor_url: where the gateway is; else RHETOR_URL, else http://localhost:8003.
        component_id: who asks; a name for the gateway's books.
        auth_token: for a gateway that wants one; else RHETOR_AUTH_TOKEN.
        timeout: seconds of silence after which the gateway counts as stuck; else RHETOR_TIMEOUT, else 120.
    """

    def __init__(
        self,
        rhetor_url: str | None = None,
        *,
        component_id: str | None = None,
        auth_token: str | None = None,
        timeout: float | None = None,
    ) -> None:
        self.gateway = MediaGateway(
            rhetor_url, component_id=component_id, auth_token=auth_token, timeout=timeout
        )
        self._providers: dict[str, MediaProvider] = {}
        self._ids: dict[str, str] = {}
        """Whose plugin is where."""
        self._facts: Mapping[str, ProviderFacts] = {}
        self._asked_s: float | None = None

    async def close(self) -> None:
        """Close the connections; it may be used again."""
        await self.gateway.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def get_provider(self, identifier: str, *, grant: Sequence[str] = ()) -> MediaProvider:
        """A provider by its id, or by where its plugin is.

        That is `github:owner/repo@ref`, a page of GitHub's with `@ref`, `npm:package@version` or `file:///path`.
        A plugin that the gateway does not have yet is added, which it may refuse.

        Args:
            grant: variables of others that a new plugin may have.

        Raises:
            ProviderNotFoundError: there is none of this id.
            ProviderCreationError: there is, and it cannot be had.
        """
        id = self._ids.get(identifier, identifier)
        facts = (await self._all()).get(id) or (await self._all(anew=True)).get(id)
        if facts is None and not _DYNAMIC.search(identifier):
            raise ProviderNotFoundError(identifier, await self.get_available_providers())
        if facts is None:
            try:
                facts = await self._plugged(identifier, grant)
            except ProviderCreationError:
                raise
            except TektonLLMError as error:
                raise ProviderCreationError(identifier, error) from error
        self._ids[identifier] = facts.id
        provider = self._providers.setdefault(facts.id, MediaProvider(self.gateway, facts))
        return provider.update(facts)

    async def has_provider(self, id: str) -> bool:
        return id in await self._all()

    async def get_available_providers(self) -> list[str]:
        """The ids of those that can be asked now."""
        return [facts.id for facts in (await self._all()).values() if facts.available]

    async def get_providers(self) -> list[MediaProvider]:
        """Every provider that the gateway knows, also those that lack their key."""
        return [MediaProvider(self.gateway, facts) for facts in (await self._all()).values()]

    get_all_providers = get_providers

    async def get_providers_by_capability(self, capability: MediaCapability | str) -> list[MediaProvider]:
        """Those that can be asked for this now, in the gateway's order."""
        able = (it for it in (await self._all()).values() if it.available and capability in it.capabilities)
        return [MediaProvider(self.gateway, facts) for facts in able]

    async def find_best_provider(
        self,
        capability: MediaCapability | str,
        *,
        max_cost: float | None = None,
        prefer_local: bool = False,
        exclude_providers: Sequence[str] = (),
    ) -> MediaProvider | None:
        """Whom the gateway would ask first for this; None: nobody can.

        Args:
            max_cost: in dollars, for one request.
        """
        able = await self.ranked(capability, max_cost=max_cost)
        if max_cost is None:
            able += await self.get_providers_by_capability(capability)
        able = [provider for provider in able if provider.id not in exclude_providers]
        local = (provider for provider in able if provider.type is not ProviderType.REMOTE)
        best = next(local, None) if prefer_local else None
        return best or next(iter(able), None)

    async def ranked(
        self, capability: MediaCapability | str, **demands: str | float | None
    ) -> list[MediaProvider]:
        """Those who satisfy the demands, the best first, each with its `best_model`.

        Args:
            demands: as in `requirements`; lists with commas.
        """
        facts = await self._all()
        found: dict[str, MediaProvider] = {}
        for target in await self._targets({"capability": capability, "model": "auto", **demands}):
            id, _, model = target.partition("/")
            if id in facts and id not in found:
                found[id] = provider = MediaProvider(self.gateway, facts[id])
                provider.best_model = provider.get_model(model).facts
        return list(found.values())

    async def upload(
        self,
        data: bytes | bytearray | memoryview | Path,
        *,
        name: str | None = None,
        media_type: str | None = None,
    ) -> MediaAsset:
        """Have the gateway keep a file, to be used more than once."""
        return await self.gateway.upload(data, name=name, media_type=media_type)

    def get_job(self, id: str) -> MediaJob:
        """A job that was begun before, perhaps elsewhere."""
        return MediaJob(id, self.gateway)

    async def get_stats(self) -> dict[str, int]:
        """How many providers there are, and how many of them were asked for here."""
        available = await self.get_available_providers()
        return {
            "total_providers": len(await self._all()),
            "available_providers": len(available),
            "cached_providers": len(self._providers),
        }

    def clear_cache(self) -> None:
        """Ask the gateway anew, next time."""
        self._providers.clear()
        self._ids.clear()
        self._asked_s = None

    async def refresh_provider(self, id: str, *, ref: str | None = None) -> MediaProvider:
        """Have the gateway fetch a plugin again, from where it came, or at another ref."""
        path = f"/v1/plugins/{quote(id, safe='')}/update"
        await self.gateway.ask("POST", path, {} if ref is None else {"ref": ref})
        self.clear_cache()
        return await self.get_provider(id)

    async def _targets(self, wanted: Mapping[str, Any]) -> list[str]:
        query = urlencode({name: str(value) for name, value in wanted.items() if value is not None})
        try:
            told = await self.gateway.ask("GET", f"/api/v1/routes/explain?{query}", retries=0)
        except TektonLLMError as error:
            if error.code in NOBODY:
                return []
            raise
        return [row["target"] for row in told["targets"]]

    async def _all(self, anew: bool = False) -> Mapping[str, ProviderFacts]:
        now_s = time.monotonic()
        if anew or self._asked_s is None or now_s - self._asked_s > FRESH_S:
            asked = ("/api/v1/providers", "/v1/models", "/api/v1/capabilities")
            told = await asyncio.gather(*(self.gateway.ask("GET", path) for path in asked))
            self._facts, self._asked_s = _facts(*told), now_s
        return self._facts

    async def _plugged(self, identifier: str, grant: Sequence[str]) -> ProviderFacts:
        """The provider of a plugin, which is added if need be."""
        plugins = (await self.gateway.ask("GET", "/v1/plugins"))["data"]
        plugin = next((each for each in plugins if _is_source(each, identifier)), None)
        if plugin is not None and plugin["status"] != "loaded":
            raise ProviderCreationError(identifier, plugin.get("reason") or plugin["status"])
        built_in = _BUILT_IN.fullmatch(_place(identifier).place)
        if plugin is None and built_in is not None and built_in[1] in await self._all():
            return await self._named(built_in[1])
        if plugin is None:
            said = {"source": identifier, **({"grant": list(grant)} if grant else {})}
            plugin = await self.gateway.ask("POST", "/v1/plugins", said, retries=0)
        ids = [provider["id"] for provider in plugin["providers"]]
        if not ids:
            raise ProviderCreationError(identifier, "it brings no provider")
        await self._all(anew=True)
        return await self._named(plugin["id"] if plugin["id"] in ids else ids[0])

    async def _named(self, id: str) -> ProviderFacts:
        facts = (await self._all()).get(id)
        if facts is None:
            raise ProviderNotFoundError(id)
        return facts


def _facts(
    listed: Mapping[str, Any], offered: Mapping[str, Any], able: Mapping[str, Any]
) -> dict[str, ProviderFacts]:
    """What three lists tell of each provider."""
    models: dict[str, list[Mapping[str, Any]]] = {}
    for each in offered["data"]:
        models.setdefault(each["owned_by"], []).append(each)
    words: dict[str, list[str]] = {}
    for capability in able["data"]["capabilities"]:
        for id in capability["providers"]:
            words.setdefault(id, []).append(capability["id"])
    types, found = listed.get("providerTypes") or {}, {}
    for id, said in listed["providers"].items():
        rows = models.get(id, []) if said["available"] else [_off(id, row) for row in said["models"]]
        known_models = tuple(map(read_model, rows))
        can = [*words.get(id, ()), *(word for model in known_models for word in model.capabilities)]
        found[id] = ProviderFacts(
            id=id,
            name=said["name"],
            type=ProviderType(types.get(id) or ("local" if id == OURSELVES else "remote")),
            available=said["available"],
            default_model=said.get("default_model") or None,
            capabilities=known(can),
            models=known_models,
        )
    return found


def _off(provider: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """A model of a provider that is off, as those are listed that are on."""
    words = ["text-to-text" if word == "chat" else word for word in row.get("capabilities") or ()]
    return {"id": row["id"], "owned_by": provider, "name": row.get("name"), "capabilities": words}


class _Place(NamedTuple):
    """Where a source is, however it is written; which of its states is meant stands apart."""

    place: str
    ref: str | None


def _place(source: str) -> _Place:
    found = _SOURCE.fullmatch(source)
    if found is None:
        return _Place(source.lower(), None)
    return _Place(found["place"].lower() + (found["below"] or ""), found["ref"])


def _is_source(plugin: Mapping[str, Any], identifier: str) -> bool:
    ours, wanted = _place(plugin["source"]), _place(identifier)
    at = (plugin.get("ref"), plugin.get("commit"))
    return ours.place == wanted.place and (wanted.ref is None or wanted.ref in at)
