"""What a caller of this language asks, in canonical form.

The shape is https://platform.claude.com/docs/en/api/messages/create (read
2026-11-20). Nothing of the body is lost: it travels as `Request.original`, and
what other languages cannot be told is listed in `Request.unsaid`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby

from rhetor.core.capability import Capability
from rhetor.core.content import Json, JsonValue, Part, ToolResult
from rhetor.core.errors import BadRequest
from rhetor.core.request import Chat, Message, Original, Request, ResponseFormat, Role, Tool, ToolChoice
from rhetor.wire import fields
from rhetor.wire.anthropic.parts import Unsaid, name_rest, read_blocks, read_cache, read_content
from rhetor.wire.anthropic.reasoning import read_reasoning
from rhetor.wire.anthropic.vocabulary import NAME

KEPT_HEADERS = ("anthropic-beta", "anthropic-version")
"""The caller's headers that change what its body means."""


def read_request(capability: Capability, body: bytes, headers: Mapping[str, str]) -> Request:
    """A call of `/v1/messages` or of `/v1/messages/count_tokens`; only the first demands `max_tokens`.

    Raises:
        BadRequest: says which field is wrong and what was expected.
    """
    said = fields.parse_object(body)
    unsaid: Unsaid = []
    if capability is Capability.CHAT and said.get("max_tokens") is None:
        raise fields.missing("max_tokens", "the largest number of tokens to answer with")
    chat = _read_chat(said, unsaid)
    name_rest(said, _KNOWN_FIELDS, "", unsaid)
    return Request(
        id="",
        capability=capability,
        model=fields.text(said, "model"),
        input=chat,
        stream=capability is Capability.CHAT and fields.flag(said, "stream"),
        original=Original(NAME, body, said, _kept(headers)),
        unsaid=tuple(unsaid),
    )


def _kept(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: headers[name] for name in KEPT_HEADERS if name in headers}


def _read_chat(said: Json, unsaid: Unsaid) -> Chat:
    choice, parallel = _read_tool_choice(said)
    return Chat(
        messages=(*_read_system(said, unsaid), *_read_messages(said, unsaid)),
        tools=tuple(_read_tools(said, unsaid)),
        tool_choice=choice,
        parallel_tool_calls=parallel,
        response_format=_read_format(said, unsaid),
        max_tokens=fields.optional_integer(said, "max_tokens", least=0),
        temperature=fields.optional_number(said, "temperature"),
        top_p=fields.optional_number(said, "top_p"),
        top_k=fields.optional_integer(said, "top_k"),
        stop=fields.texts(said, "stop_sequences"),
        reasoning=read_reasoning(said, unsaid),
        end_user=_read_user(said, unsaid),
    )


_KNOWN_FIELDS = frozenset(
    {
        "max_tokens",
        "messages",
        "metadata",
        "model",
        "output_config",
        "output_format",
        "stop_sequences",
        "stream",
        "system",
        "temperature",
        "thinking",
        "tool_choice",
        "tools",
        "top_k",
        "top_p",
    }
)


def _read_system(said: Json, unsaid: Unsaid) -> Iterator[Message]:
    value = said.get("system")
    if value is None or value == "" or value == []:
        return
    parts = read_content({"content": value}, "", unsaid) if isinstance(value, str) else ()
    yield Message(Role.SYSTEM, parts or read_blocks(said, "system", "", unsaid))


def _read_messages(said: Json, unsaid: Unsaid) -> Iterator[Message]:
    if not fields.items(said, "messages"):
        raise BadRequest("messages: expected at least one message, got none", param="messages")
    for message, path in fields.objects(said, "messages"):
        role = fields.one_of(message, "role", _ROLES, path)
        if role is None:
            raise fields.missing(fields.join(path, "role"), "user, assistant or system")
        name_rest(message, _MESSAGE_FIELDS, path, unsaid)
        parts = read_content(message, path, unsaid)
        if role is Role.USER:
            yield from _split_results(parts)
        else:
            yield Message(role, parts)


_ROLES = (Role.USER, Role.ASSISTANT, Role.SYSTEM)
_MESSAGE_FIELDS = frozenset({"role", "content"})


def _split_results(parts: tuple[Part, ...]) -> Iterator[Message]:
    """A user's message; tool results, which are the user's in this language, become messages of their own."""
    if not parts:
        yield Message(Role.USER, ())
    for is_result, run in groupby(parts, lambda part: isinstance(part, ToolResult)):
        yield Message(Role.TOOL if is_result else Role.USER, tuple(run))


def _read_tools(said: Json, unsaid: Unsaid) -> Iterator[Tool]:
    for tool, path in fields.objects(said, "tools"):
        kind = fields.optional_text(tool, "type", path) or "custom"
        if kind != "custom":  # a tool that the provider runs, or one whose schema only Claude knows
            unsaid.append(f"{path}: {kind}")
            continue
        name_rest(tool, _TOOL_FIELDS, path, unsaid)
        yield Tool(
            fields.text(tool, "name", path),
            fields.optional_text(tool, "description", path),
            fields.mapping(tool, "input_schema", path),
            fields.optional_flag(tool, "strict", path),
            read_cache(tool, path),
        )


_TOOL_FIELDS = frozenset({"type", "name", "description", "input_schema", "strict", "cache_control"})


def _read_tool_choice(said: Json) -> tuple[ToolChoice | None, bool | None]:
    """Which tool to call, and whether several calls may come at once."""
    said_choice = fields.optional_mapping(said, "tool_choice")
    if said_choice is None:
        return None, None
    serial = fields.optional_flag(said_choice, "disable_parallel_tool_use", "tool_choice")
    parallel = None if serial is None else not serial
    match fields.one_of(said_choice, "type", ("auto", "any", "tool", "none"), "tool_choice"):
        case "auto":
            return ToolChoice("auto"), parallel
        case "any":
            return ToolChoice("required"), parallel
        case "tool":
            return ToolChoice("named", fields.text(said_choice, "name", "tool_choice")), parallel
        case "none":
            return ToolChoice("none"), parallel
        case _:
            raise fields.missing("tool_choice.type", "auto, any, tool or none")


def _read_format(said: Json, unsaid: Unsaid) -> ResponseFormat | None:
    """`output_config.format`, or `output_format` as it was called before."""
    config = fields.optional_mapping(said, "output_config") or {}
    key, path, owner = ("format", "output_config", config)
    if config.get("format") is None:
        key, path, owner = ("output_format", "", said)
    wanted = fields.optional_mapping(owner, key, path)
    if wanted is None:
        return None
    where = fields.join(path, key)
    if fields.text(wanted, "type", where) != "json_schema":
        unsaid.append(where)
        return None
    return ResponseFormat("json_schema", schema=fields.mapping(wanted, "schema", where))


def _read_user(said: Json, unsaid: Unsaid) -> str | None:
    metadata: Mapping[str, JsonValue] = fields.optional_mapping(said, "metadata") or {}
    name_rest(metadata, frozenset({"user_id"}), "metadata", unsaid)
    return fields.optional_text(metadata, "user_id", "metadata")
