"""What callers say who leave the choice to us: `requirements`, our own field in every language.

    {"capabilities": ["tools", "images"], "max_cost": 0.01, "prefer": "speed", "tags": ["eu"],
     "strengths": ["coding"], "price": "cheap", "load_balancing": "round_robin"}

`max_cost` is in dollars, for this one request. `region` is another word for a tag, `use_cases` for strengths.
Some callers choose by three words of their own: `speed` fast, balanced or quality; `cost` free, cheap or
premium; `capability` basic, reasoning or creative.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from rhetor.core.capability import Feature
from rhetor.core.content import Json
from rhetor.core.errors import BadRequest
from rhetor.core.request import Wanted
from rhetor.wire import fields

KEY = "requirements"
KNOWN = (
    *("capabilities", "max_cost", "prefer", "region", "tags", "strengths", "use_cases", "price"),
    *("load_balancing", "speed", "cost", "capability"),
)
MICROS = 1_000_000
_PREFERENCES: tuple[Literal["speed"], Literal["quality"], Literal["cost"]] = ("speed", "quality", "cost")

_CLASSES: tuple[Literal["free"], Literal["cheap"], Literal["premium"]] = ("free", "cheap", "premium")
_SPEEDS: Mapping[str, Literal["speed", "quality"] | None] = {
    "fast": "speed",
    "balanced": None,
    "quality": "quality",
}
_BALANCES: Mapping[str, Literal["round_robin", "least_busy", "fastest", "cheapest"]] = {
    "round_robin": "round_robin",
    "round-robin": "round_robin",
    "health": "least_busy",
    "least_busy": "least_busy",
    "fastest": "fastest",
    "cost": "cheapest",
    "cheapest": "cheapest",
}
"""Whoever is in trouble comes last in each of them; `health` shares out by what else tells of strain."""
_WISHES: Mapping[str, tuple[frozenset[Feature], frozenset[str]]] = {
    "basic": (frozenset(), frozenset()),
    "reasoning": (frozenset({Feature.THINKING}), frozenset({"reasoning"})),
    "creative": (frozenset(), frozenset({"creative"})),
}


def read_wanted(said: Json, key: str = KEY, path: str = "") -> Wanted | None:
    """The demands of a body; None when it makes none.

    Raises:
        BadRequest: a word that nobody knows, with those that are known.
    """
    demands = fields.optional_mapping(said, key, path)
    if demands is None:
        return None
    where = fields.join(path, key)
    for word in demands:
        if word not in KNOWN:
            raise _unknown(fields.join(where, word), word, KNOWN)
    balance = fields.one_of(demands, "load_balancing", tuple(_BALANCES), where)
    speed = fields.one_of(demands, "speed", tuple(_SPEEDS), where)
    wish = fields.one_of(demands, "capability", tuple(_WISHES), where) or "basic"
    price = fields.one_of(demands, "price", _CLASSES, where)
    tags = {*fields.texts(demands, "tags", where), fields.optional_text(demands, "region", where)}
    return Wanted(
        features=frozenset(_features(demands, where)) | _WISHES[wish][0],
        max_cost_micros=_micros(demands, where),
        prefer=fields.one_of(demands, "prefer", _PREFERENCES, where) or (_SPEEDS[speed] if speed else None),
        tags=frozenset(tag for tag in tags if tag),
        strengths=frozenset(_words(demands, where)) | _WISHES[wish][1],
        price_class=price or fields.one_of(demands, "cost", _CLASSES, where),
        balance=_BALANCES[balance] if balance else None,
    )


def _words(demands: Json, where: str) -> Iterator[str]:
    for key in ("strengths", "use_cases"):
        yield from (word.strip().lower() for word in fields.texts(demands, key, where))


def _features(demands: Json, where: str) -> Iterator[Feature]:
    for n, word in enumerate(fields.texts(demands, "capabilities", where)):
        try:
            yield Feature(word)
        except ValueError:
            raise _unknown(f"{where}.capabilities[{n}]", word, tuple(Feature)) from None


def _micros(demands: Json, where: str) -> int | None:
    dollars = fields.optional_number(demands, "max_cost", where)
    if dollars is None:
        return None
    if not 0 <= dollars < MICROS:
        param = f"{where}.max_cost"
        raise BadRequest(f"{param}: must be dollars for this request, got {dollars}", param=param)
    return int(dollars * MICROS)


def _unknown(param: str, word: str, known: tuple[str, ...]) -> BadRequest:
    return BadRequest(f"{param}: expected one of {', '.join(sorted(known))}, got {word[:100]!r}", param=param)
