"""Messages as Ollama's callers write them."""

from __future__ import annotations

from typing import Any

import pytest

from rhetor.core.content import Image, Inline, Text, Thinking, ToolResult, ToolUse
from rhetor.core.errors import BadRequest
from rhetor.core.request import Message, Role
from rhetor.wire.ollama.conversation import read_messages

PNG = "iVBORw0KGgoAAAANSUhEUg=="


def read(*messages: dict[str, Any]) -> tuple[Message, ...]:
    unsaid: list[str] = []
    read = read_messages({"messages": list(messages)}, unsaid)
    assert not unsaid
    return read


def call(name: str, id: str | None = None, **arguments: Any) -> dict[str, Any]:
    known = {} if id is None else {"id": id}
    return {**known, "function": {"name": name, "arguments": arguments}}


def asks(*calls: dict[str, Any]) -> dict[str, Any]:
    return {"role": "assistant", "content": "", "tool_calls": list(calls)}


def says(content: str, **more: Any) -> dict[str, Any]:
    return {"role": "tool", "content": content, **more}


def answered(*messages: dict[str, Any]) -> list[tuple[str, str]]:
    """Which call each result answers, and with what."""
    results = [part for message in read(*messages) for part in message.parts if isinstance(part, ToolResult)]
    return [
        (part.tool_use_id, "".join(t.text for t in part.parts if isinstance(t, Text))) for part in results
    ]


def test_who_says_what() -> None:
    assert read(
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "Hello.", "thinking": "a greeting"},
    ) == (
        Message(Role.SYSTEM, (Text("Be brief."),)),
        Message(Role.USER, (Text("hi"),)),
        Message(Role.ASSISTANT, (Thinking("a greeting"), Text("Hello."))),
    )


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (PNG, "image/png"),
        ("/9j/4AAQ", "image/jpeg"),
        ("R0lGODlh", "image/gif"),
        ("UklGRhIA", "image/webp"),
        ("AAAA", "application/octet-stream"),
    ],
)
def test_what_a_picture_is_shows_in_its_first_bytes(data: str, media_type: str) -> None:
    (message,) = read({"role": "user", "content": "What is it?", "images": [data]})
    assert message.parts == (Image(Inline(media_type, data)), Text("What is it?"))


def test_a_message_may_say_nothing() -> None:
    assert read({"role": "user", "content": ""}, {"role": "assistant"}) == (
        Message(Role.USER, ()),
        Message(Role.ASSISTANT, ()),
    )


def test_results_answer_the_calls_with_their_ids() -> None:
    said = asks(call("weather", "call_a", city="Paris"), call("weather", "call_b", city="Oslo"))
    asked, results = read(
        said, says("snow", tool_call_id="call_b", tool_name="weather"), says("sun", tool_call_id="call_a")
    )
    assert asked.parts == (
        ToolUse("call_a", "weather", '{"city":"Paris"}'),
        ToolUse("call_b", "weather", '{"city":"Oslo"}'),
    )
    assert results == Message(
        Role.TOOL, (ToolResult("call_b", (Text("snow"),)), ToolResult("call_a", (Text("sun"),)))
    )


def test_results_without_ids_answer_the_calls_of_their_tools() -> None:
    """The `ollama` package knows no ids."""
    said = asks(call("weather"), call("time"), call("weather"))
    results = (says("noon", tool_name="time"), says("sun", tool_name="weather"), says("rain", name="weather"))
    assert answered(said, *results) == [("call_1", "noon"), ("call_0", "sun"), ("call_2", "rain")]


def test_results_that_name_nothing_answer_in_order() -> None:
    """Older callers, and LangChain by way of the `ollama` package."""
    said = asks(call("weather"), call("time"))
    assert answered(said, says("sun"), says("noon")) == [("call_0", "sun"), ("call_1", "noon")]


def test_calls_keep_their_ids_apart_over_several_rounds() -> None:
    first = (asks(call("weather")), says("sun", tool_name="weather"))
    second = (asks(call("weather")), says("rain", tool_name="weather"))
    assert answered(*first, *second) == [("call_0", "sun"), ("call_1", "rain")]


@pytest.mark.parametrize(
    "messages",
    [
        [says("sun")],
        [says("sun", tool_name="weather")],
        [asks(call("time")), says("sun", tool_name="weather")],
        [asks(call("time")), says("noon"), says("noon again")],
    ],
)
def test_a_result_that_nobody_waits_for_is_refused(messages: list[dict[str, Any]]) -> None:
    with pytest.raises(BadRequest, match="no call before it") as caught:
        read(*messages)
    assert caught.value.param == f"messages[{len(messages) - 1}]"


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ({"content": "hi"}, "messages[0].role"),
        ({"role": "robot", "content": "hi"}, "messages[0].role"),
        ({"role": "user", "content": ["hi"]}, "messages[0].content"),
        ({"role": "user", "images": PNG}, "messages[0].images"),
        ({"role": "user", "images": [1]}, "messages[0].images[0]"),
        ({"role": "assistant", "thinking": True}, "messages[0].thinking"),
        ({"role": "assistant", "tool_calls": [{}]}, "messages[0].tool_calls[0].function"),
        ({"role": "assistant", "tool_calls": ["f"]}, "messages[0].tool_calls[0]"),
        (asks({"function": {"arguments": {}}}), "messages[0].tool_calls[0].function.name"),
        (
            asks({"function": {"name": "f", "arguments": "{}"}}),
            "messages[0].tool_calls[0].function.arguments",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_place(message: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read(message)
    assert caught.value.param == param


def test_what_has_no_canonical_form_is_named() -> None:
    unsaid: list[str] = []
    read_messages({"messages": [{"role": "user", "content": "hi", "mood": "good", "tool_calls": []}]}, unsaid)
    assert unsaid == ["messages[0].mood"]


def test_an_id_of_ours_is_nobody_elses() -> None:
    """Some calls of a conversation have ids, which may look like ours, before and after those without."""
    calls = [call("a"), call("b", "call_0"), call("c", "call_2"), call("d")]
    messages = [asks(*calls), *(says(name.upper(), tool_name=name) for name in "abcd")]
    ids = [part.id for part in read(*messages)[0].parts if isinstance(part, ToolUse)]
    assert len(set(ids)) == 4
    assert answered(*messages) == list(zip(ids, "ABCD", strict=True))
