"""Conversations as the models of Bedrock get them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings

from rhetor.core.content import Text, ToolResult, ToolUse
from rhetor.core.request import Chat, Message, Reasoning, ResponseFormat, Role, Tool, ToolChoice
from rhetor.wire.base import Quirks
from tests.wire.bedrock.speaking import CLAUDE, GPT, HI, LLAMA, NEWEST, NOVA, OSS, sent
from tests.wire.strategies import Speech, chats

FIND = Tool("find", "Finds.", {"type": "object"})
SAID = {"messages": [{"role": "user", "content": [{"text": "hi"}]}]}


def asked(model: str = CLAUDE, **knobs: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What a caller's wishes become beside the conversation, and what is left out."""
    body, outgoing = sent(Chat(messages=(HI,), **knobs), model)
    return {name: value for name, value in body.items() if name != "messages"}, outgoing.dropped


def test_the_least_request() -> None:
    """No limit is made up: only Anthropic's own language demands one."""
    body, outgoing = sent(Chat(messages=(HI,)))
    assert body == SAID
    assert outgoing.path == "/model/eu.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse"
    assert outgoing.dropped == ()


def test_a_stream_is_another_action() -> None:
    _, outgoing = sent(Chat(messages=(HI,)), stream=True)
    assert outgoing.path.endswith("/converse-stream")


def test_what_every_model_can_be_told() -> None:
    said, dropped = asked(
        LLAMA,
        max_tokens=9,
        temperature=1.4,
        top_p=0.9,
        top_k=4,
        stop=("END", " \n"),
        seed=7,
        presence_penalty=0.5,
        frequency_penalty=0.5,
        logprobs=True,
        end_user="ann",
    )
    assert said == {
        "inferenceConfig": {"maxTokens": 9, "temperature": 1.0, "topP": 0.9, "stopSequences": ["END"]}
    }
    assert dropped == (
        "temperature: lowered to 1.0",
        "stop[1]: only white space",
        "top_k",
        "seed",
        "presence_penalty",
        "frequency_penalty",
        "logprobs",
        "end_user",
    )


@pytest.mark.parametrize(("stream", "told"), [(False, "/stop_sequence"), (True, "/delta/stop_sequence")])
def test_claude_is_asked_which_sequence_it_met(stream: bool, told: str) -> None:
    body, _ = sent(Chat(messages=(HI,), stop=("END",)), stream=stream)
    assert body["additionalModelResponseFieldPaths"] == [told]
    other, _ = sent(Chat(messages=(HI,), stop=("END",)), LLAMA, stream)
    assert "additionalModelResponseFieldPaths" not in other


@pytest.mark.parametrize(
    ("model", "knobs", "said", "dropped"),
    [
        (CLAUDE, {"top_k": 4}, {"additionalModelRequestFields": {"top_k": 4}}, ()),
        (NOVA, {"top_k": 4}, {"additionalModelRequestFields": {"inferenceConfig": {"topK": 4}}}, ()),
        (
            NEWEST,
            {"temperature": 0.5, "top_k": 4},
            {},
            ("temperature: the model has no sampling", "top_k: the model has no sampling"),
        ),
        (
            CLAUDE,
            {"temperature": 0.5, "top_p": 0.5},
            {"inferenceConfig": {"temperature": 0.5}},
            ("top_p: not together with temperature",),
        ),
        (
            GPT,
            {"temperature": 0.5, "top_p": 0.5, "stop": ("END",), "max_tokens": 7},
            {"inferenceConfig": {"maxTokens": 7}},
            ("temperature", "top_p", "stop"),
        ),
    ],
)
def test_what_only_some_models_take(
    model: str, knobs: dict[str, Any], said: dict[str, Any], dropped: tuple[str, ...]
) -> None:
    assert asked(model, **knobs) == (said, dropped)


@pytest.mark.parametrize(
    ("model", "wanted", "said", "dropped"),
    [
        (
            CLAUDE,
            Reasoning(budget_tokens=2000),
            {
                "inferenceConfig": {"maxTokens": 2000 + 4096},
                "additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 2000}},
            },
            (),
        ),
        (
            NOVA,
            Reasoning("low"),
            {
                "additionalModelRequestFields": {
                    "reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}
                }
            },
            (),
        ),
        (
            NOVA,
            Reasoning("xhigh"),
            {
                "additionalModelRequestFields": {
                    "reasoningConfig": {"type": "enabled", "maxReasoningEffort": "medium"}
                }
            },
            ("reasoning.effort: xhigh became medium",),
        ),
        (
            NOVA,
            Reasoning("none"),
            {"additionalModelRequestFields": {"reasoningConfig": {"type": "disabled"}}},
            (),
        ),
        (OSS, Reasoning("low"), {"additionalModelRequestFields": {"reasoning_effort": "low"}}, ()),
        (LLAMA, Reasoning("low"), {}, ("reasoning: the model thinks as it likes",)),
        (LLAMA, Reasoning("none"), {}, ()),
    ],
)
def test_thinking_in_each_vendors_words(
    model: str, wanted: Reasoning, said: dict[str, Any], dropped: tuple[str, ...]
) -> None:
    assert asked(model, reasoning=wanted) == (said, dropped)


