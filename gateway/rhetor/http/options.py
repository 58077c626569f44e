"""Who may answer, as a settings page offers it: what is sent, what is shown, and a word about it."""

from __future__ import annotations

from rhetor.core.content import JsonValue
from rhetor.http.house import House
from rhetor.http.listing import listing
from rhetor.wire.jelmore import provider_of
from rhetor.wire.tekton.ask import OURSELVES
from rhetor.wire.tekton.providers import ListedModel, ListedProvider

BACKENDS = ("claude_code", "opencode", "codex", "chat")
"""Those that can be had, on or off."""


def providers_fields(house: House) -> dict[str, JsonValue]:
    """What a settings page chooses from, beside `available` and `status` of `GET /api/v1/providers`."""
    offered = [provider for provider in listing(house.catalog).providers if provider.available]
    return {
        "providerOptions": [_option(it.id, it.name, _about(it)) for it in offered],
        "modelOptions": {
            it.id: [_option(model.id, model.name or model.id, _abilities(model)) for model in it.models]
            for it in offered
        },
        "providerTypes": {**_types(house)},
    }


def backends_fields(house: House) -> dict[str, list[str]]:
    """Who converses in sessions, in Jelmore's words: there they are providers, too."""
    on = [provider_of(name) for name in house.sessions.backends]
    every = [*map(provider_of, BACKENDS), *on]
    return {
        "available_providers": list(dict.fromkeys(every)),
        "active_providers": on,
        "configured_providers": on,
    }


def _types(house: House) -> dict[str, str]:
    """Where each provider runs: elsewhere, on this machine, or here in a container."""
    catalog, services = house.catalog, house.services
    types = {facts.id: "local" if facts.free else "remote" for facts in catalog.providers.values()}
    for service in map(services.named, services.names()):
        composed = service.spec is not None and service.spec.compose is not None
        types |= dict.fromkeys(service.providers, "docker" if composed else "local")
    return types


def _option(id: str, name: str, about: str) -> JsonValue:
    return {"value": id, "label": name, "description": about}


def _about(provider: ListedProvider) -> str:
    if provider.id in OURSELVES:
        return "The routes of this gateway"
    return f"{len(provider.models)} models" if len(provider.models) != 1 else "1 model"


def _abilities(model: ListedModel) -> str:
    size = f"{model.context_tokens:,} tokens" if model.context_tokens else ""
    return "; ".join(filter(None, (size, ", ".join(model.capabilities))))
