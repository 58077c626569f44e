"""The turns of a conversation."""

from __future__ import annotations

from typing import Any

import pytest

from rhetor.core.content import Image, Inline, Part, Text, Thinking, ToolResult, ToolUse
from rhetor.core.errors import BadRequest, Code
from rhetor.core.request import Message, Role
from rhetor.wire.gemini.conversation import UNSIGNED, write_conversation
from rhetor.wire.gemini.generations import generation_of
from rhetor.wire.gemini.parts import Dropped
from tests.wire.gemini.speaking import HI, NEWEST, OLDER

PNG = Inline("image/png", "iVBORw==")
PARIS = ToolUse("lpndqlku", "weather", '{"city":"Paris"}')
OSLO = ToolUse("m6rogicj", "weather", '{"city":"Oslo"}')
SIGNED = Thinking("", "gemini:EuYBCuMB")


def test_neighbours_of_one_side_are_one_content() -> None:
    said, dropped = written(
        Message(Role.SYSTEM, (Text("Be kind."),)),
        Message(Role.USER, (Text("a"),), name="Ann"),
        Message(Role.USER, (Text("b"),)),
        Message(Role.ASSISTANT, (Text("c"),)),
        Message(Role.SYSTEM, (Text("Be brief."),)),
        Message(Role.USER, (Text(""),)),
    )
    assert said == {
        "systemInstruction": {"parts": [{"text": "Be kind."}, {"text": "Be brief."}]},
        "contents": [
            {"role": "user", "parts": [{"text": "a"}, {"text": "b"}]},
            {"role": "model", "parts": [{"text": "c"}]},
        ],
    }
    assert dropped == [
        "messages[1].name",
        "messages[4]: moved to the system's instruction",
        "messages[5]: empty",
    ]


def test_signatures_come_back_where_they_were() -> None:
    """At the first of parallel calls, and nowhere else."""
    said, dropped = written(
        HI,
        Message(Role.ASSISTANT, (SIGNED, PARIS, OSLO)),
        Message(Role.TOOL, (result(PARIS, Text("18")), result(OSLO, Text('{"c":4}')))),
    )
    assert said["contents"][1]["parts"] == [
        {
            "functionCall": {"id": "lpndqlku", "name": "weather", "args": {"city": "Paris"}},
            "thoughtSignature": "EuYBCuMB",
        },
        {"functionCall": {"id": "m6rogicj", "name": "weather", "args": {"city": "Oslo"}}},
    ]
    assert said["contents"][2] == {
        "role": "user",
        "parts": [
            {"functionResponse": {"id": "lpndqlku", "name": "weather", "response": {"output": "18"}}},
            {"functionResponse": {"id": "m6rogicj", "name": "weather", "response": {"output": {"c": 4}}}},
        ],
    }
    assert dropped == []


def test_every_step_keeps_its_own_signature() -> None:
    said, _ = written(
        HI,
        Message(Role.ASSISTANT, (SIGNED, PARIS)),
        Message(Role.TOOL, (result(PARIS, Text("18")),)),
        Message(Role.ASSISTANT, (Thinking("hm", "gemini:Second"), OSLO)),
        Message(Role.TOOL, (result(OSLO, Text("4")),)),
    )
    signatures = [
        part.get("thoughtSignature")
        for content in said["contents"]
        for part in content["parts"]
        if "functionCall" in part
    ]
    assert signatures == ["EuYBCuMB", "Second"]


@pytest.mark.parametrize("thought", [(), (Thinking("hm", "EqQBCgIYAhIM"),), (Thinking("hm"),)])
def test_a_call_nobody_of_this_language_signed_says_so(thought: tuple[Part, ...]) -> None:
    """Newer models refuse it otherwise; to older ones it is nothing."""
    message = Message(Role.ASSISTANT, (*thought, PARIS, OSLO))
    said, dropped = written(HI, message)
    first, second = said["contents"][1]["parts"]
    assert first["thoughtSignature"] == UNSIGNED
    assert "thoughtSignature" not in second
    assert dropped == ["messages[1].content[0]: a thought without its signature"][: len(thought)]
    older, _ = written(HI, message, model=OLDER)
    assert "thoughtSignature" not in older["contents"][1]["parts"][0]


def test_results_that_are_errors_say_so() -> None:
    said, _ = written(HI, Message(Role.TOOL, (ToolResult("1", (Text("a"), Text("b")), is_error=True),)))
    assert said["contents"][1]["parts"] == [
        {"functionResponse": {"id": "1", "name": "1", "response": {"error": "a\n\nb"}}}
    ]


def test_results_of_two_messages_are_one_round() -> None:
    """As OpenAI's callers send them."""
    said, _ = written(
        HI,
        Message(Role.ASSISTANT, (PARIS, OSLO)),
        Message(Role.TOOL, (result(PARIS, Text("18")),)),
        Message(Role.TOOL, (result(OSLO, Text("4")),)),
        HI,
    )
    assert [(it["role"], len(it["parts"])) for it in said["contents"]] == [
        ("user", 1),
        ("model", 2),
        ("user", 2),
        ("user", 1),
    ]


def test_pictures_in_results_are_parts_of_them_or_said_afterwards() -> None:
    picture = {"inlineData": {"mimeType": "image/png", "data": "iVBORw=="}}
    messages = (HI, Message(Role.TOOL, (ToolResult("1", (Text("a"), Image(PNG))),)))
    newer, dropped = written(*messages)
    assert newer["contents"][1]["parts"][0]["functionResponse"]["parts"] == [picture]
    assert dropped == []
    older, dropped = written(*messages, model=OLDER)
    assert older["contents"][2] == {"role": "user", "parts": [picture]}
    assert dropped == ["messages[1].content[0].content[1]: moved to a user's message"]


def test_arguments_that_are_no_object_are_left_out() -> None:
    broken = ToolUse("1", "f", "[1", cache="5m")
    said, dropped = written(HI, Message(Role.ASSISTANT, (broken, ToolUse("2", "g", ""))))
    assert [it["functionCall"]["args"] for it in said["contents"][1]["parts"]] == [{}, {}]
    assert dropped == ["cache_control", "messages[1].content[0].arguments: not a JSON object"]


@pytest.mark.parametrize(
    ("message", "param"),
    [
        (Message(Role.SYSTEM, (Text("Be kind."),)), "messages"),
        (Message(Role.SYSTEM, (Image(PNG),)), "messages[0].content[0]"),
        (Message(Role.TOOL, (Text("4"),)), "messages[0].content[0]"),
        (Message(Role.USER, (PARIS,)), "messages[0].content[0]"),
    ],
)
def test_what_cannot_be_said_at_all(message: Message, param: str) -> None:
    with pytest.raises(BadRequest) as caught:
        written(message)
    assert caught.value.code is Code.UNSUPPORTED
    assert caught.value.param == param


def written(*messages: Message, model: str = NEWEST) -> tuple[Any, list[str]]:
    dropped = Dropped()
    return write_conversation(messages, generation_of(model), dropped), dropped


def result(call: ToolUse, *parts: Part) -> ToolResult:
    return ToolResult(call.id, parts)
