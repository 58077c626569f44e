"""Reading what providers send: a field that is missing or of another type reads as empty, nothing raises."""

from __future__ import annotations

import re
from collections.abc import Sequence

import orjson

from rhetor.core.content import Json

_EMPTY: Json = {}
LONG_BYTES = 64 << 10  # shorter ones are read faster than they are found


def parse(data: bytes | str) -> Json | None:
    """The JSON object in these bytes; None when there is none."""
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


def parse_lifted(data: bytes, key: str) -> tuple[Json | None, list[bytes]]:
    """The same without the long plain texts under this key: each is a number instead, its place in the list.

    Reading tens of megabytes of base64 as JSON would hold up everybody else.
    """
    lifted: list[bytes] = []
    kept: list[bytes] = []
    before = re.compile(rb'"%b"\s*:\s*"' % re.escape(key.encode()))
    at = 0
    found = before.search(data) if len(data) > LONG_BYTES else None
    while found is not None:
        begins = found.end()
        ends = data.find(b'"', begins)
        if ends - begins > LONG_BYTES and data.find(b"\\", begins, ends) < 0:
            kept += [data[at : begins - 1], b"%d" % len(lifted)]
            lifted.append(data[begins:ends])
            at = ends + 1
        found = before.search(data, max(ends, begins))
    return parse(b"".join([*kept, data[at:]]) if lifted else data), lifted


def lifted_text(fields: Json, key: str, lifted: Sequence[bytes]) -> bytes:
    """A text that may have been lifted."""
    value = fields.get(key)
    if type(value) is int and 0 <= value < len(lifted):
        return lifted[value]
    return value.encode() if isinstance(value, str) else b""


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
