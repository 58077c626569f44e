"""The list of models as callers want it: those that can do something, cost nothing, answer soonest first.

/v1/models?capability=text-to-image&free=1
/v1/models?strength=coding&sort=speed&limit=1
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from math import inf

from rhetor.core.errors import BadRequest
from rhetor.http.offered import Listed
from rhetor.routing.catalog import Offer
from rhetor.routing.health import Health

FILTERS = frozenset({"capability", "feature", "provider", "tag", "strength", "free", "price", "sort"})
"""What may be asked; several words of one kind, with commas between them, have to be true all of them."""
YES = frozenset({"1", "true", "yes"})
NO = frozenset({"0", "false", "no"})
PRICE_CLASSES = ("free", "cheap", "premium")

Asked = Mapping[str, str]
Key = Callable[[Listed], float]


def sifted(listed: Iterable[Listed], asked: Asked, health: Health, now_s: float) -> list[Listed]:
    """Those that satisfy all that is asked, in the order that is asked.

    Raises:
        BadRequest: a word that nobody knows.
    """
    free, price = _flag(asked, "free"), _one_of(asked, "price", PRICE_CLASSES)
    keys: Mapping[str, Key] = {
        "speed": lambda it: _slowness(it, health, now_s),
        "price": _price,
        "latest": lambda it: -float(it.offer.created_s or 0) if it.offer is not None else 0.0,
    }
    sort = _one_of(asked, "sort", (*keys, "name"))
    kept = [it for it in listed if _fits(it, asked) and _costs(it.offer, free, price)]
    if sort == "name":
        return sorted(kept, key=lambda it: it.id)
    return sorted(kept, key=keys[sort]) if sort is not None else kept


def _fits(it: Listed, asked: Asked) -> bool:
    offer = it.offer
    if (providers := _words(asked, "provider")) and it.owner not in providers:
        return False
    wanted = {kind: _words(asked, kind) for kind in ("capability", "feature", "tag", "strength")}
    if offer is None:
        return not any(wanted.values())
    return (
        wanted["capability"] <= set(map(str, offer.capabilities))
        and wanted["feature"] <= set(map(str, offer.features or ()))
        and wanted["tag"] | wanted["strength"] <= offer.tags
    )


def _costs(offer: Offer | None, free: bool | None, price: str | None) -> bool:
    if free is None and price is None:
        return True
    if offer is None or offer.price is None:
        return free is False and price is None
    known = offer.price.price_class
    return (free is None or (known == "free") is free) and (price is None or known == price)


def _slowness(it: Listed, health: Health, now_s: float) -> float:
    """How late its first word came of late, in seconds; who was never heard comes last."""
    if it.offer is None:
        return inf
    return health.first_event_s(it.offer.provider, it.offer.model, now_s) or inf


def _price(it: Listed) -> float:
    """What people compare: tokens in and a quarter of them out; a price that nobody knows is the highest."""
    if it.offer is None or it.offer.price is None:
        return inf
    price = it.offer.price
    media = price.character_micros + price.audio_micros + price.video_micros + price.image_micros
    return price.input_micros + price.output_micros / 4 + media


def _words(asked: Asked, kind: str) -> set[str]:
    return {word for part in asked.get(kind, "").split(",") if (word := part.strip().lower())}


def _flag(asked: Asked, name: str) -> bool | None:
    said = asked.get(name)
    if said is None:
        return None
    if said.lower() in YES | NO:
        return said.lower() in YES
    raise BadRequest(f"{name}: expected 1 or 0, got {said[:100]!r}", param=name)


def _one_of(asked: Asked, name: str, words: tuple[str, ...]) -> str | None:
    said = asked.get(name)
    if said is None or said in words:
        return said
    raise BadRequest(f"{name}: expected one of {', '.join(words)}, got {said[:100]!r}", param=name)
