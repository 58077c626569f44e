"""Ollama's replies, in lines and whole."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhetor.core.capability import Capability
from rhetor.core.errors import Code
from rhetor.core.events import (
    Event,
    Failed,
    Finished,
    FinishReason,
    Folded,
    Grammar,
    Started,
    TextDelta,
    ThinkingDelta,
    ToolUseDelta,
    ToolUseStarted,
    UsageReport,
    fold,
)
from rhetor.core.usage import Usage
from rhetor.wire.base import Outgoing
from rhetor.wire.jsonlines import LINE_LIMIT_BYTES
from rhetor.wire.ollama import OLLAMA
from rhetor.wire.ollama.reading import StreamDecoder
from tests.wire.ollama.lines import lines, tell, tell_whole
from tests.wire.strategies import Speech, replies

GOLDEN = Path(__file__).parents[2] / "golden" / "ollama"
SPEECH = Speech(
    signatures=False,
    refusals=False,
    interleaved=False,
    finishes=(FinishReason.STOP, FinishReason.LENGTH),
    usage_fields=(),
)


def read(data: bytes, stream: bool = True, pieces: list[bytes] | None = None) -> list[Event]:
    """The events of a reply; the grammar holds and the raw bytes are the reply's."""
    decoder = OLLAMA.upstream[Capability.CHAT].decoder(stream, Outgoing("/api/chat", b""))
    chunks = [decoder.feed(piece) for piece in (pieces or [data])]
    chunks.append(decoder.close())
    events = [event for chunk in chunks for event in chunk.events]
    grammar = Grammar()
    for event in events:
        grammar.see(event)
    assert grammar.ended
    assert b"".join(chunk.raw for chunk in chunks) == data
    return events


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(edges) if end > start]


def failed(events: list[Event]) -> Failed:
    assert isinstance(events[-1], Failed)
    return events[-1]


def done(**extra: Any) -> bytes:
    message = {"role": "assistant", "content": ""}
    return lines([{"model": "qwen3", "message": message, "done": True, **extra}])


def test_a_streamed_reply_with_thoughts_and_tools() -> None:
    events = read((GOLDEN / "chat_stream.jsonl").read_bytes())
    nameless = [event for event in events if isinstance(event, ToolUseStarted)][1]
    assert events == [
        Started("", "qwen3"),
        ThinkingDelta("Okay"),
        ThinkingDelta(", two."),
        TextDelta("Let "),
        TextDelta("me see."),
        ToolUseStarted(0, "call_p7o2gz50", "weather"),
        ToolUseDelta(0, '{"city":"Zürich","days":2}'),
        ToolUseStarted(1, nameless.id, "clock"),
        ToolUseDelta(1, "{}"),
        UsageReport(Usage(26, 298)),
        Finished(FinishReason.TOOL_USE),
    ]


def test_calls_of_replies_without_ids_differ() -> None:
    """A conversation in which a tool is asked again holds both."""
    calls = [{"function": {"name": "clock", "arguments": {}}}] * 2
    said = lines([{"message": {"tool_calls": calls}, "done": True}])
    ids = {call.id for stream in (True, False) for call in fold(read(said, stream)).tool_uses}
    assert len(ids) == 4


def test_a_whole_reply() -> None:
    assert read((GOLDEN / "chat_reply.json").read_bytes(), stream=False) == [
        Started("", "llama3.2"),
        TextDelta("Hello! How are you today?"),
        UsageReport(Usage(26, 298)),
        Finished(FinishReason.LENGTH),
    ]


@pytest.mark.parametrize("stream", [True, False])
def test_an_error_inside_a_reply_is_a_failure(stream: bool) -> None:
    data = (GOLDEN / "chat_stream_failed.jsonl").read_bytes()

    events = read(data if stream else data.splitlines()[1], stream)

    error = failed(events).error
    assert error.code is Code.UPSTREAM_ERROR
    assert error.message.endswith("an error was encountered while running the model")
    assert (error.wire, error.original is not None) == ("ollama", True)


def without_id(folded: Folded) -> Folded:
    """Ollama's replies have no id."""
    folded.id = ""
    return folded


@given(replies(SPEECH), st.lists(st.integers(0), max_size=6))
def test_law_any_split_of_the_bytes_means_the_same(events: list[Event], places: list[int]) -> None:
    data = lines(tell(events))

    split = read(data, pieces=cut(data, places))

    assert split == read(data)
    assert fold(split) == without_id(fold(events))


@given(replies(replace(SPEECH, logprobs=False)))
def test_law_a_whole_reply_means_what_a_stream_means(events: list[Event]) -> None:
    whole = fold(read(orjson.dumps(tell_whole(events)), stream=False))
    streamed = fold(read(lines(tell(events))))

    assert (whole.text, whole.thinking, whole.tool_uses) == (
        streamed.text,
        streamed.thinking,
        streamed.tool_uses,
    )
    assert (whole.usage, whole.finish, whole.model) == (streamed.usage, streamed.finish, streamed.model)


