"""A canonical request in this language, and back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from rhetor.core.content import Text
from rhetor.core.request import Chat, Message, Reasoning, ResponseFormat, Role, Tool, ToolChoice
from rhetor.wire.base import PLAIN, Quirks
from tests.wire.openai.speech import DOOR, SPEECH, TALKATIVE, UPSTREAM, build
from tests.wire.strategies import chats, request_of

HI = Chat(messages=(Message(Role.USER, (Text("hi"),)),))


def built(
    quirks: Quirks = PLAIN, stream: bool = False, **settings: Any
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The body beside the messages, and what was dropped."""
    chat = Chat(messages=HI.messages, **settings)
    body, dropped = build(request_of(chat, stream=stream), quirks)
    del body["messages"], body["model"]
    return body, dropped


@given(chats(SPEECH))
def test_what_is_built_is_parsed_back(chat: Chat) -> None:
    outgoing = UPSTREAM.build(request_of(chat), "target", TALKATIVE)
    request = DOOR.parse(outgoing.body, {})
    assert request.input == chat
    assert request.model == "target"
    assert (request.unsaid, outgoing.dropped, outgoing.path) == ((), (), "/chat/completions")


def test_the_least_request() -> None:
    outgoing = UPSTREAM.build(request_of(HI), "target", PLAIN)
    assert outgoing.body == b'{"model":"target","messages":[{"role":"user","content":"hi"}]}'


def test_a_stream_asks_for_usage_where_that_is_possible() -> None:
    assert built(stream=True) == ({"stream": True, "stream_options": {"include_usage": True}}, ())
    assert built(Quirks(usage_in_stream=False), stream=True) == ({"stream": True}, ())


def test_the_output_limit_has_the_providers_name() -> None:
    assert built(max_tokens=5) == ({"max_completion_tokens": 5}, ())
    assert built(Quirks(max_tokens_field="max_tokens"), max_tokens=5) == ({"max_tokens": 5}, ())


def test_a_refused_field_is_left_out_and_named() -> None:
    quirks = Quirks(drop_fields=frozenset({"seed", "logit_bias"}))
    assert built(quirks, seed=1, top_p=0.5) == ({"top_p": 0.5}, ("seed",))


def test_top_k_goes_to_those_who_take_it() -> None:
    assert built(top_k=2) == ({}, ("top_k",))
    assert built(Quirks(top_k=True), top_k=2) == ({"top_k": 2}, ())


def test_a_budget_is_named_and_an_effort_sent() -> None:
    assert built(reasoning=Reasoning(budget_tokens=2000)) == ({}, ("reasoning.budget_tokens",))
    assert built(reasoning=Reasoning(effort="low", budget_tokens=2000))[0] == {"reasoning_effort": "low"}
    assert built(reasoning=Reasoning(enabled=False)) == ({}, ())


def test_a_schema_gets_the_name_that_the_language_demands() -> None:
    body, _ = built(response_format=ResponseFormat("json_schema", schema={"type": "object"}))
    assert body["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "reply", "schema": {"type": "object"}},
    }


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (ToolChoice("auto"), "auto"),
        (ToolChoice("none"), "none"),
        (ToolChoice("required"), "required"),
        (ToolChoice("named", "f"), {"type": "function", "function": {"name": "f"}}),
    ],
)
def test_tool_choices(choice: ToolChoice, said: Any) -> None:
    assert built(tool_choice=choice) == ({"tool_choice": said}, ())


def test_a_marked_tool() -> None:
    tool = Tool("f", cache="5m")
    function = {"type": "function", "function": {"name": "f"}}
    assert built(tools=(tool,)) == ({"tools": [function]}, ("cache_control",))
    marked, dropped = built(TALKATIVE, tools=(tool,))
    assert (marked["tools"], dropped) == ([{**function, "cache_control": {"type": "ephemeral"}}], ())
