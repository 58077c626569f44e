"""Who may be asked now, and why not the others."""

from __future__ import annotations

from enum import IntEnum

from rhetor.core.capability import Feature
from rhetor.core.usage import Price
from rhetor.routing.breaker import State
from rhetor.routing.catalog import Prospect
from rhetor.routing.health import Health
from rhetor.routing.needs import Needs


class Hindrance(IntEnum):
    """What stands against a target, from little to everything."""

    SICK = 1
    """It comes last, and is asked where everybody better has failed."""
    COOLING = 2
    """It is left alone for a while, and may be waited for."""
    DOUBTFUL = 3
    """It would most likely refuse; who has nobody else asks it all the same."""
    UNABLE = 4
    """It cannot take the request."""


def hindrance(prospect: Prospect, needs: Needs, health: Health, now_s: float) -> tuple[Hindrance, str] | None:
    """What stands against asking this target now; None when nothing does."""
    if prospect.against is not None:
        return Hindrance.UNABLE, prospect.against
    against = unfit(prospect, needs)
    if against is not None:
        return against
    if not health.is_calm(now_s) and (against := _unwell(prospect, health, now_s)) is not None:
        return against
    if prospect.slots is not None and health.under_way(prospect.target.provider) >= prospect.slots:
        return Hindrance.SICK, f"has {prospect.slots} requests under way, and takes no more"
    return None


def unfit(prospect: Prospect, needs: Needs) -> tuple[Hindrance, str] | None:
    """What in the request stands against a target, at any time."""
    if needs.features and prospect.features is not None and (lacking := needs.features - prospect.features):
        return Hindrance.UNABLE, f"lacks {', '.join(sorted(lacking))}"
    if needs.tags and (missing := needs.tags - prospect.tags):
        return Hindrance.UNABLE, f"is not tagged {', '.join(sorted(missing))}"
    limit, wanted = needs.most_micros, needs.price_class
    if limit is not None or wanted is not None:
        if prospect.price is None:
            return Hindrance.UNABLE, "has no known price"
        if wanted is not None and not _is(wanted, prospect.price):
            return Hindrance.UNABLE, f"is not {wanted}"
        if limit is not None and (cost := needs.cost_micros(prospect.price)) > limit:
            return Hindrance.UNABLE, f"would cost about {cost:.0f} micro-dollars, more than {limit}"
    context = prospect.context_tokens
    if context is not None and not needs.fits(context):
        return Hindrance.DOUBTFUL, f"takes {context} tokens, and the request has about {needs.tokens}"
    if needs.thinks and prospect.features is not None and Feature.THINKING not in prospect.features:
        return Hindrance.DOUBTFUL, "does not think"
    return None


def _is(wanted: str, price: Price) -> bool:
    """Whether a price is of a class; what is free is cheap as well."""
    return price.price_class == wanted or (wanted == "cheap" and price.price_class == "free")


def _unwell(prospect: Prospect, health: Health, now_s: float) -> tuple[Hindrance, str] | None:
    """What the last minutes tell against a target."""
    standing = health.of(prospect.target, prospect.domain, now_s)
    if standing.key_bad:
        return Hindrance.DOUBTFUL, "its key was refused a short while ago"
    if standing.cooling_s > 0:
        return Hindrance.COOLING, f"asked to be left alone for {standing.cooling_s:.2g} s"
    if standing.breaker is State.OPEN:
        return Hindrance.SICK, "failed too often of late"
    return None
