"""A line that people type, key by key."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhetor.cli.sessions.editor import Editor, Wish

UP, DOWN, LEFT, RIGHT, HOME, END = "\x1b[A", "\x1b[B", "\x1b[D", "\x1b[C", "\x1b[H", "\x1b[F"


def typed(keys: str) -> Editor:
    editor = Editor()
    editor.feed(keys.encode())
    return editor


@pytest.mark.parametrize(
    ("keys", "text", "cursor"),
    [
        ("Grüße 👋", "Grüße 👋", 7),
        ("abc\x7f", "ab", 2),
        (f"ac{LEFT}b", "abc", 2),
        (f"bc{HOME}a{END}d", "abcd", 4),
        (f"abc{LEFT}{LEFT}\x1b[3~", "ac", 1),
        ("one two  \x17", "one ", 4),
        ("one two\x1b\x7f", "one ", 4),
        (f"one two{LEFT}{LEFT}{LEFT}\x15", "two", 0),
        (f"one two{LEFT}{LEFT}{LEFT}\x0b", "one ", 4),
        ("one\x1b\rtwo", "one\ntwo", 7),
        ("\x1b[200~one\rtwo\n\x1b[201~", "one\ntwo\n", 8),
        ("\x7f\x17\x15\x1b[3~\x04", "", 0),
        (f"{LEFT}{RIGHT}a{RIGHT}{RIGHT}", "a", 1),
        ("a\x1b[15~\x00\x07b", "ab", 2),
        ("\x01b\x05c", "bc", 2),
    ],
)
def test_keys(keys: str, text: str, cursor: int) -> None:
    editor = typed(keys)
    assert (editor.text, editor.cursor) == (text, cursor)


def test_enter_hands_the_line_over() -> None:
    editor = Editor()
    assert editor.feed(b"one\rtwo\r") == [(Wish.ENTER, "one"), (Wish.ENTER, "two")]
    assert editor.text == ""


def test_what_was_said_comes_back() -> None:
    editor = typed("one\rtwo\rtwo\rhalf")
    editor.feed(UP.encode())
    assert editor.text == "two"
    editor.feed(UP.encode() * 3)
    assert editor.text == "one"
    editor.feed(DOWN.encode() * 2)
    assert editor.text == "half"


def test_ctrl_d_leaves_an_empty_line_only() -> None:
    assert typed("").feed(b"\x04") == [(Wish.LEAVE, "")]
    editor = typed(f"ab{LEFT}")
    assert editor.feed(b"\x04") == []
    assert editor.text == "a"


def test_an_escape_that_stands_alone_is_nothing() -> None:
    editor = typed("a\x1b")
    editor.settle()
    editor.feed(b"b")
    assert editor.text == "ab"


def test_bytes_that_are_no_text_are_replaced() -> None:
    editor = Editor()
    editor.feed(b"a\xffb")
    assert editor.text == "a\ufffdb"


KEYS = f"ä{LEFT}b\x1b[200~c\rd\x1b[201~{HOME}e\x1b\r\x17f\r".encode()


@given(cuts=st.lists(st.integers(0, len(KEYS)), max_size=5))
def test_any_pieces_of_the_bytes_mean_the_same(cuts: list[int]) -> None:
    whole, pieces = Editor(), Editor()
    expected = whole.feed(KEYS)
    places = [0, *sorted(cuts), len(KEYS)]
    assert [wish for a, b in itertools.pairwise(places) for wish in pieces.feed(KEYS[a:b])] == expected
    assert (pieces.text, pieces.cursor) == (whole.text, whole.cursor)
