"""Who of several is asked first, when all of them may be. The others stay in line as fallbacks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import inf

from rhetor.routing.catalog import Prospect, Strategy, Target
from rhetor.routing.decision import drawn
from rhetor.routing.health import Health
from rhetor.routing.needs import Needs

CLOSE = 2  # requests under way more than the least busy one has: still as good as it
AS_FAST = 2.0  # times as slow: still as good, where it has read the conversation

Order = Callable[[Sequence[Prospect], Needs, Health, float, Target | None], list[Prospect]]
"""Puts prospects in order, knowing the request, the hour, and who has read the conversation before."""


def _priority(
    line: Sequence[Prospect], needs: Needs, health: Health, now_s: float, reader: Target | None
) -> list[Prospect]:
    return list(line)


def _weighted(
    line: Sequence[Prospect], needs: Needs, health: Health, now_s: float, reader: Target | None
) -> list[Prospect]:
    if (known := _find(line, reader)) is not None:
        return _first(known, line)
    left = drawn(needs.id) % sum(prospect.weight for prospect in line)
    for prospect in line:
        left -= prospect.weight
        if left < 0:
            return _first(prospect, line)
    raise AssertionError("weights are positive")


def _least_busy(
    line: Sequence[Prospect], needs: Needs, health: Health, now_s: float, reader: Target | None
) -> list[Prospect]:
    busy = {id(prospect): health.in_flight(prospect.target) for prospect in line}
    ordered = sorted(line, key=lambda prospect: busy[id(prospect)])
    known = _find(line, reader)
    if known is not None and busy[id(known)] <= busy[id(ordered[0])] + CLOSE:
        return _first(known, ordered)
    return ordered


def _fastest(
    line: Sequence[Prospect], needs: Needs, health: Health, now_s: float, reader: Target | None
) -> list[Prospect]:
    """Of two that are drawn the one that speaks sooner, so that not everybody runs to the same one."""
    slowness = {id(prospect): health.slowness(prospect.target, now_s) for prospect in line}
    ordered = sorted(line, key=lambda prospect: slowness[id(prospect)])
    number = drawn(needs.id)
    n = number % len(line)
    m = (n + 1 + number // len(line) % (len(line) - 1)) % len(line)
    # In line order, so that a tie is the earlier one's.
    best = min((line[min(n, m)], line[max(n, m)]), key=lambda prospect: slowness[id(prospect)])
    known = _find(line, reader)
    if known is not None and slowness[id(known)] <= AS_FAST * slowness[id(best)]:
        best = known
    return _first(best, ordered)


def _cheapest(
    line: Sequence[Prospect], needs: Needs, health: Health, now_s: float, reader: Target | None
) -> list[Prospect]:
    return sorted(line, key=lambda prospect: cost_of(prospect, needs))


def _round_robin(
    line: Sequence[Prospect], needs: Needs, health: Health, now_s: float, reader: Target | None
) -> list[Prospect]:
    return sorted(line, key=lambda prospect: health.turn(prospect.target))


ORDERS: Mapping[Strategy, Order] = {
    Strategy.PRIORITY: _priority,
    Strategy.WEIGHTED: _weighted,
    Strategy.LEAST_BUSY: _least_busy,
    Strategy.FASTEST: _fastest,
    Strategy.CHEAPEST: _cheapest,
    Strategy.ROUND_ROBIN: _round_robin,
}
REMEMBERING = frozenset({Strategy.WEIGHTED, Strategy.LEAST_BUSY, Strategy.FASTEST})
"""Strategies for which targets are as good as each other, so that it may count who knows a conversation."""


def order(
    strategy: Strategy,
    line: Sequence[Prospect],
    needs: Needs,
    health: Health,
    now_s: float,
    reader: Target | None = None,
) -> list[Prospect]:
    """The prospects in the order in which they are asked."""
    if len(line) < 2:
        return list(line)
    return ORDERS[strategy](line, needs, health, now_s, reader)


def cost_of(prospect: Prospect, needs: Needs) -> float:
    """About what the request costs there, in micro-dollars; a price that nobody knows is the highest."""
    return inf if prospect.price is None else needs.cost_micros(prospect.price)


def _find(line: Sequence[Prospect], target: Target | None) -> Prospect | None:
    if target is None:
        return None
    return next((prospect for prospect in line if prospect.target == target), None)


def _first(first: Prospect, line: Sequence[Prospect]) -> list[Prospect]:
    return [first, *(prospect for prospect in line if prospect is not first)]
