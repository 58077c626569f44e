"""What is on offer, by the names that callers use: every list of models is made of it."""

from __future__ import annotations

from collections.abc import Iterator

from rhetor.core.value import value
from rhetor.routing.catalog import Catalog, Offer, Route

OURSELVES = "rhetor"  # who owns the routes


@value
class Listed:
    """One model, as far as callers are concerned: a route is one to them."""

    id: str
    owner: str
    offer: Offer | None
    """What is known of it; of a route, what its first target can. None: nobody knows."""
    targets: tuple[str, ...] = ()
    """Who stands behind a route."""


def offered(catalog: Catalog) -> Iterator[Listed]:
    """Everything that can be asked for now: the routes, and the models of the providers that are on."""
    for route in catalog.routes.values():
        yield _route(catalog, route)
    for offer in catalog.offers.values():
        if catalog.providers[offer.provider].available:
            yield _model(offer)


def find(catalog: Catalog, name: str) -> Listed | None:
    """What a name stands for: a route, an alias, `provider/model`, or a bare id that somebody offers."""
    name = catalog.aliases.get(name, name)
    if (route := catalog.routes.get(name)) is not None:
        return _route(catalog, route)
    providers = catalog.by_model.get(name, ())
    offer = catalog.offers.get(name) or (catalog.offers.get(f"{providers[0]}/{name}") if providers else None)
    return _model(offer) if offer is not None else None


def _route(catalog: Catalog, route: Route) -> Listed:
    targets = tuple(target.name for target in route.targets)
    return Listed(route.name, OURSELVES, catalog.offers.get(targets[0]), targets)


def _model(offer: Offer) -> Listed:
    return Listed(offer.id, offer.provider, offer)
