"""Conversations as Google's models get them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings

from rhetor.core.content import Text
from rhetor.core.request import Chat, Message, Reasoning, ResponseFormat, Role, Tool, ToolChoice
from rhetor.wire.base import Quirks
from rhetor.wire.gemini.outgoing import BUDGETS
from tests.wire.gemini.speaking import HI, NEWEST, OLDER, THOUGHTLESS, sent
from tests.wire.strategies import Speech, chats

FIND = Tool("find", "Finds.", {"type": "object"})


def config(model: str = NEWEST, **knobs: Any) -> tuple[Any, tuple[str, ...]]:
    """The settings for what a caller wants, and what is left out."""
    body, outgoing = sent(Chat(messages=(HI,), **knobs), model)
    return body.get("generationConfig"), outgoing.dropped


def test_the_least_request() -> None:
    body, outgoing = sent(Chat(messages=(HI,)))
    assert body == {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
    assert outgoing.path == f"/models/{NEWEST}:generateContent"
    assert outgoing.dropped == ()


def test_a_stream_is_another_method() -> None:
    _, outgoing = sent(Chat(messages=(HI,)), stream=True)
    assert outgoing.path == f"/models/{NEWEST}:streamGenerateContent?alt=sse"


def test_what_older_models_can_be_told() -> None:
    said, dropped = config(
        THOUGHTLESS,
        max_tokens=9,
        temperature=0.5,
        top_p=0.9,
        top_k=4,
        seed=7,
        presence_penalty=0.5,
        frequency_penalty=-0.5,
        stop=("a", "b"),
        logprobs=True,
        top_logprobs=3,
    )
    assert said == {
        "maxOutputTokens": 9,
        "temperature": 0.5,
        "topP": 0.9,
        "topK": 4,
        "seed": 7,
        "presencePenalty": 0.5,
        "frequencyPenalty": -0.5,
        "stopSequences": ["a", "b"],
        "responseLogprobs": True,
        "logprobs": 3,
    }
    assert dropped == ()


@pytest.mark.parametrize(
    ("knobs", "said", "dropped"),
    [
        ({"frequency_penalty": 1.0}, None, ("frequency_penalty: the model has none",)),
        ({"frequency_penalty": 0.0}, None, ()),
        ({"logprobs": True}, None, ("logprobs: the model tells none",)),
        ({"seed": 2**40}, None, ("seed: not a number of 32 bits",)),
        ({"stop": tuple("abcdefg")}, {"stopSequences": list("abcde")}, ("stop[5]", "stop[6]")),
        ({"end_user": "ann"}, None, ("end_user",)),
    ],
)
def test_what_newer_models_refuse_is_left_out_and_named(
    knobs: dict[str, Any], said: Any, dropped: tuple[str, ...]
) -> None:
    assert config(**knobs) == (said, dropped)


def test_quirks_of_a_row() -> None:
    chat = Chat(messages=(HI,), temperature=1.5, top_k=4)
    quirks = Quirks(max_temperature=1.0, drop_fields=frozenset({"topK"}))
    body, outgoing = sent(chat, quirks=quirks)
    assert body["generationConfig"] == {"temperature": 1.0}
    assert outgoing.dropped == ("temperature: lowered to 1.0", "topK")


def test_tools_and_their_choice() -> None:
    chat = Chat(
        messages=(HI,),
        tools=(FIND, Tool("stop", schema={"properties": {}}, strict=True, cache="5m"), Tool("go")),
        tool_choice=ToolChoice("named", "find"),
        parallel_tool_calls=False,
    )
    body, outgoing = sent(chat)
    assert body["tools"] == [
        {
            "functionDeclarations": [
                {"name": "find", "description": "Finds.", "parametersJsonSchema": {"type": "object"}},
                {"name": "stop", "parametersJsonSchema": {"type": "object", "properties": {}}},
                {"name": "go"},
            ]
        }
    ]
    assert body["toolConfig"] == {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["find"]}}
    assert outgoing.dropped == (
        "tools[1].strict",
        "cache_control",
        "parallel_tool_calls: the model may call several tools at once",
    )


@pytest.mark.parametrize(("mode", "word"), [("auto", "AUTO"), ("none", "NONE"), ("required", "ANY")])
def test_choices_in_the_languages_words(mode: Any, word: str) -> None:
    body, _ = sent(Chat(messages=(HI,), tools=(FIND,), tool_choice=ToolChoice(mode)))
    assert body["toolConfig"] == {"functionCallingConfig": {"mode": word}}


def test_a_choice_without_tools_is_left_out() -> None:
    body, outgoing = sent(Chat(messages=(HI,), tool_choice=ToolChoice("required")))
    assert "toolConfig" not in body
    assert outgoing.dropped == ("tool_choice: there are no tools",)


def test_a_schema_for_the_answer() -> None:
    wanted = ResponseFormat("json_schema", "city", "A city.", {"type": "object"}, strict=True)
    said, dropped = config(response_format=wanted)
    assert said == {"responseMimeType": "application/json", "responseJsonSchema": {"type": "object"}}
    assert dropped == ("response_format.description",)
    assert config(response_format=ResponseFormat("json"))[0] == {"responseMimeType": "application/json"}
    assert config(response_format=ResponseFormat("text")) == (None, ())


def test_older_models_take_no_format_beside_tools() -> None:
    knobs: dict[str, Any] = {"response_format": ResponseFormat("json"), "tools": (FIND,)}
    assert config(OLDER, **knobs) == (None, ("response_format: not together with tools",))
    assert config(NEWEST, **knobs)[1] == ()


@pytest.mark.parametrize(
    ("model", "wanted", "thinking", "dropped"),
    [
        (NEWEST, Reasoning("high"), {"includeThoughts": True, "thinkingLevel": "HIGH"}, ()),
        (NEWEST, Reasoning("xhigh"), {"includeThoughts": True, "thinkingLevel": "HIGH"}, ()),
        (NEWEST, Reasoning("minimal"), {"includeThoughts": True, "thinkingLevel": "LOW"}, ()),
        ("gemini-3-pro", Reasoning("medium"), {"includeThoughts": True, "thinkingLevel": "LOW"}, ()),
        ("gemini-3.5-flash", Reasoning("minimal"), {"includeThoughts": True, "thinkingLevel": "MINIMAL"}, ()),
        (NEWEST, Reasoning(budget_tokens=9000), {"includeThoughts": True, "thinkingLevel": "MEDIUM"}, ()),
        (NEWEST, Reasoning(), {"includeThoughts": True}, ()),
        (NEWEST, Reasoning("utmost"), {"includeThoughts": True}, ("reasoning.effort: utmost",)),
        (NEWEST, Reasoning("none"), {"thinkingLevel": "LOW"}, ("reasoning: the model always thinks",)),
        (OLDER, Reasoning("low"), {"includeThoughts": True, "thinkingBudget": 1024}, ()),
        (OLDER, Reasoning("max"), {"includeThoughts": True, "thinkingBudget": 24_576}, ()),
        (
            OLDER,
            Reasoning(budget_tokens=90_000),
            {"includeThoughts": True, "thinkingBudget": 24_576},
            ("reasoning.budget_tokens: 90000 became 24576",),
        ),
        (OLDER, Reasoning(enabled=False), {"thinkingBudget": 0}, ()),
        (
            "gemini-2.5-pro",
            Reasoning(enabled=False),
            {"thinkingBudget": 128},
            ("reasoning: the model always thinks",),
        ),
        (THOUGHTLESS, Reasoning("none"), None, ()),
        (THOUGHTLESS, Reasoning("low"), None, ("reasoning: the model does not think",)),
    ],
)
def test_thinking(model: str, wanted: Reasoning, thinking: Any, dropped: tuple[str, ...]) -> None:
    """By level or by budget, and never both: that would be an error."""
    expected = None if thinking is None else {"thinkingConfig": thinking}
    assert config(model, reasoning=wanted) == (expected, dropped)


def test_efforts_grow() -> None:
    assert list(BUDGETS.values()) == sorted(BUDGETS.values())


@settings(max_examples=25)
@given(chats(Speech(system_anywhere=False)))
def test_whatever_is_asked_is_said_in_turns(chat: Chat) -> None:
    """Contents are never empty, and only results of tools stand next to another one of the user's."""
    talking = Chat(messages=(*chat.messages, Message(Role.USER, (Text("go on"),))), tools=chat.tools)
    body, _ = sent(talking)
    for one, other in pairwise(body["contents"]):
        assert one["parts"]
        same = one["role"] == other["role"]
        assert not same or any("functionResponse" in it for it in (*one["parts"], *other["parts"]))
