"""What callers of `/api/v1/chat` may say, in the spellings of both clients."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhetor.core.capability import Feature
from rhetor.core.content import Audio, File, Image, Inline, Text, ToolResult, ToolUse, Url
from rhetor.core.errors import BadRequest, Code
from rhetor.core.request import (
    Chat,
    Message,
    Reasoning,
    Request,
    ResponseFormat,
    Role,
    Tool,
    ToolChoice,
    Wanted,
)
from rhetor.wire.tekton.ask import MOST_HISTORY, NAME_LIMIT, context_of, history_of, parse_chat

MESSAGES = [{"role": "user", "content": "q"}]


def ask(headers: dict[str, str] | None = None, **said: Any) -> Request:
    return parse_chat(orjson.dumps({"messages": MESSAGES, **said}), headers or {})


def chat_of(request: Request) -> Chat:
    assert isinstance(request.input, Chat)
    return request.input


KNOBS: dict[str, Any] = {
    "temperature": 0.0,
    "max_tokens": 9,
    "top_p": 0.5,
    "top_k": 40,
    "presence_penalty": 0.1,
    "frequency_penalty": -0.1,
    "seed": 7,
}


@pytest.mark.parametrize("name", KNOBS)
def test_settings_stand_under_options_or_at_the_top(name: str) -> None:
    value = KNOBS[name]

    assert getattr(chat_of(ask(options={name: value})), name) == value
    assert getattr(chat_of(ask(**{name: value})), name) == value


def test_the_top_level_wins_over_options() -> None:
    request = ask(temperature=0, options={"temperature": 0.9, "top_p": 0.5})

    assert (chat_of(request).temperature, chat_of(request).top_p) == (0, 0.5)


def test_nulls_say_nothing() -> None:
    nulls = dict.fromkeys(
        [*KNOBS, "stop", "stop_sequences", "timeout", "fallback_provider", "fallback_model"]
    )
    others = dict.fromkeys(["provider_id", "model_id", "model", "system_prompt", "context_id", "streaming"])

    plain, nulled = ask(), ask(options=nulls, **nulls, **others)

    assert (nulled.input, nulled.model, nulled.unsaid) == (plain.input, plain.model, ())
    assert ask(options=None).input == plain.input


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"stop": "x"}, ("x",)),
        ({"stop": ["x", "y"]}, ("x", "y")),
        ({"stop_sequences": ["x"]}, ("x",)),
        ({"options": {"stop_sequences": ["x"]}}, ("x",)),
        ({"options": {"stop": ["x"], "stop_sequences": ["y"]}}, ("x",)),
        ({"stop": [], "stop_sequences": ["y"]}, ("y",)),
        ({"stop": ""}, ()),
    ],
)
def test_stop_sequences_have_two_names(said: dict[str, Any], expected: tuple[str, ...]) -> None:
    assert chat_of(ask(**said)).stop == expected


@pytest.mark.parametrize(
    ("said", "model"),
    [
        ({}, ""),
        ({"provider_id": "anthropic"}, "anthropic/"),
        ({"provider_id": "anthropic", "model_id": "m"}, "anthropic/m"),
        ({"provider_id": "anthropic", "model_id": ""}, "anthropic/"),
        ({"provider_id": "anthropic", "model_id": "anthropic/m"}, "anthropic/m"),
        ({"provider_id": "openrouter", "model_id": "anthropic/m"}, "openrouter/anthropic/m"),
        ({"model_id": "m"}, "m"),
        ({"model_id": "openai/m"}, "openai/m"),
        ({"model": "m"}, "m"),
        ({"model": "openai/m"}, "openai/m"),
        ({"provider_id": "anthropic", "model": "openai/m"}, "openai/m"),
        ({"provider_id": "anthropic", "model": "m"}, "anthropic/m"),
        ({"options": {"provider": "openai", "model": "m"}}, "openai/m"),
        ({"model_id": "top", "options": {"model_id": "nested"}}, "top"),
        ({"provider_id": "rhetor", "model_id": "fast"}, "fast"),
        ({"provider_id": "auto"}, ""),
    ],
)
def test_a_model_travels_with_its_provider(said: dict[str, Any], model: str) -> None:
    assert ask(**said).model == model


@pytest.mark.parametrize(
    ("options", "fallbacks"),
    [
        ({"fallback_provider": "openai", "fallback_model": "m"}, ("openai/m",)),
        ({"fallback_model": "m"}, ("m",)),
        ({"fallback_provider": "openai"}, ("openai/",)),
        ({"fallback_provider": "openai", "fallback_model": None}, ("openai/",)),
        ({"fallback_provider": None, "fallback_model": None}, ()),
    ],
)
def test_a_fallback_is_a_model_to_try_next(options: dict[str, Any], fallbacks: tuple[str, ...]) -> None:
    assert ask(options=options).fallbacks == fallbacks


def test_the_system_prompt_becomes_the_leading_message() -> None:
    messages = [{"role": "System", "content": "inside"}, {"role": "USER", "content": "q", "name": "ann"}]

    request = ask(messages=messages, system_prompt="beside")

    assert chat_of(request).messages == (
        Message(Role.SYSTEM, (Text("beside"),)),
        Message(Role.SYSTEM, (Text("inside"),)),
        Message(Role.USER, (Text("q"),), "ann"),
    )


def test_what_a_message_cannot_say_is_named() -> None:
    """The stock clients know results of functions, but no calls that they could answer."""
    request = ask(messages=[{"role": "function", "name": "clock", "content": "noon", "mood": "sunny"}])

    assert chat_of(request).messages == (Message(Role.USER, (Text("noon"),), "clock"),)
    assert request.unsaid == ("messages[0].role: function", "messages[0].mood")


def test_an_empty_message_has_no_parts() -> None:
    messages = [{"role": "user", "content": "q"}, {"role": "assistant", "content": None}]

    assert chat_of(ask(messages=messages)).messages[1] == Message(Role.ASSISTANT, ())


def test_the_timeout_is_in_seconds() -> None:
    assert ask(options={"timeout": 2.5}).timeout_s == 2.5


def test_the_context_comes_back_and_keys_no_memory() -> None:
    """It defaults to the component, then to "default", as the clients' own defaults do."""
    assert context_of(ask(context_id="ctx")) == "ctx"
    assert context_of(ask(context_id=None, component="terma")) == "terma"
    assert context_of(ask(context_id="")) == "default"
    assert context_of(ask()) == "default"


