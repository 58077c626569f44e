"""What comes back from the gateway, without I/O."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tekton_llm_client as tekton
from tekton_llm_client.models import StreamingChunk
from tekton_llm_client.replies import ChunkReader, read_embeddings, read_reply
from tests.client.scripted import REPLY, frame, golden

STREAM = b": ping\n\nevent: message\r\n" + frame('\n"ü"') + golden("stream_tools.sse")


@given(st.lists(st.integers(0, len(STREAM)), max_size=6))
def test_any_split_of_a_stream_means_the_same(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]
    reader = ChunkReader()
    chunks = [chunk for start, end in pairwise(edges) for chunk in reader.feed(STREAM[start:end])]
    assert chunks == ChunkReader().feed(STREAM)
    assert "".join(chunk.chunk for chunk in chunks) == '\n"ü"Let me see.'


def test_done_alone_ends_a_stream_and_nothing_comes_after() -> None:
    chunks = ChunkReader().feed(frame("Hello") + b"data: [DONE]\n\n" + frame("more"))
    assert [(chunk.chunk, chunk.done) for chunk in chunks] == [("Hello", False), ("", True)]


@pytest.mark.parametrize("data", [b"{oops", b'{"chunk": null}', b"[]", b"\xff"])
def test_a_chunk_that_cannot_be_read_ends_the_stream_with_an_error(data: bytes) -> None:
    (chunk,) = ChunkReader().feed(b"data: " + data + b"\n\n")
    assert chunk.done
    assert "cannot be read" in (chunk.error or "")


def test_a_minimal_chunk_is_enough() -> None:
    (chunk,) = ChunkReader().feed(b'data: {"chunk":"z"}\n\n')
    assert (chunk.chunk, chunk.done, chunk.error) == ("z", False, None)


def test_an_id_counts_once_its_chunk_is_whole() -> None:
    """Whoever comes back must neither miss a chunk nor get one twice."""
    reader = ChunkReader()
    reader.feed(b"id: tekton:1.1\n" + frame("a") + b'id: tekton:2.1\ndata: {"chunk":"b')
    assert reader.last_id == "tekton:1.1"

    reader.come_back()
    (chunk,) = reader.feed(b"id: tekton:2.1\n" + frame("b"))
    assert (chunk.chunk, reader.last_id) == ("b", "tekton:2.1")


def test_what_breaks_off_has_one_end_and_keeps_what_was_known() -> None:
    reader = ChunkReader()
    reader.feed(frame("Hel", thinking="well"))
    (last,) = reader.break_off("the line is dead")
    assert (last.chunk, last.thinking, last.done, last.error) == ("", None, True, "the line is dead")
    assert (last.provider, last.code) == ("anthropic", "connection_lost")
    assert reader.break_off("again") == []


def test_tool_calls_come_whole_with_the_last_chunk() -> None:
    last = ChunkReader().feed(golden("stream_tools.sse"))[-1]
    assert last.done
    assert [(call.name, call.parse()) for call in last.tool_calls or ()] == [
        (call["function"]["name"], json.loads(call["function"]["arguments"]))
        for call in json.loads(golden("chat_reply_tools.json"))["tool_calls"]
    ]


def test_tool_calls_in_pieces_are_put_together() -> None:
    pieces = [
        {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x":'}},
        {"index": 0, "function": {"arguments": "1}"}},
        {"index": 1, "id": "b", "type": "function", "function": {"name": "g", "arguments": ""}},
    ]
    stream = b"".join(frame("", tool_calls=[piece]) for piece in pieces)

    (last,) = ChunkReader().feed(stream + frame("", done=True))

    assert [(call.id, call.name, call.parse()) for call in last.tool_calls or ()] == [
        ("a", "f", {"x": 1}),
        ("b", "g", {}),
    ]


def test_thoughts_come_in_pieces() -> None:
    first, second, _ = ChunkReader().feed(
        frame("", thinking="hm") + frame("", thinking=".") + frame("", done=True)
    )
    assert (first.thinking, second.thinking) == ("hm", ".")


def test_a_reply_tells_how_it_came_about() -> None:
    meta = {
        "generation_id": "gen_1",
        "attempts": [
            {"target": "a/x", "outcome": "overloaded", "ms": 3},
            {"target": "b/y", "outcome": "ok", "ms": 40, "how": "continued"},
        ],
        "cost_micros": 1_500,
    }
    reply = read_reply(json.dumps(REPLY | {"fallback": True, "meta": meta}).encode())

    assert (reply.generation_id, reply.fallback) == ("gen_1", True)
    assert [(attempt.target, attempt.outcome, attempt.how) for attempt in reply.attempts] == [
        ("a/x", "overloaded", None),
        ("b/y", "ok", "continued"),
    ]
    assert (reply.cost, reply.cost_micros) == (0.0015, 1_500)


@pytest.mark.parametrize("meta", [{}, {"cost_micros": None}])
def test_an_unknown_cost_is_none_and_not_zero(meta: dict[str, object]) -> None:
    chunk = StreamingChunk(meta=meta)
    assert (chunk.cost, chunk.cost_micros, chunk.attempts, chunk.generation_id) == (None, None, [], None)


def test_vectors_come_in_the_order_of_the_texts() -> None:
    body = {"model": "m", "data": [{"index": 1, "embedding": [2]}, {"index": 0, "embedding": [1]}]}
    headers = {"x-rhetor-served-by": "oai/m", "x-rhetor-cost-micros": "7", "x-rhetor-generation-id": "gen_1"}
    reply = read_embeddings(json.dumps(body).encode(), headers)
    assert reply.vectors == [[1.0], [2.0]]
    assert (reply.provider, reply.cost_micros, reply.generation_id) == ("oai", 7, "gen_1")


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"data":[{}]}', b'{"data":[{"index":0,"embedding":"AA"}]}'])
def test_what_is_no_embeddings_is_an_error(body: bytes) -> None:
    with pytest.raises(tekton.AdapterError, match="no Embeddings"):
        read_embeddings(body, {})
