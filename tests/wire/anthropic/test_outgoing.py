"""Requests as providers of this language get them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhetor.core.capability import Capability
from rhetor.core.content import Text
from rhetor.core.request import Chat, Message, Reasoning, Request, ResponseFormat, Role, Tool, ToolChoice
from rhetor.wire.anthropic import ANTHROPIC
from rhetor.wire.anthropic.incoming import read_request
from rhetor.wire.anthropic.outgoing import build_count, build_messages
from rhetor.wire.base import PLAIN, Outgoing, Quirks
from tests.wire.anthropic.golden import golden
from tests.wire.strategies import request_of

HI = Chat(messages=(Message(Role.USER, (Text("hi"),)),))
FIND = Tool("find", schema={"type": "object"})
CALLING = replace(HI, tools=(FIND,))
OLDER, NEWEST = "claude-sonnet-4-6", "claude-opus-5-5"


def test_the_least_request() -> None:
    """The limit that the language demands comes from the provider's row when the caller has none."""
    outgoing = _build(HI, quirks=Quirks(default_max_tokens=77))
    assert _said(outgoing) == {
        "model": "m",
        "max_tokens": 77,
        "messages": [{"role": "user", "content": "hi"}],
    }
    assert outgoing.path == "/v1/messages"
    assert outgoing.headers == {"anthropic-version": "2023-06-01"}
    assert outgoing.dropped == ()


def test_thinking_has_room_beside_the_answer_when_the_caller_sets_no_limit() -> None:
    said = _said(_build(replace(HI, reasoning=Reasoning("high")), quirks=Quirks(default_max_tokens=1000)))
    assert said["thinking"]["budget_tokens"] + 1000 == said["max_tokens"]


def test_tools_and_their_choice() -> None:
    chat = replace(
        HI,
        tools=(Tool("find", "Finds.", {"type": "object"}, strict=True, cache="1h"), Tool("stop")),
        tool_choice=ToolChoice("named", "find"),
        parallel_tool_calls=False,
    )
    said = _said(_build(chat))
    assert said["tools"] == [
        {
            "name": "find",
            "description": "Finds.",
            "input_schema": {"type": "object"},
            "strict": True,
            "cache_control": {"type": "ephemeral", "ttl": "1h"},
        },
        {"name": "stop", "input_schema": {"type": "object"}},
    ]
    assert said["tool_choice"] == {"type": "tool", "name": "find", "disable_parallel_tool_use": True}


