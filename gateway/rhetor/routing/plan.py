"""Whom to try for one request, best first, and why the others were left out."""

from __future__ import annotations

from rhetor.core.capability import Capability, Feature
from rhetor.core.errors import BadRequest, Code, UpstreamError
from rhetor.core.request import Request, features_needed
from rhetor.core.value import value
from rhetor.routing.catalog import Catalog, ProviderFacts, Route, Target


@value
class Candidate:
    """A target and what was decided about it."""

    target: Target
    reason: str


@value
class Plan:
    """The decision for one request. Pure data: made once, shown to whoever asks."""

    route: Route
    candidates: tuple[Candidate, ...]
    left_out: tuple[Candidate, ...]

    @property
    def targets(self) -> list[Target]:
        return [candidate.target for candidate in self.candidates]


def plan(request: Request, catalog: Catalog) -> Plan:
    """Targets for this request in the order they are tried. Pure: same inputs, same plan.

    Raises:
        BadRequest: nobody is called so.
        UpstreamError: nothing_to_try; the message says why for each candidate.
    """
    route = catalog.resolve(request.model, request.capability)
    candidates: list[Candidate] = []
    left_out: list[Candidate] = []
    needed = features_needed(request)
    for target, reason in _wanted(request, route, catalog):
        against = _against(target, request.capability, needed, catalog)
        if against is None:
            candidates.append(Candidate(target, reason))
        else:
            left_out.append(Candidate(target, against))
    if not candidates and (standin := catalog.standins.get(request.capability)) is not None:
        candidates.append(Candidate(standin, f"stands in: nobody asked for offers {request.capability}"))
    if not candidates:
        raise _nothing_to_try(left_out, catalog)
    return Plan(route, tuple(candidates), tuple(left_out))


def _wanted(request: Request, route: Route, catalog: Catalog) -> list[tuple[Target, str]]:
    wanted = [(target, f"target {n} of {route.name}") for n, target in enumerate(route.targets, 1)]
    seen = {target.name for target in route.targets}
    for n, name in enumerate(request.fallbacks):
        for target in _fallback(n, name, request.capability, catalog):
            if target.name not in seen:
                seen.add(target.name)
                wanted.append((target, "fallback that the caller named"))
    return wanted


def _fallback(n: int, name: str, capability: Capability, catalog: Catalog) -> tuple[Target, ...]:
    try:
        return catalog.resolve(name, capability).targets
    except BadRequest as error:
        error.param = f"fallbacks[{n}]"
        raise


def _against(
    target: Target, capability: Capability, needed: frozenset[Feature], catalog: Catalog
) -> str | None:
    """Why a target cannot take the request; None when it can."""
    facts = catalog.providers.get(target.provider)
    if facts is None:
        return f"no provider {target.provider!r}"
    if not facts.available:
        return facts.reason or "not available"
    offer = catalog.offers.get(target.name)
    # A bare provider capability is enough for a model nobody described: the provider will tell.
    capabilities = offer.capabilities if offer is not None else facts.capabilities
    if capability not in (capabilities & facts.capabilities):
        return f"does not offer {capability}"
    if offer is not None and offer.features is not None and (lacking := needed - offer.features):
        return f"lacks {', '.join(sorted(lacking))}"
    return None


def _nothing_to_try(left_out: list[Candidate], catalog: Catalog) -> Exception:
    reasons = "; ".join(f"{c.target.name}: {c.reason}" for c in left_out)
    known: list[ProviderFacts | None] = [catalog.providers.get(c.target.provider) for c in left_out]
    if all(facts is not None and facts.available for facts in known):
        return BadRequest(f"no target can take this request ({reasons})", Code.UNSUPPORTED)
    if len(left_out) == 1 and known[0] is not None and known[0].reason:
        return UpstreamError(known[0].reason, Code.NO_KEY, origin=known[0].id)
    return UpstreamError(f"no target can take this request ({reasons})", Code.NOTHING_TO_TRY)
