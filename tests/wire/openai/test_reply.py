"""Replies → events: streamed, whole, and what providers do instead."""

from __future__ import annotations

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
    RefusalDelta,
    Started,
    TextDelta,
    ThinkingDelta,
    ToolUseDelta,
    ToolUseStarted,
    UsageReport,
    fold,
)
from rhetor.core.usage import Usage
from rhetor.wire.sse import frame
from tests.wire.openai.speech import (
    GOLDEN,
    decode,
    delta,
    sse,
    stream_decoder,
    streamed,
    whole_decoder,
)
from tests.wire.strategies import splits

STREAMS = sorted(path.name for path in GOLDEN.glob("*.sse"))
USAGE = Usage(19, 10, cache_read_tokens=4, reasoning_tokens=3)
FULL = {
    "prompt_tokens": 19,
    "completion_tokens": 10,
    "total_tokens": 29,
    "prompt_tokens_details": {"cached_tokens": 4},
    "completion_tokens_details": {"reasoning_tokens": 3},
}


def golden(name: str) -> list[Event]:
    return decode(stream_decoder(), (GOLDEN / name).read_bytes()).events


def failure(events: list[Event]) -> Failed:
    assert isinstance(events[-1], Failed)
    return events[-1]


@pytest.mark.parametrize("name", STREAMS)
@given(data=st.data())
def test_any_split_gives_the_same_events_and_raw_bytes(name: str, data: st.DataObject) -> None:
    stream = (GOLDEN / name).read_bytes()
    whole = decode(stream_decoder(), stream)
    parts = decode(stream_decoder(), *data.draw(splits(stream)))
    assert parts.raw == whole.raw
    if isinstance(whole.events[-1], Failed):  # errors are not values
        assert failure(parts.events).error.code is failure(whole.events).error.code
        del parts.events[-1], whole.events[-1]
    assert parts.events == whole.events


NOT_JSON = b"data: {not json\n\n"
"""The one thing that does not pass: no caller's parser survives it, and nothing can be read out of it."""


@pytest.mark.parametrize("name", STREAMS)
def test_every_byte_of_a_complete_stream_passes(name: str) -> None:
    stream = (GOLDEN / name).read_bytes()
    raw = decode(stream_decoder(), stream).raw
    if name == "no_done.sse":
        stream += frame(b"[DONE]")
    assert raw == stream.replace(NOT_JSON, b"")


