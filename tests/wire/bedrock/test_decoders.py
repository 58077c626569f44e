"""What a reply tells, streamed or whole."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhetor.core.content import Opaque, Text, Thinking, ToolUse
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
from rhetor.wire.bedrock.decoders import ReplyDecoder, StreamDecoder
from tests.wire.bedrock.speaking import BROKE, CALLED, REASONED, WHOLE, delta, stop, stream_of, told
from tests.wire.strategies import splits

STREAMS = {"reasoned": REASONED, "called": CALLED, "broke": REASONED[:300] + BROKE, "cut": CALLED[:-9]}


def test_a_thought_and_its_answer() -> None:
    assert told(StreamDecoder(), REASONED) == [
        Started("", ""),
        ThinkingDelta("27 is 3 times 9,"),
        ThinkingDelta(" so yes."),
        ThinkingSigned("EqQBCgIYAhIM"),
        TextDelta("Yes"),
        TextDelta("."),
        UsageReport(Usage(51, 94)),
        Finished(FinishReason.STOP),
    ]


def test_calls_are_counted_apart_from_blocks() -> None:
    """And one without arguments has an empty object."""
    assert told(StreamDecoder(), CALLED)[1:] == [
        OpaquePart(Opaque("anthropic", {"type": "redacted_thinking", "data": "EmwKAhgB"})),
        ToolUseStarted(0, "tooluse_1", "weather"),
        ToolUseDelta(0, '{"city": '),
        ToolUseDelta(0, '"Oslo"}'),
        ToolUseStarted(1, "tooluse_2", "time"),
        ToolUseDelta(1, "{}"),
        UsageReport(Usage(2172 - 60, 60, cache_read_tokens=2000, cache_write_tokens=100)),
        Finished(FinishReason.TOOL_USE),
    ]


def test_the_requests_id_is_the_replys() -> None:
    decoder = StreamDecoder()
    decoder.begin(200, {"x-amzn-requestid": "r-1"})
    assert decoder.feed(REASONED).events[0] == Started("r-1", "")


def test_a_failure_in_the_middle_ends_the_reply() -> None:
    head = stream_of(("messageStart", {"role": "assistant"}), delta(0, text="Gu"))
    *rest, last = told(StreamDecoder(), head + BROKE + REASONED)
    assert isinstance(last, Failed)
    assert last.error.code is Code.UPSTREAM_ERROR
    assert "Model Stream Error" in last.error.message
    assert rest[-1] == TextDelta("Gu")


def test_a_reply_that_said_why_it_stopped_is_complete() -> None:
    """Only its usage is missing."""
    head = stream_of(delta(0, text="Hi"), stop(0), ("messageStop", {"stopReason": "end_turn"}))
    assert told(StreamDecoder(), head)[-1] == Finished(FinishReason.STOP)


@pytest.mark.parametrize("stream", [b"", stream_of(delta(0, text="Hi")), CALLED[:400]])
def test_a_hang_up_is_never_a_success(stream: bytes) -> None:
    *_, last = told(StreamDecoder(), stream)
    assert isinstance(last, Failed)
    assert last.error.code is Code.TRUNCATED


def test_a_page_is_no_stream() -> None:
    *_, last = told(StreamDecoder(), b"<html><title>Sign in</title></html>")
    assert isinstance(last, Failed)
    assert last.error.code is Code.PROTOCOL


def test_what_this_language_has_alone_is_kept() -> None:
    events = told(
        StreamDecoder(),
        stream_of(delta(0, citation={"title": "x"}), ("messageStop", {"stopReason": "end_turn"})),
    )
    assert events[1] == OpaquePart(Opaque("bedrock", {"citation": {"title": "x"}}))


@given(data=st.data(), name=st.sampled_from(sorted(STREAMS)))
def test_any_split_means_the_same(data: st.DataObject, name: str) -> None:
    whole = STREAMS[name]
    assert plain(told(StreamDecoder(), data.draw(splits(whole)))) == plain(told(StreamDecoder(), whole))


_unknown = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                ["delta", "start", "toolUse", "contentBlockIndex", "text", "input", "stopReason"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)
_names = st.sampled_from(
    ["messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "new"]
)


@given(st.lists(st.tuples(_names, _unknown), max_size=5))
def test_whatever_comes_is_read_inside_the_grammar(said: list[tuple[str, object]]) -> None:
    told(StreamDecoder(), stream_of(*said))
    told(ReplyDecoder(), orjson.dumps(said[0][1] if said else None))


def test_a_whole_reply() -> None:
    folded = fold(told(ReplyDecoder(), orjson.dumps(WHOLE)))
    assert folded.parts == [
        Thinking("Look.", "EqQB"),
        Text("I will look."),
        ToolUse("tooluse_7Q4evXsYiM6i6BGlipoZQW", "weather", '{"city":"Oslo"}'),
    ]
    assert folded.usage == Usage(458, 64)
    assert folded.finish is FinishReason.TOOL_USE


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"__type": "ThrottlingException", "message": "Slow down."}, Code.RATE_LIMITED),
        ({"output": {"message": {}}}, Code.PROTOCOL),
        ([], Code.PROTOCOL),
    ],
)
def test_a_good_status_does_not_make_a_reply(said: Any, code: Code) -> None:
    *_, last = told(ReplyDecoder(), orjson.dumps(said))
    assert isinstance(last, Failed)
    assert last.error.code is code


def plain(events: list[Event]) -> list[object]:
    """Errors compare by identity, so their words are compared."""
    return [repr(event.error) if isinstance(event, Failed) else event for event in events]
