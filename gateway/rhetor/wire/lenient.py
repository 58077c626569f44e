"""Reading what providers send: a field that is missing or of another type reads as empty, nothing raises."""

from __future__ import annotations

import orjson

from rhetor.core.content import Json

_EMPTY: Json = {}


def parse(data: bytes | str) -> Json | None:
    """The JSON object in these bytes; None when there is none."""
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


def word(fields: Json, key: str) -> str:
    value = fields.get(key)
    return value if isinstance(value, str) else ""


def count(fields: Json, key: str) -> int:
    """A number of tokens: never negative, never a boolean."""
    value = fields.get(key)
    return value if type(value) is int and value > 0 else 0


def thing(fields: Json, key: str) -> Json:
    value = fields.get(key)
    return value if isinstance(value, dict) else _EMPTY


def things(fields: Json, key: str) -> list[Json]:
    """The objects of an array; whatever else stands there is left out."""
    value = fields.get(key)
    return [it for it in value if isinstance(it, dict)] if isinstance(value, list) else []
