"""Messages: one round of results is one message, and an assistant's parts have one order."""

from __future__ import annotations

from typing import Any

import pytest

from rhetor.core.content import (
    Image,
    Opaque,
    Refusal,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
    Url,
)
from rhetor.core.errors import BadRequest, Code
from rhetor.core.request import Chat, Message, Role
from rhetor.wire.base import PLAIN, Quirks
from tests.wire.openai.speech import build, chat, parse
from tests.wire.strategies import request_of

CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}


def read(*messages: dict[str, Any]) -> tuple[Message, ...]:
    return chat(messages=list(messages)).messages


def written(*messages: Message, quirks: Quirks = PLAIN) -> tuple[list[Any], tuple[str, ...]]:
    body, dropped = build(request_of(Chat(messages=messages)), quirks)
    return body["messages"], dropped


@pytest.mark.parametrize(
    ("role", "canonical"),
    [("system", Role.SYSTEM), ("developer", Role.SYSTEM), ("user", Role.USER), ("assistant", Role.ASSISTANT)],
)
def test_roles(role: str, canonical: Role) -> None:
    assert read({"role": role, "content": "a", "name": "n"}) == (Message(canonical, (Text("a"),), "n"),)


def test_an_assistants_parts_have_one_order() -> None:
    (message,) = read(
        {
            "role": "assistant",
            "tool_calls": [CALL],
            "refusal": "no",
            "content": "said",
            "reasoning_content": "thought",
        }
    )
    assert message.parts == (Thinking("thought"), Text("said"), Refusal("no"), ToolUse("c1", "f", '{"a": 1}'))


def test_results_of_one_round_are_one_message() -> None:
    messages = read(
        {"role": "assistant", "content": None, "tool_calls": [CALL, {**CALL, "id": "c2"}]},
        {"role": "tool", "tool_call_id": "c1", "content": "one"},
        {"role": "tool", "tool_call_id": "c2", "content": [{"type": "text", "text": "two"}]},
        {"role": "user", "content": "go on"},
    )
    assert messages[1] == Message(
        Role.TOOL, (ToolResult("c1", (Text("one"),)), ToolResult("c2", (Text("two"),)))
    )
    assert [message.role for message in messages] == [Role.ASSISTANT, Role.TOOL, Role.USER]


def test_deprecated_functions_get_an_id_that_joins_call_and_result() -> None:
    said = {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}}
    first, answer, second, _ = read(
        said,
        {"role": "function", "name": "f", "content": "r"},
        said,
        {"role": "function", "name": "f", "content": "r"},
    )
    use, again = first.parts[0], second.parts[0]
    assert isinstance(use, ToolUse)
    assert isinstance(again, ToolUse)
    assert answer.parts == (ToolResult(use.id, (Text("r"),)),)
    assert use.id != again.id


def test_empty_texts_say_nothing() -> None:
    messages = read(
        {"role": "assistant", "content": "", "tool_calls": [CALL]},
        {"role": "user", "content": [{"type": "text", "text": ""}, {"type": "text", "text": "a"}]},
    )
    assert messages[0].parts == (ToolUse("c1", "f", '{"a": 1}'),)
    assert messages[1].parts == (Text("a"),)


def test_fields_of_messages_without_canonical_form_are_named_when_they_say_something() -> None:
    request = parse(
        messages=[
            {"role": "assistant", "content": "a", "annotations": [], "audio": None, "reasoning_details": [1]}
        ]
    )
    assert request.unsaid == ("messages[0].reasoning_details",)


def test_a_custom_call_goes_back_as_it_came() -> None:
    custom: dict[str, Any] = {"id": "c", "type": "custom", "custom": {"name": "sh", "input": "ls"}}
    messages = read({"role": "assistant", "content": None, "tool_calls": [custom]})
    assert messages[0].parts == (Opaque("openai", custom),)
    assert written(*messages)[0][0]["tool_calls"] == [custom]


def test_content_is_null_only_beside_calls_and_refusals() -> None:
    assert written(Message(Role.ASSISTANT, ()))[0][0]["content"] == ""
    assert written(Message(Role.ASSISTANT, (ToolUse("c", "f", "{}"),)))[0][0]["content"] is None
    assert written(Message(Role.ASSISTANT, (Refusal("no"),)))[0][0]["content"] is None
    assert written(Message(Role.USER, ()))[0][0]["content"] == ""


def test_a_call_that_was_cut_off_before_its_arguments_is_valid_json() -> None:
    call = written(Message(Role.ASSISTANT, (ToolUse("c", "f", ""),)))[0][0]["tool_calls"][0]
    assert call["function"]["arguments"] == "{}"


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_thoughts_go_back_to_those_who_want_them(field: str) -> None:
    spoken = Message(Role.ASSISTANT, (Thinking("hm"), Text("a")))
    messages, dropped = written(spoken, quirks=Quirks(thinking_returned=True, thinking_field=field))
    assert messages == [{"role": "assistant", "content": "a", field: "hm"}]
    assert dropped == ()
    assert written(spoken) == ([{"role": "assistant", "content": "a"}], ("messages[0].content[0]: thinking",))


def test_images_of_results_follow_as_a_users() -> None:
    """A tool's message can only say text, and a screenshot must not be lost."""
    picture = Image(Url("https://example.org/a.png"))
    results = Message(Role.TOOL, (ToolResult("c1", (Text("see"), picture)), ToolResult("c2", (Text("b"),))))
    messages, dropped = written(results)
    assert messages == [
        {"role": "tool", "tool_call_id": "c1", "content": "see"},
        {"role": "tool", "tool_call_id": "c2", "content": "b"},
        {
            "role": "user",
            "content": [{"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}],
        },
    ]
    assert dropped == ("messages[0].content[0].content[1]: image moved to a user message",)


def test_what_a_result_cannot_say_is_named() -> None:
    _, dropped = written(Message(Role.TOOL, (ToolResult("c", (Text("a"),), is_error=True, cache="5m"),)))
    assert dropped == ("cache_control", "messages[0].content[0].is_error")


def test_a_tools_message_holds_results_only() -> None:
    with pytest.raises(BadRequest) as refused:
        written(Message(Role.TOOL, (Text("a"),)))
    assert refused.value.code is Code.UNSUPPORTED
