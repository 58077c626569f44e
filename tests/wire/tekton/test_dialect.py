"""Tekton's dialect as one object says what its parts say."""

from __future__ import annotations

import orjson

from rhetor.core.errors import BadRequest
from rhetor.wire.socket import Generate, Register
from rhetor.wire.tekton.dialect import TEKTON_SOCKET
from rhetor.wire.tekton.socket import Responder, Streamer, error_frame, register_ack
from tests.wire.tekton.samples import CREATED_S, HELLO, INFO


def asked(kind: str) -> Generate:
    said = {"type": kind, "request_id": "r", "prompt": "hi", "context_id": "comp"}
    frame = TEKTON_SOCKET.parse(said, orjson.dumps(said), CREATED_S)
    assert isinstance(frame, Generate)
    return frame


def test_a_client_is_acknowledged_by_its_name() -> None:
    frame = TEKTON_SOCKET.parse({"type": "REGISTER", "component_id": "comp"}, b"", CREATED_S)
    assert isinstance(frame, Register)
    assert frame.answer == register_ack("comp")


def test_whole_and_streamed_answers() -> None:
    for kind, voice in (("GENERATE", Responder), ("STREAM", Streamer)):
        ask = asked(kind)
        told = TEKTON_SOCKET.voice(ask, ask.request, INFO).frames(HELLO)
        assert told == voice("r", INFO, "comp").frames(HELLO)


def test_nothing_is_said_before_the_answer() -> None:
    assert asked("STREAM").answer == ""


def test_a_failure_is_one_frame() -> None:
    error = BadRequest("no")
    assert TEKTON_SOCKET.failed(error, asked("STREAM"), INFO, "comp") == [
        error_frame(error, "r", INFO, "comp")
    ]