def test_the_component_is_named_in_the_body_or_in_a_header() -> None:
    header = {"x-component-id": "header"}

    assert ask(header, component="body").component == "body"
    assert ask(header, component_id="body").component == "body"
    assert ask(header).component == "header"
    assert ask({"x-component-id": "header"}).component == "header"
    assert ask(header, context_id="ctx").component == "header"


def test_what_nobody_understands_is_kept_and_named() -> None:
    request = ask(persona="poet", nothing=None, options={"bypass_budget": True, "retry_count": 3})

    assert request.unsaid == ("persona", "options.bypass_budget")
    assert request.original is not None
    assert request.original.fields["persona"] == "poet"


@pytest.mark.parametrize("word", ["task", "task_type"])
def test_what_it_is_about_is_told_at_either_place(word: str) -> None:
    top: dict[str, Any] = {word: "code"}
    for request in (ask(**top), ask(options=top)):
        assert (request.task, request.unsaid) == ("code", ())


def test_demands_are_told_at_either_place() -> None:
    demands = {"requirements": {"capabilities": ["tools"], "prefer": "cost"}}
    expected = Wanted(features=frozenset({Feature.TOOLS}), prefer="cost")
    for request in (ask(**demands), ask(options=demands)):
        assert (request.wanted, request.unsaid) == (expected, ())
    with pytest.raises(BadRequest, match="expected one of") as caught:
        ask(options={"requirements": {"prefer": "beauty"}})
    assert caught.value.param == "options.requirements.prefer"


@pytest.mark.parametrize(
    ("value", "most"),
    [(True, MOST_HISTORY), (5, 5), (5.0, 5), (0, 0), (10**9, MOST_HISTORY), (False, None), (None, None)],
)
def test_history_is_asked_for_at_either_place(value: Any, most: int | None) -> None:
    for request in (
        ask(context_id="c", history=value),
        ask(context_id="c", options={"history": value}),
    ):
        assert (history_of(request), request.unsaid) == (most, ())


def test_nobody_asks_for_history_by_a_context_alone() -> None:
    assert history_of(ask(context_id="c")) is None


PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}}
WEATHER = {"name": "weather", "description": "of a city", "parameters": PARAMETERS, "strict": True}
SCHEMA = {"name": "answer", "schema": PARAMETERS, "strict": True}
SHAPED: dict[str, tuple[Any, str, Any]] = {
    "tools": (
        [{"type": "function", "function": WEATHER}],
        "tools",
        (Tool("weather", "of a city", PARAMETERS, strict=True),),
    ),
    "tool_choice": (
        {"type": "function", "function": {"name": "weather"}},
        "tool_choice",
        ToolChoice("named", "weather"),
    ),
    "parallel_tool_calls": (False, "parallel_tool_calls", False),
    "response_format": (
        {"type": "json_schema", "json_schema": SCHEMA},
        "response_format",
        ResponseFormat("json_schema", "answer", None, PARAMETERS, strict=True),
    ),
    "reasoning_effort": ("low", "reasoning", Reasoning(effort="low")),
    "logprobs": (True, "logprobs", True),
    "top_logprobs": (3, "top_logprobs", 3),
}
"""What is said → the field of the chat, and what it becomes."""


@pytest.mark.parametrize("key", SHAPED)
def test_what_has_openais_shape_stands_at_either_place(key: str) -> None:
    said, field, expected = SHAPED[key]

    for request in (ask(**{key: said}), ask(options={key: said})):
        assert getattr(chat_of(request), field) == expected
        assert request.unsaid == ()
    assert ask(**{key: None}, options={key: None}).input == ask().input


