"""The bodies of `/api/chat` and `/api/generate`: every public field, and what callers get wrong."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given

from rhetor.core.capability import Capability
from rhetor.core.content import Image, Inline, Text
from rhetor.core.errors import BadRequest
from rhetor.core.request import Chat, Message, Reasoning, ResponseFormat, Role, Tool
from rhetor.wire.base import PLAIN
from rhetor.wire.ollama import OLLAMA
from rhetor.wire.ollama.incoming import parse_chat, parse_prompt, unloads
from tests.wire.ollama.speech import CHATS, chat_of, parse, prompt
from tests.wire.strategies import chats, request_of

SCHEMA: dict[str, Any] = {"type": "object", "properties": {"city": {"type": "string"}}}
LOCAL_OPTIONS: dict[str, Any] = {
    "num_ctx": 8192,
    "num_gpu": 1,
    "min_p": 0.1,
    "repeat_penalty": 1.1,
    "mirostat": 1,
    "typical_p": 0.7,
}


@given(chats(CHATS))
def test_law_what_is_built_is_parsed_back(asked: Chat) -> None:
    outgoing = OLLAMA.upstream[Capability.CHAT].build(request_of(asked), "target", PLAIN)
    assert outgoing.dropped == ()
    request = parse_chat(outgoing.body, {})
    assert request.input == asked
    assert request.unsaid == ()


def test_the_frame_of_a_request() -> None:
    request = parse(model="ollama/qwen3:4b", keep_alive="5m")
    assert (request.model, request.capability) == ("ollama/qwen3:4b", Capability.CHAT)
    assert request.unsaid == ()


def test_replies_are_streams_unless_they_are_declined() -> None:
    assert [parse().stream, parse(stream=None).stream, parse(stream=False).stream] == [True, True, False]
    assert [prompt().stream, prompt(stream=False).stream] == [True, False]


def test_the_original_is_kept_to_the_byte() -> None:
    body = b'{"model":"m",  "messages":[], "x_new": 1}'
    original = parse_chat(body, {}).original
    assert original is not None
    assert (original.wire, original.body) == ("ollama", body)


def test_settings_stand_under_options() -> None:
    options = {
        "num_predict": 50,
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 20,
        "presence_penalty": 1.5,
        "frequency_penalty": 1,
        "seed": 7,
        "stop": ["END"],
    }
    asked = chat_of(parse(options=options))
    assert (asked.max_tokens, asked.temperature, asked.top_p, asked.top_k) == (50, 0.5, 0.9, 20)
    assert (asked.presence_penalty, asked.frequency_penalty, asked.seed) == (1.5, 1, 7)
    assert asked.stop == ("END",)


def test_nulls_say_nothing() -> None:
    options = {"temperature": None, "stop": None, "num_ctx": None}
    assert parse(options=options, format=None, think=None, tools=None).input == parse().input
    assert parse(options=options).unsaid == ()


@pytest.mark.parametrize("limit", [-1, -2, 0])
def test_no_limit_is_no_limit(limit: int) -> None:
    """-1: for ever, -2: until the context is full."""
    assert chat_of(parse(options={"num_predict": limit})).max_tokens is None


def test_one_stop_sequence_may_stand_alone() -> None:
    assert chat_of(parse(options={"stop": "END"})).stop == ("END",)


def test_what_only_a_local_model_has_is_named() -> None:
    assert parse(options=LOCAL_OPTIONS).unsaid == tuple(f"options.{name}" for name in LOCAL_OPTIONS)


@pytest.mark.parametrize(
    ("format", "wanted"),
    [
        ("", None),
        ("json", ResponseFormat("json")),
        (SCHEMA, ResponseFormat("json_schema", schema=SCHEMA)),
    ],
)
def test_formats(format: Any, wanted: ResponseFormat | None) -> None:
    assert chat_of(parse(format=format)).response_format == wanted
    assert chat_of(prompt(format=format)).response_format == wanted


@pytest.mark.parametrize(
    ("think", "wanted"),
    [
        (True, Reasoning()),
        (False, Reasoning(enabled=False)),
        ("high", Reasoning("high")),
        ("none", Reasoning("none", enabled=False)),
    ],
)
def test_thinking(think: Any, wanted: Reasoning) -> None:
    assert chat_of(parse(think=think)).reasoning == wanted


def test_tools() -> None:
    function = {"name": "weather", "description": "The weather", "parameters": SCHEMA}
    asked = chat_of(parse(tools=[{"type": "function", "function": function}, {"function": {"name": "now"}}]))
    assert asked.tools == (Tool("weather", "The weather", SCHEMA), Tool("now"))


def test_probabilities() -> None:
    asked = chat_of(parse(logprobs=True, top_logprobs=3))
    assert (asked.logprobs, asked.top_logprobs) == (True, 3)


def test_a_prompt_is_a_conversation_of_one_message() -> None:
    asked = chat_of(prompt(system="Be brief.", images=["iVBORw0KGgo="], options={"seed": 7}))
    assert asked.messages == (
        Message(Role.SYSTEM, (Text("Be brief."),)),
        Message(Role.USER, (Image(Inline("image/png", "iVBORw0KGgo=")), Text("hi"))),
    )
    assert asked.seed == 7


def test_what_a_prompt_has_beyond_a_message_is_named() -> None:
    request = prompt(suffix="return x", template="{{ .Prompt }}", raw=True, context=[1, 2], width=512)
    assert request.unsaid == ("suffix", "template", "raw", "context", "width")


def test_empty_fields_of_a_prompt_say_nothing() -> None:
    """The `ollama` package sends them."""
    assert prompt(suffix="", system="", template="", raw=False, context=[], images=[]).unsaid == ()


@pytest.mark.parametrize(
    ("keep_alive", "out"), [(None, False), ("5m", False), (-1, False), (0, True), ("0", True)]
)
def test_who_asks_nothing_wants_the_model_in_memory_or_out_of_it(keep_alive: Any, out: bool) -> None:
    for request in (parse(messages=[], keep_alive=keep_alive), prompt(prompt="", keep_alive=keep_alive)):
        assert chat_of(request).messages == ()
        assert unloads(request) is out


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"model": None}, "model"),
        ({"model": 1}, "model"),
        ({"messages": "hi"}, "messages"),
        ({"messages": ["hi"]}, "messages[0]"),
        ({"stream": "yes"}, "stream"),
        ({"format": "xml"}, "format"),
        ({"format": 1}, "format"),
        ({"think": "hard"}, "think"),
        ({"think": 1}, "think"),
        ({"options": []}, "options"),
        ({"options": {"temperature": "hot"}}, "options.temperature"),
        ({"options": {"num_predict": 1.5}}, "options.num_predict"),
        ({"options": {"stop": [1]}}, "options.stop[0]"),
        ({"tools": [{}]}, "tools[0].function"),
        ({"tools": [{"function": {"name": "f", "parameters": "none"}}]}, "tools[0].function.parameters"),
        ({"logprobs": 1}, "logprobs"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(body: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as caught:
        parse(**body)
    assert caught.value.param == param


def test_messages_are_no_prompt() -> None:
    with pytest.raises(BadRequest, match="/api/chat") as caught:
        prompt(messages=[{"role": "user", "content": "hi"}])
    assert caught.value.param == "messages"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"1", b"\xff"])
def test_what_is_no_object_is_refused(body: bytes) -> None:
    for read in (parse_chat, parse_prompt):
        with pytest.raises(BadRequest, match="the body"):
            read(body, {})


def test_a_prompt_goes_to_an_ollama_as_it_came() -> None:
    """What has no canonical form is said to who understands it."""
    body = {"model": "m", "prompt": "def f(", "suffix": "return x", "raw": True}
    original = parse_prompt(orjson.dumps(body), {}).original
    assert original is not None
    outgoing = OLLAMA.upstream[Capability.CHAT].retarget(original, "codellama", PLAIN)
    assert outgoing.path == "/api/generate"
    assert orjson.loads(outgoing.body) == {**body, "model": "codellama"}
