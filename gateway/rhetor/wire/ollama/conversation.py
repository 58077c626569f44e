"""What Ollama's callers said so far: their messages → ours.

Callers rarely say which call a tool's result answers: the `ollama` package (0.6.3, read 2026-11-21) knows
no ids at all, LangChain's drops the tool's name besides. So calls without an id get one here, and a result
answers the call with its id, else the first unanswered one of its tool, else the first unanswered one.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping

from rhetor.core.content import Image, Inline, Json, Part, Text, Thinking, ToolResult, ToolUse
from rhetor.core.errors import BadRequest
from rhetor.core.request import Message, Role
from rhetor.wire import fields

_ROLES: Mapping[str, Role] = {role.value: role for role in Role}
_KNOWN: Mapping[Role, frozenset[str]] = {
    Role.SYSTEM: frozenset({"role", "content"}),
    Role.USER: frozenset({"role", "content", "images"}),
    Role.ASSISTANT: frozenset({"role", "content", "thinking", "images", "tool_calls"}),
    Role.TOOL: frozenset({"role", "content", "images", "tool_name", "name", "tool_call_id"}),
}
_MEDIA_TYPES: Mapping[str, str] = {
    "iVBORw0KGgo": "image/png",
    "/9j/": "image/jpeg",
    "R0lGOD": "image/gif",
    "UklGR": "image/webp",
}
"""How pictures of each type begin in base64: the language does not say what they are."""
_UNKNOWN_TYPE = "application/octet-stream"
_ANY = ""  # in place of a tool's name, where a result does not say which it is of


def read_messages(body: Json, unsaid: list[str]) -> tuple[Message, ...]:
    """The conversation, or none; fields of messages that have no canonical form go into `unsaid`.

    Raises:
        BadRequest: says which field is wrong; a tool's result that answers no call.
    """
    calls = _Calls(_known_ids(body))
    messages: list[tuple[Role, list[Part]]] = []
    for message, path in fields.objects(body, "messages"):
        role = _role(message, path)
        if not message.keys() <= (known := _KNOWN[role]):
            unsaid += [f"{path}.{key}" for key, value in message.items() if value and key not in known]
        if role is Role.TOOL:
            result = ToolResult(calls.answered(message, path), tuple(_shown(message, path)))
            if messages and messages[-1][0] is Role.TOOL:
                messages[-1][1].append(result)
            else:
                messages.append((role, [result]))
        else:
            messages.append((role, [*_said(role, message, path, calls)]))
    return tuple(Message(role, tuple(parts)) for role, parts in messages)


def read_images(said: Json, path: str = "") -> Iterator[Image]:
    """The pictures of a message or a prompt."""
    for data in fields.texts(said, "images", path):
        found = (kind for beginning, kind in _MEDIA_TYPES.items() if data.startswith(beginning))
        yield Image(Inline(next(found, _UNKNOWN_TYPE), data))


def _role(message: Json, path: str) -> Role:
    word = fields.text(message, "role", path)
    role = _ROLES.get(word)
    if role is None:
        where = fields.join(path, "role")
        raise BadRequest(f"{where}: expected one of {', '.join(_ROLES)}, got {word!r}", param=where)
    return role


def _said(role: Role, message: Json, path: str, calls: _Calls) -> Iterator[Part]:
    if role is Role.ASSISTANT and (thought := fields.optional_text(message, "thinking", path)):
        yield Thinking(thought)
    yield from _shown(message, path)
    if role is Role.ASSISTANT:
        for call, where in fields.objects(message, "tool_calls", path):
            yield calls.asked(call, where)


def _shown(message: Json, path: str) -> Iterator[Part]:
    """Pictures before the text, which is about them."""
    yield from read_images(message, path)
    if text := fields.optional_text(message, "content", path):
        yield Text(text)


def _known_ids(body: Json) -> set[str]:
    """The ids of those calls that have one."""
    calls = (
        (call, where)
        for message, path in fields.objects(body, "messages")
        if message.get("role") == Role.ASSISTANT
        for call, where in fields.objects(message, "tool_calls", path)
    )
    return {id for call, where in calls if (id := fields.optional_text(call, "id", where))}


class _Calls:
    """The calls of a conversation, and which of them wait for their results.

    Args:
        taken: ids that are no new call's.
    """

    def __init__(self, taken: set[str]) -> None:
        self._taken = taken
        self._count = 0
        self._tools: dict[str, str] = {}
        """Names of the tools, by the ids of the calls that wait."""
        self._waiting: dict[str, OrderedDict[str, None]] = {_ANY: OrderedDict()}
        """The ids of the calls that wait, by the names of their tools, first come first."""

    def asked(self, call: Json, path: str) -> ToolUse:
        function = fields.mapping(call, "function", path)
        where = fields.join(path, "function")
        name = fields.text(function, "name", where)
        arguments = fields.optional_mapping(function, "arguments", where) or {}
        id = fields.optional_text(call, "id", path) or self._new_id()
        self._count += 1
        self._settle(id)
        self._tools[id] = name
        for tool in (_ANY, name):
            self._waiting.setdefault(tool, OrderedDict())[id] = None
        return ToolUse(id, name, fields.dump(arguments).decode())

    def answered(self, message: Json, path: str) -> str:
        """The id of the call whose result this message is."""
        id = fields.optional_text(message, "tool_call_id", path)
        if not id:
            name = fields.optional_text(message, "tool_name", path) or fields.optional_text(
                message, "name", path
            )
            id = next(iter(self._waiting.get(name or _ANY, ())), None)
        if id is None:
            raise BadRequest(f"{path}: a tool's result, and no call before it that waits for it", param=path)
        self._settle(id)
        return id

    def _new_id(self) -> str:
        while (id := f"call_{self._count}") in self._taken:
            self._count += 1
        return id

    def _settle(self, id: str) -> None:
        """Nobody waits for this one, if anybody did."""
        if (name := self._tools.pop(id, None)) is not None:
            for tool in {_ANY, name}:
                del self._waiting[tool][id]
