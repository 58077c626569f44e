"""What a reply tells, streamed or whole."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhetor.core.content import Opaque, Text, ToolUse
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
from rhetor.wire.gemini.decoders import CountDecoder, ReplyDecoder, StreamDecoder
from tests.wire.gemini.speaking import BLOCKED, CALL, OF_37, PARALLEL, TEXT, frames, reply, told, usage
from tests.wire.strategies import splits

THOUGHT = reply({"text": "Let me see.", "thought": True}, reason=None)
STREAMS = {
    "text": frames(*TEXT),
    "call": frames(*CALL),
    "parallel": frames(PARALLEL),
    "blocked": frames(BLOCKED),
    "thought": frames(THOUGHT, *TEXT),
    "broken": frames(*TEXT)[:-30],
}


def test_a_streamed_text() -> None:
    """The signature of a text has no place, the last count is the whole one."""
    assert told(StreamDecoder(), STREAMS["text"]) == [
        Started("EXCPatOAKMrQjMcPteHVmQo", "gemini-3.7-flash"),
        TextDelta("fixture ok"),
        UsageReport(Usage(7, 2)),
        UsageReport(Usage(7, 96, reasoning_tokens=94)),
        Finished(FinishReason.STOP),
    ]


def test_a_call_comes_with_its_signature() -> None:
    """Which says whose it is, before the call; a call without an id gets one of ours."""
    assert told(StreamDecoder(), STREAMS["call"]) == [
        Started("QHiLaa6LBrb8vdIPoNztsAg", "gemini-3-pro-preview"),
        ThinkingSigned("gemini:EqYaCqMa"),
        ToolUseStarted(0, "call_QHiLaa6LBrb8vdIPoNztsAg_0", "weather"),
        ToolUseDelta(0, '{"location":"San Francisco"}'),
        UsageReport(Usage(29, 819, reasoning_tokens=804)),
        Finished(FinishReason.TOOL_USE),
    ]


def test_calls_of_replies_without_an_id_differ() -> None:
    """A conversation in which a tool is asked twice holds both."""
    said = orjson.dumps(reply({"functionCall": {"name": "clock"}}, {"functionCall": {"name": "clock"}}))
    ids = {it.id for _ in range(2) for it in fold(told(ReplyDecoder(), said)).tool_uses}
    assert len(ids) == 4


@pytest.mark.parametrize("stream", [True, False])
def test_parallel_calls_keep_their_ids(stream: bool) -> None:
    decoder = StreamDecoder() if stream else ReplyDecoder()
    folded = fold(told(decoder, frames(PARALLEL) if stream else orjson.dumps(PARALLEL)))
    assert folded.tool_uses == [
        ToolUse("lpndqlku", "weather", '{"city":"Paris"}'),
        ToolUse("m6rogicj", "weather", '{"city":"Oslo"}'),
    ]
    assert folded.finish is FinishReason.TOOL_USE
    assert folded.usage == Usage(71, 93, reasoning_tokens=61)


def test_thoughts_are_told_where_they_are_wanted() -> None:
    said = reply(
        {"text": "Let me see.", "thought": True, "thoughtSignature": "Eq"},
        {"text": ""},
        {"text": "4"},
        {"executableCode": {"code": "2+2"}, "thoughtSignature": "Ep"},
        **OF_37,
    )
    assert told(ReplyDecoder(), orjson.dumps(said))[1:] == [
        ThinkingDelta("Let me see."),
        ThinkingSigned("gemini:Eq"),
        TextDelta("4"),
        OpaquePart(Opaque("gemini", {"executableCode": {"code": "2+2"}})),
        Finished(FinishReason.STOP),
    ]
    assert fold(told(ReplyDecoder(thoughts=False), orjson.dumps(said))).parts[0] == Text("4")


@pytest.mark.parametrize("stream", [True, False])
def test_a_blocked_prompt_is_a_matter_of_policy(stream: bool) -> None:
    """What it cost is told all the same."""
    decoder = StreamDecoder() if stream else ReplyDecoder()
    _, counted, last = told(decoder, frames(BLOCKED) if stream else orjson.dumps(BLOCKED))
    assert counted == UsageReport(Usage(9))
    assert isinstance(last, Failed)
    assert last.error.code is Code.CONTENT_POLICY
    assert "PROHIBITED_CONTENT" in last.error.message


def test_an_answer_that_was_cut_for_safety_is_a_refusal() -> None:
    said = reply({"text": "First you"}, reason="SAFETY")
    assert fold(told(ReplyDecoder(), orjson.dumps(said))).finish is FinishReason.REFUSAL


def test_an_error_in_the_middle_ends_the_reply() -> None:
    error = {"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}
    *rest, last = told(StreamDecoder(), frames(TEXT[0], error, TEXT[1]))
    assert isinstance(last, Failed)
    assert last.error.code is Code.OVERLOADED
    assert rest[1] == TextDelta("fixture ok")


@pytest.mark.parametrize("stream", [b"", frames(TEXT[0]), frames(*TEXT)[:-40]])
def test_a_hang_up_is_never_a_success(stream: bytes) -> None:
    *_, last = told(StreamDecoder(), stream)
    assert isinstance(last, Failed)
    assert last.error.code is Code.TRUNCATED


def test_a_stream_that_said_why_it_ended_is_complete_without_its_last_line_end() -> None:
    assert told(StreamDecoder(), frames(*TEXT).rstrip()) == told(StreamDecoder(), frames(*TEXT))


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"error": {"code": 429, "message": "slow", "status": "RESOURCE_EXHAUSTED"}}', Code.RATE_LIMITED),
        (b"<html><title>Sign in</title></html>", Code.PROTOCOL),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
def test_a_good_status_does_not_make_a_reply(body: bytes, code: Code, stream: bool) -> None:
    *_, last = told(StreamDecoder() if stream else ReplyDecoder(), body)
    assert isinstance(last, Failed)
    assert last.error.code is code


@pytest.mark.parametrize("said", [{}, {"candidates": []}, reply({"text": "half"}, reason=None)])
def test_a_whole_reply_without_an_ending_is_none(said: object) -> None:
    *_, last = told(ReplyDecoder(), orjson.dumps(said))
    assert isinstance(last, Failed)
    assert last.error.code is Code.PROTOCOL


def test_log_probabilities_in_the_shape_that_callers_know() -> None:
    chosen = {"token": "Hi", "logProbability": -0.5, "tokenId": 7}
    said = reply({"text": "Hi"})
    said["candidates"][0]["logprobsResult"] = {  # type: ignore[index]
        "chosenCandidates": [chosen, {"token": "!"}],
        "topCandidates": [{"candidates": [chosen]}],
    }
    text = told(ReplyDecoder(), orjson.dumps(said))[1]
    entry = {"token": "Hi", "logprob": -0.5, "bytes": [72, 105]}
    assert text == TextDelta(
        "Hi",
        [
            {**entry, "top_logprobs": [entry]},
            {"token": "!", "logprob": None, "bytes": [33], "top_logprobs": []},
        ],
    )


@given(data=st.data(), name=st.sampled_from(sorted(STREAMS)))
def test_any_split_means_the_same(data: st.DataObject, name: str) -> None:
    """And a frame is handed on as soon as it has come."""
    whole = STREAMS[name]
    assert plain(told(StreamDecoder(), data.draw(splits(whole)))) == plain(told(StreamDecoder(), whole))


_unknown = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                ["candidates", "content", "parts", "text", "functionCall", "args", "finishReason"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


@given(st.lists(_unknown, max_size=4))
def test_whatever_comes_is_read_inside_the_grammar(said: list[object]) -> None:
    told(StreamDecoder(), frames(*said))
    told(ReplyDecoder(), orjson.dumps(said[0] if said else None))


def test_a_count_is_a_reply_that_is_only_usage() -> None:
    assert told(CountDecoder(), b'{"totalTokens": 31, "promptTokensDetails": []}') == [
        Started("", ""),
        UsageReport(Usage(31)),
        Finished(FinishReason.STOP),
    ]
    *_, last = told(CountDecoder(), orjson.dumps(usage(3)))
    assert isinstance(last, Failed)
    *_, last = told(CountDecoder(), b'{"error": {"code": 404, "status": "NOT_FOUND", "message": "gone"}}')
    assert isinstance(last, Failed)
    assert last.error.code is Code.MODEL_NOT_FOUND


def plain(events: list[Event]) -> list[object]:
    """Errors compare by identity, so their words are compared."""
    return [repr(event.error) if isinstance(event, Failed) else event for event in events]
