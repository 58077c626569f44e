"""What socket clients may say."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhetor.core.content import Text
from rhetor.core.request import Chat, Message, Role
from rhetor.wire.tekton.ask import NAME_LIMIT, context_of
from rhetor.wire.tekton.frames import (
    BadFrame,
    Cancel,
    ClientFrame,
    Generate,
    Ping,
    Pong,
    Register,
    Resume,
    parse_frame,
)

HELLO = (Message(Role.USER, (Text("hi"),)),)


def frame(**said: Any) -> ClientFrame:
    return parse_frame(orjson.dumps(said).decode())


def generate(**said: Any) -> Generate:
    read = frame(**said)
    assert isinstance(read, Generate)
    return read


def chat_of(read: Generate) -> Chat:
    assert isinstance(read.request.input, Chat)
    return read.request.input


def test_register_names_the_component_and_needs_no_request_id() -> None:
    assert frame(type="REGISTER", component_id="terma", capabilities=["chat", "stream"]) == Register(
        "terma", ("chat", "stream")
    )
    assert frame(type="REGISTER") == Register("")


@pytest.mark.parametrize(
    ("kind", "said", "stream"),
    [
        ("GENERATE", {"prompt": "hi"}, False),
        ("STREAM", {"prompt": "hi"}, True),
        ("CHAT", {"messages": [{"role": "user", "content": "hi"}]}, False),
        ("CHAT_STREAM", {"messages": [{"role": "user", "content": "hi"}]}, True),
    ],
)
def test_four_frames_ask_for_an_answer(kind: str, said: dict[str, Any], stream: bool) -> None:
    read = generate(type=kind, request_id="r1", context_id="ctx", options={"temperature": 0.5}, **said)

    assert (read.request_id, read.request.stream, context_of(read.request)) == ("r1", stream, "ctx")
    assert (chat_of(read).messages, chat_of(read).temperature) == (HELLO, 0.5)
    assert read.request.unsaid == ()


def test_a_raw_client_needs_neither_register_nor_request_id() -> None:
    read = generate(type="GENERATE", prompt="hi")

    assert (read.request_id, read.request.model, context_of(read.request)) == ("", "", "default")


def test_options_are_the_callers_own() -> None:
    """Provider, model, timeout and fallback may stand among them."""
    options = {
        "stop_sequences": ["x"],
        "timeout": 120,
        "fallback_provider": "openai",
        "fallback_model": "m2",
        "provider": "anthropic",
        "model": "m1",
    }

    request = generate(type="GENERATE", prompt="hi", options=options).request

    assert (request.model, request.fallbacks, request.timeout_s) == ("anthropic/m1", ("openai/m2",), 120)


def test_a_system_prompt_leads() -> None:
    read = generate(type="STREAM", prompt="hi", system_prompt="be brief")

    assert chat_of(read).messages == (Message(Role.SYSTEM, (Text("be brief"),)), *HELLO)


def test_resume_says_how_far_it_has_come() -> None:
    assert frame(type="RESUME", request_id="r", generation_id="g", last_event_id="tekton-ws:1.1") == Resume(
        "r", "g", "tekton-ws:1.1"
    )
    assert frame(type="RESUME", request_id="r", generation_id="g", last_event_id=None) == Resume("r", "g", "")


@pytest.mark.parametrize("said", [{"detach_s": 60}, {"options": {"detach_s": 60}}])
def test_a_request_may_be_detached(said: dict[str, Any]) -> None:
    request = generate(type="STREAM", prompt="hi", **said).request
    assert request.detach_s == 60
    assert request.unsaid == ()


def test_small_frames() -> None:
    assert frame(type="CANCEL", request_id="r1") == Cancel("r1")
    assert frame(type="PING") == Ping()
    assert frame(type="PONG") == Pong()


def test_a_bad_request_knows_who_waits_for_it() -> None:
    with pytest.raises(BadFrame) as caught:
        frame(type="GENERATE", request_id="r1", prompt="hi", options={"temperature": "hot"})

    assert (caught.value.request_id, caught.value.param) == ("r1", "options.temperature")


@pytest.mark.parametrize(
    ("said", "param"),
    [
        ({}, "type"),
        ({"type": None}, "type"),
        ({"type": "SING"}, "type"),
        ({"type": "generate", "prompt": "hi"}, "type"),
        ({"type": "GENERATE"}, "prompt"),
        ({"type": "GENERATE", "messages": [{"role": "user", "content": "hi"}]}, "prompt"),
        ({"type": "CHAT", "prompt": "hi"}, "messages"),
        ({"type": "CHAT", "messages": []}, "messages"),
        ({"type": "GENERATE", "prompt": ["hi"]}, "prompt"),
        ({"type": "CANCEL", "request_id": 7}, "request_id"),
        ({"type": "CANCEL", "request_id": "x" * (NAME_LIMIT + 1)}, "request_id"),
        ({"type": "REGISTER", "component_id": 7}, "component_id"),
    ],
)
def test_nonsense_is_named_by_its_field(said: dict[str, Any], param: str) -> None:
    with pytest.raises(BadFrame) as caught:
        frame(**said)

    assert caught.value.param == param


@given(st.text(max_size=20) | st.binary(max_size=20))
def test_any_frame_is_understood_or_bad(data: str | bytes) -> None:
    with pytest.raises(BadFrame):
        parse_frame(data)
