"""Who stands in line behind a name: found once for each catalog, kept for the next request."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rhetor.core.capability import Capability
from rhetor.core.usage import Price
from rhetor.routing.balance import REMEMBERING
from rhetor.routing.catalog import Candidate, Catalog, Line, Prospect, Prospects, Route, Target

MOST_LINES = 2000  # callers may make up names

_FREE = Price(0, 0)


def line_behind(name: str, capability: Capability, catalog: Catalog) -> Line:
    """The line behind a name that callers use.

    Raises:
        BadRequest: nobody is called so.
    """
    known = catalog.lines.get((name, capability))
    if known is not None:
        return known
    line = line_of(catalog.resolve(name, capability), capability, catalog)
    keep((name, capability), line, catalog)
    return line


def keep(key: tuple[object, ...], line: Line, catalog: Catalog) -> None:
    """Remember a line; when there are too many, begin anew."""
    if len(catalog.lines) >= MOST_LINES:
        catalog.lines.clear()
    catalog.lines[key] = line


def line_of(route: Route, capability: Capability, catalog: Catalog) -> Line:
    """A route's targets, each with all its keys."""
    weights = route.weights or (1,) * len(route.targets)
    groups = [
        prospects_of(target, f"target {n} of {route.name}", capability, catalog, weight)
        for n, (target, weight) in enumerate(zip(route.targets, weights, strict=True), 1)
    ]
    return make_line(route, groups)


def make_line(
    route: Route, groups: Sequence[Prospects], left_out: tuple[Candidate, ...] = (), chosen: bool = False
) -> Line:
    several = len(groups) > 1 and route.strategy in REMEMBERING
    equals = several or any(len(group) > 1 for group in groups)
    return Line(route, tuple(groups), left_out, equals, chosen)


def prospects_of(
    target: Target, reason: str, capability: Capability, catalog: Catalog, weight: int = 1
) -> Prospects:
    """A target with each key of its provider."""
    facts = catalog.providers.get(target.provider)
    if facts is None:
        return (Prospect(target, reason, target.name, f"no provider {target.provider!r}"),)
    offer = catalog.offers.get(target.name)
    against = _against(target, capability, catalog)
    return tuple(
        Prospect(
            each,
            reason,
            catalog.domain_of(each),
            against,
            offer.features if offer is not None else None,
            offer.context_tokens if offer is not None else None,
            _FREE if facts.free else offer.price if offer is not None else None,
            facts.slots,
            facts.tags | offer.tags if offer is not None else facts.tags,
            weight,
        )
        for each in _keys(target, len(facts.accounts))
    )


def _keys(target: Target, keys: int) -> Iterable[Target]:
    return [Target(target.provider, target.model, n) for n in range(max(keys, 1))]


def _against(target: Target, capability: Capability, catalog: Catalog) -> str | None:
    """Why a target can never be asked for this; None when it can."""
    facts = catalog.providers[target.provider]
    if not facts.available:
        return facts.reason or "not available"
    offer = catalog.offers.get(target.name)
    # A bare provider capability is enough for a model nobody described: the provider will tell.
    capabilities = offer.capabilities if offer is not None else facts.capabilities
    return None if capability in (capabilities & facts.capabilities) else f"does not offer {capability}"