KEYS = (
    "choices", "delta", "message", "content", "tool_calls", "function", "function_call", "name", "id",
    "index", "usage", "finish_reason", "error", "logprobs", "reasoning", "prompt_tokens", "images",
    "arguments", "text", "thinking", "code", "type",
)  # fmt: skip
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from(["", "stop", "a", "[DONE]"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)
fuzzed = st.lists(
    st.one_of(
        json_values.map(orjson.dumps).map(frame),
        st.sampled_from([NOT_JSON, b": ping\n\n", b"event: x\ndata: {}\n\n", b"data: [DONE]\n\n"]),
        json_values.map(
            lambda it: frame(orjson.dumps({"choices": [{"delta": it, "finish_reason": "stop"}]}))
        ),
    ),
    max_size=6,
)


@given(fuzzed)
def test_whatever_a_provider_sends_the_grammar_holds_and_the_bytes_pass(frames: list[bytes]) -> None:
    """Frames up to the ending pass as they came; what follows the ending does not."""
    chunk = decode(stream_decoder(), b"".join(frames))
    stream = b"".join(frames).replace(NOT_JSON, b"")
    assert stream.startswith(chunk.raw) or chunk.raw == stream + frame(b"[DONE]")
    if not isinstance(chunk.events[-1], Failed) and frames.count(b"data: [DONE]\n\n") < 2:
        assert len(chunk.raw) >= len(stream.partition(b"data: [DONE]\n\n")[0])


@given(json_values)
def test_whatever_whole_reply_comes_the_grammar_holds(value: Any) -> None:
    for said in (
        value,
        {"choices": [{"message": value}], "usage": value},
        {"choices": [{"message": {"tool_calls": value, "content": value}, "finish_reason": value}]},
    ):
        body = orjson.dumps(said)
        assert decode(whole_decoder(), body).raw == body


def test_text() -> None:
    assert golden("text.sse") == [
        Started("chatcmpl-C1", "gpt-5.1-2025-11-13"),
        TextDelta("Hello"),
        TextDelta(", Zürich 🦀"),
        UsageReport(USAGE),
        Finished(FinishReason.STOP),
    ]


def test_three_parallel_calls_whose_arguments_interleave() -> None:
    reply = fold(golden("tools.sse"))
    assert [(use.id, use.name, use.arguments) for use in reply.tool_uses] == [
        ("call_a", "weather", '{"city":"Bern"}'),
        ("call_b", "time", "{}"),
        ("call_c", "weather", '{"city":"Rome"}'),
    ]
    assert reply.finish is FinishReason.TOOL_USE


def test_refusal() -> None:
    reply = fold(golden("refusal.sse"))
    assert (reply.refusal, reply.text, reply.finish) == ("I can't help with that.", "", FinishReason.STOP)


def test_logprobs_come_with_their_text() -> None:
    text = golden("logprobs.sse")[1]
    assert isinstance(text, TextDelta)
    assert text.logprobs is not None
    assert text.logprobs[0]["token"] == "Yes"  # type: ignore[index,call-overload]  # JSON


def test_only_the_first_choice_is_told() -> None:
    reply = fold(golden("choices.sse"))
    assert (reply.text, reply.finish) == ("first", FinishReason.STOP)


def test_the_deprecated_function_call_is_a_tool_call() -> None:
    reply = fold(golden("function_call.sse"))
    assert [(use.name, use.arguments) for use in reply.tool_uses] == [("weather", '{"city":"Bern"}')]
    assert reply.finish is FinishReason.TOOL_USE


def test_azures_nameless_first_frame_starts_nothing() -> None:
    events = golden("azure.sse")
    assert events[0] == Started("chatcmpl-az", "gpt-4o")
    assert events[-1] == Finished(FinishReason.REFUSAL)


def test_deepseeks_thoughts_and_usage_in_the_last_frame() -> None:
    reply = fold(golden("deepseek.sse"))
    assert (reply.thinking, reply.text) == ("Let me see.", "Four")
    assert reply.usage == Usage(100, 9, cache_read_tokens=64, reasoning_tokens=5)


def test_openrouters_thoughts_and_cache_writes() -> None:
    reply = fold(golden("openrouter.sse"))
    assert (reply.thinking, reply.text) == ("Hm.", "Ok")
    assert reply.usage == Usage(194, 2, cache_read_tokens=50, cache_write_tokens=100)


def test_an_error_in_the_middle_of_a_stream_is_a_failure() -> None:
    events = golden("openrouter_error.sse")
    assert [type(event) for event in events] == [Started, TextDelta, Failed]
    error = failure(events).error
    assert (error.code, error.message) == (Code.UNAVAILABLE, "Provider disconnected unexpectedly")
    assert error.original == {"code": 502, "message": "Provider disconnected unexpectedly"}


def test_geminis_calls_without_index_repeated_whole_and_ended_by_stop() -> None:
    reply = fold(golden("gemini.sse"))
    assert [(use.id, use.arguments) for use in reply.tool_uses] == [
        ("function-call-1", '{"city":"Bern"}'),
        ("function-call-2", '{"city":"Rome"}'),
    ]
    assert reply.finish is FinishReason.TOOL_USE
    assert reply.usage == Usage(20, 70, reasoning_tokens=58)


def test_mistrals_thoughts_are_parts_of_the_content() -> None:
    reply = fold(golden("mistral.sse"))
    assert (reply.thinking, reply.text) == ("Thinking", "Done")
    assert reply.tool_uses[0].arguments == '{"city": "Bern"}'
    assert reply.finish is FinishReason.TOOL_USE


def test_lines_may_end_with_crlf() -> None:
    assert fold(golden("crlf.sse")).text == "Hi"


def test_a_hang_up_after_the_finish_reason_is_an_end() -> None:
    assert golden("no_done.sse")[-1] == Finished(FinishReason.STOP)


def test_a_hang_up_before_the_finish_reason_is_a_failure() -> None:
    assert failure(golden("cut.sse")).error.code is Code.TRUNCATED


def test_frames_that_are_not_json_are_skipped() -> None:
    assert fold(golden("garbage.sse")).text == "ab"


def test_done_without_a_finish_reason_is_an_end_of_another_kind() -> None:
    assert streamed(delta(content="a"))[-1] == Finished(FinishReason.OTHER)


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("stop", FinishReason.STOP),
        ("length", FinishReason.LENGTH),
        ("content_filter", FinishReason.REFUSAL),
        ("eos", FinishReason.STOP),
        ("something_new", FinishReason.OTHER),
    ],
)
def test_finish_reasons(word: str, reason: FinishReason) -> None:
    assert streamed(delta(content="a"), delta(word))[-1] == Finished(reason)


