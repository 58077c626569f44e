"""The answer to `GET /api/v1/providers`: one object that the readers of three older systems understand.

The Tekton client keeps it for its lifetime and is strict about it: prices are
floats, `default_provider` and `default_model` are strings, every provider has
a name, `available` and a list of models. Beside its keys stand those of
Jelmore (`available_providers`, `active_providers`, `configured_providers`)
and of the chat platform (`available`, `status`).
"""

from __future__ import annotations

from dataclasses import dataclass

from rhetor.core.content import JsonValue
from rhetor.core.usage import Price

MICROS = 1_000_000  # micro-dollars in a dollar


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedModel:
    id: str
    name: str = ""
    """Empty: called by its id."""
    context_tokens: int | None = None
    capabilities: tuple[str, ...] = ("chat",)
    price: Price | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedProvider:
    """A provider that a caller may name, whether it answers or not."""

    id: str
    name: str
    available: bool
    reason: str | None = None
    """Why it is not available."""
    default_model: str = ""
    """What a caller gets who names only the provider; empty when there is no such model."""
    models: tuple[ListedModel, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    providers: tuple[ListedProvider, ...]
    default_provider: str
    default_model: str


def providers_body(listing: Listing) -> dict[str, JsonValue]:
    """The listing as one JSON object."""
    every = listing.providers
    available: list[JsonValue] = [provider.id for provider in every if provider.available]
    return {
        "providers": {provider.id: _provider(provider) for provider in every},
        "default_provider": listing.default_provider,
        "default_model": listing.default_model,
        "available": available,
        "status": {provider.id: _status(provider) for provider in every},
        "available_providers": [provider.id for provider in every],
        "active_providers": available,
        "configured_providers": available,
    }


def _provider(provider: ListedProvider) -> dict[str, JsonValue]:
    return {
        "name": provider.name,
        "available": provider.available,
        "default_model": provider.default_model,
        "models": [_model(model) for model in provider.models],
    }


def _model(model: ListedModel) -> dict[str, JsonValue]:
    said: dict[str, JsonValue] = {
        "id": model.id,
        "name": model.name or model.id,
        "capabilities": list(model.capabilities),
    }
    if model.context_tokens is not None:
        said["context_length"] = model.context_tokens
    if model.price is not None:
        said["pricing"] = _pricing(model.price)
    return said


def _pricing(price: Price) -> dict[str, JsonValue]:
    """Dollars per million tokens."""
    micros = {
        "input": price.input_micros,
        "output": price.output_micros,
        "cache_read": price.cache_read_micros,
        "cache_write": price.cache_write_micros,
    }
    return {name: value / MICROS for name, value in micros.items() if value is not None}


def _status(provider: ListedProvider) -> dict[str, JsonValue]:
    said: dict[str, JsonValue] = {"success": provider.available, "provider": provider.id}
    if not provider.available:
        said["error"] = provider.reason or f"{provider.name} is not available"
    return said
