"""Typed access to parsed JSON: what is wrong is said with its path, what was expected and what came.

Every reader takes the object, the key, and the path of the object itself
(empty for the body): `text(message, "content", "messages[0]")` complains
about `messages[0].content`. An `optional_…` reader takes null for absent.
All of them raise `BadRequest`, and nothing else.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import TypeVar

import orjson

from rhetor.core.content import Json, JsonValue
from rhetor.core.errors import BadRequest

Word = TypeVar("Word", bound=str)


def parse_object(body: bytes) -> dict[str, JsonValue]:
    """The body as a JSON object.

    Raises:
        BadRequest: it is not JSON (in UTF-8), or not an object.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"the body is not valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise BadRequest(f"the body must be a JSON object, not {kind_of(value)}")
    return value


def dump(value: object) -> bytes:
    """Compact JSON text.

    Raises:
        BadRequest: the value cannot be written, e.g. because it is nested too deeply.
    """
    try:
        return orjson.dumps(value)
    except TypeError as error:
        raise BadRequest(f"the request cannot be written as JSON: {error}") from error


def join(path: str, key: str) -> str:
    """The path of a field of the object at `path`."""
    return f"{path}.{key}" if path else key


def wrong(path: str, expected: str, value: JsonValue) -> BadRequest:
    """The error that says what was expected at a path and what came instead."""
    return BadRequest(f"{path or 'the body'}: expected {expected}, got {kind_of(value)}", param=path or None)


def missing(path: str, expected: str) -> BadRequest:
    return BadRequest(f"{path} is missing: expected {expected}", param=path)


def kind_of(value: object) -> str:
    """A value's JSON type with its article, for messages."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    return next((name for kind, name in _KINDS.items() if isinstance(value, kind)), type(value).__name__)


_KINDS: Mapping[type, str] = {
    str: "a string",
    int: "a number",
    float: "a number",
    list: "an array",
    dict: "an object",
}


def text(fields: Json, key: str, path: str = "") -> str:
    return _present(optional_text(fields, key, path), key, path, "a string")


def optional_text(fields: Json, key: str, path: str = "") -> str | None:
    value = fields.get(key)
    if value is None or isinstance(value, str):
        return value
    raise wrong(join(path, key), "a string", value)


def flag(fields: Json, key: str, path: str = "", default: bool = False) -> bool:
    value = optional_flag(fields, key, path)
    return default if value is None else value


def optional_flag(fields: Json, key: str, path: str = "") -> bool | None:
    value = fields.get(key)
    if value is None or isinstance(value, bool):
        return value
    raise wrong(join(path, key), "true or false", value)


def integer(fields: Json, key: str, path: str = "") -> int:
    return _present(optional_integer(fields, key, path), key, path, "an integer")


def optional_integer(fields: Json, key: str, path: str = "", least: int | None = None) -> int | None:
    """A whole number, also when it is written as 100.0, not under `least`."""
    value = fields.get(key)
    if value is None:
        return None
    number = as_integer(value)
    if number is None:
        raise wrong(join(path, key), "an integer", value)
    if least is not None and number < least:
        raise BadRequest(f"{join(path, key)}: must be at least {least}, got {number}", param=join(path, key))
    return number


def as_integer(value: JsonValue) -> int | None:
    """The whole number that a JSON value is, or None."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    return int(value) if isinstance(value, float) and value.is_integer() else None


def optional_number(fields: Json, key: str, path: str = "") -> float | None:
    value = fields.get(key)
    if value is None:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    raise wrong(join(path, key), "a number", value)


def one_of(fields: Json, key: str, words: Collection[Word], path: str = "") -> Word | None:
    """One of these words, or None when absent."""
    value = optional_text(fields, key, path)
    if value is None:
        return None
    for word in words:
        if word == value:
            return word
    expected = ", ".join(sorted(words))
    raise BadRequest(f"{join(path, key)}: expected one of {expected}, got {value!r}", param=join(path, key))


def mapping(fields: Json, key: str, path: str = "") -> Json:
    return _present(optional_mapping(fields, key, path), key, path, "an object")


def optional_mapping(fields: Json, key: str, path: str = "") -> Json | None:
    value = fields.get(key)
    if value is None:
        return None
    return as_mapping(value, join(path, key))


def as_mapping(value: JsonValue, path: str) -> Json:
    """A value that stands at this path, which must be an object."""
    if type(value) is dict or isinstance(value, Mapping):  # the first is nearly always so, and quick to see
        return value
    raise wrong(path, "an object", value)


def items(fields: Json, key: str, path: str = "") -> list[JsonValue]:
    return _present(optional_items(fields, key, path), key, path, "an array")


def optional_items(fields: Json, key: str, path: str = "") -> list[JsonValue] | None:
    value = fields.get(key)
    if value is None or isinstance(value, list):
        return value
    raise wrong(join(path, key), "an array", value)


def objects(fields: Json, key: str, path: str = "") -> Iterator[tuple[Json, str]]:
    """The objects of an array with the path of each; none when the array is absent."""
    for number, value in enumerate(optional_items(fields, key, path) or ()):
        where = f"{join(path, key)}[{number}]"
        yield as_mapping(value, where), where


def texts(fields: Json, key: str, path: str = "") -> tuple[str, ...]:
    """The strings of an array; none when it is absent."""
    values = optional_items(fields, key, path) or []
    return tuple(_as_text(value, f"{join(path, key)}[{number}]") for number, value in enumerate(values))


def _as_text(value: JsonValue, path: str) -> str:
    if isinstance(value, str):
        return value
    raise wrong(path, "a string", value)


Value = TypeVar("Value")


def _present(value: Value | None, key: str, path: str, expected: str) -> Value:
    if value is None:
        raise missing(join(path, key), expected)
    return value
