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


LONG = b"A" * (lenient.LONG_BYTES + 1)


@pytest.mark.parametrize(
    "body",
    [
        b'{"data": [{"b64": "%b"}, {"b64" : \n"%b", "x": "y"}], "b64": "short"}' % (LONG, LONG),
        b'{"prompt": "\\"b64\\": \\"%b", "b64": "%b"}' % (LONG, LONG),
        b'{"b64": "%b\\/%b"}' % (LONG, LONG),
        b'{"b64": 7, "prompt": "%b"}' % LONG,
        b'{"b64": null, "B64": "%b"}' % LONG,
        b'{"b64": "%b' % LONG,
        b'{"b64": "%b"' % LONG,
        b'["b64", "%b"]' % LONG,
    ],
)
def test_long_texts_are_set_aside_and_nothing_else_changes(body: bytes) -> None:
    said, lifted = lenient.parse_lifted(body, "b64")

    def restored(value: Any) -> Any:
        if isinstance(value, dict):
            text = lenient.lifted_text(value, "b64", lifted)
            return {k: text.decode() if k == "b64" and text else restored(v) for k, v in value.items()}
        return [restored(it) for it in value] if isinstance(value, list) else value

    assert restored(said) == lenient.parse(body)


def test_long_texts_are_not_read_as_json() -> None:
    said, lifted = lenient.parse_lifted(b'{"a": "%b", "b64": "%b", "c": 1}' % (b"x", LONG), "b64")
    assert (said, lifted) == ({"a": "x", "b64": 0, "c": 1}, [LONG])
    assert lenient.lifted_text({"b64": 1}, "b64", lifted) == b""
