"""What a provider's reply tells, streamed or whole."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhetor.core.content import Json, Opaque, Text, ToolUse
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
from rhetor.wire.anthropic.decoders import CountDecoder, MessageDecoder, StreamDecoder
from rhetor.wire.sse import frame
from tests.wire.anthropic.golden import STREAMS, golden, streamed, told
from tests.wire.strategies import splits


def test_a_text_is_told_with_its_cumulative_usage() -> None:
    """The start counts what went in, the end adds what came out; cached tokens are part of the input."""
    assert streamed(golden("text.sse")) == [
        Started("msg_014p7gG3wDgGV9EUtLvnow3U", "claude-opus-4-6"),
        UsageReport(Usage(2112, 1, cache_read_tokens=2000, cache_write_tokens=100)),
        TextDelta("Guten"),
        TextDelta(" Tag — 日本"),
        UsageReport(Usage(2112, 15, cache_read_tokens=2000, cache_write_tokens=100)),
        Finished(FinishReason.STOP),
    ]


def test_tool_calls_are_counted_apart_from_blocks() -> None:
    """The second call has its input in the start, as some servers send it."""
    reply = fold(streamed(golden("tools.sse")))
    assert reply.parts == [
        Text("I will look."),
        ToolUse("toolu_01T1x1fJ34qAmk2tNTrN7Up6", "weather", '{"city": "Oslo"}'),
        ToolUse("toolu_01T1x1fJ34qAmk2tNTrN7Up7", "time", '{"zone":"CET"}'),
    ]
    assert reply.finish is FinishReason.TOOL_USE


def test_a_call_without_arguments_has_an_empty_object() -> None:
    """Whoever parses the arguments of a call must find JSON."""
    start = {"type": "tool_use", "id": "1", "name": "f", "input": {}}
    stream = (
        _frame({"type": "content_block_start", "index": 0, "content_block": start})
        + _frame({"type": "content_block_stop", "index": 0})
        + _frame({"type": "message_stop"})
    )
    assert fold(streamed(stream)).parts == [ToolUse("1", "f", "{}")]


def test_the_name_of_a_frame_helps_where_its_data_has_no_type() -> None:
    """As llama.cpp sends its errors."""
    *_, last = streamed(frame(b'{"error":{"code":500,"message":"boom","type":"server_error"}}', "error"))
    assert isinstance(last, Failed)
    assert "boom" in last.error.message


def test_thoughts_come_with_their_proof() -> None:
    events = streamed(golden("thinking.sse"))
    assert events[2:6] == [
        ThinkingDelta("27 is 3 times 9,"),
        ThinkingDelta(" so yes."),
        ThinkingSigned("EqQBCgIYAhIM1gbcDa9GJwZA2b3h"),
        OpaquePart(Opaque("anthropic", {"type": "redacted_thinking", "data": "EmwKAhgBEgy3va3pzix"})),
    ]
    assert fold(events).usage == Usage(40, 50, reasoning_tokens=41)


def test_blocks_of_this_language_alone_are_told_whole() -> None:
    """A server's tool, its result and what may come later: once each, when the block ends."""
    reply = fold(streamed(golden("server_tools.sse")))
    search, result, compaction, text = reply.parts
    assert isinstance(search, Opaque)
    assert search.data["input"] == {"query": "weather"}
    assert isinstance(result, Opaque)
    assert result.kind == "web_search_tool_result"
    assert compaction == Opaque("anthropic", {"type": "compaction", "content": "So far: nothing."})
    assert text == Text("It rains.")
    assert reply.finish is FinishReason.PAUSE
    assert reply.usage == Usage(10682, 510)


def test_an_error_in_the_middle_ends_the_reply() -> None:
    *rest, last = streamed(golden("overloaded.sse") + _frame({"type": "message_stop"}))
    assert isinstance(last, Failed)
    assert last.error.code is Code.OVERLOADED
    assert last.error.original is not None
    assert last.error.original["request_id"] == "req_011CSHoEeqs5C35K2UUqR7Fy"
    assert rest[-1] == TextDelta("Gu")


@pytest.mark.parametrize("left_out", [b"", b"event: message_st", b"event: message_stop\ndata: {"])
def test_a_reply_that_said_why_it_ended_is_complete(left_out: bytes) -> None:
    """Only its last frame is missing, and the caller gets it."""
    whole = golden("text.sse")
    cut = whole[: whole.index(b"event: message_stop")]
    events, raw = told(StreamDecoder(), [cut + left_out])
    assert events == streamed(whole)
    assert raw.startswith(cut)
    assert streamed(raw) == events


@pytest.mark.parametrize("frames", [0, 1, 4])
def test_a_hang_up_is_never_a_success(frames: int) -> None:
    whole = golden("text.sse").split(b"\n\n")
    *_, last = streamed(b"\n\n".join(whole[:frames]))
    assert isinstance(last, Failed)
    assert last.error.code is Code.TRUNCATED


def test_frames_that_are_no_events_pass_and_tell_nothing() -> None:
    noise = b"event: x\ndata: {not json\n\n: comment\n\ndata: 7\n\n" + _frame({"type": "next_year"})
    events, raw = told(StreamDecoder(), [noise + golden("text.sse")])
    assert events == streamed(golden("text.sse"))
    assert raw == noise + golden("text.sse")


