"""Items ↔ messages."""

from __future__ import annotations

from typing import Any

import pytest

from rhetor.core.content import (
    Audio,
    File,
    Image,
    Inline,
    Opaque,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
    Uploaded,
    Url,
)
from rhetor.core.errors import BadRequest
from rhetor.core.request import Chat, Message, Role
from tests.wire.openai.responses.speech import build, chat
from tests.wire.strategies import request_of

THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "well"}]}
CALL = {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": '{"a":1}'}
RESULT = {"type": "function_call_output", "call_id": "c1", "output": "42"}


def said(*items: Any) -> tuple[Message, ...]:
    return chat(input=list(items)).messages


def message(role: str, *content: Any) -> dict[str, Any]:
    return {"type": "message", "role": role, "content": list(content)}


def test_one_turn_of_an_assistant_is_one_message() -> None:
    answer = message("assistant", {"type": "output_text", "text": "wait", "annotations": []})
    assert said(message("user", {"type": "input_text", "text": "hi"}), THOUGHT, answer, CALL, RESULT) == (
        Message(Role.USER, (Text("hi"),)),
        Message(Role.ASSISTANT, (Thinking("well"), Text("wait"), ToolUse("c1", "f", '{"a":1}'))),
        Message(Role.TOOL, (ToolResult("c1", (Text("42"),)),)),
    )


def test_results_of_one_round_are_one_message() -> None:
    two = [{**CALL, "call_id": "c2"}, {**RESULT, "call_id": "c2"}]
    roles = [(it.role, len(it.parts)) for it in said(CALL, two[0], RESULT, two[1])]
    assert roles == [(Role.ASSISTANT, 2), (Role.TOOL, 2)]


def test_a_message_needs_no_type_and_its_content_may_be_a_text() -> None:
    assert said({"role": "developer", "content": "Be brief."}, {"role": "user", "content": "hi"}) == (
        Message(Role.SYSTEM, (Text("Be brief."),)),
        Message(Role.USER, (Text("hi"),)),
    )


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ({"type": "input_image", "image_url": "https://x/y.png"}, Image(Url("https://x/y.png"))),
        (
            {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "low"},
            Image(Inline("image/png", "AA=="), "low"),
        ),
        ({"type": "input_image", "file_id": "file-1"}, Image(Uploaded("file-1"))),
        ({"type": "input_file", "file_id": "file-1"}, File(Uploaded("file-1"))),
        ({"type": "input_file", "file_url": "https://x/y.pdf"}, File(Url("https://x/y.pdf"))),
        (
            {"type": "input_file", "file_data": "data:text/plain;base64,AA==", "filename": "a.txt"},
            File(Inline("text/plain", "AA=="), "a.txt"),
        ),
        ({"type": "input_file", "file_data": "AA=="}, File(Inline("application/pdf", "AA=="))),
        (
            {"type": "input_audio", "input_audio": {"data": "AA==", "format": "mp3"}},
            Audio(Inline("audio/mpeg", "AA==")),
        ),
        ({"type": "refusal", "refusal": "no"}, Refusal("no")),
        ({"type": "hologram", "data": 1}, Opaque("responses", {"type": "hologram", "data": 1})),
    ],
)
def test_parts(part: Any, expected: Part) -> None:
    assert said(message("user", part))[0].parts == (expected,)


@pytest.mark.parametrize(
    "part", [{"type": "input_image"}, {"type": "input_file"}, {}, {"type": "input_text"}]
)
def test_half_a_part_is_refused(part: Any) -> None:
    with pytest.raises(BadRequest, match=r"input\[0\]\.content\[0\]"):
        said(message("user", part))


def test_tools_whose_argument_is_plain_text_are_called_with_json_elsewhere() -> None:
    call = {"type": "custom_tool_call", "call_id": "c", "name": "patch", "input": "*** Begin"}
    result = {"type": "custom_tool_call_output", "call_id": "c", "output": "done"}
    assert said(call, result) == (
        Message(Role.ASSISTANT, (ToolUse("c", "patch", '{"input":"*** Begin"}'),)),
        Message(Role.TOOL, (ToolResult("c", (Text("done"),)),)),
    )


def test_what_a_provider_ran_itself_is_left_to_speakers_of_the_language() -> None:
    search = {"type": "web_search_call", "id": "ws_1", "status": "completed"}
    (asked,) = said(search)
    assert asked.parts == (Opaque("responses", search),)


def test_an_empty_thought_says_nothing() -> None:
    assert said({"type": "reasoning", "summary": []}, {"role": "user", "content": "hi"}) == (
        Message(Role.USER, (Text("hi"),)),
    )


def test_thoughts_in_paragraphs_are_one_thought() -> None:
    parts = [{"type": "summary_text", "text": text} for text in ("one", "two")]
    (asked,) = said({"type": "reasoning", "summary": parts, "encrypted_content": "proof"})
    assert asked.parts == (Thinking("one\n\ntwo", "responses:proof"),)


@pytest.mark.parametrize(
    ("messages", "items"),
    [
        ([Message(Role.USER, (Text("hi"),))], [{"type": "message", "role": "user", "content": "hi"}]),
        (
            [Message(Role.ASSISTANT, (Text("a"), ToolUse("c", "f", ""), Text("b")))],
            [
                {"type": "message", "role": "assistant", "content": "a"},
                {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
                {"type": "message", "role": "assistant", "content": "b"},
            ],
        ),
        (
            [Message(Role.TOOL, (ToolResult("c", (Text("a"), Image(Url("u")))),))],
            [
                {
                    "type": "function_call_output",
                    "call_id": "c",
                    "output": [
                        {"type": "input_text", "text": "a"},
                        {"type": "input_image", "image_url": "u"},
                    ],
                }
            ],
        ),
    ],
)
def test_messages_are_written_as_items(messages: list[Message], items: Any) -> None:
    body, dropped = build(request_of(Chat(messages=tuple(messages))))
    assert body["input"] == items
    assert not dropped


def test_what_cannot_be_written_is_named() -> None:
    parts = (Opaque("anthropic", {"type": "server_tool_use"}), Text("a", "5m"))
    failed = ToolResult("c", (Text("x"),), is_error=True)
    body, dropped = build(
        request_of(
            Chat(
                messages=(
                    Message(Role.USER, (Text("a", "5m"), Text("b")), "anna"),
                    Message(Role.ASSISTANT, parts),
                    Message(Role.TOOL, (failed,)),
                )
            )
        )
    )
    assert len(body["input"]) == 3
    assert dropped == (
        "messages[0].name",
        "cache_control",
        "messages[1].content[0]: opaque server_tool_use",
        "messages[2].content[0].is_error",
    )


@pytest.mark.parametrize(
    "said_by",
    [
        Message(Role.USER, (Audio(Inline("audio/wav", "AA==")),)),
        Message(Role.ASSISTANT, (Image(Url("u")),)),
        Message(Role.TOOL, (Text("x"),)),
    ],
)
def test_what_cannot_be_said_at_all_is_refused(said_by: Message) -> None:
    with pytest.raises(BadRequest, match="Responses cannot carry"):
        build(request_of(Chat(messages=(said_by,))))
