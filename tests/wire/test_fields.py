"""Typed access to parsed JSON: the right value, or a complaint that names the place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhetor.core.errors import BadRequest, Code
from rhetor.wire import fields

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
READERS: list[Callable[..., Any]] = [
    fields.text, fields.optional_text, fields.flag, fields.optional_flag, fields.integer,
    fields.optional_integer, fields.optional_number, fields.mapping, fields.optional_mapping, fields.items,
    fields.optional_items, fields.texts, lambda *args: list(fields.objects(*args)),
    lambda said, key, path="": fields.one_of(said, key, ("a", "b"), path),
]  # fmt: skip


@given(st.sampled_from(READERS), json_values)
def test_whatever_stands_there_a_reader_reads_it_or_complains(reader: Callable[..., Any], value: Any) -> None:
    complaint = None
    try:
        reader({"k": value}, "k", "a[0]")
    except BadRequest as error:
        complaint = error
    if complaint is not None:
        assert str(complaint.param).startswith("a[0].k")
        assert complaint.message.startswith(str(complaint.param))


@pytest.mark.parametrize(
    ("reader", "value", "message"),
    [
        (fields.text, 5, "k: expected a string, got a number"),
        (fields.text, None, "k is missing: expected a string"),
        (fields.flag, "yes", "k: expected true or false, got a string"),
        (fields.integer, 1.5, "k: expected an integer, got a number"),
        (fields.integer, True, "k: expected an integer, got a boolean"),
        (fields.optional_number, True, "k: expected a number, got a boolean"),
        (fields.mapping, [], "k: expected an object, got an array"),
        (fields.items, {}, "k: expected an array, got an object"),
        (fields.texts, ["a", None], "k[1]: expected a string, got null"),
    ],
)
def test_a_complaint_says_what_was_expected_and_what_came(
    reader: Callable[..., Any], value: Any, message: str
) -> None:
    with pytest.raises(BadRequest) as complaint:
        reader({"k": value}, "k")
    assert complaint.value.message == message


def test_absent_and_null_are_the_same() -> None:
    for said in ({}, {"k": None}):
        assert fields.optional_text(said, "k") is None
        assert fields.optional_integer(said, "k") is None
        assert fields.flag(said, "k", default=True) is True
        assert fields.texts(said, "k") == ()
        assert list(fields.objects(said, "k")) == []


def test_a_whole_number_may_be_written_as_a_fraction() -> None:
    assert fields.optional_integer({"k": 100.0}, "k") == 100
    assert fields.as_integer(float("inf")) is None


def test_a_number_under_its_least_is_refused() -> None:
    with pytest.raises(BadRequest, match="k: must be at least 1, got 0"):
        fields.optional_integer({"k": 0}, "k", least=1)


def test_one_of_names_the_words() -> None:
    assert fields.one_of({"k": "b"}, "k", ("a", "b")) == "b"
    with pytest.raises(BadRequest, match="k: expected one of a, b, got 'c'"):
        fields.one_of({"k": "c"}, "k", ("b", "a"))


def test_objects_come_with_their_paths() -> None:
    assert list(fields.objects({"k": [{}, {"a": 1}]}, "k", "x")) == [({}, "x.k[0]"), ({"a": 1}, "x.k[1]")]


@pytest.mark.parametrize("body", [b"", b"{", b"nul", b"\xff", b'"\\ud800"', b"[" * 2000, b"{}{}", b"NaN"])
def test_a_body_that_is_not_json_is_the_callers_mistake(body: bytes) -> None:
    with pytest.raises(BadRequest) as refused:
        fields.parse_object(body)
    assert refused.value.code is Code.INVALID_REQUEST


@pytest.mark.parametrize(("body", "kind"), [(b"[]", "an array"), (b"null", "null"), (b'"a"', "a string")])
def test_a_body_that_is_not_an_object_is_named(body: bytes, kind: str) -> None:
    with pytest.raises(BadRequest, match=f"must be a JSON object, not {kind}"):
        fields.parse_object(body)


def test_what_is_nested_too_deeply_to_be_written_is_the_callers_mistake() -> None:
    deep = fields.parse_object(b'{"a":' * 500 + b"1" + b"}" * 500)
    with pytest.raises(BadRequest):
        fields.dump(deep)
