"""Who may answer, in the chat platform's words: a provider, and one of its models."""

from __future__ import annotations

from rhetor.core.capability import Capability
from rhetor.core.errors import BadRequest, Code, RhetorError
from rhetor.http.listing import listing
from rhetor.routing.catalog import DEFAULT_NAMES, Catalog
from rhetor.wire.tekton.ask import OURSELVES


def model_of(catalog: Catalog, provider: str | None, model: str | None) -> str:
    """The name by which the router knows what is wanted; empty: whoever answers who names nobody.

    Raises:
        BadRequest: model_not_found, there is no such provider or model.
        RhetorError: unavailable, the provider is off.
    """
    name = _qualified(catalog, provider, model)
    if name not in DEFAULT_NAMES:
        catalog.resolve(name, Capability.CHAT)
    if provider is not None and model is not None:
        _ensure_listed(catalog, provider, name)
    return name


def named(catalog: Catalog, name: str) -> tuple[str, str]:
    """Provider and model of a name, as callers of this dialect read them; our own routes are models, too."""
    if name in DEFAULT_NAMES:
        usual = _usual(catalog)
        return usual if usual is not None else (OURSELVES[0], name)
    provider, slash, model = name.partition("/")
    if slash and provider in catalog.providers and name not in catalog.routes:
        return provider, model or catalog.providers[provider].default_model or ""
    if name not in catalog.routes and len(providers := catalog.by_model.get(name, ())) > 0:
        return providers[0], name
    return OURSELVES[0], name


def _qualified(catalog: Catalog, provider: str | None, model: str | None) -> str:
    if provider is None or provider in OURSELVES:
        return "" if model is None or model in DEFAULT_NAMES else model
    facts = catalog.providers.get(provider)
    if facts is None:
        if provider in catalog.routes and model in (None, provider):
            return provider  # a route is as good as a provider to who cannot tell them apart
        known = ", ".join(it.id for it in catalog.providers.values() if it.available)
        message = f"unknown provider {provider!r}; available are {known}"
        raise BadRequest(message, Code.MODEL_NOT_FOUND, param="provider")
    if not facts.available:
        raise RhetorError(f"provider {provider!r} is not available: {facts.reason}", Code.UNAVAILABLE)
    if model is None:
        return f"{provider}/{facts.default_model or ''}"
    return model if model.startswith(f"{provider}/") else f"{provider}/{model}"


def _ensure_listed(catalog: Catalog, provider: str, name: str) -> None:
    """Callers choose from a list here: where there is one, what is not on it is nothing.

    Raises:
        BadRequest: model_not_found.
    """
    listed = [offer.model for offer in catalog.offers.values() if offer.provider == provider]
    if (
        listed
        and provider in catalog.providers
        and name not in catalog.offers
        and name not in catalog.aliases
    ):
        model = name.removeprefix(f"{provider}/")
        message = f"{provider} has no model {model!r}; see GET /api/v1/providers"
        raise BadRequest(message, Code.MODEL_NOT_FOUND, param="model")


def _usual(catalog: Catalog) -> tuple[str, str] | None:
    usual = listing(catalog)
    return (usual.default_provider, usual.default_model) if usual.default_provider else None
