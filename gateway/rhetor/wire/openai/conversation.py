"""Messages, both directions.

Each result of a tool is a message of its own in this language; results of one
round are one message of ours. An assistant's parts are read in the order
thinking, content, refusal, tool calls, which is the only one the language has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from rhetor.core.content import (
    Image,
    Json,
    JsonValue,
    Opaque,
    Part,
    Refusal,
    Thinking,
    ToolResult,
    ToolUse,
)
from rhetor.core.errors import BadRequest
from rhetor.core.request import Message, Role
from rhetor.wire import fields
from rhetor.wire.base import Quirks
from rhetor.wire.openai.content import (
    Dropped,
    mark_of,
    read_content,
    unsayable,
    write_content,
    write_part,
)
from rhetor.wire.openai.vocabulary import NAME

ROLES: Mapping[str, Role] = {
    "system": Role.SYSTEM,
    "developer": Role.SYSTEM,
    "user": Role.USER,
    "assistant": Role.ASSISTANT,
    "tool": Role.TOOL,
    "function": Role.TOOL,  # deprecated, as is the function_call that it answers
}
_SPOKEN_AS = {Role.SYSTEM: "system", Role.USER: "user", Role.ASSISTANT: "assistant"}
_THOUGHTS = ("reasoning_content", "reasoning")
_KNOWN = frozenset(
    {"role", "content", "name", "refusal", "tool_calls", "tool_call_id", "function_call", *_THOUGHTS}
)


def _role(message: Json, path: str) -> Role:
    word = fields.text(message, "role", path)
    role = ROLES.get(word)
    if role is None:
        where = fields.join(path, "role")
        raise BadRequest(f"{where}: expected one of {', '.join(ROLES)}, got {word!r}", param=where)
    return role


def read_messages(
    body: Json, unsaid: list[str], role_of: Callable[[Json, str], Role] = _role
) -> tuple[Message, ...]:
    """The conversation; fields of messages that have no canonical form go into `unsaid`.

    Args:
        role_of: reads a message's role, for languages with other words for them. Gets the message's path too.
    """
    if not fields.items(body, "messages"):
        raise BadRequest("messages: expected at least one message", param="messages")
    messages: list[tuple[Role, list[Part], str | None]] = []
    called: str | None = None  # the id that we gave to the last function_call, which has none
    for number, (message, path) in enumerate(fields.objects(body, "messages")):
        role = role_of(message, path)
        if role is Role.TOOL:
            result = _read_result(message, path, called)
            if messages and messages[-1][0] is Role.TOOL:
                messages[-1][1].append(result)
            else:
                messages.append((role, [result], None))
        else:
            parts = read_content(message, path)
            if role is Role.ASSISTANT:
                called = f"function_call_{number}"
                parts = _read_assistant(message, path, parts, called)
            messages.append((role, parts, fields.optional_text(message, "name", path)))
        if not message.keys() <= _KNOWN:
            unsaid += [f"{path}.{key}" for key, value in message.items() if value and key not in _KNOWN]
    return tuple(Message(role, tuple(parts), name) for role, parts, name in messages)


def _read_result(message: Json, path: str, called: str | None) -> ToolResult:
    parts = tuple(read_content(message, path))
    if message["role"] == "function":
        return ToolResult(called or fields.text(message, "name", path), parts)
    return ToolResult(fields.text(message, "tool_call_id", path), parts)


def _read_assistant(message: Json, path: str, content: list[Part], call_id: str) -> list[Part]:
    parts: list[Part] = []
    thought = next((text for name in _THOUGHTS if (text := fields.optional_text(message, name, path))), None)
    if thought is not None:
        parts.append(Thinking(thought))
    parts += content
    if refusal := fields.optional_text(message, "refusal", path):
        parts.append(Refusal(refusal))
    parts += [_read_call(call, where) for call, where in fields.objects(message, "tool_calls", path)]
    function = fields.optional_mapping(message, "function_call", path)
    if function is not None:
        parts.append(_read_function(function, call_id, fields.join(path, "function_call")))
    return parts


def _read_call(call: Json, path: str) -> Part:
    if call.get("type", "function") != "function":
        return Opaque(NAME, call)
    return _read_function(
        fields.mapping(call, "function", path), fields.text(call, "id", path), fields.join(path, "function")
    )


def _read_function(function: Json, call_id: str, path: str) -> ToolUse:
    arguments = fields.optional_text(function, "arguments", path)
    return ToolUse(call_id, fields.text(function, "name", path), arguments or "")


def write_messages(messages: Sequence[Message], quirks: Quirks, dropped: Dropped) -> list[JsonValue]:
    """The conversation in this language.

    Raises:
        BadRequest: unsupported, some content cannot be said at all.
    """
    written: list[JsonValue] = []
    for number, message in enumerate(messages):
        parts = [(part, f"messages[{number}].content[{at}]") for at, part in enumerate(message.parts)]
        if message.role is Role.TOOL:
            written += _write_results(parts, quirks, dropped)
        else:
            spoken: dict[str, JsonValue] = {"role": _SPOKEN_AS[message.role]}
            if message.name is not None:
                spoken["name"] = message.name
            if message.role is Role.ASSISTANT:
                spoken |= _write_assistant(parts, quirks, dropped)
            else:
                spoken["content"] = write_content(parts, quirks, dropped)
            written.append(spoken)
    return written


Placed = Iterable[tuple[Part, str]]
"""Parts with their paths."""


def _write_results(parts: Placed, quirks: Quirks, dropped: Dropped) -> list[JsonValue]:
    """One message for each result; the images of them follow as a user's, since a tool can only say text."""
    results: list[JsonValue] = []
    images: list[JsonValue] = []
    for part, path in parts:
        if not isinstance(part, ToolResult):
            raise unsayable(path, f"{type(part).__name__.lower()} in a tool's message")
        said = []
        for at, inner in enumerate(part.parts):
            where = f"{path}.content[{at}]"
            if isinstance(inner, Image):
                images.append(write_part(inner, where, quirks, dropped))
                dropped.append(f"{where}: image moved to a user message")
            else:
                said.append((inner, where))
        content = write_content(said, quirks, dropped)
        results.append({"role": "tool", "tool_call_id": part.tool_use_id, "content": content})
        mark_of(part.cache, _UNMARKED, dropped)
        if part.is_error:
            dropped.append(f"{path}.is_error")
    return [*results, {"role": "user", "content": images}] if images else results


