"""What callers say who leave the choice to us: `requirements`, our own field in every language.

    {"capabilities": ["tools", "images"], "max_cost": 0.01, "prefer": "speed", "tags": ["eu"]}

`max_cost` is in dollars, for this one request. `region` is another word for a tag.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from rhetor.core.capability import Feature
from rhetor.core.content import Json
from rhetor.core.errors import BadRequest
from rhetor.core.request import Wanted
from rhetor.wire import fields

KEY = "requirements"
KNOWN = ("capabilities", "max_cost", "prefer", "region", "tags")
MICROS = 1_000_000
_PREFERENCES: tuple[Literal["speed"], Literal["quality"], Literal["cost"]] = ("speed", "quality", "cost")


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
    tags = {*fields.texts(demands, "tags", where), fields.optional_text(demands, "region", where)}
    return Wanted(
        features=frozenset(_features(demands, where)),
        max_cost_micros=_micros(demands, where),
        prefer=fields.one_of(demands, "prefer", _PREFERENCES, where),
        tags=frozenset(tag for tag in tags if tag),
    )


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