def test_one_call_at_a_time_needs_no_other_choice() -> None:
    said = _said(_build(replace(CALLING, parallel_tool_calls=False)))
    assert said["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}


def test_a_model_that_cannot_be_made_to_call_chooses_itself() -> None:
    outgoing = _build(replace(CALLING, tool_choice=ToolChoice("required")), NEWEST)
    assert _said(outgoing)["tool_choice"] == {"type": "auto"}
    assert outgoing.dropped == ("tool_choice: the model cannot be made to call a tool",)


def test_a_choice_without_tools_is_left_out() -> None:
    """The API answers it with an error."""
    assert "tool_choice" not in _said(_build(replace(HI, tool_choice=ToolChoice("auto"))))
    assert _build(replace(HI, tool_choice=ToolChoice("required"))).dropped == (
        "tool_choice: there are no tools",
    )


def test_a_schema_for_the_answer() -> None:
    wanted = ResponseFormat("json_schema", "city", "A city.", {"type": "object"}, strict=True)
    outgoing = _build(replace(HI, response_format=wanted, reasoning=Reasoning("max")), OLDER)
    assert _said(outgoing)["output_config"] == {
        "effort": "max",
        "format": {"type": "json_schema", "schema": {"type": "object"}},
    }
    assert outgoing.dropped == ("response_format.description",)


def test_json_without_a_schema_cannot_be_asked_for() -> None:
    outgoing = _build(replace(HI, response_format=ResponseFormat("json")))
    assert "output_config" not in _said(outgoing)
    assert outgoing.dropped == ("response_format: JSON without a schema",)


@pytest.mark.parametrize(
    ("model", "knobs", "said", "dropped"),
    [
        ("m", {"temperature": 0.5, "top_p": 0.9}, {"temperature": 0.5, "top_p": 0.9}, ()),
        ("m", {"top_k": 4}, {"top_k": 4}, ()),
        ("m", {"temperature": 1.7}, {"temperature": 1.0}, ("temperature: lowered to 1.0",)),
        (
            OLDER,
            {"temperature": 0.5, "top_p": 0.9},
            {"temperature": 0.5},
            ("top_p: not together with temperature",),
        ),
        (OLDER, {"temperature": 0.5, "top_p": 1}, {"temperature": 0.5}, ()),
        (
            OLDER,
            {"temperature": 0.5, "top_k": 4, "reasoning": Reasoning("low")},
            {},
            ("temperature: not while thinking", "top_k: not while thinking"),
        ),
        (OLDER, {"top_p": 0.97, "reasoning": Reasoning("low")}, {"top_p": 0.97}, ()),
        (NEWEST, {"temperature": 1, "top_p": 1.0}, {}, ()),
        (NEWEST, {"temperature": 0.2}, {}, ("temperature: the model has no sampling",)),
    ],
)  # fmt: skip
def test_sampling(model: str, knobs: dict[str, Any], said: dict[str, Any], dropped: tuple[str, ...]) -> None:
    """What the API would answer with an error is left out, and named unless it was the default anyway."""
    outgoing = _build(replace(HI, max_tokens=9000, **knobs), model)
    assert {key: _said(outgoing).get(key) for key in said} == said
    assert not {"temperature", "top_p", "top_k"} & (_said(outgoing).keys() - said.keys())
    assert outgoing.dropped == dropped


def test_a_provider_may_be_cooler_still() -> None:
    outgoing = _build(replace(HI, temperature=0.9), quirks=Quirks(max_temperature=0.5))
    assert _said(outgoing)["temperature"] == 0.5


def test_stop_sequences_of_white_space_are_not_for_claude() -> None:
    outgoing = _build(replace(HI, stop=("\n\n", "END")), OLDER)
    assert _said(outgoing)["stop_sequences"] == ["END"]
    assert outgoing.dropped == ("stop[0]: only white space",)
    assert _said(_build(replace(HI, stop=("\n\n", "END"))))["stop_sequences"] == ["\n\n", "END"]


def test_knobs_without_a_word_are_named() -> None:
    chat = replace(HI, seed=0, presence_penalty=1.0, frequency_penalty=0.5, logprobs=True, top_logprobs=3)
    assert _build(chat).dropped == ("seed", "presence_penalty", "frequency_penalty", "logprobs")
    assert _build(replace(HI, presence_penalty=0.0, frequency_penalty=0.0)).dropped == ()


def test_fields_that_a_provider_refuses_are_left_out() -> None:
    outgoing = _build(
        replace(HI, end_user="u", temperature=0.5), quirks=Quirks(drop_fields=frozenset({"metadata"}))
    )
    assert "metadata" not in _said(outgoing)
    assert outgoing.dropped == ("metadata",)


def test_a_count_asks_only_with_what_goes_in() -> None:
    chat = replace(CALLING, max_tokens=5, temperature=0.5, stop=("END",), tool_choice=ToolChoice("auto"))
    outgoing = build_count(request_of(chat, stream=True), "m", PLAIN)
    assert outgoing.path == "/v1/messages/count_tokens"
    assert _said(outgoing).keys() == {"model", "messages", "tools", "tool_choice"}


def test_the_verbatim_lane_changes_one_value() -> None:
    body = (
        b'{ "stream":true, "model" : "fast",\n "max_tokens":1e2,\t"new":[1.50],'
        b' "messages":[{"role":"user","content":"\\u00e9"}] }'
    )
    outgoing = _retarget(_heard(body), "claude-x")
    assert outgoing.body == body.replace(b'"fast"', b'"claude-x"')
    assert outgoing.dropped == ()


def test_the_verbatim_lane_keeps_all_fields_when_bytes_cannot_be_told_apart() -> None:
    """A tool with a parameter called model: the agent's own request."""
    body = golden("agent_request.json")
    assert _said(_retarget(_heard(body), "claude-x")) == orjson.loads(body) | {"model": "claude-x"}


def test_the_verbatim_lane_keeps_the_callers_version_and_betas() -> None:
    headers = {"anthropic-version": "2026-10-21", "anthropic-beta": "a,b", "authorization": "Bearer secret"}
    assert _retarget(_heard(_HELLO, headers), "x").headers == {
        "anthropic-version": "2026-10-21",
        "anthropic-beta": "a,b",
    }
    assert _retarget(_heard(_HELLO), "x").headers == {"anthropic-version": "2023-06-01"}


def test_the_verbatim_lane_leaves_out_what_a_quirk_demands() -> None:
    body = orjson.dumps(orjson.loads(_HELLO) | {"context_management": {}, "new": 1})
    outgoing = _retarget(_heard(body), "x", Quirks(drop_fields=frozenset({"context_management", "absent"})))
    assert _said(outgoing) == orjson.loads(_HELLO) | {"model": "x", "new": 1}
    assert outgoing.dropped == ("context_management",)


_HELLO = b'{"model":"fast","max_tokens":5,"messages":[{"role":"user","content":"hi"}]}'
_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=6,
)


@given(
    st.dictionaries(st.text(max_size=6).map(lambda key: f"x_{key}"), _values, max_size=3),
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=8),
)
def test_unknown_fields_survive_the_verbatim_lane(extra: dict[str, Any], model: str) -> None:
    said = orjson.loads(_HELLO) | extra
    assert _said(_retarget(_heard(orjson.dumps(said)), model)) == said | {"model": model}


def _build(chat: Chat, model: str = "m", quirks: Quirks = PLAIN) -> Outgoing:
    return build_messages(request_of(chat), model, quirks)


def _heard(body: bytes, headers: dict[str, str] | None = None) -> Request:
    return read_request(Capability.CHAT, body, headers or {})


def _retarget(request: Request, model: str, quirks: Quirks = PLAIN) -> Outgoing:
    assert request.original is not None
    return ANTHROPIC.upstream[Capability.CHAT].retarget(request.original, model, quirks)


def _said(outgoing: Outgoing) -> dict[str, Any]:
    said: dict[str, Any] = orjson.loads(outgoing.body)
    return said