def test_nova_takes_nothing_beside_its_highest_effort() -> None:
    said, dropped = asked(NOVA, reasoning=Reasoning("high"), max_tokens=9, temperature=0.5, stop=("END",))
    assert said["inferenceConfig"] == {"stopSequences": ["END"]}
    assert dropped == ("max_tokens: not with high effort", "temperature: not with high effort")


def test_tools_and_their_choice() -> None:
    tools = (Tool("find", "Finds.", {"properties": {}}, strict=True, cache="5m"), Tool("stop"))
    said, dropped = asked(tools=tools, tool_choice=ToolChoice("named", "find"))
    assert said["toolConfig"] == {
        "tools": [
            {
                "toolSpec": {
                    "name": "find",
                    "description": "Finds.",
                    "inputSchema": {"json": {"type": "object", "properties": {}}},
                    "strict": True,
                }
            },
            {"cachePoint": {"type": "default"}},
            {"toolSpec": {"name": "stop", "inputSchema": {"json": {"type": "object"}}}},
        ],
        "toolChoice": {"tool": {"name": "find"}},
    }
    assert dropped == ()


@pytest.mark.parametrize(
    ("mode", "model", "choice", "dropped"),
    [
        ("auto", CLAUDE, {"auto": {}}, ()),
        ("required", CLAUDE, {"any": {}}, ()),
        ("required", NEWEST, {"auto": {}}, ("tool_choice: the model cannot be made to call a tool",)),
        (None, CLAUDE, None, ()),
    ],
)
def test_choices_in_the_languages_words(mode: Any, model: str, choice: Any, dropped: tuple[str, ...]) -> None:
    wanted = None if mode is None else ToolChoice(mode)
    said, lost = asked(model, tools=(FIND,), tool_choice=wanted)
    assert said["toolConfig"].get("toolChoice") == choice
    assert lost == dropped


@pytest.mark.parametrize(
    ("choice", "told"),
    [
        (None, {"type": "auto"}),
        (ToolChoice("required"), {"type": "any"}),
        (ToolChoice("named", "find"), {"type": "tool", "name": "find"}),
    ],
)
def test_claude_calls_one_tool_at_a_time(choice: ToolChoice | None, told: dict[str, Any]) -> None:
    """In its own words, since the language has none; and not in both."""
    said, dropped = asked(tools=(FIND,), tool_choice=choice, parallel_tool_calls=False)
    expected = {**told, "disable_parallel_tool_use": True}
    assert said["additionalModelRequestFields"] == {"tool_choice": expected}
    assert "toolChoice" not in said["toolConfig"]
    assert dropped == ()


def test_others_cannot_be_told_to_call_one_at_a_time() -> None:
    _, dropped = asked(LLAMA, tools=(FIND,), parallel_tool_calls=False)
    assert dropped == ("parallel_tool_calls: the model may call several tools at once",)


def test_where_calls_were_made_there_are_tools() -> None:
    """A request without them is refused, even when none may be called."""
    talk = (
        HI,
        Message(Role.ASSISTANT, (ToolUse("1", "find", "{}"),)),
        Message(Role.TOOL, (ToolResult("1", (Text("4"),)),)),
    )
    body, _ = sent(Chat(messages=talk))
    assert [it["toolSpec"]["name"] for it in body["toolConfig"]["tools"]] == ["find"]
    forbidden = ToolChoice("none")
    body, outgoing = sent(Chat(messages=talk, tools=(FIND,), tool_choice=forbidden))
    assert "tools" in body["toolConfig"]
    assert outgoing.dropped == ("tool_choice: the model may call a tool, as it did before",)
    assert asked(tools=(FIND,), tool_choice=forbidden) == ({}, ())


def test_a_choice_without_tools_is_left_out() -> None:
    assert asked(tool_choice=ToolChoice("required")) == ({}, ("tool_choice: there are no tools",))


def test_a_schema_for_the_answer() -> None:
    wanted = ResponseFormat("json_schema", "city", "A city.", {"type": "object"}, strict=True)
    said, _ = asked(response_format=wanted)
    schema = {"schema": '{"type":"object"}', "name": "city", "description": "A city."}
    assert said["outputConfig"] == {
        "textFormat": {"type": "json_schema", "structure": {"jsonSchema": schema}}
    }
    assert asked(response_format=ResponseFormat("json")) == (
        {},
        ("response_format: JSON without a schema",),
    )


def test_quirks_of_a_row() -> None:
    chat = Chat(messages=(HI,), temperature=0.9, response_format=ResponseFormat("json_schema", schema={}))
    quirks = Quirks(max_temperature=0.5, drop_fields=frozenset({"outputConfig"}))
    body, outgoing = sent(chat, LLAMA, quirks=quirks)
    assert body == {**SAID, "inferenceConfig": {"temperature": 0.5}}
    assert outgoing.dropped == ("temperature: lowered to 0.5", "outputConfig")


@settings(max_examples=25)
@given(chats(Speech(system_anywhere=False, images=(), files=(), audio=(), result_images=False)))
def test_whatever_is_asked_is_said_in_turns(chat: Chat) -> None:
    """Sides take turns, and nobody says nothing."""
    talking = Chat(messages=(*chat.messages, Message(Role.USER, (Text("go on"),))), tools=chat.tools)
    body, _ = sent(talking)
    turns = body["messages"]
    assert all(it["content"] for it in turns)
    assert all(one["role"] != other["role"] for one, other in pairwise(turns))
