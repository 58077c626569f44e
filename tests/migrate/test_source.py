"""Files keep their encodings, marks and line ends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhetor.migrate.finding import Edit, collide
from rhetor.migrate.source import Source, Unreadable, decode, edited


@pytest.mark.parametrize(
    ("file", "raw"),
    [
        ("a.py", b"x = '\xc3\xa4'\r\n"),
        ("a.py", b"#!/bin/python\n# -*- coding: latin-1 -*-\nx = '\xe4'\n"),
        ("a.py", b"\xef\xbb\xbfx = 1\r"),
        ("a.js", b"\xff\xfex\x00"),
        ("a.py", b""),
    ],
)
def test_a_file_is_written_back_as_it_was(file: str, raw: bytes) -> None:
    source = decode(file, raw)
    assert source.encoded(source.text) == raw


@pytest.mark.parametrize(
    ("file", "raw"),
    [("a.js", b"\xff"), ("a.py", b"# coding: nonsense\n"), ("a.js", b"\0\1"), ("a.py", b"# coding: rot13\n")],
)
def test_what_cannot_be_read_says_so(file: str, raw: bytes) -> None:
    with pytest.raises(Unreadable):
        decode(file, raw)


@given(st.text(alphabet="ab\n\r", max_size=40))
def test_places_and_lines_agree(text: str) -> None:
    source = Source("a.py", text)
    for offset in range(len(text) + 1):
        line = source.line_of(offset)
        assert source.offset(line, offset - source.line_start(offset)) == offset


def test_edits_are_made_together() -> None:
    assert edited("abcd", [Edit(3, 4, "D"), Edit(1, 2, ""), Edit(0, 0, ">")]) == ">acD"
    assert collide(Edit(0, 2, "x"), Edit(1, 3, "y"))
    assert not collide(Edit(0, 2, "x"), Edit(2, 3, "y"))
    assert not collide(Edit(0, 0, "x"), Edit(0, 0, "x"))
