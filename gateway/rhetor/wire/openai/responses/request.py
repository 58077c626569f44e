"""The body of a call of `/v1/responses` → Request.

https://platform.openai.com/docs/api-reference/responses/create (read 2026-11-21).
What has no canonical form is named in `Request.unsaid`, what only a provider of
this language could make sense of in `Request.bound`. What callers have stored
(`previous_response_id`, `conversation`, items by reference) is put into the body
before it is parsed; whatever is still there, nobody here knows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from rhetor.core.capability import Capability
from rhetor.core.content import Json, Text
from rhetor.core.errors import BadRequest, Code
from rhetor.core.request import Chat, Original, Reasoning, Request, ResponseFormat, Role, Tool, ToolChoice
from rhetor.wire import fields
from rhetor.wire.openai.demands import OURS
from rhetor.wire.openai.responses.items import Conversation, only_here
from rhetor.wire.openai.responses.outline import REPEATED
from rhetor.wire.openai.responses.vocabulary import ENCRYPTED, LOGPROBS, NAME
from rhetor.wire.openai.vocabulary import NAME as OPENAI
from rhetor.wire.wanted import read_wanted

PREVIOUS = "previous_response_id"
CONVERSATION = "conversation"


def parse_response(body: bytes, headers: Mapping[str, str]) -> Request:
    """The request; whoever makes the trip gives it its id.

    Raises:
        BadRequest: says which field is wrong and what was expected.
    """
    said = fields.parse_object(body)
    return read_request(Original(NAME, body, said))


def read_request(original: Original) -> Request:
    """The same for a body that is parsed already."""
    said = original.fields
    if fields.flag(said, "background"):
        message = "background: not offered here; a generation that outlives its caller is asked for with the "
        raise BadRequest(message + "header x-rhetor-detach", Code.UNSUPPORTED, param="background")
    fields.dump([said.get(key) for key in REPEATED])  # what the response repeats, it must be able to
    unsaid = [key for key, value in said.items() if key not in _SAID and value is not None]
    conversation = _conversation(said)
    settings = {
        name: value
        for key, (name, read) in _SETTINGS.items()
        if key in said and (value := read(said, key, unsaid)) is not None
    }
    choice, refused = _tool_choice(said, unsaid)
    bound = _not_stored_here(said) or conversation.bound or refused
    messages = conversation.messages
    if not messages and bound is None:
        raise BadRequest("input: expected a text or at least one item", param="input")
    return Request(
        id="",
        capability=Capability.CHAT,
        model=fields.text(said, "model"),
        input=Chat(messages=messages, tool_choice=choice, logprobs=LOGPROBS in _included(said), **settings),
        stream=fields.flag(said, "stream"),
        original=original,
        unsaid=tuple(unsaid),
        bound=bound,
        fallbacks=fields.texts(said, "fallbacks"),
        component=fields.optional_text(said, "component") or None,
        task=fields.optional_text(said, "task") or None,
        wanted=read_wanted(said),
    )


def _conversation(said: Json) -> Conversation:
    conversation = Conversation()
    if instructions := fields.optional_text(said, "instructions"):
        conversation.say(Role.SYSTEM, [Text(instructions)])
    given = said.get("input")
    if isinstance(given, str):
        if given:
            conversation.say(Role.USER, [Text(given)])
    elif given is not None and not isinstance(given, list):
        raise fields.wrong("input", "a string or an array of items", given)
    else:
        for item, path in fields.objects(said, "input"):
            conversation.read(item, path)
    return conversation


def _not_stored_here(said: Json) -> BadRequest | None:
    """The error for what the caller has stored elsewhere: a provider of this language may have it."""
    conversation = conversation_of(said)
    if (id := fields.optional_text(said, PREVIOUS)) is not None:
        message = f"Previous response with id '{id}' not found."
        return not_found(message, PREVIOUS, "previous_response_not_found")
    if conversation is not None:
        return not_found(f"Conversation with id '{conversation}' not found.", CONVERSATION)
    if said.get("prompt") is not None:
        return only_here("prompt: a template can be filled in by", "prompt")
    return None


def conversation_of(said: Json) -> str | None:
    """The id of the conversation that a body names, which is a string or an object.

    Raises:
        BadRequest: it is neither, or the conversation is named in two ways.
    """
    value = said.get(CONVERSATION)
    if value is None:
        return None
    if said.get(PREVIOUS) is not None:
        message = f"{PREVIOUS} and {CONVERSATION} exclude each other: say one of them"
        raise BadRequest(message, param=PREVIOUS)
    if isinstance(value, str):
        return value
    return fields.text(fields.as_mapping(value, CONVERSATION), "id", CONVERSATION)


def not_found(message: str, param: str, code: str | None = None) -> BadRequest:
    """In OpenAI's words, who answers 400 where a body names what is not there.

    https://github.com/maximhq/bifrost/issues/2441 shows one of theirs (read 2026-11-21).
    """
    said = {"type": "invalid_request_error", "code": code}
    return BadRequest(message, Code.UNSUPPORTED, status=400, param=param, wire=OPENAI, original=said)


def _included(said: Json) -> tuple[str, ...]:
    return fields.texts(said, "include")


def _tools(said: Json, key: str, unsaid: list[str]) -> tuple[Tool, ...]:
    tools = []
    for tool, path in fields.objects(said, key):
        kind = fields.text(tool, "type", path)
        if kind == "function":
            tools.append(_tool(tool, path))
        else:
            unsaid.append(f"{path}: {kind}")
    return tuple(tools)


def _tool(tool: Json, path: str) -> Tool:
    return Tool(
        name=fields.text(tool, "name", path),
        description=fields.optional_text(tool, "description", path),
        schema=fields.optional_mapping(tool, "parameters", path) or {},
        strict=fields.optional_flag(tool, "strict", path),
    )


_CHOICES = {"auto": ToolChoice("auto"), "none": ToolChoice("none"), "required": ToolChoice("required")}


def _tool_choice(said: Json, unsaid: list[str]) -> tuple[ToolChoice | None, BadRequest | None]:
    """The choice, or why only a provider of this language can obey it."""
    choice = said.get("tool_choice")
    if choice is None:
        return None, None
    if isinstance(choice, str):
        if choice in _CHOICES:
            return _CHOICES[choice], None
        return None, only_here(f"tool_choice: {choice!r} can be obeyed by", "tool_choice")
    wanted = fields.as_mapping(choice, "tool_choice")
    kind = fields.text(wanted, "type", "tool_choice")
    if kind == "function":
        return ToolChoice("named", fields.text(wanted, "name", "tool_choice")), None
    if kind == "allowed_tools":
        unsaid.append("tool_choice.tools")
        return _CHOICES.get(fields.optional_text(wanted, "mode", "tool_choice") or "auto"), None
    return None, only_here(f"tool_choice: a tool of the type {kind!r} can be called by", "tool_choice")


def _text(said: Json, key: str, unsaid: list[str]) -> ResponseFormat | None:
    """`text`: the format of the answer, and how wordy it is."""
    wanted = fields.optional_mapping(said, key) or {}
    unsaid += [f"{key}.{name}" for name, value in wanted.items() if name != "format" and value is not None]
    form, path = fields.optional_mapping(wanted, "format", key), f"{key}.format"
    if form is None:
        return None
    match fields.text(form, "type", path):
        case "text":
            return ResponseFormat("text")
        case "json_object":
            return ResponseFormat("json")
        case "json_schema":
            return ResponseFormat(
                "json_schema",
                name=fields.optional_text(form, "name", path),
                description=fields.optional_text(form, "description", path),
                schema=fields.mapping(form, "schema", path),
                strict=fields.optional_flag(form, "strict", path),
            )
    unsaid.append(path)
    return None


def _reasoning(said: Json, key: str, unsaid: list[str]) -> Reasoning | None:
    """Summaries need not be asked for here: whatever a model tells of its thoughts is told as one."""
    wanted = fields.optional_mapping(said, key) or {}
    known = ("effort", "summary", "generate_summary")
    unsaid += [f"{key}.{name}" for name, value in wanted.items() if name not in known and value is not None]
    effort = fields.optional_text(wanted, "effort", key)
    return None if effort is None else Reasoning(effort=effort, enabled=effort != "none")


def _include(said: Json, key: str, unsaid: list[str]) -> None:
    unsaid += [f"{key}: {what}" for what in _included(said) if what not in (LOGPROBS, ENCRYPTED)]


def _truncation(said: Json, key: str, unsaid: list[str]) -> None:
    if fields.optional_text(said, key) not in (None, "disabled"):
        unsaid.append(key)


def _user(said: Json, key: str, unsaid: list[str]) -> str | None:
    """Whom the caller acts for; a `safety_identifier`, its successor, that says something else is lost."""
    user = fields.optional_text(said, key) or None
    if user is not None and said.get("safety_identifier") not in (None, user):
        unsaid.append("safety_identifier")
    return user


_Reader: TypeAlias = Callable[[Json, str, list[str]], Any]
"""Reads a top-level field that is there; None when it says nothing. Gets the body, its key, and `unsaid`."""


def _flag(said: Json, key: str, unsaid: list[str]) -> bool | None:
    return fields.optional_flag(said, key)


def _word(said: Json, key: str, unsaid: list[str]) -> str | None:
    return fields.optional_text(said, key) or None


def _number(said: Json, key: str, unsaid: list[str]) -> float | None:
    return fields.optional_number(said, key)


def _integer(said: Json, key: str, unsaid: list[str]) -> int | None:
    return fields.optional_integer(said, key)


def _positive(said: Json, key: str, unsaid: list[str]) -> int | None:
    return fields.optional_integer(said, key, least=1)


_SETTINGS: Mapping[str, tuple[str, _Reader]] = {
    "tools": ("tools", _tools),
    "parallel_tool_calls": ("parallel_tool_calls", _flag),
    "text": ("response_format", _text),
    "max_output_tokens": ("max_tokens", _positive),
    "temperature": ("temperature", _number),
    "top_p": ("top_p", _number),
    "top_logprobs": ("top_logprobs", _integer),
    "reasoning": ("reasoning", _reasoning),
    "include": ("", _include),
    "truncation": ("", _truncation),
    "safety_identifier": ("end_user", _word),
    "user": ("end_user", _user),
}
"""Key in the body → field of `Chat`, and how it is read. Those without a field are only looked through."""
_SAID = frozenset(
    {
        "background",
        "input",
        "instructions",
        "metadata",  # kept and repeated by us, as is what follows
        "model",
        "store",
        "stream",
        "stream_options",  # only of obfuscation, which nobody needs who is not OpenAI
        "tool_choice",
        CONVERSATION,
        PREVIOUS,
        "prompt",
        *OURS,
        *_SETTINGS,
    }
)
"""Fields with a canonical form; a value of theirs may still have none."""
