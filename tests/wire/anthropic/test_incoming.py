"""What callers of this language say, and what we make of it."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from rhetor.core.capability import Capability
from rhetor.core.content import Image, Inline, Text, Thinking, ToolResult, ToolUse
from rhetor.core.errors import BadRequest
from rhetor.core.request import Chat, Message, Reasoning, Request, ResponseFormat, Role, Tool, ToolChoice
from rhetor.wire.anthropic.incoming import read_request
from tests.wire.anthropic.golden import golden

HELLO = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}


def test_a_coding_agents_request_is_understood_and_kept() -> None:
    """Tools, thinking, cache marks, images in results, and a system message in the middle."""
    body = golden("agent_request.json")
    request = read_request(Capability.CHAT, body, {"anthropic-beta": "interleaved", "x-api-key": "secret"})

    assert request.input == Chat(
        messages=(
            Message(
                Role.SYSTEM, (Text("You are a coding agent."), Text("The repository is small.", cache="1h"))
            ),
            Message(
                Role.USER,
                (
                    Text("<system-reminder>Today is Friday.</system-reminder>"),
                    Text("List the files.", cache="5m"),
                ),
            ),
            Message(
                Role.ASSISTANT,
                (
                    Thinking("ls will do.", "EqQBCgIYAhIM"),
                    Text("Gladly."),
                    ToolUse("toolu_01", "Bash", '{"command":"ls"}'),
                    ToolUse("toolu_02", "Bash", '{"command":"pwd"}'),
                ),
            ),
            Message(
                Role.TOOL,
                (
                    ToolResult("toolu_01", (Text("a.py\nb.py"),)),
                    ToolResult(
                        "toolu_02",
                        (Text("denied"), Image(Inline("image/png", "iVBORw0KGgo="))),
                        is_error=True,
                        cache="5m",
                    ),
                ),
            ),
            Message(Role.USER, (Text("Go on."),)),
            Message(Role.SYSTEM, (Text("The user is in a hurry."),)),
        ),
        tools=(
            Tool("Bash", "Runs a command.", orjson.loads(body)["tools"][0]["input_schema"]),
            Tool(
                "Agent",
                "Starts another agent.",
                {"type": "object", "properties": {"model": {"type": "string"}}},
            ),
        ),
        tool_choice=ToolChoice("auto"),
        max_tokens=32000,
        reasoning=Reasoning("xhigh"),
        end_user="user_1_account__session_2",
    )
    assert request.stream
    assert request.original is not None
    assert request.original.body == body
    assert request.original.headers == {"anthropic-beta": "interleaved"}


def test_what_has_no_canonical_form_is_named() -> None:
    request = read_request(Capability.CHAT, golden("agent_request.json"), {})
    assert sorted(request.unsaid) == [
        "context_management",
        "messages[3].clear_at",
        "output_config.task_budget",
        "thinking.display",
        "tools[0].eager_input_streaming",
        "tools[2]: web_search_20250305",
    ]


@pytest.mark.parametrize(
    ("said", "choice", "parallel"),
    [
        ({"type": "auto"}, ToolChoice("auto"), None),
        ({"type": "any", "disable_parallel_tool_use": True}, ToolChoice("required"), False),
        (
            {"type": "tool", "name": "f", "disable_parallel_tool_use": False},
            ToolChoice("named", "f"),
            True,
        ),
        ({"type": "none"}, ToolChoice("none"), None),
    ],
)
def test_tool_choices(said: dict[str, Any], choice: ToolChoice, parallel: bool | None) -> None:
    chat = _chat(tool_choice=said)
    assert (chat.tool_choice, chat.parallel_tool_calls) == (choice, parallel)


@pytest.mark.parametrize(
    "said",
    [
        {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}},
        {"output_format": {"type": "json_schema", "schema": {"type": "object"}}},
    ],
)
def test_a_schema_for_the_answer_under_its_present_and_its_former_name(said: dict[str, Any]) -> None:
    assert _chat(**said).response_format == ResponseFormat("json_schema", schema={"type": "object"})


def test_knobs() -> None:
    chat = _chat(temperature=0.5, top_p=1, top_k=40, stop_sequences=["END"], metadata={"user_id": "u"})
    assert (chat.temperature, chat.top_p, chat.top_k, chat.stop, chat.end_user) == (0.5, 1, 40, ("END",), "u")


def test_a_system_that_says_nothing_is_none() -> None:
    assert _chat(system="") == _chat(system=[]) == _chat()


def test_results_between_words_are_messages_of_their_own() -> None:
    blocks = [
        {"type": "text", "text": "a"},
        {"type": "tool_result", "tool_use_id": "1"},
        {"type": "text", "text": "b"},
    ]
    assert [message.role for message in _chat(messages=[{"role": "user", "content": blocks}]).messages] == [
        Role.USER,
        Role.TOOL,
        Role.USER,
    ]


def test_counting_needs_no_limit() -> None:
    body = {key: value for key, value in HELLO.items() if key != "max_tokens"}
    request = read_request(Capability.COUNT_TOKENS, orjson.dumps(body | {"stream": True}), {})
    assert request.capability is Capability.COUNT_TOKENS
    assert not request.stream


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"max_tokens": None}, "max_tokens"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"max_tokens": "many"}, "max_tokens"),
        ({"model": None}, "model"),
        ({"model": 5}, "model"),
        ({"messages": None}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": ["hi"]}, "messages[0]"),
        ({"messages": [{"content": "hi"}]}, "messages[0].role"),
        ({"messages": [{"role": "tool", "content": "hi"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [5]}]}, "messages[0].content[0]"),
        ({"messages": [{"role": "user", "content": [{"text": "a"}]}]}, "messages[0].content[0].type"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "url"}}]}]},
            "messages[0].content[0].source.url",
        ),
        (
            {"messages": [{"role": "assistant", "content": [{"type": "tool_use", "id": "1", "name": "f"}]}]},
            "messages[0].content[0].input",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": 1}]}]},
            "messages[0].content[0].tool_use_id",
        ),
        (
            {"system": [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "1d"}}]},
            "system[0].cache_control.ttl",
        ),
        ({"system": 5}, "system"),
        ({"tools": {}}, "tools"),
        ({"tools": [{"name": "f"}]}, "tools[0].input_schema"),
        ({"tool_choice": "auto"}, "tool_choice"),
        ({"tool_choice": {}}, "tool_choice.type"),
        ({"tool_choice": {"type": "tool"}}, "tool_choice.name"),
        ({"temperature": "hot"}, "temperature"),
        ({"top_k": 1.5}, "top_k"),
        ({"stop_sequences": "END"}, "stop_sequences"),
        ({"stop_sequences": [1]}, "stop_sequences[0]"),
        ({"stream": "yes"}, "stream"),
        ({"thinking": {}}, "thinking.type"),
        ({"thinking": {"type": "enabled", "budget_tokens": "a"}}, "thinking.budget_tokens"),
        ({"output_config": {"effort": 3}}, "output_config.effort"),
        ({"output_config": {"format": {"type": "json_schema"}}}, "output_config.format.schema"),
        ({"metadata": {"user_id": 5}}, "metadata.user_id"),
    ],
)
def test_bad_requests_name_the_field(change: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as caught:
        _read(HELLO | change)
    assert caught.value.param == param
    assert param in caught.value.message


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b'"text"'])
def test_a_body_that_is_no_object(body: bytes) -> None:
    with pytest.raises(BadRequest):
        read_request(Capability.CHAT, body, {})


def _read(said: dict[str, Any]) -> Request:
    return read_request(Capability.CHAT, orjson.dumps(said), {})


def _chat(**change: Any) -> Chat:
    chat = _read(HELLO | change).input
    assert isinstance(chat, Chat)
    return chat
