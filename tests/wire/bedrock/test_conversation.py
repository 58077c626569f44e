"""The turns of a conversation."""

from __future__ import annotations

from typing import Any

import pytest

from rhetor.core.content import File, Image, Inline, Text, ToolResult, ToolUse
from rhetor.core.errors import BadRequest, Code
from rhetor.core.request import Message, Role
from rhetor.wire.bedrock.blocks import Writer
from rhetor.wire.bedrock.conversation import write_conversation
from tests.wire.bedrock.speaking import CLAUDE, HI


def written(*messages: Message) -> tuple[Any, list[str]]:
    writer = Writer(CLAUDE)
    return write_conversation(messages, writer), writer.dropped


def test_neighbours_of_one_side_are_one_turn() -> None:
    said, dropped = written(
        Message(Role.SYSTEM, (Text("Be kind.", cache="5m"),)),
        Message(Role.USER, (Text("a"),), name="Ann"),
        Message(Role.USER, (Text("b"),)),
        Message(Role.ASSISTANT, (Text("c"),)),
        Message(Role.SYSTEM, (Text("Be brief."),)),
        Message(Role.USER, (Text(""),)),
    )
    assert said == {
        "system": [{"text": "Be kind."}, {"cachePoint": {"type": "default"}}, {"text": "Be brief."}],
        "messages": [
            {"role": "user", "content": [{"text": "a"}, {"text": "b"}]},
            {"role": "assistant", "content": [{"text": "c"}]},
        ],
    }
    assert dropped == ["messages[1].name", "messages[4]: moved to system", "messages[5]: empty"]


def test_results_come_first_in_the_users_turn() -> None:
    said, _ = written(
        HI,
        Message(Role.ASSISTANT, (ToolUse("1", "f", "{}"), ToolUse("2", "g", "{}"))),
        Message(Role.TOOL, (ToolResult("1", (Text("a"),)),)),
        Message(Role.USER, (Text("And?"),)),
        Message(Role.TOOL, (ToolResult("2", (Text("b"),)),)),
    )
    kinds = [next(iter(it)) for it in said["messages"][2]["content"]]
    assert kinds == ["toolResult", "toolResult", "text"]


def test_a_turn_with_a_document_says_something_too() -> None:
    """The API demands it."""
    said, _ = written(Message(Role.USER, (File(Inline("text/plain", "aGk=")),)))
    assert [next(iter(it)) for it in said["messages"][0]["content"]] == ["document", "text"]


@pytest.mark.parametrize(
    ("message", "param"),
    [
        (Message(Role.SYSTEM, (Text("Be kind."),)), "messages"),
        (Message(Role.SYSTEM, (Image(Inline("image/png", "iVBORw==")),)), "messages[0]"),
    ],
)
def test_what_cannot_be_said_at_all(message: Message, param: str) -> None:
    with pytest.raises(BadRequest) as caught:
        written(message)
    assert caught.value.code is Code.UNSUPPORTED
    assert caught.value.param == param
