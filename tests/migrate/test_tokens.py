"""JavaScript as tokens: what is code, what is text, and that nothing takes for ever."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhetor.migrate.tokens import Sort, tokens


def texts(code: str) -> list[str]:
    return [token.value for token in tokens(code) if token.sort is Sort.TEXT]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("a = 'it\\'s' + \"two\" // 'three'", ["it's", "two"]),
        ("/* 'a' */ 'b' /* 'c'", ["b"]),
        ("r = /['\"`]/g; 'a'", ["a"]),
        ("r = /[/'\"]/; 'a'", ["a"]),
        ("x = a / b / 'c'", ["c"]),
        ("return /'/.test('a')", ["a"]),
        ("`a${ f('b') }c${`d`}e` + 'f'", ["a", "b", "d", "f"]),
        ("`${ {a: '}'} }` + 'b'", ["", "}", "b"]),
        ("<p>Don't</p>\n'a'", ["a"]),
        ("<p>A ` alone</p>; 'a'", ["a"]),
        ("'\\u0041\\x42\\u{43}\\n'", ["ABC\n"]),
        ("'unended\n'a'", ["a"]),
        ("#!/usr/bin/env node 'x'\n'a'", ["a"]),
    ],
)
def test_texts_are_told_from_code(code: str, expected: list[str]) -> None:
    assert texts(code) == expected


@given(st.text(alphabet="ab'\"`${}/\\[]()*\n ", max_size=60))
def test_tokens_lie_in_order_and_say_where(code: str) -> None:
    at = 0
    for token in tokens(code):
        assert at <= token.start < token.end <= len(code)
        at = token.end


@pytest.mark.parametrize("unit", ["`", "`${", "'", "/[", "`\\", "/*", "{", '"\\', "<!--", "\\`", "`${'"])
def test_hostile_text_ends(unit: str) -> None:
    began_s = time.process_time()
    tokens(unit * 100_000)
    assert time.process_time() - began_s < 20  # what is not linear takes hours