@pytest.mark.parametrize("word", ["error", "insufficient_system_resource"])
def test_finish_reasons_that_report_a_failure(word: str) -> None:
    assert failure(streamed(delta(content="a"), delta(word))).error.code is Code.UPSTREAM_ERROR


def test_an_error_frame_by_its_event_name() -> None:
    stream = frame(orjson.dumps({"message": "busy", "code": 503}), "error")
    assert failure(decode(stream_decoder(), stream).events).error.message == "busy"


def test_nothing_follows_the_ending() -> None:
    stream = sse(delta("stop", content="a"))
    chunk = decode(stream_decoder(), stream + sse(delta(content="b")), b": late\n\n")
    assert fold(chunk.events).text == "a"
    assert chunk.raw == stream


def test_nothing_at_all_is_a_failure() -> None:
    assert failure(decode(stream_decoder()).events).error.code is Code.TRUNCATED


def test_only_comments_are_a_failure() -> None:
    assert failure(decode(stream_decoder(), b": ping\n\n: ping").events).error.code is Code.TRUNCATED


def test_a_frame_over_the_limit_is_a_failure() -> None:
    chunk = decode(stream_decoder(), b"data: " + b"x" * 9_000_000)
    assert failure(chunk.events).error.code is Code.PROTOCOL


def test_usage_that_we_asked_for_is_told_and_withheld() -> None:
    told = {"id": "c1", "model": "m1", "choices": [], "usage": FULL}
    frames = [delta(content="a"), delta("stop")]
    chunk = decode(stream_decoder(withhold_usage=True), sse(*frames, told))
    assert chunk.raw == sse(*frames)
    assert UsageReport(USAGE) in chunk.events


def test_usage_beside_content_cannot_be_withheld() -> None:
    frames = [delta(content="a"), delta("stop") | {"usage": FULL}]
    chunk = decode(stream_decoder(withhold_usage=True), sse(*frames))
    assert chunk.raw == sse(*frames)


class TestLastFrameWithoutBlankLine:
    """What a server forgot at the end must neither lose content nor leave the caller's stream open."""

    def test_done(self) -> None:
        stream = sse(delta("stop", content="a"))[:-1]
        assert decode(stream_decoder(), stream).raw == stream

    def test_the_finish(self) -> None:
        stream = sse(delta("stop", content="a"), done=False)[:-2]
        chunk = decode(stream_decoder(), stream)
        assert fold(chunk.events).text == "a"
        assert chunk.raw == sse(delta("stop", content="a"))

    def test_an_error(self) -> None:
        stream = sse({"error": {"message": "no"}}, done=False)[:-2]
        chunk = decode(stream_decoder(), stream)
        assert failure(chunk.events).error.message == "no"
        assert chunk.raw == stream + b"\n\n"

    @pytest.mark.parametrize("cut", [2, 5])
    def test_of_a_reply_that_breaks_off(self, cut: int) -> None:
        """No bytes pass that would stand in the way of our own error frame."""
        first, second = sse(delta(content="a"), done=False), sse(delta(content="b"), done=False)
        chunk = decode(stream_decoder(), first + second[:-cut])
        assert failure(chunk.events).error.code is Code.TRUNCATED
        assert chunk.raw == first


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        (
            b'{"error":{"message":"no such model","code":"model_not_found"}}',
            Code.MODEL_NOT_FOUND,
            "no such model",
        ),
        (b'{"error":"busy"}', Code.UPSTREAM_ERROR, "busy"),
        (b'{"id":"c","choices":[]}', Code.PROTOCOL, "no event stream"),
        (b"<html><p>Sign in</p></html>", Code.PROTOCOL, "no event stream: Sign in"),
    ],
)
def test_a_whole_reply_where_a_stream_was_asked_for(body: bytes, code: Code, message: str) -> None:
    error = failure(decode(stream_decoder(), body).events).error
    assert error.code is code
    assert message in error.message


