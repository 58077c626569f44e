"""The client's protocol, without I/O."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tekton_llm_client as tekton
from tekton_llm_client.protocol import Call, ChunkReader, pause_before_retry, refusal
from tests.client.scripted import frame, golden

STREAM = b": ping\n\nevent: message\r\n" + frame('\n"ü"') + golden("stream_tools.sse")
CALL = Call("/api/v1/chat", b"{}", silence_s=1.0, retries=3, first_pause_s=0.5)


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


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"error":"why"}', "why"),
        (b'{"detail":"why"}', "why"),
        (b'{"error":{"message":"nested"}}', '{"error":{"message":"nested"}}'),
        (b"<html>proxy</html>", "<html>proxy</html>"),
        (b"", "HTTP 502 without a message"),
    ],
)
def test_every_refusal_has_a_message(body: bytes, message: str) -> None:
    assert refusal(502, {}, body).message == message


@pytest.mark.parametrize(
    ("error", "tried", "pause_s"),
    [
        (tekton.ConnectionError("down"), 1, 0.5),
        (tekton.ConnectionError("down"), 3, 2.0),
        (tekton.ConnectionError("down"), 4, None),  # tried often enough
        (tekton.ServiceUnavailableError("busy", retry_after_s=7.0), 1, 7.0),
        (tekton.RateLimitError("tomorrow", retry_after_s=86_400.0), 1, None),
        (tekton.ServiceUnavailableError("all tried", retry=False), 1, None),
        (tekton.TimeoutError("slow"), 1, None),  # it may be working on it still
        (tekton.InvalidRequestError("wrong"), 1, None),
        (tekton.AdapterError("rhetor", "broken"), 1, None),
    ],
)
def test_only_passing_faults_are_tried_again(
    error: tekton.TektonLLMError, tried: int, pause_s: float | None
) -> None:
    assert pause_before_retry(error, tried, CALL) == pause_s


def test_every_exception_is_at_top_level_and_of_the_family() -> None:
    outside = {tekton.FormatError, tekton.JSONParsingError}
    for name in tekton.__all__:
        kind = getattr(tekton, name)
        if name.endswith("Error"):
            assert issubclass(kind, tekton.TektonLLMError) != (kind in outside)
