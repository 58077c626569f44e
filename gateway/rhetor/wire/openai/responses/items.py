"""The items of a conversation, both directions.

https://platform.openai.com/docs/api-reference/responses/create (read 2026-11-21).
What is one assistant's message for us, thoughts and text and calls, are several
items here. Items that only this language has are of two kinds: calls of tools
that the provider ran, whose results are in what it said then, become `Opaque`
and are lost in another language; without all others an answer would be wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from rhetor.core.content import (
    File,
    Image,
    Inline,
    Json,
    JsonValue,
    Opaque,
    Part,
    Refusal,
    Source,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
    Uploaded,
    Url,
)
from rhetor.core.errors import BadRequest, Code
from rhetor.core.request import Message, Role
from rhetor.wire import fields
from rhetor.wire.base import Quirks
from rhetor.wire.openai.content import Dropped, read_audio, source_of
from rhetor.wire.openai.responses.vocabulary import NAME, encrypted_of, proof_of

_ROLES = {"user": Role.USER, "assistant": Role.ASSISTANT, "system": Role.SYSTEM, "developer": Role.SYSTEM}
_SPOKEN_AS = {Role.SYSTEM: "system", Role.USER: "user", Role.ASSISTANT: "assistant"}
_TOLD_AGAIN = frozenset(
    {
        "code_interpreter_call",
        "file_search_call",
        "image_generation_call",
        "mcp_call",
        "mcp_list_tools",
        "tool_search_call",
        "tool_search_output",
        "web_search_call",
    }
)
"""Items whose results the model has put into words afterwards."""
_THOUGHT_BETWEEN = "\n\n"  # parts of a summary are paragraphs


def only_here(message: str, param: str | None) -> BadRequest:
    """The error for what only a provider of this language can make sense of; another target may be one."""
    return BadRequest(
        f"{message}: only a provider that speaks OpenAI Responses", Code.UNSUPPORTED, param=param
    )


class Conversation:
    """Reads items into messages."""

    def __init__(self) -> None:
        self._roles: list[Role] = []
        self._parts: list[list[Part]] = []
        self.bound: BadRequest | None = None
        """Why only a provider of this language can answer."""

    @property
    def messages(self) -> tuple[Message, ...]:
        return tuple(
            Message(role, tuple(parts)) for role, parts in zip(self._roles, self._parts, strict=True)
        )

    def say(self, role: Role, parts: Sequence[Part]) -> None:
        """A message of its own; an assistant's follows the thoughts that led to it."""
        follows = bool(self._roles) and self._roles[-1] is role is Role.ASSISTANT
        # Thoughts are added to nothing but thoughts: the last part tells what all of them are.
        if follows and all(isinstance(part, Thinking) for part in self._parts[-1][-1:]):
            self._parts[-1] += parts
        else:
            self._roles.append(role)
            self._parts.append([*parts])

    def join(self, role: Role, part: Part) -> None:
        """A part of the last message if that is of this role, else of a new one."""
        if self._roles and self._roles[-1] is role:
            self._parts[-1].append(part)
        else:
            self.say(role, [part])

    def read(self, item: Json, path: str) -> None:
        """
        Raises:
            BadRequest: says which field is wrong and what was expected.
        """
        kind = fields.optional_text(item, "type", path) or ("message" if "role" in item else "item_reference")
        reader = _READERS.get(kind)
        if reader is not None:
            reader(self, item, path)
        elif kind in _TOLD_AGAIN:
            self.join(Role.ASSISTANT, Opaque(NAME, item))
        else:
            self.bind(only_here(f"{path}: an item of the type {kind!r} can be continued by", path))

    def bind(self, error: BadRequest) -> None:
        self.bound = self.bound or error

    def _message(self, item: Json, path: str) -> None:
        role = _ROLES.get(fields.text(item, "role", path))
        if role is None:
            where = fields.join(path, "role")
            raise BadRequest(
                f"{where}: expected one of {', '.join(_ROLES)}, got {item['role']!r}", param=where
            )
        self.say(role, read_content(item, "content", path))

    def _call(self, item: Json, path: str) -> None:
        arguments = fields.optional_text(item, "arguments", path) or ""
        call = ToolUse(fields.text(item, "call_id", path), fields.text(item, "name", path), arguments)
        self.join(Role.ASSISTANT, call)

    def _custom_call(self, item: Json, path: str) -> None:
        """A call whose argument is plain text; elsewhere arguments are JSON."""
        arguments = fields.dump({"input": fields.text(item, "input", path)}).decode()
        call = ToolUse(fields.text(item, "call_id", path), fields.text(item, "name", path), arguments)
        self.join(Role.ASSISTANT, call)

    def _result(self, item: Json, path: str) -> None:
        parts = tuple(read_content(item, "output", path))
        self.join(Role.TOOL, ToolResult(fields.text(item, "call_id", path), parts))

    def _thought(self, item: Json, path: str) -> None:
        said = [
            text
            for key in ("summary", "content")
            for part, where in fields.objects(item, key, path)
            if (text := fields.text(part, "text", where))
        ]
        encrypted = fields.optional_text(item, "encrypted_content", path)
        if said or encrypted:
            proof = proof_of(encrypted) if encrypted else None
            self.say(Role.ASSISTANT, [Thinking(_THOUGHT_BETWEEN.join(said), proof)])

    def _reference(self, item: Json, path: str) -> None:
        id = fields.text(item, "id", path)
        message = f"Item with id '{id}' not found."
        self.bind(BadRequest(message, Code.UNSUPPORTED, status=404, param=fields.join(path, "id")))


