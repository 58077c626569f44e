"""The body of a chat completions call: every public field, and what callers get wrong."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhetor.core.capability import Capability, Feature
from rhetor.core.errors import BadRequest
from rhetor.core.request import Reasoning, ResponseFormat, Tool, ToolChoice, Wanted
from tests.wire.openai.speech import DOOR, chat, parse

PUBLIC_WITHOUT_CANONICAL_FORM: dict[str, Any] = {
    "audio": {"voice": "alloy", "format": "wav"},
    "function_call": "auto",
    "functions": [{"name": "f"}],
    "logit_bias": {"50256": -100},
    "metadata": {"a": "b"},
    "modalities": ["text", "audio"],
    "moderation": {"model": "omni-moderation-latest"},
    "prediction": {"type": "content", "content": "x"},
    "prompt_cache_key": "k",
    "prompt_cache_retention": "24h",
    "service_tier": "flex",
    "store": True,
    "verbosity": "low",
    "web_search_options": {},
    "reasoning": {"effort": "high"},
    "thinking": {"type": "enabled"},
    "min_p": 0.1,
    "chat_template_kwargs": {"enable_thinking": False},
}


def test_the_frame_of_a_request() -> None:
    request = parse(model="openai/gpt-5.1", stream=True, fallbacks=["a/b", "c"])
    assert (request.model, request.stream, request.capability) == ("openai/gpt-5.1", True, Capability.CHAT)
    assert request.fallbacks == ("a/b", "c")
    assert request.unsaid == ()


def test_who_leaves_the_choice_to_us_says_what_it_is_about() -> None:
    demands = {"capabilities": ["images"], "prefer": "speed"}
    request = parse(model="auto", component="ergon", task="code", requirements=demands)
    assert (request.component, request.task) == ("ergon", "code")
    assert request.wanted == Wanted(features=frozenset({Feature.IMAGES}), prefer="speed")
    assert request.unsaid == ()


def test_a_demand_that_nobody_knows_is_refused() -> None:
    with pytest.raises(BadRequest, match="expected one of capabilities, capability, cost") as caught:
        parse(requirements={"colour": "blue"})
    assert caught.value.param == "requirements.colour"


def test_the_original_is_kept_to_the_byte() -> None:
    body = b' {"model":"m", "x": 123456789012345678901234567890,"messages":[{"role":"user","content":"a"}] }'
    original = DOOR.parse(body, {}).original
    assert original is not None
    assert (original.wire, original.body) == ("openai", body)
    assert original.fields["model"] == "m"


@pytest.mark.parametrize("name", PUBLIC_WITHOUT_CANONICAL_FORM)
def test_a_field_without_canonical_form_is_kept_and_named(name: str) -> None:
    request = parse(**{name: PUBLIC_WITHOUT_CANONICAL_FORM[name]})
    assert request.unsaid == (name,)
    assert request.original is not None
    assert name in request.original.fields


def test_a_field_that_is_null_says_nothing() -> None:
    absent = (
        "logit_bias",
        "stop",
        "tools",
        "temperature",
        "response_format",
        "stream",
        "stream_options",
        "n",
        "user",
    )
    request = parse(**dict.fromkeys(absent))
    assert (request.input, request.stream, request.unsaid) == (parse().input, False, ())


@pytest.mark.parametrize(
    ("body", "name", "value"),
    [
        ({"temperature": 0.5}, "temperature", 0.5),
        ({"temperature": 1}, "temperature", 1),
        ({"top_p": 0.9}, "top_p", 0.9),
        ({"top_k": 40}, "top_k", 40),
        ({"presence_penalty": -1}, "presence_penalty", -1),
        ({"frequency_penalty": 0.1}, "frequency_penalty", 0.1),
        ({"seed": -7}, "seed", -7),
        ({"max_tokens": 5}, "max_tokens", 5),
        ({"max_tokens": 5.0}, "max_tokens", 5),
        ({"max_completion_tokens": 6}, "max_tokens", 6),
        ({"max_completion_tokens": 6, "max_tokens": 5}, "max_tokens", 6),
        ({"stop": "x"}, "stop", ("x",)),
        ({"stop": ["x", "y"]}, "stop", ("x", "y")),
        ({"stop": []}, "stop", ()),
        ({"logprobs": True}, "logprobs", True),
        ({"top_logprobs": 3}, "top_logprobs", 3),
        ({"n": 2}, "choices", 2),
        ({"parallel_tool_calls": False}, "parallel_tool_calls", False),
        ({"user": "u"}, "end_user", "u"),
        ({"safety_identifier": "s"}, "end_user", "s"),
        ({"reasoning_effort": "high"}, "reasoning", Reasoning(effort="high")),
        ({"reasoning_effort": "none"}, "reasoning", Reasoning(effort="none", enabled=False)),
        ({"response_format": {"type": "text"}}, "response_format", ResponseFormat("text")),
        ({"response_format": {"type": "json_object"}}, "response_format", ResponseFormat("json")),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "n", "schema": {}, "strict": True},
                }
            },
            "response_format",
            ResponseFormat("json_schema", name="n", schema={}, strict=True),
        ),
        ({"tool_choice": "auto"}, "tool_choice", ToolChoice("auto")),
        ({"tool_choice": "none"}, "tool_choice", ToolChoice("none")),
        ({"tool_choice": "required"}, "tool_choice", ToolChoice("required")),
        ({"tool_choice": "any"}, "tool_choice", ToolChoice("required")),
        (
            {"tool_choice": {"type": "function", "function": {"name": "f"}}},
            "tool_choice",
            ToolChoice("named", "f"),
        ),
        (
            {"tools": [{"type": "function", "function": {"name": "f"}}]},
            "tools",
            (Tool("f"),),
        ),
        (
            {
                "tools": [
                    {
                        "type": "function",
                        "function": {
                            "name": "f",
                            "description": "d",
                            "parameters": {"type": "object"},
                            "strict": True,
                        },
                        "cache_control": {"type": "ephemeral", "ttl": "1h"},
                    }
                ]
            },
            "tools",
            (Tool("f", "d", {"type": "object"}, strict=True, cache="1h"),),
        ),
    ],
)
def test_a_setting(body: dict[str, Any], name: str, value: Any) -> None:
    request = parse(**body)
    assert getattr(request.input, name) == value
    assert request.unsaid == ()


@pytest.mark.parametrize(
    ("body", "unsaid"),
    [
        (
            {"tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}}},
            "tool_choice",
        ),
        ({"tool_choice": {"type": "custom", "custom": {"name": "c"}}}, "tool_choice"),
        ({"tool_choice": "sometimes"}, "tool_choice"),
        ({"tools": [{"type": "custom", "custom": {"name": "c"}}]}, "tools[0]: custom"),
        ({"response_format": {"type": "grammar", "grammar": "x"}}, "response_format"),
        (
            {"stream_options": {"include_usage": True, "include_obfuscation": False}},
            "stream_options.include_obfuscation",
        ),
        ({"user": "u", "safety_identifier": "s"}, "safety_identifier"),
        (
            {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "audio": {"id": "a"}}]},
            "messages[1].audio",
        ),
    ],
)
def test_a_value_without_canonical_form_is_named(body: dict[str, Any], unsaid: str) -> None:
    assert parse(**body).unsaid == (unsaid,)


def test_usage_in_a_stream_is_for_those_who_ask() -> None:
    assert parse(stream=True).stream_usage is False
    assert parse(stream=True, stream_options={}).stream_usage is False
    assert parse(stream=True, stream_options={"include_usage": True}).stream_usage is True


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"model": None}, "model"),
        ({"model": 5}, "model"),
        ({"messages": None}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": ["hi"]}, "messages[0]"),
        ({"messages": [{"content": "hi"}]}, "messages[0].role"),
        ({"messages": [{"role": "robot", "content": "hi"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": ["hi"]}]}, "messages[0].content[0]"),
        ({"messages": [{"role": "user", "content": [{"text": "a"}]}]}, "messages[0].content[0].type"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
            "messages[0].content[0].image_url.url",
        ),
        ({"messages": [{"role": "tool", "content": "r"}]}, "messages[0].tool_call_id"),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"id": "c"}]}]},
            "messages[0].tool_calls[0].function",
        ),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "f"}}]}]},
            "messages[0].tool_calls[0].id",
        ),
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"n": 0}, "n"),
        ({"stop": [1]}, "stop[0]"),
        ({"stream": "yes"}, "stream"),
        ({"stream_options": []}, "stream_options"),
        ({"stream_options": {"include_usage": 1}}, "stream_options.include_usage"),
        ({"tools": {}}, "tools"),
        ({"tools": [{}]}, "tools[0].type"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
        ({"tool_choice": 1}, "tool_choice"),
        ({"tool_choice": {"type": "function"}}, "tool_choice.function"),
        ({"response_format": "json"}, "response_format"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"fallbacks": "a/b"}, "fallbacks"),
        ({"fallbacks": [1]}, "fallbacks[0]"),
    ],
)
def test_a_mistake_is_named_by_its_path(body: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as refused:
        parse(**body)
    assert refused.value.param == param
    assert refused.value.status == 400


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.floats()
    | st.sampled_from(["", "text", "function", "user"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                ["role", "content", "type", "text", "function", "name", "url", "image_url", "tool_calls"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


@given(
    st.dictionaries(
        st.sampled_from(
            ["model", "messages", "tools", "tool_choice", "stop", "n", "stream_options", "response_format"]
        ),
        json_values,
    )
)
def test_whatever_comes_is_a_request_or_the_callers_mistake(said: dict[str, Any]) -> None:
    body = orjson.dumps({"model": "m", "messages": [{"role": "user", "content": "a"}], **said})
    try:
        DOOR.parse(body, {})
    except BadRequest as refused:
        refusal = refused
    else:
        return
    assert refusal.message


def test_a_tool_without_parameters_has_an_empty_schema() -> None:
    assert chat(tools=[{"type": "function", "function": {"name": "f", "parameters": None}}]).tools == (
        Tool("f"),
    )