@given(replies(SPEECH), st.integers(0))
def test_law_a_hang_up_before_the_end_is_a_failure(events: list[Event], place: int) -> None:
    whole = lines(tell(events))
    ending = len(whole.removesuffix(b"\n"))
    data = whole[: place % ending]

    assert failed(read(data)).error.code in (Code.TRUNCATED, Code.PROTOCOL)


@given(
    st.lists(
        st.sampled_from(TERMS := [b"{", b"}", b'"message"', b":", b"null", b"1", b"[", b"]", b"\n", b","])
    )
)
def test_law_whatever_comes_the_grammar_holds(pieces: list[bytes]) -> None:
    data = b"".join(pieces)

    assert fold(read(data)).error is not None
    assert fold(read(data, stream=False)).error is not None


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ({"done_reason": "stop"}, FinishReason.STOP),
        ({"done_reason": "length"}, FinishReason.LENGTH),
        ({}, FinishReason.STOP),
        ({"done_reason": "unload"}, FinishReason.OTHER),
    ],
)
def test_why_it_ended(reason: dict[str, str], finish: FinishReason) -> None:
    assert read(done(**reason))[-1] == Finished(finish)


def test_a_model_that_was_only_loaded_has_not_answered() -> None:
    """It would answer when asked again."""
    error = failed(read(done(done_reason="load"))).error

    assert (error.code, error.retry) == (Code.UPSTREAM_ERROR, "same")


def test_a_last_line_needs_no_newline() -> None:
    assert read(done().removesuffix(b"\n"))[-1] == Finished(FinishReason.STOP)


def test_lines_after_the_end_say_nothing() -> None:
    assert len(read(done() + done() + b"junk\n")) == 2


def test_blank_lines_say_nothing() -> None:
    assert read(b"\n" + done() + b"\r\n") == read(done())


@pytest.mark.parametrize(
    ("counts", "usage"),
    [
        ({"prompt_eval_count": 3, "eval_count": 4}, Usage(3, 4)),
        ({"eval_count": 4}, Usage(0, 4)),
        ({"prompt_eval_count": 3.5, "eval_count": True}, None),
        ({}, None),
    ],
)
def test_usage_counts_what_was_counted(counts: dict[str, Any], usage: Usage | None) -> None:
    assert fold(read(done(**counts))).usage == usage


def test_arguments_nested_too_deeply_are_a_failure() -> None:
    """The reader takes them, and no writer after it would."""
    deep = b'{"a":' * 300 + b"1" + b"}" * 300
    call = b'{"function":{"name":"f","arguments":%s}}' % deep

    events = read(b'{"message":{"tool_calls":[%s]},"done":false}\n' % call + done())

    assert failed(events).error.code is Code.PROTOCOL


def test_log_probabilities_have_openais_shape() -> None:
    plain: dict[str, Any] = {"token": "a", "logprob": -0.5}
    probability: dict[str, Any] = {
        "token": "a",
        "logprob": -0.5,
        "top_logprobs": [{"token": "b", "logprob": -1.0}],
    }
    data = lines([{"message": {"content": "a"}, "logprobs": [plain, probability], "done": False}])

    event = read(data + done())[1]

    assert event == TextDelta(
        "a",
        [
            {**plain, "bytes": None, "top_logprobs": []},
            {**probability, "bytes": None},
        ],
    )


def test_log_probabilities_of_a_text_that_is_held_back_are_kept() -> None:
    data = lines([{"message": {"content": ""}, "logprobs": [{"token": "a", "logprob": -1.0}], "done": False}])

    assert len(fold(read(data + done())).logprobs) == 1


@pytest.mark.parametrize(
    "message",
    [
        None,
        "text",
        {"content": 7, "thinking": None, "tool_calls": None},
        {"tool_calls": [None, {}, {"function": "weather"}]},
    ],
)
def test_fields_of_another_type_say_nothing(message: object) -> None:
    data = lines([{"model": None, "message": message, "done": False}])

    assert read(data + done()) == [Started("", ""), Finished(FinishReason.STOP)]


@pytest.mark.parametrize("line", [b"<html>", b"[]", b'"text"', b"\xff\xfe"])
def test_what_is_no_object_is_a_protocol_error(line: bytes) -> None:
    assert failed(read(line, False)).error.code is Code.PROTOCOL


@pytest.mark.parametrize("line", [b"<html>", b"[]", b'"text"', b"\xff\xfe"])
def test_a_line_that_is_no_object_is_skipped(line: bytes) -> None:
    """It does not spoil the reply around it; alone it is no reply."""
    good = lines([{"model": "m", "message": {"content": "a"}, "done": False}])
    assert read(good + line + b"\n" + done()) == read(good + done())
    assert failed(read(line + b"\n")).error.code is Code.TRUNCATED


def test_a_line_without_end_is_a_protocol_error() -> None:
    decoder = StreamDecoder()

    events = decoder.feed(b"x" * (LINE_LIMIT_BYTES + 1)).events

    assert failed(events).error.code is Code.PROTOCOL
    assert decoder.feed(done()).events == []
    assert decoder.close().events == []
