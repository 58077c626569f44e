"""The hard rules for a streamed answer: lines, their length, their fields, and how a stream ends."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhetor.core.content import Opaque, Refusal, Text, Thinking
from rhetor.core.errors import UpstreamError
from rhetor.core.events import (
    Event,
    Failed,
    Finished,
    FinishReason,
    Folded,
    OpaquePart,
    RefusalDelta,
    Started,
    TextDelta,
    ThinkingDelta,
    ToolUseDelta,
    ToolUseStarted,
    fold,
)
from rhetor.wire.base import ReplyInfo
from rhetor.wire.tekton.chunks import LINE_LIMIT_BYTES, StreamReply, pieces
from tests.wire.strategies import Speech, replies, texts
from tests.wire.tekton.samples import FAILED, HELLO, INFO, TOOLS
from tests.wire.tekton.stock import StreamingChunk, chunks_of, lines_of, read_stream

SPEECH = Speech(logprobs=False, signatures=False)
AWKWARD = st.sampled_from(['"', "\\", "\n", "\x00", "é", "日", "🦀", "\u2028", "a"])


def stream(events: list[Event], info: ReplyInfo = INFO) -> bytes:
    return StreamReply(info, "comp").render(events)


def text_of(chunks: list[dict[str, Any]], key: str = "chunk") -> str:
    return "".join(chunk.get(key, "") for chunk in chunks)


def said(folded: Folded) -> Folded:
    """What of a reply this dialect can say: a refusal is text, and texts and thoughts that meet are one."""
    merged: list[Any] = []
    for part in folded.parts:
        if isinstance(part, Refusal):
            part = Text(part.text)
        last = merged[-1] if merged else None
        if isinstance(part, Text | Thinking) and type(last) is type(part):
            merged[-1] = replace(part, text=last.text + part.text)
        else:
            merged.append(part)
    return replace(folded, parts=merged, id=INFO.id, model=INFO.served_model)


@given(replies(SPEECH))
def test_law_a_stream_reads_as_what_was_said(events: list[Event]) -> None:
    assert fold(read_stream(stream(events))) == said(fold(events))


@given(replies(SPEECH), st.data())
def test_law_any_split_of_the_events_gives_the_same_bytes(events: list[Event], data: st.DataObject) -> None:
    reply = StreamReply(INFO, "comp")
    cut = data.draw(st.integers(0, len(events)))

    assert reply.render(events[:cut]) + reply.render(events[cut:]) == stream(events)


@given(replies(SPEECH))
def test_rule_one_object_a_line_with_this_very_prefix(events: list[Event]) -> None:
    out = stream(events)

    assert b"\r" not in out
    for line in lines_of(out)[:-1]:
        assert line.startswith(b'data: {"chunk":')
        orjson.loads(line[6:])
    assert out.endswith(b"\n\ndata: [DONE]\n\n")


@given(replies(SPEECH))
def test_rule_every_field_has_its_type_and_none_is_null(events: list[Event]) -> None:
    for chunk in chunks_of(stream(events)):
        StreamingChunk.model_validate(chunk)
        assert None not in chunk.values()


@given(
    st.lists(
        st.builds(
            lambda kind, text, times: kind(text * times),
            st.sampled_from([TextDelta, RefusalDelta, ThinkingDelta]),
            st.text(AWKWARD, min_size=1, max_size=8),
            st.integers(1, 40_000),
        ),
        max_size=3,
    )
)
def test_rule_no_line_reaches_64_kib_however_long_the_text(deltas: list[Any]) -> None:
    chunks = stream([Started("", ""), *deltas, Finished(FinishReason.STOP)])

    assert max(map(len, chunks.split(b"\n"))) < LINE_LIMIT_BYTES
    told = chunks_of(chunks)
    spoken = [delta.text for delta in deltas if not isinstance(delta, ThinkingDelta)]
    assert text_of(told) == "".join(spoken)
    thoughts = [delta.text for delta in deltas if isinstance(delta, ThinkingDelta)]
    assert text_of(told, "thinking") == "".join(thoughts)


@pytest.mark.parametrize("spare", [0, 10, 100, 150, 200])
@pytest.mark.parametrize("delta", [TextDelta, ThinkingDelta])
def test_rule_no_line_reaches_64_kib_when_a_text_nearly_fills_it(delta: Any, spare: int) -> None:
    out = stream([Started("", ""), delta("a" * (LINE_LIMIT_BYTES - spare)), Finished(FinishReason.STOP)])

    assert max(map(len, out.split(b"\n"))) < LINE_LIMIT_BYTES


@pytest.mark.parametrize("size", [10, 60_000, 70_000, 700_000])
def test_rule_no_line_reaches_64_kib_however_large_a_tool_call(size: int) -> None:
    arguments = orjson.dumps({"text": 'a"é' * size}).decode()
    events: list[Event] = [
        Started("", ""),
        ToolUseStarted(0, "call_a", "write"),
        ToolUseDelta(0, arguments),
        ToolUseStarted(1, "call_b", "stop"),
        Finished(FinishReason.TOOL_USE),
    ]

    out = stream(events)

    assert max(map(len, out.split(b"\n"))) < LINE_LIMIT_BYTES
    uses = fold(read_stream(out)).tool_uses
    assert [(use.id, use.name, use.arguments) for use in uses] == [
        ("call_a", "write", arguments),
        ("call_b", "stop", ""),
    ]


def test_pieces_of_a_tool_call_share_its_index_and_name_it_once() -> None:
    arguments = orjson.dumps({"text": "a" * LINE_LIMIT_BYTES}).decode()
    call: list[Event] = [ToolUseStarted(0, "call_a", "write"), ToolUseDelta(0, arguments)]

    chunks = chunks_of(stream([Started("", ""), *call, Finished(FinishReason.TOOL_USE)]))

    first, *rest = [piece for chunk in chunks for piece in chunk.get("tool_calls", ())]
    assert (first["index"], first["id"], first["function"]["name"]) == (0, "call_a", "write")
    assert rest
    assert all(piece.keys() == {"index", "function"} for piece in rest)
    assert all(piece["function"].keys() == {"arguments"} for piece in rest)


def test_rule_no_line_reaches_64_kib_however_much_metadata() -> None:
    out = stream(HELLO, replace(INFO, meta={"dropped": ["field"] * 20_000}))

    assert max(map(len, out.split(b"\n"))) < LINE_LIMIT_BYTES
    assert chunks_of(out)[-1]["meta"] == {"generation_id": "gen_1"}


def test_rule_a_failure_is_a_chunk_with_a_text_and_a_clean_end() -> None:
    chunks = chunks_of(stream(FAILED))

    assert [chunk["chunk"] for chunk in chunks] == ["Hel", ""]
    assert chunks[-1]["error"] == 'the provider hung up: "bye"\n'
    assert (chunks[-1]["code"], chunks[-1]["done"]) == ("truncated", True)


def test_rule_a_failures_text_is_never_empty_and_fits() -> None:
    empty = chunks_of(stream([Started("", ""), Failed(UpstreamError(""))]))
    long = stream([Started("", ""), Failed(UpstreamError("\x00" * 1_000_000))])

    assert empty[-1]["error"] == "upstream_error"
    assert max(map(len, long.split(b"\n"))) < LINE_LIMIT_BYTES


def test_thoughts_are_not_text() -> None:
    chunks = chunks_of(stream(TOOLS))

    assert (text_of(chunks), text_of(chunks, "thinking")) == ("Let me see.", "Two cities.")
    assert chunks[0]["chunk"] == ""


def test_what_the_dialect_cannot_say_is_named() -> None:
    opaque = OpaquePart(Opaque("anthropic", {"type": "server_tool_use"}))

    chunks = chunks_of(stream([Started("", ""), opaque, Finished(FinishReason.STOP)]))

    assert chunks[-1]["meta"]["dropped"] == ["reply: opaque server_tool_use"]


def test_an_empty_text_is_no_chunk() -> None:
    assert len(chunks_of(stream([Started("", ""), TextDelta(""), Finished(FinishReason.STOP)]))) == 1


def test_nothing_is_held_back() -> None:
    """A chunk goes out with the event that made it."""
    reply = StreamReply(INFO, "comp")

    assert reply.render(HELLO[:1]) == b""
    assert orjson.loads(reply.render(HELLO[1:2])[6:])["chunk"] == "Hel"


@given(texts, st.integers(30, 200))
def test_pieces_of_a_text_join_to_it(text: str, limit: int) -> None:
    cut = list(pieces(text * 20, limit))

    assert all(len(piece) <= limit for piece in cut)
    assert "".join(orjson.loads(piece) for piece in cut) == text * 20


def test_a_stream_keeps_no_text() -> None:
    reply = StreamReply(INFO, "comp")
    tracemalloc.start()
    for _ in range(200):
        reply.render([TextDelta("x" * 10_000)])
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert held < 500_000


def _logprobs(count: int, size: int = 100) -> list[Any]:
    return [{"token": f"t{n}", "logprob": -0.5, "bytes": None, "x": "x" * size} for n in range(count)]


@pytest.mark.parametrize("size", [100, 10_000], ids=["in a chunk", "in many"])
def test_what_is_known_of_tokens_follows_their_text(size: int) -> None:
    """Also where it is too long for one line."""
    told = _logprobs(20, size)
    body = stream([Started("", "m"), TextDelta("hi", told), Finished(FinishReason.STOP)])
    first, *chunks, last = chunks_of(body)
    assert first["chunk"] == "hi"
    assert [each for chunk in chunks for each in chunk["logprobs"]] == told
    assert {chunk["chunk"] for chunk in chunks} == {""}
    assert all(len(line) <= LINE_LIMIT_BYTES for line in lines_of(body))
    assert "reply: logprobs of a token" not in last["meta"]["dropped"]
    for chunk in chunks:
        StreamingChunk.model_validate(chunk)


def test_what_is_known_of_a_token_and_fits_no_line_is_named() -> None:
    told = [*_logprobs(1), *_logprobs(1, LINE_LIMIT_BYTES)]
    chunks = chunks_of(stream([Started("", "m"), TextDelta("hi", told), Finished(FinishReason.STOP)]))
    assert [chunk["logprobs"] for chunk in chunks if "logprobs" in chunk] == [told[:1]]
    assert "reply: logprobs of a token" in chunks[-1]["meta"]["dropped"]