_READERS: Mapping[str, Callable[[Conversation, Json, str], None]] = {
    "message": Conversation._message,
    "function_call": Conversation._call,
    "function_call_output": Conversation._result,
    "custom_tool_call": Conversation._custom_call,
    "custom_tool_call_output": Conversation._result,
    "reasoning": Conversation._thought,
    "item_reference": Conversation._reference,
}


def read_content(owner: Json, key: str, path: str) -> list[Part]:
    """A string, or an array of parts. Empty texts say nothing."""
    value = owner.get(key)
    if isinstance(value, str):
        return [Text(value)] if value else []
    if not isinstance(value, list):
        raise fields.wrong(fields.join(path, key), "a string or an array of parts", value)
    parts = [_read_part(part, where) for part, where in fields.objects(owner, key, path)]
    return [part for part in parts if not (isinstance(part, Text) and not part.text)]


def _read_part(part: Json, path: str) -> Part:
    match fields.text(part, "type", path):
        case "input_text" | "output_text" | "text" | "summary_text":
            return Text(fields.text(part, "text", path))
        case "refusal":
            return Refusal(fields.text(part, "refusal", path))
        case "input_image":
            return _read_image(part, path)
        case "input_file":
            return _read_file(part, path)
        case "input_audio":
            return read_audio(part, path)
    return Opaque(NAME, part)


def _read_image(part: Json, path: str) -> Image:
    file_id = fields.optional_text(part, "file_id", path)
    source: Source
    source = Uploaded(file_id) if file_id else source_of(fields.text(part, "image_url", path))
    return Image(source, fields.optional_text(part, "detail", path))


def _read_file(part: Json, path: str) -> File:
    name = fields.optional_text(part, "filename", path)
    if file_id := fields.optional_text(part, "file_id", path):
        return File(Uploaded(file_id), name)
    if url := fields.optional_text(part, "file_url", path):
        return File(Url(url), name)
    return File(source_of(fields.text(part, "file_data", path), bare="application/pdf"), name)


def write_items(messages: Sequence[Message], quirks: Quirks, dropped: Dropped) -> list[JsonValue]:
    """The conversation as items.

    Raises:
        BadRequest: unsupported, some content cannot be said at all.
    """
    items: list[JsonValue] = []
    for number, message in enumerate(messages):
        path = f"messages[{number}]"
        if message.name is not None:
            dropped.append(f"{path}.name")
        placed = [(part, f"{path}.content[{at}]") for at, part in enumerate(message.parts)]
        if message.role is Role.ASSISTANT:
            items += _write_assistant(placed, quirks, dropped)
        elif message.role is Role.TOOL:
            items += (_write_result(part, where, dropped) for part, where in placed)
        else:
            items.append(_write_message(message.role, placed, dropped))
    return items


Placed = Iterable[tuple[Part, str]]
"""Parts with their paths."""


def _write_message(role: Role, placed: Placed, dropped: Dropped) -> JsonValue:
    return {"type": "message", "role": _SPOKEN_AS[role], "content": _write_content(placed, role, dropped)}


