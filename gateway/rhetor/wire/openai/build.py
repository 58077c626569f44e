"""A canonical chat request in this language."""

from __future__ import annotations

from rhetor.core.content import JsonValue
from rhetor.core.request import Chat, Reasoning, Request, ResponseFormat, Tool, ToolChoice
from rhetor.wire import fields
from rhetor.wire.base import Outgoing, Quirks
from rhetor.wire.openai.content import Dropped, mark_of
from rhetor.wire.openai.conversation import write_messages
from rhetor.wire.openai.demands import demands

_SAME_NAME = (
    "parallel_tool_calls",
    "temperature",
    "top_p",
    "presence_penalty",
    "frequency_penalty",
    "seed",
    "top_logprobs",
)
"""Fields of `Chat` that are called the same, and left out when None."""


def build_chat(path: str, request: Request, model: str, quirks: Quirks) -> Outgoing:
    """The request, as this provider takes it.

    Raises:
        BadRequest: unsupported, the language cannot say it.
    """
    chat = request.input
    assert isinstance(chat, Chat)
    dropped = Dropped()
    body: dict[str, JsonValue] = {"model": model, "messages": write_messages(chat.messages, quirks, dropped)}
    body |= _settings(chat, quirks, dropped)
    if request.stream:
        body["stream"] = True
        if quirks.usage_in_stream:
            body["stream_options"] = {"include_usage": True}
    wanted = demands(body, quirks)
    return Outgoing(path, fields.dump(wanted.apply(body)), dropped=(*dropped, *wanted.dropped))


def _settings(chat: Chat, quirks: Quirks, dropped: Dropped) -> dict[str, JsonValue]:
    body: dict[str, JsonValue] = {}
    if chat.tools:
        body["tools"] = [_tool(tool, quirks, dropped) for tool in chat.tools]
    if chat.tool_choice is not None:
        body["tool_choice"] = _tool_choice(chat.tool_choice)
    if chat.response_format is not None:
        body["response_format"] = _response_format(chat.response_format)
    if chat.max_tokens is not None:
        body["max_completion_tokens"] = chat.max_tokens
    body |= {name: value for name in _SAME_NAME if (value := getattr(chat, name)) is not None}
    if chat.top_k is not None and quirks.top_k:
        body["top_k"] = chat.top_k
    elif chat.top_k is not None:
        dropped.append("top_k")
    if chat.stop:
        body["stop"] = list(chat.stop)
    if chat.reasoning is not None:
        body |= _reasoning(chat.reasoning, dropped)
    if chat.logprobs:
        body["logprobs"] = True
    if chat.end_user is not None:
        body["user"] = chat.end_user
    return body


def _reasoning(reasoning: Reasoning, dropped: Dropped) -> dict[str, JsonValue]:
    """The effort. A budget has no word here, and an effort in its place fails at models that never reason."""
    if reasoning.budget_tokens is not None:
        dropped.append("reasoning.budget_tokens")
    return {} if reasoning.effort is None else {"reasoning_effort": reasoning.effort}


def _tool(tool: Tool, quirks: Quirks, dropped: Dropped) -> JsonValue:
    function: dict[str, JsonValue] = {"name": tool.name}
    if tool.description is not None:
        function["description"] = tool.description
    if tool.schema:
        function["parameters"] = tool.schema
    if tool.strict is not None:
        function["strict"] = tool.strict
    return {"type": "function", "function": function, **mark_of(tool.cache, quirks, dropped)}


def _tool_choice(choice: ToolChoice) -> JsonValue:
    if choice.mode == "named":
        return {"type": "function", "function": {"name": choice.name}}
    return choice.mode


def _response_format(wanted: ResponseFormat) -> JsonValue:
    if wanted.kind == "text":
        return {"type": "text"}
    if wanted.kind == "json":
        return {"type": "json_object"}
    said = {
        "name": wanted.name or "reply",  # the language demands one
        "description": wanted.description,
        "schema": wanted.schema,
        "strict": wanted.strict,
    }
    return {
        "type": "json_schema",
        "json_schema": {key: value for key, value in said.items() if value is not None},
    }
