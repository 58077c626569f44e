"""The body of a chat completions call → Request.

https://platform.openai.com/docs/api-reference/chat/create (read 2026-11-20).
What has no canonical form is named in `Request.unsaid`; a provider of the same
language gets the original, so nothing of it is lost there. Our own are
`fallbacks`, models to try after the requested one, and for callers who leave
the choice to us `requirements`, `component` and `task`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from rhetor.core.capability import Capability
from rhetor.core.content import Json
from rhetor.core.request import Chat, Original, Reasoning, Request, ResponseFormat, Tool, ToolChoice
from rhetor.wire import fields
from rhetor.wire.openai.conversation import read_messages
from rhetor.wire.openai.demands import OURS
from rhetor.wire.openai.vocabulary import NAME, read_cache
from rhetor.wire.wanted import read_wanted

_CHOICES = {
    "auto": ToolChoice("auto"),
    "none": ToolChoice("none"),
    "required": ToolChoice("required"),
    "any": ToolChoice("required"),  # Mistral's word
}


def parse_chat(body: bytes, headers: Mapping[str, str]) -> Request:
    """The request; whoever makes the trip gives it its id.

    Raises:
        BadRequest: says which field is wrong and what was expected.
    """
    said = fields.parse_object(body)
    unsaid = unknown(said, _SAID)
    return Request(
        id="",
        capability=Capability.CHAT,
        model=fields.text(said, "model"),
        input=_chat(said, unsaid),
        stream=fields.flag(said, "stream"),
        stream_usage=_wants_usage(said, unsaid),
        original=Original(NAME, body, said),
        unsaid=tuple(unsaid),
        fallbacks=fields.texts(said, "fallbacks"),
        component=(fields.optional_text(said, "component") or None) if "component" in said else None,
        task=(fields.optional_text(said, "task") or None) if "task" in said else None,
        wanted=read_wanted(said),
    )


def unknown(said: Json, known: frozenset[str]) -> list[str]:
    """Top-level fields beyond the known ones that say something."""
    return [key for key, value in said.items() if key not in known and value is not None]


def _wants_usage(said: Json, unsaid: list[str]) -> bool:
    options = fields.optional_mapping(said, "stream_options") or {}
    unsaid += [f"stream_options.{key}" for key in options if key != "include_usage"]
    return fields.flag(options, "include_usage", "stream_options")


def _chat(said: Json, unsaid: list[str]) -> Chat:
    settings = {
        name: value
        for key, (name, read) in _SETTINGS.items()
        if key in said and (value := read(said, key, "", unsaid)) is not None
    }
    return Chat(messages=read_messages(said, unsaid), **settings)


def _user(said: Json, key: str, path: str, unsaid: list[str]) -> str | None:
    """Whom the caller acts for; a `safety_identifier`, its successor, that says something else is lost."""
    user = fields.optional_text(said, key, path) or None
    if user is not None and said.get("safety_identifier") not in (None, user):
        unsaid.append(fields.join(path, "safety_identifier"))
    return user


def _stop(said: Json, key: str, path: str, unsaid: list[str]) -> tuple[str, ...]:
    stop = said.get(key)
    return (stop,) if isinstance(stop, str) else fields.texts(said, key, path)


def _reasoning(said: Json, key: str, path: str, unsaid: list[str]) -> Reasoning | None:
    effort = fields.optional_text(said, key, path)
    return None if effort is None else Reasoning(effort=effort, enabled=effort != "none")


def _tools(said: Json, key: str, path: str, unsaid: list[str]) -> tuple[Tool, ...]:
    tools = []
    for tool, where in fields.objects(said, key, path):
        kind = fields.text(tool, "type", where)
        if kind == "function":
            tools.append(_tool(tool, where))
        else:
            unsaid.append(f"{where}: {kind}")
    return tuple(tools)


def _tool(tool: Json, path: str) -> Tool:
    function = fields.mapping(tool, "function", path)
    where = fields.join(path, "function")
    return Tool(
        name=fields.text(function, "name", where),
        description=fields.optional_text(function, "description", where),
        schema=fields.optional_mapping(function, "parameters", where) or {},
        strict=fields.optional_flag(function, "strict", where),
        cache=read_cache(tool) or read_cache(function),
    )


def _tool_choice(said: Json, key: str, path: str, unsaid: list[str]) -> ToolChoice | None:
    """A word or `{"type": "function", …}`; words and types that came later have no canonical form."""
    choice = said.get(key)
    where = fields.join(path, key)
    if isinstance(choice, str):
        if choice in _CHOICES:
            return _CHOICES[choice]
    elif choice is None:
        return None
    else:
        wanted = fields.as_mapping(choice, where)
        if wanted.get("type") == "function":
            function = fields.mapping(wanted, "function", where)
            return ToolChoice("named", fields.text(function, "name", fields.join(where, "function")))
    unsaid.append(where)
    return None


def _response_format(said: Json, key: str, path: str, unsaid: list[str]) -> ResponseFormat | None:
    wanted = fields.optional_mapping(said, key, path)
    if wanted is None:
        return None
    where = fields.join(path, key)
    match fields.text(wanted, "type", where):
        case "text":
            return ResponseFormat("text")
        case "json_object":
            return ResponseFormat("json")
        case "json_schema":
            return _json_schema(
                fields.mapping(wanted, "json_schema", where), fields.join(where, "json_schema")
            )
    unsaid.append(where)
    return None


def _json_schema(wanted: Json, path: str) -> ResponseFormat:
    return ResponseFormat(
        "json_schema",
        name=fields.optional_text(wanted, "name", path),
        description=fields.optional_text(wanted, "description", path),
        schema=fields.optional_mapping(wanted, "schema", path),
        strict=fields.optional_flag(wanted, "strict", path),
    )


Reader: TypeAlias = Callable[[Json, str, str, list[str]], Any]
"""Reads a setting; None when it says nothing. Gets the object, its key, the object's path, and `unsaid`."""


