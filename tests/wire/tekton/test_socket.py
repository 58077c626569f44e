"""The hard rules for socket frames: their types, their fields, their size."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given

from rhetor.core.errors import BadRequest
from rhetor.core.events import (
    Event,
    Finished,
    FinishReason,
    Started,
    TextDelta,
    ToolUseDelta,
    ToolUseStarted,
    fold,
)
from rhetor.wire.base import ReplyInfo
from rhetor.wire.tekton.socket import (
    FRAME_LIMIT_BYTES,
    Responder,
    Streamer,
    error_frame,
    pong,
    register_ack,
    with_id,
)
from tests.wire.strategies import Speech, replies
from tests.wire.tekton.samples import CREATED_S, FAILED, HELLO, INFO
from tests.wire.tekton.stock import CompletionResponse, StreamingChunk, read_chunks
from tests.wire.tekton.test_chunks import said

SPEECH = Speech(logprobs=False, signatures=False)
MIB = 1024 * 1024


def streamed(events: list[Event], request_id: str = "r1", info: ReplyInfo = INFO) -> list[dict[str, Any]]:
    return [orjson.loads(frame) for frame in Streamer(request_id, info, "comp").frames(events)]


def answered(events: list[Event], request_id: str = "r1") -> dict[str, Any]:
    (frame,) = Responder(request_id, INFO, "comp").frames(events)
    read: dict[str, Any] = orjson.loads(frame)
    return read


@given(replies(SPEECH))
def test_rule_a_response_carries_everything_and_no_null(events: list[Event]) -> None:
    frame = answered(events)

    assert (frame["type"], frame["request_id"]) == ("RESPONSE", "r1")
    CompletionResponse.model_validate(frame)
    assert None not in frame.values()


@given(replies(SPEECH))
def test_law_chunks_read_as_what_was_said(events: list[Event]) -> None:
    frames = streamed(events)

    for frame in frames:
        assert (frame["type"], frame["request_id"]) == ("CHUNK", "r1")
        StreamingChunk.model_validate(frame)
        assert None not in frame.values()
    assert [frame["done"] for frame in frames] == [False] * (len(frames) - 1) + [True]
    assert fold(read_chunks(frames)) == said(fold(events))


def test_a_response_waits_for_the_ending() -> None:
    responder = Responder("r1", INFO, "comp")

    assert responder.frames(HELLO[:-1]) == []
    assert len(responder.frames(HELLO[-1:])) == 1


@pytest.mark.parametrize("kind", [Responder, Streamer])
def test_rule_a_failure_is_an_error_frame_with_a_text(kind: type[Responder] | type[Streamer]) -> None:
    frame = orjson.loads(kind("r1", INFO, "comp").frames(FAILED)[-1])

    assert frame.pop("meta")["attempts"] == INFO.meta["attempts"]
    assert frame == {
        "type": "ERROR",
        "request_id": "r1",
        "error": 'the provider hung up: "bye"\n',
        "code": "truncated",
        "context_id": "comp",
        "model": "m-def",
        "provider": "anthropic",
        "timestamp": "2026-11-20T09:24:59Z",
    }


def test_rule_an_error_frame_has_strings_also_when_nothing_is_known() -> None:
    nothing = ReplyInfo(id="", created_s=CREATED_S, model="")

    frame = orjson.loads(error_frame(BadRequest("what?"), "", nothing))

    assert all(isinstance(value, str) for value in frame.values())
    assert (frame["request_id"], frame["context_id"]) == ("", "default")


def test_rule_chunks_stay_below_one_mib() -> None:
    text = 'a"é\x00' * 800_000

    frames = Streamer("r" * 1_000, INFO, "c" * 1_000).frames(
        [Started("", ""), TextDelta(text), Finished(FinishReason.STOP)]
    )

    sizes = [len(frame.encode()) for frame in frames]
    assert max(sizes) <= FRAME_LIMIT_BYTES < MIB
    assert "".join(orjson.loads(frame)["chunk"] for frame in frames) == text


@pytest.mark.parametrize("spare", range(0, 240, 10))
def test_rule_chunks_stay_below_one_mib_when_a_text_nearly_fills_one(spare: int) -> None:
    text = "a" * (FRAME_LIMIT_BYTES - spare)

    frames = Streamer("r1", INFO, "comp").frames([Started("", ""), TextDelta(text)])

    assert max(map(len, frames)) <= FRAME_LIMIT_BYTES


def test_rule_a_large_tool_call_comes_in_several_chunks() -> None:
    arguments = orjson.dumps({"text": "x" * 3 * MIB}).decode()
    events: list[Event] = [
        Started("", ""),
        ToolUseStarted(0, "call_a", "write"),
        ToolUseDelta(0, arguments),
        Finished(FinishReason.TOOL_USE),
    ]

    frames = Streamer("r1", INFO, "comp").frames(events)

    assert max(len(frame.encode()) for frame in frames) <= FRAME_LIMIT_BYTES
    (use,) = fold(read_chunks([orjson.loads(frame) for frame in frames])).tool_uses
    assert use.arguments == arguments


def test_rule_a_response_that_does_not_fit_is_an_error_that_says_so() -> None:
    """Half a text would pass for the whole."""
    frame = answered([Started("", ""), TextDelta("x" * MIB), Finished(FinishReason.STOP)])

    assert (frame["type"], frame["code"]) == ("ERROR", "unsupported")
    assert "STREAM" in frame["error"]


def test_the_acknowledgement_repeats_who_registered() -> None:
    assert orjson.loads(register_ack("terma")) == {
        "type": "REGISTER_ACK",
        "component_id": "terma",
        "status": "registered",
    }


def test_a_pong_is_nothing_but_a_pong() -> None:
    assert orjson.loads(pong()) == {"type": "PONG"}


def test_frames_of_requests_on_one_socket_keep_apart() -> None:
    first, second = Streamer("r1", INFO, "a"), Streamer("r2", replace(INFO, provider="openai"), "b")

    frames = [*first.frames(HELLO[:2]), *second.frames(HELLO[:2]), *first.frames(HELLO[2:])]

    told = [
        (frame["request_id"], frame["context_id"], frame["provider"]) for frame in map(orjson.loads, frames)
    ]
    assert told == [("r1", "a", "anthropic"), ("r2", "b", "openai"), *[("r1", "a", "anthropic")] * 2]


def test_ids_change_nothing_else() -> None:
    frame = '{"type":"CHUNK","request_id":"r","chunk":"}"}'
    assert orjson.loads(with_id(frame, "gen_1", "tekton-ws:3.1")) == {
        **orjson.loads(frame),
        "generation_id": "gen_1",
        "event_id": "tekton-ws:3.1",
    }
