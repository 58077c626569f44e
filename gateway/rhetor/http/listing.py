"""Who could answer, as one listing for every caller who wants to choose."""

from __future__ import annotations

from rhetor.core.capability import Capability
from rhetor.core.errors import BadRequest
from rhetor.routing.catalog import Catalog, Offer, ProviderFacts
from rhetor.wire.tekton.ask import OURSELVES
from rhetor.wire.tekton.providers import ListedModel, ListedProvider, Listing


def listing(catalog: Catalog) -> Listing:
    """The catalog as Tekton's clients read it. Routes are models of a provider with our own name."""
    models: dict[str, list[ListedModel]] = {}
    for offer in catalog.offers.values():
        models.setdefault(offer.provider, []).append(_model(offer))
    listed = [_provider(facts, tuple(models.get(facts.id, ()))) for facts in catalog.providers.values()]
    provider, model = _default(catalog)
    if catalog.routes:
        routes = tuple(ListedModel(id=name) for name in catalog.routes)
        first = model if provider == OURSELVES[0] else routes[0].id
        ours = ListedProvider(
            id=OURSELVES[0], name="Rhetor", available=True, default_model=first, models=routes
        )
        listed.insert(0, ours)
    return Listing(providers=tuple(listed), default_provider=provider, default_model=model)


def _default(catalog: Catalog) -> tuple[str, str]:
    """Provider and model of callers who name nobody; empty where they would be asked to name one."""
    try:
        route = catalog.resolve("", Capability.CHAT)
    except BadRequest:
        return "", ""
    if route.name in catalog.routes:
        return OURSELVES[0], route.name
    target = route.targets[0]
    return target.provider, target.model


def _provider(facts: ProviderFacts, models: tuple[ListedModel, ...]) -> ListedProvider:
    return ListedProvider(
        id=facts.id,
        name=facts.name,
        available=facts.available,
        reason=facts.reason,
        default_model=facts.default_model or "",
        models=models,
    )


def _model(offer: Offer) -> ListedModel:
    known = ["chat" if c is Capability.CHAT else str(c) for c in sorted(offer.capabilities)]
    return ListedModel(
        id=offer.model,
        name=offer.name,
        context_tokens=offer.context_tokens,
        capabilities=(*known, *sorted(offer.features or ())),
        price=offer.price,
    )