@pytest.mark.parametrize(
    "said",
    [
        {"type": "content_block_delta", "index": [1], "delta": "text"},
        {"type": "content_block_delta", "index": 7, "delta": {"type": "text_delta", "text": None}},
        {
            "type": "content_block_delta",
            "index": 7,
            "delta": {"type": "input_json_delta", "partial_json": "{"},
        },
        {"type": "content_block_start", "index": 0},
        {"type": "content_block_stop"},
        {"type": "content_block_stop", "index": 5},
        {"type": "message_delta", "delta": None, "usage": {"output_tokens": True, "input_tokens": "many"}},
        {"type": 5},
    ],
)
def test_malformed_events_tell_nothing(said: Json) -> None:
    events = streamed(_frame({"type": "message_start"}) + _frame(said) + _frame({"type": "message_stop"}))
    assert [event for event in events if not isinstance(event, UsageReport)] == [
        Started("", ""),
        Finished(FinishReason.OTHER),
    ]


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("end_turn", FinishReason.STOP),
        ("stop_sequence", FinishReason.STOP_SEQUENCE),
        ("max_tokens", FinishReason.LENGTH),
        ("model_context_window_exceeded", FinishReason.LENGTH),
        ("tool_use", FinishReason.TOOL_USE),
        ("refusal", FinishReason.REFUSAL),
        ("pause_turn", FinishReason.PAUSE),
        ("a_reason_of_next_year", FinishReason.OTHER),
    ],
)
def test_stop_reasons(word: str, reason: FinishReason) -> None:
    delta = {"stop_reason": word, "stop_sequence": "END" if word == "stop_sequence" else None}
    body = orjson.dumps({"type": "message", "id": "m", "model": "x", "content": [], **delta})
    ending = Finished(reason, delta["stop_sequence"])
    stream = _frame({"type": "message_delta", "delta": delta}) + _frame({"type": "message_stop"})
    assert streamed(stream)[-1] == ending
    assert _whole(MessageDecoder(), body)[-1] == ending


@given(data=st.data(), name=st.sampled_from(STREAMS))
def test_any_split_means_the_same(data: st.DataObject, name: str) -> None:
    """The golden streams in any pieces: the same events, and the very bytes."""
    whole = golden(name)
    events, raw = told(StreamDecoder(), data.draw(splits(whole)))
    assert _plain(events) == _plain(streamed(whole))
    assert raw == whole


_unknown = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=5,
)
_types = st.sampled_from(
    [
        "message_start",
        "message_delta",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "ping",
        "",
    ]
)
_keys = st.sampled_from(["index", "delta", "content_block", "message", "usage", "type", "text", "é"])


@given(st.lists(st.tuples(_types, st.dictionaries(_keys, _unknown, max_size=4)), max_size=5))
def test_what_we_do_not_know_passes_byte_by_byte(said: list[tuple[str, dict[str, object]]]) -> None:
    """Whatever a provider adds, in known and unknown events: nothing raises, every byte stays."""
    stream = b"".join(_frame({**fields, "type": kind}) for kind, fields in said)
    assert told(StreamDecoder(), [stream])[1] == stream


def test_a_whole_message_tells_the_same_kinds_of_events() -> None:
    assert _whole(MessageDecoder(), golden("message.json")) == [
        Started("msg_013Zva2CMHLNnXjNJJKqJ2EF", "claude-opus-4-6"),
        ThinkingDelta("A greeting."),
        ThinkingSigned("EqQBCgIYAhIM1gbc"),
        OpaquePart(Opaque("anthropic", {"type": "redacted_thinking", "data": "EmwKAhgBEgy3va3pzix"})),
        TextDelta("Hi!"),
        ToolUseStarted(0, "toolu_01A09q90qw90lq917835lq9", "weather"),
        ToolUseDelta(0, '{"city":"Oslo"}'),
        ToolUseStarted(1, "toolu_01A09q90qw90lq917835lq0", "time"),
        ToolUseDelta(1, "{}"),
        UsageReport(Usage(2110, 503, 5, 10, 7)),
        Finished(FinishReason.TOOL_USE),
    ]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}', Code.OVERLOADED),
        (b"<html>busy</html>", Code.PROTOCOL),
        (b'{"type":"message","content":null}', Code.PROTOCOL),
        (b"", Code.PROTOCOL),
    ],
)
@pytest.mark.parametrize("decoder", [MessageDecoder, CountDecoder])
def test_a_good_status_does_not_make_a_reply(
    body: bytes, code: Code, decoder: type[MessageDecoder | CountDecoder]
) -> None:
    *_, last = _whole(decoder(), body)
    assert isinstance(last, Failed)
    assert last.error.code is code


def test_a_count_is_a_reply_that_is_only_usage() -> None:
    assert _whole(CountDecoder(), b'{"input_tokens":2095,"context_management":{}}') == [
        Started("", ""),
        UsageReport(Usage(2095)),
        Finished(FinishReason.STOP),
    ]


def _whole(decoder: MessageDecoder | CountDecoder, body: bytes) -> list[Event]:
    events, raw = told(decoder, [body[:5], body[5:]])
    assert raw == body
    return events


def _frame(said: object) -> bytes:
    return frame(orjson.dumps(said))


def _plain(events: list[Event]) -> list[object]:
    """Errors compare by identity, so their words are compared."""
    return [repr(event.error) if isinstance(event, Failed) else event for event in events]
