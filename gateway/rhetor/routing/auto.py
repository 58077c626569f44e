"""A line for callers who name no model, and say what they demand of it."""

from __future__ import annotations

from rhetor.core.capability import Capability
from rhetor.core.request import Request, Wanted
from rhetor.routing.balance import cost_of
from rhetor.routing.catalog import (
    Candidate,
    Catalog,
    Line,
    Prospect,
    Prospects,
    Route,
    Strategy,
    Target,
    default_model,
)
from rhetor.routing.needs import Needs
from rhetor.routing.prospects import keep, make_line, prospects_of
from rhetor.routing.sieve import Hindrance, unfit

NAME = "auto"
STEP = 1.25  # requests of about the same size share a line; it is made for the smallest, so it refuses nobody


def chosen_line(request: Request, wanted: Wanted, needs: Needs, catalog: Catalog) -> Line:
    """Everybody who satisfies the demands, the most wanted first.

    `cost` is the price of a request of this size, `speed` is known only of those who were asked of late, and
    among the models that a provider would give anybody. For `quality` the price has to stand in: the dearest
    first, as nobody publishes a measure that holds for all models.
    """
    size = (_rounded(needs.tokens), _rounded(needs.output_tokens)) if _prices_matter(wanted) else (0, 0)
    key = (NAME, request.capability, wanted, needs.features, size)
    known = catalog.lines.get(key)
    if known is None:
        known = _choose(request.capability, wanted, needs.of_size(*size), catalog)
        keep(key, known, catalog)
    return known


def _prices_matter(wanted: Wanted) -> bool:
    if wanted.balance == "cheapest":
        return False  # it is balanced anew for each request
    return wanted.max_cost_micros is not None or wanted.prefer in ("cost", "quality")


def _rounded(tokens: int) -> int:
    """The largest of a few sizes that is not larger."""
    size, more = 0, 64
    while more <= tokens:
        size, more = more, int(more * STEP)
    return size


def _choose(capability: Capability, wanted: Wanted, needs: Needs, catalog: Catalog) -> Line:
    fit: list[Prospects] = []
    resorts: list[Prospects] = []
    left_out: list[Candidate] = []
    for group in _everybody(capability, catalog):
        against = group[0].against or _refusal(group[0], needs)
        if against is not None:
            left_out.append(_left_out(group[0], against))
        elif catalog.providers[group[0].target.provider].last_resort:
            resorts.append(group)
        else:
            fit.append(group)
    if fit:
        left_out += [_left_out(group[0], "answers only where nobody else can") for group in resorts]
    strategy = Strategy(wanted.balance or ("fastest" if wanted.prefer == "speed" else "priority"))
    targets = tuple(group[0].target for group in fit or resorts)
    route = Route(name=NAME, targets=targets, strategy=strategy, deadlines=catalog.deadlines)
    groups = _sorted(fit or resorts, capability, wanted, needs, catalog)
    return make_line(route, groups, tuple(left_out), chosen=True)


def _left_out(prospect: Prospect, reason: str) -> Candidate:
    return Candidate(prospect.target, reason, prospect.domain, prospect.context_tokens)


def _everybody(capability: Capability, catalog: Catalog) -> tuple[Prospects, ...]:
    """All models on offer, whoever asks."""
    known = catalog.lines.get((NAME, capability, None))
    if known is None:
        targets = [
            Target(offer.provider, offer.model)
            for offer in catalog.offers.values()
            if catalog.providers[offer.provider].available
        ]
        groups = [prospects_of(target, "satisfies the demands", capability, catalog) for target in targets]
        known = make_line(Route(name=NAME, targets=tuple(targets)), groups)
        keep((NAME, capability, None), known, catalog)
    return known.groups


def _refusal(prospect: Prospect, needs: Needs) -> str | None:
    """What no hour can change; whatever is only doubtful, the plan decides."""
    against = unfit(prospect, needs)
    return against[1] if against is not None and against[0] is Hindrance.UNABLE else None


def _sorted(
    fit: list[Prospects], capability: Capability, wanted: Wanted, needs: Needs, catalog: Catalog
) -> list[Prospects]:
    """The most wanted first: who is known for most of what is wished, and of those the best by preference.

    Undescribed models come late, and each provider's default before its others.
    """

    def rank(group: Prospects) -> tuple[int, bool, float, bool]:
        first = group[0]
        facts = catalog.providers[first.target.provider]
        undescribed = first.features is None and bool(needs.features)
        cost = cost_of(first, needs)
        known = first.price is not None
        by = {"cost": cost, "quality": -cost if known else 0.0}.get(wanted.prefer or "", 0.0)
        lacking = len(wanted.strengths - first.tags)
        unusual = first.target.model != default_model(facts, capability)
        return lacking, undescribed, by, unusual

    return sorted(fit, key=rank)
