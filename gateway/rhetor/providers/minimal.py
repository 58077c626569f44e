"""The smallest value that a JSON Schema accepts: what an answer looks like when nobody thought about it."""

from __future__ import annotations

import math
from collections.abc import Mapping

from rhetor.core.content import Json, JsonValue

DEPTH = 16  # a schema that refers to itself ends somewhere
VISITS = 2000  # and one that does so twice at each level would not, in our time


def minimal_instance(schema: Json) -> JsonValue:
    """A value with nothing in it that the schema does not demand.

    Follows local `$ref`s, the first of `anyOf` and `oneOf`, and all of `allOf`.
    Patterns, `not`, `if` and dependencies are not followed: the value may miss
    them, as a model's may. Of a schema without end the depths stay null.
    """
    return _Maker(schema).make(schema, DEPTH)


class _Maker:
    def __init__(self, root: Json) -> None:
        self._root = root
        self._visits = VISITS

    def make(self, schema: JsonValue, depth: int) -> JsonValue:
        if not self._may_visit(depth) or not isinstance(schema, Mapping):
            return None
        rules = self._written_out(schema, depth)
        for key in ("const", "default"):
            if key in rules:
                return rules[key]
        for key in ("enum", "examples"):
            if choices := _list(rules, key):
                return choices[0]
        for key in ("anyOf", "oneOf"):
            if choices := _list(rules, key):
                rest = {name: rule for name, rule in rules.items() if name != key}
                return self.make({"allOf": [rest, choices[0]]}, depth - 1)
        return self._of_type(_type_of(rules), rules, depth)

    def _may_visit(self, depth: int) -> bool:
        self._visits -= 1
        return self._visits >= 0 and depth > 0

    def _written_out(self, schema: Json, depth: int) -> dict[str, JsonValue]:
        """The schema with what it refers to and what `allOf` adds."""
        rules = {name: rule for name, rule in schema.items() if name not in ("$ref", "allOf")}
        reference = schema.get("$ref")
        parts = [self._target(reference)] if isinstance(reference, str) else []
        for part in [*parts, *_list(schema, "allOf")]:
            if isinstance(part, Mapping) and self._may_visit(depth):
                rules = _both(self._written_out(part, depth - 1), rules)
        return rules

    def _target(self, reference: str) -> JsonValue:
        """What a local reference such as `#/$defs/Place` names; an empty schema if there is none."""
        found: JsonValue = self._root
        for step in reference.removeprefix("#").split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            found = found.get(name, {}) if isinstance(found, Mapping) else {}
        return found

    def _of_type(self, kind: str, rules: Json, depth: int) -> JsonValue:
        match kind:
            case "object":
                properties = _mapping(rules, "properties")
                names = [name for name in _list(rules, "required") if isinstance(name, str)]
                return {name: self.make(properties.get(name, {}), depth - 1) for name in names}
            case "array":
                items = rules.get("items", {})
                return [self.make(items, depth - 1) for _ in range(_count(rules, "minItems"))]
            case "string":
                return FORMATS.get(str(rules.get("format")), "").ljust(_count(rules, "minLength"), "x")
            case "integer":
                low, high = _bounds(rules)
                return max(math.ceil(low), 0) if high >= 0 else math.floor(high)
            case "number":
                low, high = _bounds(rules)
                return low if low > 0 else min(high, 0)
            case "boolean":
                return False
            case _:
                return None


FORMATS = {
    "date": "1970-01-01",
    "date-time": "1970-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "duration": "PT0S",
    "email": "nobody@example.org",
    "hostname": "example.org",
    "ipv4": "127.0.0.1",
    "ipv6": "::1",
    "uri": "https://example.org/",
    "uuid": "00000000-0000-0000-0000-000000000000",
}


def _both(one: Json, other: Json) -> dict[str, JsonValue]:
    return {
        **one,
        **other,
        "properties": {**_mapping(one, "properties"), **_mapping(other, "properties")},
        "required": [*_list(one, "required"), *_list(other, "required")],
    }


def _type_of(rules: Json) -> str:
    said = rules.get("type")
    if isinstance(said, str):
        return said
    if isinstance(said, list):
        return next((kind for kind in said if isinstance(kind, str) and kind != "null"), "null")
    return "object" if _mapping(rules, "properties") else "array" if "items" in rules else "null"


def _bounds(rules: Json) -> tuple[float, float]:
    """The range of a number; a bound that is excluded moves inwards by one."""
    low = max(_number(rules, "minimum", -1e300), _number(rules, "exclusiveMinimum", -1e300) + 1)
    high = min(_number(rules, "maximum", 1e300), _number(rules, "exclusiveMaximum", 1e300) - 1)
    return low, high


def _number(rules: Json, name: str, otherwise: float) -> float:
    value = rules.get(name)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else otherwise


def _count(rules: Json, name: str) -> int:
    return min(max(int(_number(rules, name, 0)), 0), VISITS)


def _list(rules: Json, name: str) -> list[JsonValue]:
    value = rules.get(name)
    return value if isinstance(value, list) else []


def _mapping(rules: Json, name: str) -> Json:
    value = rules.get(name)
    return value if isinstance(value, Mapping) else {}