def _flag(said: Json, key: str, path: str, unsaid: list[str]) -> bool | None:
    return fields.optional_flag(said, key, path)


def _text(said: Json, key: str, path: str, unsaid: list[str]) -> str | None:
    return fields.optional_text(said, key, path) or None


def _number(said: Json, key: str, path: str, unsaid: list[str]) -> float | None:
    return fields.optional_number(said, key, path)


def _integer(said: Json, key: str, path: str, unsaid: list[str]) -> int | None:
    return fields.optional_integer(said, key, path)


def _positive(said: Json, key: str, path: str, unsaid: list[str]) -> int | None:
    return fields.optional_integer(said, key, path, least=1)


_SETTINGS: Mapping[str, tuple[str, Reader]] = {
    "tools": ("tools", _tools),
    "tool_choice": ("tool_choice", _tool_choice),
    "parallel_tool_calls": ("parallel_tool_calls", _flag),
    "response_format": ("response_format", _response_format),
    "max_tokens": ("max_tokens", _positive),
    "max_completion_tokens": ("max_tokens", _positive),  # after the older name, which it overrules
    "temperature": ("temperature", _number),
    "top_p": ("top_p", _number),
    "top_k": ("top_k", _integer),
    "presence_penalty": ("presence_penalty", _number),
    "frequency_penalty": ("frequency_penalty", _number),
    "seed": ("seed", _integer),
    "stop": ("stop", _stop),
    "reasoning_effort": ("reasoning", _reasoning),
    "logprobs": ("logprobs", _flag),
    "top_logprobs": ("top_logprobs", _integer),
    "n": ("choices", _positive),
    "safety_identifier": ("end_user", _text),
    "user": ("end_user", _user),
}
"""Key in the body → field of `Chat`, and how it is read."""
SHAPED: Mapping[str, tuple[str, Reader]] = {
    key: _SETTINGS[key]
    for key in (
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "response_format",
        "reasoning_effort",
        "logprobs",
        "top_logprobs",
    )
}
"""Those whose shape other languages have taken over."""
_SAID = frozenset({"model", "messages", "stream", "stream_options", *OURS, *_SETTINGS})
"""Fields with a canonical form; a value of theirs may still have none."""
