"""The smallest value that a schema accepts."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhetor.providers.minimal import minimal_instance

ZIP = {"required": ["zip"], "properties": {"zip": {"type": "integer"}}}
PLACE = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({}, None),
        ({"type": "object"}, {}),
        (PLACE, {"city": ""}),
        ({"properties": {"a": {"type": "integer"}}, "required": ["a"]}, {"a": 0}),
        ({"type": "object", "properties": {"unit": {"type": "string"}}}, {}),
        ({"type": "object", "required": ["free"]}, {"free": None}),
        ({"type": ["null", "string"]}, ""),
        ({"type": "null"}, None),
        ({"type": "string", "minLength": 3}, "xxx"),
        ({"type": "string", "format": "date"}, "1970-01-01"),
        ({"type": "string", "format": "unheard-of"}, ""),
        ({"enum": ["celsius", "kelvin"]}, "celsius"),
        ({"const": {"a": 1}}, {"a": 1}),
        ({"type": "integer", "default": 7}, 7),
        ({"type": "string", "examples": ["Oslo"]}, "Oslo"),
        ({"type": "integer", "minimum": 3}, 3),
        ({"type": "integer", "exclusiveMinimum": 3}, 4),
        ({"type": "integer", "maximum": -2}, -2),
        ({"type": "number", "minimum": 0.5}, 0.5),
        ({"type": "number", "maximum": -0.5}, -0.5),
        ({"type": "number"}, 0),
        ({"type": "boolean"}, False),
        ({"type": "array"}, []),
        ({"type": "array", "items": PLACE, "minItems": 2}, [{"city": ""}, {"city": ""}]),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, ""),
        ({"oneOf": [PLACE, {"type": "null"}], "description": "where"}, {"city": ""}),
        (
            {"allOf": [PLACE, {"required": ["zip"], "properties": {"zip": {"type": "integer"}}}]},
            {"city": "", "zip": 0},
        ),
        ({"$ref": "#/$defs/Place", "$defs": {"Place": PLACE}}, {"city": ""}),
        ({"$ref": "#/$defs/a~1b", "$defs": {"a/b": {"type": "boolean"}}}, False),
        ({"$ref": "#/nowhere"}, None),
    ],
)
def test_a_schema_gets_the_least_it_accepts(schema: dict[str, Any], value: Any) -> None:
    assert minimal_instance(schema) == value


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"allOf": [{"$ref": "#"}, {"$ref": "#"}]},
        {"anyOf": [{"$ref": "#"}]},
        {
            "$ref": "#/$defs/tree",
            "$defs": {
                "tree": {
                    "type": "object",
                    "properties": {name: {"$ref": "#/$defs/tree"} for name in "abcdefghij"},
                    "required": list("abcdefghij"),
                }
            },
        },
        {"type": "array", "minItems": 10**9, "items": {"type": "array", "minItems": 10**9}},
    ],
)
def test_a_schema_without_end_ends(schema: dict[str, Any]) -> None:
    minimal_instance(schema)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": 5},
        {"type": [5]},
        {"required": "a", "type": "object"},
        {"required": [1], "type": "object"},
        {"properties": [], "type": "object", "required": ["a"]},
        {"anyOf": "x"},
        {"enum": []},
        {"allOf": [7, None]},
        {"minLength": "3", "type": "string"},
        {"items": False, "type": "array", "minItems": 1},
        {"$ref": 3},
    ],
)
def test_a_schema_that_is_none_does_no_harm(schema: dict[str, Any]) -> None:
    minimal_instance(schema)


def schemas() -> st.SearchStrategy[dict[str, Any]]:
    leaves = st.one_of(
        st.just({"type": "boolean"}),
        st.builds(lambda n: {"type": "string", "minLength": n}, st.integers(0, 5)),
        st.builds(lambda n: {"type": "integer", "minimum": n}, st.integers(-9, 9)),
        st.builds(lambda n: {"type": "number", "maximum": n}, st.integers(-9, 9)),
    )
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.builds(lambda s, n: {"type": "array", "items": s, "minItems": n}, inner, st.integers(0, 3)),
            st.builds(
                lambda p: {"type": "object", "properties": p, "required": sorted(p)},
                st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
            ),
            st.builds(lambda s: {"anyOf": [s, {"type": "null"}]}, inner),
        ),
        max_leaves=8,
    )


@given(schemas())
def test_what_is_made_is_accepted(schema: dict[str, Any]) -> None:
    assert accepts(schema, minimal_instance(schema))


def accepts(schema: dict[str, Any], value: Any) -> bool:
    if "anyOf" in schema:
        return any(accepts(one, value) for one in schema["anyOf"])
    match schema["type"]:
        case "boolean":
            return isinstance(value, bool)
        case "string":
            return isinstance(value, str) and len(value) >= schema["minLength"]
        case "integer":
            return isinstance(value, int) and value >= schema["minimum"]
        case "number":
            return isinstance(value, int | float) and value <= schema["maximum"]
        case "array":
            return len(value) >= schema["minItems"] and all(accepts(schema["items"], item) for item in value)
        case "object":
            return all(accepts(schema["properties"][name], value[name]) for name in schema["required"])
        case _:
            return value is None