def _write_assistant(placed: Placed, quirks: Quirks, dropped: Dropped) -> Iterator[JsonValue]:
    said: list[tuple[Part, str]] = []
    for part, path in placed:
        if isinstance(part, Text | Refusal):
            said.append((part, path))
            continue
        if said:
            yield _write_message(Role.ASSISTANT, said, dropped)
            said = []
        match part:
            case ToolUse(id, name, arguments, cache):
                _unmarked(cache, dropped)
                arguments = arguments or "{}"
                yield {"type": "function_call", "call_id": id, "name": name, "arguments": arguments}
            case Thinking(text, signature) if quirks.thinking_returned:
                summary: list[JsonValue] = [{"type": "summary_text", "text": text}] if text else []
                proof = encrypted_of(signature) if signature else None
                yield {"type": "reasoning", "summary": summary, "encrypted_content": proof}
            case Thinking():
                dropped.append(f"{path}: thinking")
            case Opaque(wire, data) if wire == NAME:
                yield data
            case Opaque():
                dropped.append(f"{path}: opaque {part.kind}")
            case _:
                raise unsayable(path, f"{type(part).__name__.lower()} of an assistant")
    if said:
        yield _write_message(Role.ASSISTANT, said, dropped)


def _write_result(part: Part, path: str, dropped: Dropped) -> JsonValue:
    if not isinstance(part, ToolResult):
        raise unsayable(path, f"{type(part).__name__.lower()} in a tool's message")
    if part.is_error:
        dropped.append(f"{path}.is_error")
    _unmarked(part.cache, dropped)
    placed = [(inner, f"{path}.content[{at}]") for at, inner in enumerate(part.parts)]
    output = _write_content(placed, Role.TOOL, dropped)
    return {"type": "function_call_output", "call_id": part.tool_use_id, "output": output}


def _write_content(placed: Placed, role: Role, dropped: Dropped) -> JsonValue:
    """One text is a string, which every server of the language understands."""
    placed = list(placed)
    if not placed:
        return ""
    if len(placed) == 1 and isinstance(placed[0][0], Text):
        _unmarked(placed[0][0].cache, dropped)
        return placed[0][0].text
    written = (_write_part(part, path, role, dropped) for part, path in placed)
    return [part for part in written if part is not None]


def _write_part(part: Part, path: str, role: Role, dropped: Dropped) -> JsonValue:
    match part:
        case Text(text, cache):
            _unmarked(cache, dropped)
            if role is Role.ASSISTANT:
                return {"type": "output_text", "text": text, "annotations": []}
            return {"type": "input_text", "text": text}
        case Refusal(text):
            return {"type": "refusal", "refusal": text}
        case Image(source, detail, cache):
            _unmarked(cache, dropped)
            image = {"type": "input_image", **_image_source(source)}
            return image if detail is None else {**image, "detail": detail}
        case File(source, name, cache):
            _unmarked(cache, dropped)
            file = {"type": "input_file", **_file_source(source)}
            return file if name is None else {**file, "filename": name}
        case Opaque(wire, data) if wire == NAME:
            return data
        case Opaque():
            dropped.append(f"{path}: opaque {part.kind}")
            return None
    raise unsayable(path, type(part).__name__.lower())


def _image_source(source: Source) -> dict[str, JsonValue]:
    match source:
        case Uploaded(file_id):
            return {"file_id": file_id}
        case Url(url):
            return {"image_url": url}
        case Inline(media_type, data):
            return {"image_url": f"data:{media_type};base64,{data}"}


def _file_source(source: Source) -> dict[str, JsonValue]:
    match source:
        case Uploaded(file_id):
            return {"file_id": file_id}
        case Url(url):
            return {"file_url": url}
        case Inline(media_type, data):
            return {"file_data": f"data:{media_type};base64,{data}"}


def _unmarked(cache: object, dropped: Dropped) -> None:
    """Marks of a cached prefix's end are said otherwise here, for other times: they are left out."""
    if cache is not None:
        dropped.once("cache_control")


def unsayable(path: str, what: str) -> BadRequest:
    return BadRequest(f"{path}: OpenAI Responses cannot carry {what}", Code.UNSUPPORTED, param=path)
