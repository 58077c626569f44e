"""Responses → events: as OpenAI sends them, and as servers send them that are less thorough."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhetor.core.content import Opaque
from rhetor.core.errors import Code
from rhetor.core.events import (
    Event,
    Failed,
    Finished,
    FinishReason,
    OpaquePart,
    Started,
    TextDelta,
    ThinkingDelta,
    ThinkingSigned,
    ToolUseDelta,
    ToolUseStarted,
    UsageReport,
    fold,
)
from rhetor.core.usage import Usage
from tests.wire.openai.responses.speech import decode, sse, stream_decoder, streamed, whole_decoder
from tests.wire.strategies import splits

GOLDEN = (Path(__file__).parents[3] / "golden" / "responses" / "stream.sse").read_bytes()
DONE = {"id": "resp_1", "model": "m1", "status": "completed", "output": []}
BEGUN = {"type": "response.created", "response": {**DONE, "status": "in_progress"}}
SAID = {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "hi"}
COMPLETED = {"type": "response.completed", "response": DONE}
ANSWER = {"type": "message", "content": [{"type": "output_text", "text": "hi"}]}
CALL = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"a":1}'}
STARTED = Started("resp_1", "m1")
STOP = Finished(FinishReason.STOP)


@given(st.data())
def test_a_reply_of_openai(data: st.DataObject) -> None:
    search = {
        "id": "ws_1",
        "type": "web_search_call",
        "status": "completed",
        "action": {"type": "search", "query": "weather"},
    }
    chunk = decode(stream_decoder(), *data.draw(splits(GOLDEN)))
    assert chunk.raw == GOLDEN
    assert chunk.events == [
        Started("resp_68f1", "gpt-6.1-terra-2026-09-01"),
        ThinkingDelta("**First**"),
        ThinkingDelta("\n\n**Then**"),
        ThinkingSigned("responses:gAAAA"),
        OpaquePart(Opaque("responses", search)),
        TextDelta("Let me"),
        TextDelta(" look."),
        ToolUseStarted(0, "call_1", "weather"),
        ToolUseDelta(0, '{"city":'),
        ToolUseDelta(0, '"Paris"}'),
        UsageReport(Usage(37, 21, cache_read_tokens=8, reasoning_tokens=13)),
        Finished(FinishReason.TOOL_USE),
    ]


def failure(events: list[Event]) -> Any:
    assert isinstance(events[-1], Failed)
    return events[-1].error


@pytest.mark.parametrize(
    "frames",
    [
        [BEGUN, SAID, COMPLETED],
        [SAID | {"logprobs": []}, COMPLETED],
        [BEGUN, {"type": "response.output_item.done", "output_index": 0, "item": ANSWER}, COMPLETED],
        [{"type": "response.completed", "response": {**DONE, "output": [ANSWER]}}],
        [
            BEGUN,
            SAID,
            {"type": "response.output_item.done", "output_index": 0, "item": ANSWER},
            {"type": "response.completed", "response": {**DONE, "output": [ANSWER]}},
        ],
    ],
)
def test_a_text_is_told_once_wherever_it_stands(frames: list[Any]) -> None:
    assert streamed(*frames)[1:] == [TextDelta("hi"), STOP]


@pytest.mark.parametrize(
    "frames",
    [
        [{"type": "response.output_item.added", "output_index": 0, "item": CALL | {"arguments": ""}}],
        [],
    ],
)
def test_a_call_is_told_once_wherever_it_stands(frames: list[Any]) -> None:
    done = {"type": "response.output_item.done", "output_index": 0, "item": CALL}
    ending = {"type": "response.completed", "response": {**DONE, "output": [CALL]}}
    assert streamed(BEGUN, *frames, done, ending) == [
        STARTED,
        ToolUseStarted(0, "c1", "f"),
        ToolUseDelta(0, '{"a":1}'),
        Finished(FinishReason.TOOL_USE),
    ]


def test_calls_of_replies_without_ids_differ() -> None:
    bare = {"type": "function_call", "name": "f", "arguments": "{}"}
    ending = {"type": "response.completed", "response": {"status": "completed", "output": [bare, bare]}}
    ids = {call.id for _ in range(2) for call in fold(streamed(ending)).tool_uses}
    assert len(ids) == 4


def test_items_may_be_told_apart_by_their_ids_alone() -> None:
    """As llama.cpp does."""
    item = {**ANSWER, "id": "msg_1"}
    call = {**CALL, "id": "fc_1"}
    piece = {"type": "response.function_call_arguments.delta", "item_id": "fc_1", "delta": '{"a":1}'}
    assert streamed(
        {"type": "response.created", "response": {"id": "resp_1"}},
        {"type": "response.output_item.added", "item": {**item, "content": []}},
        {"type": "response.output_text.delta", "item_id": "msg_1", "delta": "hi"},
        {"type": "response.output_item.done", "item": item},
        {"type": "response.output_item.added", "item": {**call, "arguments": ""}},
        piece,
        {"type": "response.output_item.done", "item": call},
        {"type": "response.completed", "response": {**DONE, "output": [item, call]}},
    ) == [
        Started("resp_1", ""),
        TextDelta("hi"),
        ToolUseStarted(0, "c1", "f"),
        ToolUseDelta(0, '{"a":1}'),
        Finished(FinishReason.TOOL_USE),
    ]


def test_thoughts_in_the_open() -> None:
    """Open models tell the thoughts themselves instead of a summary."""
    item = {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "well"}]}
    delta = {"type": "response.reasoning_text.delta", "output_index": 0, "content_index": 0, "delta": "well"}
    done = {"type": "response.output_item.done", "output_index": 0, "item": item}
    assert streamed(BEGUN, delta, done, COMPLETED) == [STARTED, ThinkingDelta("well"), STOP]
    assert streamed(BEGUN, done, COMPLETED) == [STARTED, ThinkingDelta("well"), STOP]


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (
            {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
            FinishReason.LENGTH,
        ),
        ({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}, FinishReason.REFUSAL),
        ({"status": "incomplete", "incomplete_details": None}, FinishReason.OTHER),
    ],
)
def test_an_incomplete_reply_says_why(response: Any, reason: FinishReason) -> None:
    ending = {"type": "response.incomplete", "response": {**DONE, **response}}
    assert streamed(BEGUN, SAID, ending)[-1] == Finished(reason)


@pytest.mark.parametrize(
    ("frame", "code", "message"),
    [
        (
            {"type": "error", "error": {"code": "server_error", "message": "broke"}},
            Code.UPSTREAM_ERROR,
            "broke",
        ),
        ({"type": "error", "code": "rate_limit_exceeded", "message": "slow"}, Code.RATE_LIMITED, "slow"),
        (
            {"type": "response.failed", "response": {**DONE, "status": "failed", "error": {"message": "no"}}},
            Code.UPSTREAM_ERROR,
            "no",
        ),
        (
            {"type": "response.failed", "response": {**DONE, "status": "failed", "error": None}},
            Code.UPSTREAM_ERROR,
            "the provider says that its reply failed",
        ),
        (
            {"type": "response.completed", "response": {**DONE, "status": "queued"}},
            Code.PROTOCOL,
            "the provider ended its reply with the status 'queued'",
        ),
    ],
)
def test_a_reply_that_failed(frame: Any, code: Code, message: str) -> None:
    error = failure(streamed(BEGUN, SAID, frame))
    assert (error.code, error.message) == (code, message)


def test_an_error_object_in_place_of_an_event() -> None:
    """As proxies in front of a server write it."""
    data = sse(BEGUN) + b'data: {"error": {"message": "overloaded", "type": "overloaded_error"}}\n\n'
    assert failure(decode(stream_decoder(), data).events).code is Code.OVERLOADED


@pytest.mark.parametrize("cut", [3, 40])
def test_a_stream_that_breaks_off_has_failed_and_passes_no_half_frame(cut: int) -> None:
    data = sse(BEGUN, SAID, COMPLETED)
    chunk = decode(stream_decoder(), data[:-cut])
    assert chunk.raw == sse(BEGUN, SAID)
    assert failure(chunk.events).code is Code.TRUNCATED


def test_a_last_frame_may_lack_its_blank_line() -> None:
    data = sse(BEGUN, SAID, COMPLETED)
    chunk = decode(stream_decoder(), data[:-2])
    assert chunk.events == [STARTED, TextDelta("hi"), STOP]
    assert chunk.raw == data


def test_frames_that_are_no_json_are_left_out() -> None:
    data = sse(BEGUN) + b'event: x\ndata: {"type":"resp\n\n' + sse(SAID, COMPLETED) + b"data: [DONE]\n\n"
    chunk = decode(stream_decoder(), data)
    assert chunk.events == [STARTED, TextDelta("hi"), STOP]
    assert chunk.raw == sse(BEGUN, SAID, COMPLETED) + b"data: [DONE]\n\n"


def test_events_of_next_year_pass() -> None:
    data = sse(BEGUN, {"type": "response.hologram.delta", "delta": 1}, SAID, COMPLETED)
    assert decode(stream_decoder(), data).raw == data


def test_a_page_instead_of_a_stream() -> None:
    error = failure(decode(stream_decoder(), b"<html>Bad Gateway</html>").events)
    assert error.code is Code.PROTOCOL
    assert "Bad Gateway" in error.message


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        (b"<html>no</html>", Code.PROTOCOL, "the provider's reply is not JSON: no"),
        (b"{}", Code.PROTOCOL, "the provider's reply holds no output"),
        (b'{"error": {"message": "broke"}}', Code.UPSTREAM_ERROR, "broke"),
        (
            orjson.dumps({**DONE, "status": "failed", "error": {"code": "server_error", "message": "broke"}}),
            Code.UPSTREAM_ERROR,
            "broke",
        ),
    ],
)
def test_a_whole_reply_that_is_none(body: bytes, code: Code, message: str) -> None:
    error = failure(decode(whole_decoder(), body).events)
    assert (error.code, error.message) == (code, message)


def test_a_whole_reply() -> None:
    said = {**DONE, "output": [ANSWER, CALL], "usage": {"input_tokens": 3, "output_tokens": 4}}
    assert decode(whole_decoder(), orjson.dumps(said)).events == [
        STARTED,
        TextDelta("hi"),
        ToolUseStarted(0, "c1", "f"),
        ToolUseDelta(0, '{"a":1}'),
        UsageReport(Usage(3, 4)),
        Finished(FinishReason.TOOL_USE),
    ]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
KINDS = (
    "response.created",
    "response.output_item.added",
    "response.output_item.done",
    "response.output_text.delta",
    "response.function_call_arguments.delta",
    "response.reasoning_summary_text.delta",
    "response.completed",
    "response.failed",
    "error",
)
FIELDS = ("response", "item", "delta", "output_index", "error", "summary_index", "logprobs")
nonsense = st.fixed_dictionaries(
    {"type": st.sampled_from(KINDS)}, optional=dict.fromkeys(FIELDS, json_values)
)


@given(st.lists(nonsense, max_size=5))
def test_nothing_that_a_server_sends_breaks_the_decoder(said: list[Any]) -> None:
    decode(stream_decoder(), sse(*said))
