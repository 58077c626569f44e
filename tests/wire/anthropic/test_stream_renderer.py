"""The stream that callers of this language get, whoever answered."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson
import pytest

from rhetor.core.content import Json, Opaque
from rhetor.core.errors import Code, UpstreamError
from rhetor.core.events import (
    Event,
    Failed,
    Finished,
    FinishReason,
    OpaquePart,
    RefusalDelta,
    Started,
    TextDelta,
    ThinkingDelta,
    ThinkingSigned,
    ToolUseDelta,
    ToolUseStarted,
    UsageReport,
)
from rhetor.core.usage import Usage
from rhetor.wire.anthropic.stream_renderer import StreamRenderer
from rhetor.wire.base import ReplyInfo
from rhetor.wire.sse import SseSplitter

INFO = ReplyInfo(id="gen_1", created_s=0, model="fast")
START = Started("chatcmpl-1", "gpt-4o")
STOP = Finished(FinishReason.STOP)


def test_the_frames_of_a_text() -> None:
    """Every frame is named as its type; the reply is called as the caller called the model."""
    assert _render([START, TextDelta("a"), TextDelta('"\n'), UsageReport(Usage(9, 2, 5, 3)), STOP]) == [
        {
            "type": "message_start",
            "message": {
                "id": "gen_1",
                "type": "message",
                "role": "assistant",
                "model": "fast",
                "content": [],
                "stop_reason": None,
                "stop_sequence": None,
                "usage": {"input_tokens": 0, "output_tokens": 0},
            },
        },
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "a"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": '"\n'}},
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {
                "input_tokens": 1,
                "cache_creation_input_tokens": 3,
                "cache_read_input_tokens": 5,
                "output_tokens": 2,
            },
        },
        {"type": "message_stop"},
    ]


def test_usage_that_is_known_at_the_start_is_told_there() -> None:
    start, *_ = _render([START, UsageReport(Usage(30, 1)), STOP])
    assert start["message"]["usage"]["input_tokens"] == 30


def test_the_start_goes_out_before_anything_is_said() -> None:
    assert b"message_start" in StreamRenderer(INFO).render([START])


def test_three_calls_that_grow_in_turns_come_one_after_the_other() -> None:
    """The first streams; the others wait for the end of its arguments, and go out in order."""
    renderer = StreamRenderer(INFO)
    opened = renderer.render([START, *(ToolUseStarted(at, f"call_{at}", "find") for at in range(3))])
    assert _blocks(opened) == [("start", 0)]

    assert _blocks(
        renderer.render([ToolUseDelta(0, '{"q":'), ToolUseDelta(2, '{"q":'), ToolUseDelta(1, "{")])
    ) == [("delta", 0, '{"q":')]
    assert _blocks(renderer.render([ToolUseDelta(0, '"}"}'), ToolUseDelta(2, "3")])) == [
        ("delta", 0, '"}"}'),
        ("stop", 0),
        ("start", 1),
        ("delta", 1, "{"),
    ]
    assert _blocks(renderer.render([ToolUseDelta(2, "}")])) == []
    assert _blocks(renderer.render([ToolUseDelta(1, "}")])) == [
        ("delta", 1, "}"),
        ("stop", 1),
        ("start", 2),
        ("delta", 2, '{"q":3}'),
    ]
    assert _blocks(renderer.render([Finished(FinishReason.TOOL_USE)])) == [("stop", 2)]


def test_the_ending_flushes_calls_that_never_became_whole() -> None:
    """A reply cut off by its limit still tells all it has, in order."""
    events = [
        START,
        ToolUseStarted(0, "call_0", "find"),
        ToolUseDelta(0, '{"q":"cut'),
        ToolUseStarted(1, "call_1", "find"),
        ToolUseDelta(1, "{}"),
        TextDelta("bye"),
        Finished(FinishReason.LENGTH),
    ]
    assert _blocks(StreamRenderer(INFO).render(events)) == [
        ("start", 0),
        ("delta", 0, '{"q":"cut'),
        ("stop", 0),
        ("start", 1),
        ("delta", 1, "{}"),
        ("stop", 1),
        ("start", 2),
        ("delta", 2, "bye"),
        ("stop", 2),
    ]


def test_a_text_after_a_whole_call_streams_at_once() -> None:
    renderer = StreamRenderer(INFO)
    renderer.render([START, ToolUseStarted(0, "call_0", "find"), ToolUseDelta(0, "{}")])
    assert _blocks(renderer.render([TextDelta("so")])) == [("stop", 0), ("start", 1), ("delta", 1, "so")]


def test_what_a_call_adds_after_its_end_is_left_out() -> None:
    """A block that was closed cannot go on; after a whole object only white space can follow."""
    renderer = StreamRenderer(INFO)
    renderer.render([START, ToolUseStarted(0, "call_0", "find"), ToolUseDelta(0, "{}"), TextDelta("so")])
    assert _blocks(renderer.render([ToolUseDelta(0, "\n")])) == []


def test_a_thought_has_a_signature_field_also_without_proof() -> None:
    frames = _render([START, ThinkingDelta("hm"), TextDelta("a"), STOP])
    assert frames[1]["content_block"] == {"type": "thinking", "thinking": "", "signature": ""}
    assert frames[2]["delta"] == {"type": "thinking_delta", "thinking": "hm"}


def test_a_signed_thought_ends_and_the_next_one_is_a_block_of_its_own() -> None:
    events = [START, ThinkingSigned("proof"), ThinkingDelta("b"), ThinkingSigned("proof 2"), STOP]
    frames = _render(events)
    assert [frame["index"] for frame in frames if frame["type"] == "content_block_start"] == [0, 1]
    assert [frame["delta"] for frame in frames if frame["type"] == "content_block_delta"] == [
        {"type": "signature_delta", "signature": "proof"},
        {"type": "thinking_delta", "thinking": "b"},
        {"type": "signature_delta", "signature": "proof 2"},
    ]


def test_a_refusal_is_a_text_and_a_stop_reason() -> None:
    frames = _render([START, RefusalDelta("No."), STOP])
    assert frames[2]["delta"] == {"type": "text_delta", "text": "No."}
    assert frames[-2]["delta"]["stop_reason"] == "refusal"


def test_opaque_parts_of_this_language_come_whole_and_others_not_at_all() -> None:
    data: Json = {
        "type": "server_tool_use",
        "id": "srvtoolu_1",
        "name": "web_search",
        "input": {"query": "x"},
    }
    frames = _render(
        [START, OpaquePart(Opaque("openai", {"type": "audio"})), OpaquePart(Opaque("anthropic", data)), STOP]
    )
    assert frames[1:3] == [
        {"type": "content_block_start", "index": 0, "content_block": data},
        {"type": "content_block_stop", "index": 0},
    ]


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        (FinishReason.STOP, "end_turn"),
        (FinishReason.STOP_SEQUENCE, "stop_sequence"),
        (FinishReason.LENGTH, "max_tokens"),
        (FinishReason.TOOL_USE, "tool_use"),
        (FinishReason.REFUSAL, "refusal"),
        (FinishReason.PAUSE, "pause_turn"),
        (FinishReason.OTHER, "end_turn"),
    ],
)
def test_stop_reasons(reason: FinishReason, word: str) -> None:
    delta = _render([START, Finished(reason, "END" if word == "stop_sequence" else None)])[-2]["delta"]
    assert delta == {"stop_reason": word, "stop_sequence": "END" if word == "stop_sequence" else None}


def test_a_failure_is_an_error_frame_and_nothing_after() -> None:
    events = [START, TextDelta("a"), Failed(UpstreamError("gone", Code.TRUNCATED))]
    assert _render(events)[-2:] == [
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "a"}},
        {"type": "error", "error": {"type": "api_error", "message": "gone"}},
    ]


def test_a_failure_at_once_stands_alone() -> None:
    assert [frame["type"] for frame in _render([START, Failed(UpstreamError("gone", Code.OVERLOADED))])] == [
        "error"
    ]


def test_a_failure_in_this_language_keeps_its_fields() -> None:
    original: Json = {
        "type": "error",
        "error": {"type": "overloaded_error", "message": "busy", "details": {"a": 1}},
    }
    error = UpstreamError("the provider failed: busy", Code.OVERLOADED, wire="anthropic", original=original)
    assert _render([START, TextDelta("a"), Failed(error)])[-1] == original


def _render(events: Iterable[Event]) -> list[dict[str, Any]]:
    """The frames' data; each frame is named as the type in its data."""
    frames = SseSplitter().feed(StreamRenderer(INFO).render(events))
    said = [orjson.loads(frame.data) for frame in frames]
    assert [frame.event for frame in frames] == [it["type"] for it in said]
    return said


def _blocks(stream: bytes) -> list[tuple[object, ...]]:
    """What happens to blocks: start, delta with its text, stop, each with the block's index."""
    told: list[tuple[object, ...]] = []
    for frame in SseSplitter().feed(stream):
        said = orjson.loads(frame.data)
        kind = frame.event.removeprefix("content_block_")
        if kind == "delta":
            told.append((kind, said["index"], *list(said["delta"].values())[1:]))
        elif kind in ("start", "stop"):
            told.append((kind, said["index"]))
    return told
