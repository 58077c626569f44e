"""Whom to try for one request, best first, and why the others were left out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain

from rhetor.core.capability import Capability
from rhetor.core.errors import BadRequest, Code, UpstreamError
from rhetor.core.request import Request
from rhetor.routing.affinity import prefix_of
from rhetor.routing.auto import chosen_line
from rhetor.routing.balance import order
from rhetor.routing.catalog import (
    DEFAULT_NAMES,
    Candidate,
    Catalog,
    Line,
    Prospect,
    Prospects,
    Strategy,
    Target,
)
from rhetor.routing.decision import Plan
from rhetor.routing.health import Health
from rhetor.routing.needs import Needs
from rhetor.routing.prospects import line_behind
from rhetor.routing.sieve import Hindrance, hindrance

__all__ = ["Candidate", "Plan", "plan"]

SHORTLIST = 16  # of those that we choose ourselves; nobody tries more
NAMED = 10  # of those left out, in an error's message
RULED = frozenset({Capability.CHAT, Capability.COUNT_TOKENS})
"""What the rules by component and task are about."""

Found = tuple[list[Prospects], list[tuple[Hindrance, str, Prospect]]]


def plan(request: Request, catalog: Catalog, health: Health, now_s: float) -> Plan:
    """Targets for this request in the order they are tried. Pure: same inputs, same plan.

    Each plan has `Target` objects of its own, by which `Health` tells its attempts from those of others.

    Raises:
        BadRequest: nobody is called so, or nobody can do what is asked.
        UpstreamError: nothing_to_try, no_key or rate_limited; the message says why for each candidate.
    """
    needs = Needs(request)
    line = _line(request, needs, catalog)
    well, hindered = _sift(line.groups, needs, health, now_s, SHORTLIST if line.chosen else None)
    prefix = _prefix(request, line)
    reader = health.reader_of(prefix, now_s) if prefix is not None else None
    best = _ordered(line.route.strategy, well, needs, health, now_s, reader) if well else []
    if request.fallbacks:
        more, against = _sift(_fallbacks(request, line, catalog), needs, health, now_s)
        best += chain.from_iterable(more)
        hindered += against
    cooling: tuple[Candidate, ...] = ()
    left_out = line.left_out
    if hindered:
        best, left = _settled(best, hindered, health, now_s)
        cooling = tuple(each for rank, each in left if rank is Hindrance.COOLING)
        left_out = (*(each for _, each in left), *left_out)
    candidates = tuple([_candidate(prospect) for prospect in best])
    if not candidates and (standin := catalog.standins.get(request.capability)) is not None:
        reason = f"stands in: nobody asked for offers {request.capability}"
        candidates = (Candidate(_own(standin), reason, standin.name),)
    if not candidates:
        raise _nothing_to_try(left_out, catalog)
    return Plan(line.route, candidates, left_out, cooling, prefix, request.id)


def _line(request: Request, needs: Needs, catalog: Catalog) -> Line:
    """Who stands behind the name; for callers who name nobody, what they demand counts, else the rules."""
    name = request.model
    if name in DEFAULT_NAMES:
        if request.wanted is not None:
            return chosen_line(request, request.wanted, needs, catalog)
        if catalog.rules and request.capability in RULED:
            name = catalog.ruled(request.component, request.task) or name
    return line_behind(name, request.capability, catalog)


def _fallbacks(request: Request, line: Line, catalog: Catalog) -> Iterator[Prospects]:
    """Whom the caller wants to be asked besides, without those who are asked anyway."""
    seen = {group[0].target for group in line.groups}
    for n, name in enumerate(request.fallbacks):
        try:
            groups = line_behind(name, request.capability, catalog).groups
        except BadRequest as error:
            error.param = f"fallbacks[{n}]"
            raise
        for group in groups:
            if group[0].target not in seen:
                seen.add(group[0].target)
                yield tuple(replace(prospect, reason="fallback that the caller named") for prospect in group)


def _sift(
    groups: Iterable[Prospects], needs: Needs, health: Health, now_s: float, most: int | None = None
) -> Found:
    """Those who may be asked now, each with its keys, and what stands against the others."""
    well: list[Prospects] = []
    hindered: list[tuple[Hindrance, str, Prospect]] = []
    for group in groups:
        fine = []
        for prospect in group:
            against = hindrance(prospect, needs, health, now_s)
            if against is None:
                fine.append(prospect)
            else:
                hindered.append((*against, prospect))
        if fine:
            well.append(tuple(fine))
            if len(well) == most:
                break
    return well, hindered


def _prefix(request: Request, line: Line) -> int | None:
    """Only where several are as good as each other does it matter who has read the conversation."""
    return prefix_of(request) if line.equals else None


def _ordered(
    strategy: Strategy,
    well: Sequence[Prospects],
    needs: Needs,
    health: Health,
    now_s: float,
    reader: Target | None,
) -> list[Prospect]:
    """Targets as the strategy wants them, each with the least busy of its keys first."""
    if len(well) == len(well[0]) == 1:
        return list(well[0])
    keyed = [order(Strategy.LEAST_BUSY, group, needs, health, now_s, reader) for group in well]
    if len(keyed) == 1:
        return keyed[0]
    rest = {id(keys[0]): keys for keys in keyed}
    firsts = order(strategy, [keys[0] for keys in keyed], needs, health, now_s, reader)
    return [prospect for first in firsts for prospect in rest[id(first)]]


def _settled(
    best: list[Prospect], hindered: Sequence[tuple[Hindrance, str, Prospect]], health: Health, now_s: float
) -> tuple[list[Prospect], list[tuple[Hindrance, Candidate]]]:
    """Who is asked in the end: the sick come last, the others only where nobody else is left.

    Of those who want to be left alone whose window ends first.
    """
    best = best + [replace(each, reason=why) for rank, why, each in hindered if rank is Hindrance.SICK]
    left = [(rank, why, each) for rank, why, each in hindered if rank is not Hindrance.SICK]
    if not best:
        for resort in (Hindrance.COOLING, Hindrance.DOUBTFUL):
            best = [replace(each, reason=why) for rank, why, each in left if rank is resort]
            if best:
                left = [found for found in left if found[0] is not resort]
                best.sort(key=lambda each: health.cooling_s(each.domain, now_s))
                break
    return best, [(rank, _candidate(replace(each, reason=why))) for rank, why, each in left]


def _candidate(prospect: Prospect) -> Candidate:
    return Candidate(_own(prospect.target), prospect.reason, prospect.domain, prospect.context_tokens)


def _own(target: Target) -> Target:
    return Target(target.provider, target.model, target.key)


def _nothing_to_try(left_out: Sequence[Candidate], catalog: Catalog) -> Exception:
    known = [catalog.providers.get(c.target.provider) for c in left_out]
    if len(left_out) == 1 and known[0] is not None and not known[0].available and known[0].reason:
        return UpstreamError(known[0].reason, Code.NO_KEY, origin=known[0].id)
    named = "; ".join(f"{c.target.name}: {c.reason}" for c in left_out[:NAMED])
    more = f"; and {len(left_out) - NAMED} more" if len(left_out) > NAMED else ""
    reasons = f" ({named}{more})" if named else ""
    if all(facts is not None and facts.available for facts in known):
        return BadRequest(f"no target can take this request{reasons}", Code.UNSUPPORTED)
    return UpstreamError(f"no target can take this request{reasons}", Code.NOTHING_TO_TRY)