def test_what_has_openais_shape_and_no_meaning_here_is_named() -> None:
    request = ask(
        tools=[{"type": "web_search"}],
        options={"tool_choice": "perhaps", "response_format": {"type": "poem"}, "n": 2},
    )

    assert (chat_of(request).tools, chat_of(request).choices) == ((), 1)
    expected = ["tools[0]: web_search", "options.tool_choice", "options.response_format", "options.n"]
    assert sorted(request.unsaid) == sorted(expected)


def test_a_message_may_have_parts() -> None:
    parts = [
        {"type": "text", "text": "what is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk=", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
        {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,aGk=", "filename": "a.pdf"}},
    ]

    (message,) = chat_of(ask(messages=[{"role": "user", "content": parts}])).messages

    assert message.parts == (
        Text("what is this?"),
        Image(Inline("image/png", "aGk="), "low"),
        Image(Url("https://example.org/a.png")),
        Audio(Inline("audio/wav", "aGk=")),
        File(Inline("application/pdf", "aGk="), "a.pdf"),
    )


def test_a_conversation_may_have_calls_and_their_results() -> None:
    calls = [
        {"id": f"c{n}", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
        for n in (1, 2)
    ]
    request = ask(
        messages=[
            {"role": "user", "content": "q"},
            {"role": "Assistant", "content": None, "tool_calls": calls},
            {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
            {"role": "TOOL", "tool_call_id": "c2", "content": [{"type": "text", "text": "rainy"}]},
        ]
    )

    assert chat_of(request).messages[1:] == (
        Message(Role.ASSISTANT, (ToolUse("c1", "weather", "{}"), ToolUse("c2", "weather", "{}"))),
        Message(Role.TOOL, (ToolResult("c1", (Text("sunny"),)), ToolResult("c2", (Text("rainy"),)))),
    )
    assert request.unsaid == ()


@pytest.mark.parametrize("word", ["streaming", "stream"])
def test_the_body_may_ask_for_a_stream(word: str) -> None:
    yes: dict[str, Any] = {word: True}
    no: dict[str, Any] = {word: False}

    assert ask(**yes).stream
    assert not ask(**no).stream


@pytest.mark.parametrize(
    ("said", "param"),
    [
        ({"messages": None}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": "q"}, "messages"),
        ({"messages": None, "prompt": "q"}, "messages"),
        ({"messages": ["q"]}, "messages[0]"),
        ({"messages": [{"content": "q"}]}, "messages[0].role"),
        ({"messages": [{"role": "owner", "content": "q"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 1}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
        ({"messages": [{"role": "tool", "content": "sunny"}]}, "messages[0].tool_call_id"),
        ({"options": {"tools": [{}]}}, "options.tools[0].type"),
        ({"options": {"tool_choice": 1}}, "options.tool_choice"),
        (
            {"options": {"tool_choice": {"type": "function", "function": {}}}},
            "options.tool_choice.function.name",
        ),
        ({"options": {"response_format": {"type": "json_schema"}}}, "options.response_format.json_schema"),
        ({"reasoning_effort": 1}, "reasoning_effort"),
        ({"options": {"history": "all"}, "context_id": "c"}, "options.history"),
        ({"options": {"history": -1}, "context_id": "c"}, "options.history"),
        ({"options": {"history": True}}, "context_id"),
        ({"options": []}, "options"),
        ({"options": {"temperature": "hot"}}, "options.temperature"),
        ({"temperature": True}, "temperature"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"options": {"max_tokens": 1.5}}, "options.max_tokens"),
        ({"options": {"stop": [1]}}, "options.stop[0]"),
        ({"options": {"timeout": 0}}, "options.timeout"),
        ({"context_id": 1}, "context_id"),
        ({"context_id": "x" * (NAME_LIMIT + 1)}, "context_id"),
        ({"model_id": "x" * (NAME_LIMIT + 1)}, "model_id"),
        ({"streaming": "yes"}, "streaming"),
        ({"provider_id": {"id": "anthropic"}}, "provider_id"),
    ],
)
def test_nonsense_is_named_by_its_field(said: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as caught:
        ask(**said)

    assert (caught.value.param, caught.value.code) == (param, Code.INVALID_REQUEST)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"text"', b"\xff", b'{"messages":"\xff"}'])
def test_what_is_no_json_object_is_a_bad_request(body: bytes) -> None:
    with pytest.raises(BadRequest):
        parse_chat(body, {})


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
field_names = st.sampled_from(
    [
        *KNOBS,
        *SHAPED,
        "messages",
        "options",
        "stop",
        "provider_id",
        "model_id",
        "model",
        "context_id",
        "timeout",
        "role",
    ]
)


@given(st.dictionaries(field_names, json_values))
def test_any_object_is_understood_or_a_bad_request(said: dict[str, Any]) -> None:
    try:
        request = parse_chat(orjson.dumps({"messages": MESSAGES, **said}), {})
    except BadRequest:
        return
    assert isinstance(context_of(request), str)