def test_content_without_events_of_its_own_commits_the_provider() -> None:
    """Audio, images and custom tools pass in the provider's frames only, but they were said."""
    custom = {"index": 0, "id": "c", "type": "custom", "custom": {"name": "sh", "input": ""}}
    events = streamed(
        delta(audio={"data": "AA"}), delta(images=[1]), delta(tool_calls=[custom]), delta("tool_calls")
    )
    kinds = [event.part.kind for event in events if isinstance(event, OpaquePart)]
    assert kinds == ["audio", "images", "custom"]


def test_whole_text() -> None:
    chunk = decode(whole_decoder(), (GOLDEN / "text.json").read_bytes())
    assert chunk.events == [
        Started("chatcmpl-C2", "gpt-5.1-2025-11-13"),
        TextDelta("Hello, Zürich 🦀"),
        UsageReport(USAGE),
        Finished(FinishReason.STOP),
    ]


def test_whole_tool_calls_keep_their_arguments_as_written() -> None:
    events = decode(whole_decoder(), (GOLDEN / "tools.json").read_bytes()).events
    assert events[1:5] == [
        ToolUseStarted(0, "call_a", "weather"),
        ToolUseDelta(0, '{ "city" : "Bern" }'),
        ToolUseStarted(1, "call_b", "time"),
        ToolUseDelta(1, "{}"),
    ]


def test_whole_refusal_and_thinking() -> None:
    assert RefusalDelta("No.") in decode(whole_decoder(), (GOLDEN / "refusal.json").read_bytes()).events
    thought = decode(whole_decoder(), (GOLDEN / "thinking.json").read_bytes()).events
    assert thought[1:3] == [ThinkingDelta("Two and two."), TextDelta("Four")]


def test_xai_counts_thoughts_in_the_total_only() -> None:
    reply = fold(decode(whole_decoder(), (GOLDEN / "xai.json").read_bytes()).events)
    assert reply.usage == Usage(12, 387, reasoning_tokens=386)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"error":{"message":"x","code":"context_length_exceeded"}}', Code.CONTEXT_LENGTH),
        (b'{"object":"error","message":"x","code":404}', Code.MODEL_NOT_FOUND),
        (
            b'{"choices":[{"index":0,"message":{"content":"a"},"error":{"code":502,"message":"x"}}]}',
            Code.UNAVAILABLE,
        ),
        (b'{"choices":[]}', Code.PROTOCOL),
        (b'{"choices":[{"text":"a"}]}', Code.PROTOCOL),
        (b"<html>hello</html>", Code.PROTOCOL),
        (b"", Code.PROTOCOL),
        (b"[]", Code.PROTOCOL),
    ],
)
def test_a_200_that_is_no_reply_is_a_failure(body: bytes, code: Code) -> None:
    assert failure(decode(whole_decoder(), body).events).error.code is code


def test_the_deprecated_function_call_in_a_whole_reply() -> None:
    message = {"content": None, "function_call": {"name": "f", "arguments": "{}"}}
    body = orjson.dumps({"id": "c", "choices": [{"message": message, "finish_reason": "function_call"}]})
    reply = fold(decode(whole_decoder(), body).events)
    assert [(use.id, use.name, use.arguments) for use in reply.tool_uses] == [("call_c_0", "f", "{}")]
    assert reply.finish is FinishReason.TOOL_USE


def test_calls_of_replies_without_ids_differ() -> None:
    call = {"function": {"name": "f", "arguments": "{}"}}
    body = orjson.dumps({"choices": [{"message": {"tool_calls": [call]}}]})
    pieces = sse({"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]}, "[DONE]")
    told = [
        decode(decoder, data).events
        for _ in range(2)
        for decoder, data in ((whole_decoder(), body), (stream_decoder(), pieces))
    ]
    assert len({use.id for events in told for use in fold(events).tool_uses}) == 4


def test_content_in_parts_in_a_whole_reply() -> None:
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
        {"type": "text", "text": "a"},
        1,
    ]
    body = orjson.dumps({"choices": [{"message": {"content": parts}, "finish_reason": "stop"}]})
    assert decode(whole_decoder(), body).events[1:3] == [ThinkingDelta("hm"), TextDelta("a")]


def test_a_custom_call_in_a_whole_reply_is_opaque() -> None:
    call: dict[str, Any] = {"id": "c", "type": "custom", "custom": {"name": "sh", "input": "ls"}}
    body = orjson.dumps({"choices": [{"message": {"tool_calls": [call]}, "finish_reason": "tool_calls"}]})
    assert OpaquePart(Opaque("openai", call)) in decode(whole_decoder(), body).events
