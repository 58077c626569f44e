"""The order in which a conversation is told."""

from __future__ import annotations

import pytest

from rhetor.core.content import Image, Text, Thinking, ToolResult, ToolUse, Url
from rhetor.core.errors import BadRequest, Code
from rhetor.core.request import Message, Role
from rhetor.wire.anthropic.conversation import write_conversation

HI = Message(Role.USER, (Text("hi"),))
HELLO = Message(Role.ASSISTANT, (Text("hello"),))
RULE = Message(Role.SYSTEM, (Text("be brief"),))
CALLS = Message(Role.ASSISTANT, (ToolUse("1", "f", "{}"), ToolUse("2", "f", "{}")))


def _result(id: str) -> Message:
    return Message(Role.TOOL, (ToolResult(id, (Text(id),)),))


def test_one_plain_text_is_told_as_a_string() -> None:
    assert write_conversation([RULE, HI], False, []).fields() == {
        "system": "be brief",
        "messages": [{"role": "user", "content": "hi"}],
    }


def test_results_come_first_in_the_users_turn() -> None:
    """Whatever order they came in, and however many messages they were."""
    talk = write_conversation([HI, CALLS, _result("1"), HI, _result("2")], False, [])
    assert [turn.role for turn in talk.turns] == ["user", "assistant", "user"]
    assert [block["type"] for block in talk.turns[2].blocks] == ["tool_result", "tool_result", "text"]


def test_neighbours_of_one_side_are_one_turn() -> None:
    talk = write_conversation([HI, HI, HELLO, HELLO], False, [])
    assert [(turn.role, len(turn.blocks)) for turn in talk.turns] == [("user", 2), ("assistant", 2)]


def test_a_later_system_message_moves_to_the_front_and_is_named() -> None:
    dropped: list[str] = []
    talk = write_conversation([RULE, HI, RULE, HELLO, HI], False, dropped)
    assert len(talk.system) == 2
    assert [turn.role for turn in talk.turns] == ["user", "assistant", "user"]
    assert dropped == ["messages[2]: moved to system"]


@pytest.mark.parametrize(
    ("messages", "roles"),
    [
        ([HI, RULE], ["user", "system"]),
        ([HI, RULE, HELLO, HI], ["user", "system", "assistant", "user"]),
        ([HI, RULE, RULE, HELLO], ["user", "system", "assistant"]),
        ([HI, CALLS, _result("1"), RULE], ["user", "assistant", "user", "system"]),
        ([HI, RULE, HI], ["user"]),
        ([HI, HELLO, RULE, HI], ["user", "assistant", "user"]),
    ],
)
def test_models_that_take_it_hear_the_system_where_it_spoke(
    messages: list[Message], roles: list[str]
) -> None:
    """After the user, and before the assistant or at the end: elsewhere the API refuses it."""
    assert [turn.role for turn in write_conversation(messages, True, []).turns] == roles


def test_names_and_empty_messages_are_named() -> None:
    dropped: list[str] = []
    empty = Message(Role.ASSISTANT, (Text(""), Thinking("hm")))
    write_conversation([Message(Role.USER, (Text("hi"),), name="ann"), empty], False, dropped)
    assert dropped == [
        "messages[0].name",
        "messages[1].content[1]: a thought without its signature",
        "messages[1]: empty",
    ]


@pytest.mark.parametrize(
    "messages", [[RULE], [Message(Role.USER, (Text(""),))], [Message(Role.SYSTEM, (Image(Url("a")),)), HI]]
)
def test_what_the_language_cannot_tell_at_all_is_an_error(messages: list[Message]) -> None:
    with pytest.raises(BadRequest) as caught:
        write_conversation(messages, False, [])
    assert caught.value.code is Code.UNSUPPORTED
