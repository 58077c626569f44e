"""Tool calls in every shape that was seen: each is opened once, and its arguments arrive whole."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhetor.core.content import ToolUse
from rhetor.core.events import Started, ToolUseDelta, ToolUseStarted, fold
from rhetor.wire.base import Narrator
from rhetor.wire.openai.calls import Calls
from tests.wire.strategies import arguments


def told(*pieces: dict[str, Any]) -> list[ToolUse]:
    narrator = Narrator()
    narrator.start("r1", "")
    calls = Calls(narrator)
    for piece in pieces:
        calls.add(piece)
    calls.finish()
    return fold(narrator.take()).tool_uses


def piece(
    index: int | None = None, id: str | None = None, name: str | None = None, args: Any = None
) -> dict[str, Any]:
    said: dict[str, Any] = {"function": {}}
    if index is not None:
        said["index"] = index
    if id is not None:
        said["id"] = id
    if name is not None:
        said["function"]["name"] = name
    if args is not None:
        said["function"]["arguments"] = args
    return said


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        pytest.param(
            [piece(0, "a", "f", ""), piece(0, args='{"x"'), piece(0, args=":1}")],
            [("a", "f", '{"x":1}')],
            id="as documented",
        ),
        pytest.param(
            [piece(0, "a", "f", '{"x"'), piece(0, "a", "f", ":1}")],
            [("a", "f", '{"x":1}')],
            id="id and name in every piece",
        ),
        pytest.param(
            [piece(0, "a", "f", '{"x"'), piece(0, "", "", ":1}")],
            [("a", "f", '{"x":1}')],
            id="empty id and name in later pieces",
        ),
        pytest.param(
            [piece(0, "a", "f", "{}"), piece(0, "a", "f", "{}")],
            [("a", "f", "{}")],
            id="the whole call twice",
        ),
        pytest.param(
            [piece(None, "a", "f", "{}"), piece(None, "b", "f", "{}"), piece(None, "a", "f", "{}")],
            [("a", "f", "{}"), ("b", "f", "{}")],
            id="no index, whole calls, one twice",
        ),
        pytest.param(
            [piece(None, "a", "f", '{"x"'), piece(args=":1}"), piece(None, "b", "g", "{}")],
            [("a", "f", '{"x":1}'), ("b", "g", "{}")],
            id="no index, arguments in pieces",
        ),
        pytest.param(
            [piece(0, "a", "f", "{}"), piece(0, "b", "f", '{"y":2}'), piece(0, "c", "g", "{}")],
            [("a", "f", "{}"), ("b", "f", '{"y":2}'), ("c", "g", "{}")],
            id="one index for three calls",
        ),
        pytest.param(
            [piece(0, "a", args="{"), piece(0, name="f", args="}")],
            [("a", "f", "{}")],
            id="the name after the id",
        ),
        pytest.param(
            [piece(0, name="f", args="{}"), piece(1, name="f", args="{}")],
            [("call_r1_0", "f", "{}"), ("call_r1_1", "f", "{}")],
            id="no id at all",
        ),
        pytest.param([piece(0, "a", "f", {"x": 1})], [("a", "f", '{"x":1}')], id="arguments as an object"),
        pytest.param([piece(0, "a", args="{}")], [("a", "", "{}")], id="never a name"),
        pytest.param(
            [piece(2, "a", "f", "{}"), piece(0, "b", "g", "{}")],
            [("a", "f", "{}"), ("b", "g", "{}")],
            id="indices in any order",
        ),
    ],
)
def test_shapes(pieces: list[dict[str, Any]], expected: list[tuple[str, str, str]]) -> None:
    assert [(use.id, use.name, use.arguments) for use in told(*pieces)] == expected


@given(arguments, st.lists(st.integers(0, 40), max_size=4))
def test_pieces_that_repeat_the_head_lose_nothing(whole: str, cuts: list[int]) -> None:
    """Equal neighbouring pieces are not taken for a call sent twice."""
    ends = sorted({0, len(whole), *(cut for cut in cuts if cut < len(whole))})
    pieces = [piece(0, "a", "f", whole[start:end]) for start, end in pairwise(ends)]
    assert told(*pieces)[0].arguments == whole


def test_a_call_is_opened_before_its_arguments() -> None:
    narrator = Narrator()
    calls = Calls(narrator)
    calls.add(piece(7, "a", "f", "{}"))
    assert narrator.take() == [Started("", ""), ToolUseStarted(0, "a", "f"), ToolUseDelta(0, "{}")]
    assert calls.any
