"""What Ollama's callers ask for: the bodies of `/api/chat` and `/api/generate` → Request.

https://docs.ollama.com/api/chat and https://docs.ollama.com/api/generate (read 2026-11-20); what its server
makes of them: https://github.com/ollama/ollama/blob/main/server/routes.go (read 2026-11-21).

A prompt is a conversation of one message. What a prompt has beyond that (`suffix`, `raw`, `template`,
`context`) only Ollama understands: it gets the body as it came, and others are asked without it, which is
told to the caller. Who asks nothing at all only wants the model in memory: then there are no messages.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from rhetor.core.capability import Capability
from rhetor.core.content import Json, Text
from rhetor.core.errors import BadRequest
from rhetor.core.request import Chat, Message, Original, Reasoning, Request, ResponseFormat, Role, Tool
from rhetor.wire import fields
from rhetor.wire.ollama.conversation import read_images, read_messages
from rhetor.wire.ollama.errors import WIRE
from rhetor.wire.ollama.outgoing import EFFORTS

KEEP_ALIVE = "keep_alive"  # how long the model stays in memory: whoever is not Ollama keeps it for ever
_COMMON = frozenset(
    {"model", "stream", "options", "format", "think", "logprobs", "top_logprobs", KEEP_ALIVE},
)
_OF_CHATS = _COMMON | {"messages", "tools"}
_OF_PROMPTS = _COMMON | {"prompt", "system", "images"}


def parse_chat(body: bytes, headers: Mapping[str, str]) -> Request:
    """The request; without messages it is about nothing.

    Raises:
        BadRequest: says which field is wrong and what was expected.
    """
    said = fields.parse_object(body)
    unsaid = unknown(said, _OF_CHATS)
    return _request(body, said, read_messages(said, unsaid), unsaid)


def parse_prompt(body: bytes, headers: Mapping[str, str]) -> Request:
    """The request; without messages it is about nothing.

    Raises:
        BadRequest: says which field is wrong and what was expected.
    """
    said = fields.parse_object(body)
    if said.get("messages"):
        raise BadRequest("messages: they belong to /api/chat; here is only a prompt", param="messages")
    prompt = fields.optional_text(said, "prompt")
    system = fields.optional_text(said, "system")
    messages: tuple[Message, ...] = ()
    if prompt:
        messages = (Message(Role.USER, (*read_images(said), Text(prompt))),)
        if system:
            messages = (Message(Role.SYSTEM, (Text(system),)), *messages)
    return _request(body, said, messages, unknown(said, _OF_PROMPTS))


def unknown(said: Json, known: frozenset[str]) -> list[str]:
    """Fields beyond the known ones that say something: the `ollama` package sends empty texts for nothing."""
    return [key for key, value in said.items() if key not in known and value not in (None, "", False, [])]


def unloads(request: Request) -> bool:
    """Whether who asks nothing wants the model out of memory."""
    original = request.original
    return original is not None and original.fields.get(KEEP_ALIVE) in (0, "0", "0s")


def _request(body: bytes, said: Json, messages: tuple[Message, ...], unsaid: list[str]) -> Request:
    return Request(
        id="",
        capability=Capability.CHAT,
        model=fields.text(said, "model"),
        input=Chat(
            messages=messages,
            tools=tuple(_tool(tool, path) for tool, path in fields.objects(said, "tools")),
            response_format=_format(said),
            reasoning=_think(said),
            logprobs=fields.flag(said, "logprobs"),
            top_logprobs=fields.optional_integer(said, "top_logprobs"),
            **_settings(said, unsaid),
        ),
        stream=fields.flag(said, "stream", default=True),
        original=Original(WIRE, body, said),
        unsaid=tuple(unsaid),
    )


def _tool(tool: Json, path: str) -> Tool:
    function = fields.mapping(tool, "function", path)
    where = fields.join(path, "function")
    return Tool(
        name=fields.text(function, "name", where),
        description=fields.optional_text(function, "description", where),
        schema=fields.optional_mapping(function, "parameters", where) or {},
    )


def _format(said: Json) -> ResponseFormat | None:
    """`json`, or a schema."""
    wanted = said.get("format")
    if not wanted:
        return None
    if wanted == "json":
        return ResponseFormat("json")
    if isinstance(wanted, Mapping):
        return ResponseFormat("json_schema", schema=wanted)
    raise fields.wrong("format", '"json" or a JSON schema', wanted)


def _think(said: Json) -> Reasoning | None:
    """Whether to think, or how much."""
    if not isinstance(said.get("think"), str):
        enabled = fields.optional_flag(said, "think")
        return None if enabled is None else Reasoning(enabled=enabled)
    effort = fields.one_of(said, "think", tuple(EFFORTS))
    return Reasoning(effort=effort, enabled=effort != "none")


def _settings(said: Json, unsaid: list[str]) -> dict[str, Any]:
    options = fields.optional_mapping(said, "options") or {}
    unsaid += [
        f"options.{key}" for key, value in options.items() if key not in _OPTIONS and value is not None
    ]
    read = {name: reader(options, key, "options") for key, (name, reader) in _OPTIONS.items()}
    return {name: value for name, value in read.items() if value is not None}


def _limit(options: Json, key: str, path: str) -> int | None:
    """So many tokens; no limit when it is not positive."""
    limit = fields.optional_integer(options, key, path)
    return limit if limit is not None and limit > 0 else None


def _stop(options: Json, key: str, path: str) -> tuple[str, ...] | None:
    stop = options.get(key)
    return (stop,) if isinstance(stop, str) else fields.texts(options, key, path) or None


_Reader: TypeAlias = Callable[[Json, str, str], Any]
_OPTIONS: Mapping[str, tuple[str, _Reader]] = {
    "num_predict": ("max_tokens", _limit),
    "temperature": ("temperature", fields.optional_number),
    "top_p": ("top_p", fields.optional_number),
    "top_k": ("top_k", fields.optional_integer),
    "presence_penalty": ("presence_penalty", fields.optional_number),
    "frequency_penalty": ("frequency_penalty", fields.optional_number),
    "seed": ("seed", fields.optional_integer),
    "stop": ("stop", _stop),
}
"""Key in `options` → field of `Chat`, and how it is read."""
