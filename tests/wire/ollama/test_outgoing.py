"""Chat requests in Ollama's language."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given

from rhetor.core.capability import Capability
from rhetor.core.content import (
    Audio,
    File,
    Image,
    Inline,
    Opaque,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
    Uploaded,
    Url,
)
from rhetor.core.errors import BadRequest, Code
from rhetor.core.request import (
    Chat,
    Message,
    Original,
    Reasoning,
    Request,
    ResponseFormat,
    Role,
    Tool,
    ToolChoice,
)
from rhetor.wire.base import PLAIN, Outgoing, Quirks
from rhetor.wire.ollama import OLLAMA
from tests.wire.strategies import Speech, chats, request_of

SPEECH = Speech(images=(Inline,), audio=(), files=())
UPSTREAM = OLLAMA.upstream[Capability.CHAT]
SCHEMA: dict[str, Any] = {"type": "object", "properties": {"city": {"type": "string"}}}
WEATHER = Tool("weather", "Tells the weather", SCHEMA)
PNG = Inline("image/png", "iVBORw0=")


def user(*parts: Part) -> Message:
    return Message(Role.USER, parts)


def chat(*messages: Message, **knobs: Any) -> Chat:
    return Chat(messages=messages or (user(Text("hi")),), **knobs)


def build(asked: Chat, stream: bool = False, quirks: Quirks = PLAIN) -> Outgoing:
    return UPSTREAM.build(request_of(asked, stream=stream), "qwen3", quirks)


def body_of(outgoing: Outgoing) -> dict[str, Any]:
    body: dict[str, Any] = orjson.loads(outgoing.body)
    return body


def written(asked: Chat) -> dict[str, Any]:
    return body_of(build(asked))


def test_the_smallest_request() -> None:
    outgoing = build(chat(), stream=True)

    assert outgoing.path == "/api/chat"
    assert body_of(outgoing) == {
        "model": "qwen3",
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
    }
    assert outgoing.dropped == ()


def test_not_streaming_is_said() -> None:
    """Ollama streams unless told otherwise."""
    assert written(chat())["stream"] is False


def test_settings_are_options() -> None:
    asked = chat(
        max_tokens=9,
        temperature=0.0,
        top_p=0.5,
        top_k=40,
        presence_penalty=0.1,
        frequency_penalty=0.2,
        seed=0,
        stop=("x", "y"),
    )

    assert written(asked)["options"] == {
        "num_predict": 9,
        "temperature": 0.0,
        "top_p": 0.5,
        "top_k": 40,
        "presence_penalty": 0.1,
        "frequency_penalty": 0.2,
        "seed": 0,
        "stop": ["x", "y"],
    }


def test_pictures_stand_beside_the_text() -> None:
    (message,) = written(chat(user(Text("a"), Image(PNG), Text("b"))))["messages"]

    assert message == {"role": "user", "content": "a\n\nb", "images": ["iVBORw0="]}


def test_a_round_of_tools() -> None:
    """Arguments are objects, results are named by their tool and its call."""
    asked = chat(
        user(Text("weather?")),
        Message(
            Role.ASSISTANT,
            (
                Thinking("Two cities.", "signature"),
                Text("Let me see."),
                ToolUse("call_a", "weather", '{"city":"Zürich"}'),
                ToolUse("call_b", "clock", ""),
            ),
        ),
        Message(
            Role.TOOL,
            (
                ToolResult("call_a", (Text("22"), Text("sunny"))),
                ToolResult("call_b", (Text("noon"), Image(PNG)), is_error=True),
                ToolResult("call_z", ()),
            ),
        ),
        tools=(WEATHER, Tool("clock")),
    )

    outgoing = build(asked)
    body = body_of(outgoing)

    assert body["messages"][1:] == [
        {
            "role": "assistant",
            "content": "Let me see.",
            "thinking": "Two cities.",
            "tool_calls": [
                {
                    "id": "call_a",
                    "type": "function",
                    "function": {"name": "weather", "arguments": {"city": "Zürich"}},
                },
                {"id": "call_b", "type": "function", "function": {"name": "clock", "arguments": {}}},
            ],
        },
        {"role": "tool", "tool_name": "weather", "tool_call_id": "call_a", "content": "22\n\nsunny"},
        {
            "role": "tool",
            "tool_name": "clock",
            "tool_call_id": "call_b",
            "content": "noon",
            "images": ["iVBORw0="],
        },
        {"role": "tool", "tool_call_id": "call_z", "content": ""},
    ]
    assert body["tools"] == [
        {
            "type": "function",
            "function": {"name": "weather", "description": "Tells the weather", "parameters": SCHEMA},
        },
        {"type": "function", "function": {"name": "clock", "parameters": {}}},
    ]
    assert outgoing.dropped == ("messages[2].content[1].is_error",)


@pytest.mark.parametrize("broken", ['{"city":', "[1]", "null", '"text"'])
def test_arguments_that_are_no_object_are_wrapped_not_lost(broken: str) -> None:
    asked = chat(user(Text("hi")), Message(Role.ASSISTANT, (ToolUse("call_a", "weather", broken),)))

    call = written(asked)["messages"][1]["tool_calls"][0]

    assert call["function"]["arguments"] == {"INVALID_JSON": broken}


@pytest.mark.parametrize(
    ("choice", "sent", "dropped"),
    [
        (None, True, ()),
        (ToolChoice("auto"), True, ()),
        (ToolChoice("none"), False, ()),
        (ToolChoice("required"), True, ("tool_choice",)),
        (ToolChoice("named", "weather"), True, ("tool_choice",)),
    ],
)
def test_a_choice_of_tools_is_all_or_none(
    choice: ToolChoice | None, sent: bool, dropped: tuple[str, ...]
) -> None:
    outgoing = build(chat(tools=(WEATHER,), tool_choice=choice))

    assert ("tools" in body_of(outgoing), outgoing.dropped) == (sent, dropped)


@pytest.mark.parametrize(
    ("wanted", "format"),
    [
        (None, None),
        (ResponseFormat("text"), None),
        (ResponseFormat("json"), "json"),
        (ResponseFormat("json_schema", name="place", schema=SCHEMA, strict=True), SCHEMA),
    ],
)
def test_a_format_is_json_or_a_schema(wanted: ResponseFormat | None, format: object) -> None:
    assert written(chat(response_format=wanted)).get("format") == format


@pytest.mark.parametrize(
    ("reasoning", "think", "dropped"),
    [
        (Reasoning(), True, ()),
        (Reasoning(enabled=False), False, ()),
        (Reasoning(effort="none", enabled=False), False, ()),
        (Reasoning(effort="none"), False, ()),
        (Reasoning(effort="minimal"), "low", ()),
        (Reasoning(effort="low"), "low", ()),
        (Reasoning(effort="medium"), "medium", ()),
        (Reasoning(effort="high"), "high", ()),
        (Reasoning(effort="xhigh"), "high", ()),
        (Reasoning(effort="unheard of"), True, ()),
        (Reasoning(budget_tokens=2048), True, ("reasoning.budget_tokens",)),
    ],
)
def test_reasoning_is_think(reasoning: Reasoning, think: bool | str, dropped: tuple[str, ...]) -> None:
    outgoing = build(chat(reasoning=reasoning))

    assert (body_of(outgoing)["think"], outgoing.dropped) == (think, dropped)


def test_log_probabilities() -> None:
    body = written(chat(logprobs=True, top_logprobs=3))

    assert (body["logprobs"], body["top_logprobs"]) == (True, 3)


def test_what_is_lost_is_named() -> None:
    asked = chat(
        Message(Role.SYSTEM, (Text("be brief", cache="5m"),)),
        replace(user(Image(PNG, detail="high"), Opaque("anthropic", {"type": "search_result"})), name="ann"),
        Message(Role.ASSISTANT, (Refusal("No."),)),
        tools=(replace(WEATHER, strict=True, cache="1h"),),
        parallel_tool_calls=False,
        response_format=ResponseFormat("json_schema", description="a place", schema=SCHEMA),
        end_user="u1",
    )

    outgoing = build(asked)

    assert sorted(outgoing.dropped) == [
        "cache_control",
        "end_user",
        "messages[1].content[0].detail",
        "messages[1].content[1]: opaque search_result",
        "messages[1].name",
        "parallel_tool_calls",
        "response_format.description",
        "tools[0].strict",
    ]
    assert body_of(outgoing)["messages"][2] == {"role": "assistant", "content": "No."}


@pytest.mark.parametrize(
    "part",
    [
        Image(Url("https://example.org/cat.png")),
        Image(Uploaded("file-1")),
        Audio(Inline("audio/wav", "UklGRg==")),
        File(Inline("application/pdf", "JVBERi0=")),
    ],
)
def test_what_cannot_be_said_at_all_is_refused_with_its_place(part: Part) -> None:
    """Another target may take it."""
    with pytest.raises(BadRequest) as caught:
        build(chat(user(Text("hi"), part)))

    assert (caught.value.code, caught.value.param) == (Code.UNSUPPORTED, "messages[0].content[1]")


def test_a_provider_may_refuse_fields_and_high_temperatures() -> None:
    quirks = Quirks(drop_fields=frozenset({"think", "seed", "format"}), max_temperature=1.0)

    outgoing = build(chat(reasoning=Reasoning(), seed=1, temperature=1.5), quirks=quirks)

    assert body_of(outgoing).keys() == {"model", "messages", "stream", "options"}
    assert body_of(outgoing)["options"] == {"temperature": 1.0}
    assert outgoing.dropped == ("temperature: lowered to 1.0", "options.seed", "think")


def test_a_caller_of_the_same_language_keeps_every_field() -> None:
    body: dict[str, Any] = {"model": "fast", "messages": [], "keep_alive": "5m", "options": {"num_ctx": 8192}}
    original = Original("ollama", orjson.dumps(body), body)

    outgoing = UPSTREAM.retarget(original, "qwen3", Quirks(drop_fields=frozenset({"keep_alive"})))

    assert body_of(outgoing) == {"model": "qwen3", "messages": [], "options": {"num_ctx": 8192}}
    assert (outgoing.path, outgoing.dropped) == ("/api/chat", ("keep_alive",))


@given(chats(SPEECH))
def test_law_nothing_that_was_said_is_lost(asked: Chat) -> None:
    """Every text, thought, picture, call and result is in the body; a knob that is not is named."""
    request: Request = request_of(asked)
    outgoing = UPSTREAM.build(request, "qwen3", PLAIN)
    messages = body_of(outgoing)["messages"]

    said = [text for message in messages for text in texts_of(message)]
    assert said == [text for message in asked.messages for text in spoken(message)]
    assert ("end_user" in outgoing.dropped) == (asked.end_user is not None)
    may_call = asked.tool_choice is None or asked.tool_choice.mode != "none"
    one_at_a_time = asked.parallel_tool_calls is False and may_call
    assert ("parallel_tool_calls" in outgoing.dropped) == one_at_a_time


def texts_of(message: dict[str, Any]) -> Iterator[str]:
    yield message["role"]
    yield message.get("thinking", "")
    yield message["content"]
    yield from message.get("images", ())
    for call in message.get("tool_calls", ()):
        yield from (call["id"], call["function"]["name"])
        yield orjson.dumps(call["function"]["arguments"]).decode()
    yield message.get("tool_call_id", "")


def spoken(message: Message) -> Iterator[str]:
    """What `texts_of` must find."""
    results = [part for part in message.parts if isinstance(part, ToolResult)]
    if not results:
        yield from _spoken(message.role, message.parts, "")
    for result in results:
        yield from _spoken(Role.TOOL, result.parts, result.tool_use_id)


def _spoken(role: Role, parts: tuple[Part, ...], result_of: str) -> Iterator[str]:
    yield role.value
    yield "\n\n".join(part.text for part in parts if isinstance(part, Thinking))
    yield "\n\n".join(part.text for part in parts if isinstance(part, Text | Refusal))
    for part in parts:
        if isinstance(part, Image) and isinstance(part.source, Inline):
            yield part.source.base64
    for part in parts:
        if isinstance(part, ToolUse):
            yield from (part.id, part.name, part.arguments)
    yield result_of
