"""The frames of the WebSocket, without I/O."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tekton_llm_client import exceptions as errors
from tekton_llm_client import frames
from tekton_llm_client.models import StreamingChunk
from tekton_llm_client.underway import Question, Stream
from tests.client.scripted import golden

SAID = [json.loads(line) for line in golden("socket_server.jsonl").splitlines()]


def test_what_we_say_is_what_the_gateway_takes() -> None:
    assert json.loads(frames.register("comp")) == {
        "type": "REGISTER",
        "component_id": "comp",
        "capabilities": ["chat", "stream"],
    }
    assert json.loads(frames.request("STREAM", "r", {"prompt": "q"})) == {
        "type": "STREAM",
        "request_id": "r",
        "prompt": "q",
    }
    assert json.loads(frames.resume("r", "gen_1", None)) == {
        "type": "RESUME",
        "request_id": "r",
        "generation_id": "gen_1",
        "last_event_id": "",
    }
    assert json.loads(frames.cancel("r")) == {"type": "CANCEL", "request_id": "r"}
    with pytest.raises(errors.InvalidRequestError, match="cannot be sent as JSON"):
        frames.request("STREAM", "r", {"prompt": object()})


def test_every_chunk_and_error_of_the_gateway_is_understood() -> None:
    told = [frame for frame in SAID if frame["type"] in ("CHUNK", "ERROR")]
    assert told
    for frame in told:
        chunk = frames.read_chunk(frame)
        assert chunk.error == frame.get("error")
        assert chunk.done is (frame.get("done", False) or frame["type"] == "ERROR")


@pytest.mark.parametrize("data", ["", "{", "[]", "null", b"\xff"])
def test_what_is_no_frame_is_an_error(data: str | bytes) -> None:
    with pytest.raises(errors.AdapterError, match="the gateway's frame"):
        frames.read_frame(data)


@pytest.mark.parametrize("frame", [{"type": "CHUNK", "chunk": None}, {"type": "ERROR", "error": {}}])
def test_a_chunk_that_cannot_be_read_is_the_end(frame: dict[str, Any]) -> None:
    chunk = frames.read_chunk(frame)
    assert chunk.done
    assert "cannot be read" in (chunk.error or "")


def test_an_error_without_words_has_some() -> None:
    assert frames.read_error({"type": "ERROR"}).message == "the gateway gave no reason"


def test_an_error_is_known_by_the_gateways_name_for_it() -> None:
    attempts = [{"target": "a/b", "outcome": "overloaded", "ms": 1}, {"target": 1}, "?"]
    meta = {"generation_id": "gen_1", "attempts": attempts}
    said = {"type": "ERROR", "request_id": "comp_1_1", "error": "busy", "code": "overloaded"}
    error = frames.read_error({**said, "meta": meta})
    assert isinstance(error, errors.ServiceUnavailableError)
    assert (error.request_id, error.retry) == ("gen_1", False)  # the gateway has tried
    assert [attempt.target for attempt in error.attempts] == ["a/b"]
    assert (frames.read_error(said).request_id, frames.read_error(said).retry) == ("comp_1_1", None)


@pytest.mark.parametrize(
    "odd",
    [{"code": ["a"]}, {"request_id": {}}, {"meta": "m"}, {"meta": {"attempts": "zz", "generation_id": 1}}],
)
def test_what_is_odd_in_an_error_counts_as_not_said(odd: dict[str, Any]) -> None:
    error = frames.read_error({"type": "ERROR", "error": "why", **odd})
    assert (error.message, error.code, error.request_id, error.attempts) == ("why", None, None, ())


def test_a_request_that_is_too_large_is_not_sent() -> None:
    empty = len(frames.request("STREAM", "r", {"prompt": ""}))
    largest = "é" * ((frames.FRAME_LIMIT_BYTES - empty) // 2)
    assert frames.request("STREAM", "r", {"prompt": largest})
    with pytest.raises(errors.InvalidRequestError, match="over HTTP") as refused:
        frames.request("STREAM", "r", {"prompt": largest + "é"})
    assert refused.value.code == "request_too_large"


async def test_an_answer_comes_once() -> None:
    question = Question("r")
    question.on_frame({"type": "CHUNK"})
    assert not question.ended
    question.on_frame({"type": "RESPONSE", "content": "a"})
    question.on_frame({"type": "RESPONSE", "content": "b"})
    question.fail(errors.ConnectionError("late"))
    assert (await question.answer)["content"] == "a"


async def test_a_stream_is_asked_for_anew_until_it_has_a_name() -> None:
    stream = Stream("r", lambda chunk: None, '{"type":"STREAM"}')
    assert stream.again() == '{"type":"STREAM"}'
    assert stream.again() is None  # once is enough

    stream.on_frame({"type": "CHUNK", "chunk": "a", "generation_id": "gen_1", "event_id": "tekton-ws:1.1"})
    assert stream.again() == frames.resume("r", "gen_1", "tekton-ws:1.1")


async def test_nothing_comes_after_the_end() -> None:
    heard: list[StreamingChunk] = []
    stream = Stream("r", heard.append, "")
    stream.on_frame({"type": "CHUNK", "chunk": "a", "provider": "p"})
    stream.fail(errors.ConnectionError("gone"))
    stream.on_frame({"type": "CHUNK", "chunk": "b"})
    await asyncio.wait_for(stream.tell(), 5)
    assert [(chunk.chunk, chunk.done, chunk.error, chunk.provider) for chunk in heard] == [
        ("a", False, None, "p"),
        ("", True, "gone", "p"),
    ]
