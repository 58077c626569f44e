"""Events → replies that clients parse."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhetor.core.content import Text, Thinking
from rhetor.core.errors import Code, UpstreamError
from rhetor.core.events import (
    Event,
    Failed,
    Finished,
    FinishReason,
    Folded,
    Started,
    TextDelta,
    ThinkingSigned,
    ToolUseDelta,
    ToolUseStarted,
    UsageReport,
    fold,
)
from rhetor.core.usage import Usage
from rhetor.wire.base import ReplyInfo
from rhetor.wire.sse import SseSplitter
from tests.wire.openai.speech import DOOR, INFO, SPEECH, decode, parse, render, stream_decoder, whole_decoder
from tests.wire.strategies import replies, splits

TOLD = {"stream": True, "stream_options": {"include_usage": True}}
EVENTS: list[Event] = [
    Started("id1", "served"),
    TextDelta("a"),
    UsageReport(Usage(3, 4)),
    Finished(FinishReason.STOP),
]


def chunks(stream: bytes) -> list[Any]:
    """The JSON of each frame, [DONE] as text."""
    frames = [it.data for it in SseSplitter().feed(stream)]
    return ["[DONE]" if data == b"[DONE]" else orjson.loads(data) for data in frames]


@given(replies(SPEECH), st.data())
def test_what_is_streamed_is_read_back(events: list[Event], data: st.DataObject) -> None:
    renderer = DOOR.renderer(parse(**TOLD), INFO)
    stream = b"".join(renderer.render([event]) for event in events)
    chunk = decode(stream_decoder(), *data.draw(splits(stream)))
    assert chunk.events == events
    assert chunk.raw == stream


@given(replies(SPEECH))
def test_events_may_come_together_or_one_by_one(events: list[Event]) -> None:
    one_by_one = DOOR.renderer(parse(**TOLD), INFO)
    assert render(events, **TOLD) == b"".join(one_by_one.render([event]) for event in events)


@given(replies(SPEECH))
def test_what_is_written_whole_is_read_back(events: list[Event]) -> None:
    """A whole reply keeps what was said, not where one part interrupted another."""
    read = fold(decode(whole_decoder(), render(events)).events)
    assert summary(read) == summary(fold(events))


def summary(reply: Folded) -> tuple[Any, ...]:
    said = (reply.thinking, reply.text, reply.refusal, reply.tool_uses)
    logprobs = reply.logprobs if reply.text else []
    return (reply.id, reply.model, *said, logprobs, reply.usage, reply.finish)


def test_a_stream_frame_by_frame() -> None:
    common = {"id": "id1", "object": "chat.completion.chunk", "created": INFO.created_s, "model": "served"}

    def choice(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}

    *told, usage, done = chunks(render(EVENTS, **TOLD))
    assert told == [
        {**common, "choices": [choice({"role": "assistant", "content": ""})]},
        {**common, "choices": [choice({"content": "a"})]},
        {**common, "choices": [choice({}, "stop")]},
    ]
    assert (usage["choices"], usage["usage"]["total_tokens"], done) == ([], 7, "[DONE]")


def test_usage_is_streamed_only_to_those_who_asked() -> None:
    assert all("usage" not in it for it in chunks(render(EVENTS, stream=True)))


def test_a_failure_is_an_error_frame_and_no_done() -> None:
    stream = render([*EVENTS[:2], Failed(UpstreamError("it broke", Code.TRUNCATED))], stream=True)
    assert chunks(stream)[-1] == {
        "error": {"message": "it broke", "type": "server_error", "param": None, "code": "truncated"}
    }


def test_a_call_without_arguments_gets_an_empty_object() -> None:
    """Clients parse arguments as JSON, and the empty text is none."""
    events: list[Event] = [Started("i", "m"), ToolUseStarted(0, "c", "f"), Finished(FinishReason.TOOL_USE)]
    assert fold(decode(stream_decoder(), render(events, stream=True)).events).tool_uses[0].arguments == "{}"
    message = orjson.loads(render(events))["choices"][0]["message"]
    assert message["tool_calls"][0]["function"]["arguments"] == "{}"


def test_names_fall_back_to_what_the_gateway_knows() -> None:
    events: list[Event] = [Started("", ""), Finished(FinishReason.STOP)]
    whole = orjson.loads(render(events))
    assert (whole["id"], whole["model"]) == (INFO.id, INFO.model)
    assert chunks(render(events, stream=True))[0]["id"] == INFO.id


def test_an_error_before_the_start_still_renders() -> None:
    assert b"server_error" in render([Failed(UpstreamError("x"))], stream=True)


def test_a_whole_failure_is_raised_for_the_door_to_answer() -> None:
    with pytest.raises(UpstreamError, match="x"):
        render([Started("", ""), Failed(UpstreamError("x"))])


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        (FinishReason.STOP, "stop"),
        (FinishReason.STOP_SEQUENCE, "stop"),
        (FinishReason.LENGTH, "length"),
        (FinishReason.TOOL_USE, "tool_calls"),
        (FinishReason.REFUSAL, "content_filter"),
        (FinishReason.PAUSE, "stop"),
        (FinishReason.OTHER, "stop"),
    ],
)
def test_finish_reasons(reason: FinishReason, word: str) -> None:
    whole = orjson.loads(render([Started("", ""), Finished(reason)]))
    assert whole["choices"][0]["finish_reason"] == word


def test_content_is_null_beside_calls_and_refusals_and_else_a_string() -> None:
    def content(*events: Event) -> Any:
        whole = orjson.loads(render([Started("", ""), *events, Finished(FinishReason.STOP)]))
        return whole["choices"][0]["message"]["content"]

    assert content(ToolUseStarted(0, "c", "f"), ToolUseDelta(0, "{}")) is None
    assert content(TextDelta("a")) == "a"
    assert content() == ""


def test_what_the_language_cannot_say_is_left_out() -> None:
    assert render([ThinkingSigned("proof")], stream=True) == b""
    assert fold([Started("", ""), ThinkingSigned("p"), TextDelta("a")]).parts == [
        Thinking("", "p"),
        Text("a"),
    ]


def test_the_content_types_are_what_clients_check() -> None:
    info = ReplyInfo("i", 1, "m")
    assert DOOR.renderer(parse(stream=True), info).content_type == "text/event-stream"
    assert DOOR.renderer(parse(), info).content_type == "application/json"
