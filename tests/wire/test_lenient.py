"""Reading what providers send: whatever stands there, nothing raises."""

from __future__ import annotations

from typing import Any

import pytest

from rhetor.wire import lenient

ANYTHING: list[Any] = [None, True, 0, -1, 1.5, "", "a", [], [1], {}, {"a": 1}]


@pytest.mark.parametrize("value", ANYTHING)
def test_reads_its_own_kind_and_nothing_else(value: Any) -> None:
    said = {"k": value}
    assert lenient.word(said, "k") == (value if isinstance(value, str) else "")
    assert lenient.thing(said, "k") == (value if isinstance(value, dict) else {})
    assert lenient.things(said, "k") == []
    assert lenient.count(said, "k") == 0


def test_reads_numbers_of_tokens_and_lists_of_objects() -> None:
    assert lenient.count({"k": 7}, "k") == 7
    assert lenient.things({"k": [1, {"a": 1}, None]}, "k") == [{"a": 1}]


def test_parses_objects_only() -> None:
    assert lenient.parse(b'{"a":1}') == {"a": 1}
    assert lenient.parse(b"[]") is None
    assert lenient.parse(b"\xff") is None