_UNMARKED = Quirks()
"""Calls and results carry no cache mark in this language, whoever the provider is."""


def _write_assistant(parts: Placed, quirks: Quirks, dropped: Dropped) -> dict[str, JsonValue]:
    content: list[tuple[Part, str]] = []
    thoughts: list[str] = []
    refusals: list[str] = []
    calls: list[JsonValue] = []
    for part, path in parts:
        match part:
            case ToolUse(id, name, arguments, cache):
                mark_of(cache, _UNMARKED, dropped)
                function: Json = {"name": name, "arguments": arguments or "{}"}
                calls.append({"id": id, "type": "function", "function": function})
            case Opaque(wire, data) if wire == NAME and data.get("type") == "custom":
                calls.append(data)
            case Thinking(text) if quirks.thinking_returned:
                thoughts.append(text)
            case Thinking():
                dropped.append(f"{path}: thinking")
            case Refusal(text):
                refusals.append(text)
            case _:
                content.append((part, path))
    said = write_content(content, quirks, dropped)
    written: dict[str, JsonValue] = {"content": said or (None if calls or refusals else "")}
    if thoughts:
        written[quirks.thinking_field] = "".join(thoughts)
    if refusals:
        written["refusal"] = "".join(refusals)
    if calls:
        written["tool_calls"] = calls
    return written
