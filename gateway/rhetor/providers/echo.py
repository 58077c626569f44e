"""What the offline provider answers: the conversation's own words, and that it is only an echo. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import orjson

from rhetor.core.content import Audio, File, Image, Part, Text, ToolResult, ToolUse
from rhetor.core.errors import BadRequest, Code
from rhetor.core.events import (
    Event,
    Finished,
    FinishReason,
    Started,
    TextDelta,
    ToolUseDelta,
    ToolUseStarted,
    UsageReport,
)
from rhetor.core.request import Chat, Message, Role, Tool
from rhetor.core.usage import Usage
from rhetor.providers.estimate import estimate_chat
from rhetor.providers.minimal import minimal_instance

HONESTY = "This is Rhetor's offline echo: no model was asked."


def echo(chat: Chat, id: str, model: str) -> Iterator[Event]:
    """The reply's events, a word at a time.

    A word counts as a token, in the usage and against the caller's limit.

    Raises:
        BadRequest: the request contradicts itself, or wants more than one answer.
    """
    if chat.choices != 1:
        raise BadRequest("the echo gives one answer", Code.UNSUPPORTED, param="n")
    tools = _tools_to_call(chat)
    if tools:
        return _tell(_calls(tools, id), Finished(FinishReason.TOOL_USE), chat, id, model)
    text, stop = _until_stop(_text(chat), chat.stop)
    reason = FinishReason.STOP if stop is None else FinishReason.STOP_SEQUENCE
    return _tell([TextDelta(word) for word in words(text)], Finished(reason, stop), chat, id, model)


WORD = re.compile(r"\s*\S{1,24}|\s+")


def words(text: str) -> list[str]:
    """The text in pieces, each a word with the space before it; long words are cut."""
    return WORD.findall(text)


def _tell(content: Sequence[Event], ending: Finished, chat: Chat, id: str, model: str) -> Iterator[Event]:
    yield Started(id, model)
    said = 0
    for event in content:
        if not isinstance(event, ToolUseStarted):
            if chat.max_tokens is not None and said >= chat.max_tokens:
                ending = Finished(FinishReason.LENGTH)
                break
            said += 1
        yield event
    yield UsageReport(Usage(estimate_chat(chat), said, source="estimated"))
    yield ending


def _text(chat: Chat) -> str:
    results = _results(chat)
    said = _shortened("\n".join(results) or _last_words(chat))
    form = chat.response_format
    if form is not None and form.kind == "json_schema":
        return orjson.dumps(minimal_instance(form.schema or {})).decode()
    if form is not None and form.kind == "json":
        return orjson.dumps({"echo": said}).decode()
    if results:
        return f"{HONESTY} {said}"
    return " ".join(filter(None, [HONESTY, _sights(chat), f"You said: {said}"]))


ECHO_CHARS = 100_000  # more would keep the loop from everybody else


def _shortened(text: str) -> str:
    if len(text) <= ECHO_CHARS:
        return text
    return f"{text[:ECHO_CHARS]}… and {len(text) - ECHO_CHARS} characters more"


def _until_stop(text: str, stops: Sequence[str]) -> tuple[str, str | None]:
    """The text up to the first stop sequence in it, and which one that was."""
    found = [(at, stop) for stop in stops if stop and (at := text.find(stop)) >= 0]
    if not found:
        return text, None
    at, stop = min(found)
    return text[:at], stop


def _last_words(chat: Chat) -> str:
    return "\n".join(part.text for part in _last_parts(chat) if isinstance(part, Text))


def _last_parts(chat: Chat) -> tuple[Part, ...]:
    """What the user said last."""
    return next((message.parts for message in reversed(chat.messages) if message.role is Role.USER), ())


NOUNS = {Image: "image", File: "document", Audio: "recording"}


def _sights(chat: Chat) -> str:
    """That there was more than words, since an echo cannot look at it."""
    counts = Counter(NOUNS[type(part)] for part in _last_parts(chat) if type(part) in NOUNS)
    if not counts:
        return ""
    things = " and ".join(f"{count} {noun}{'s' if count > 1 else ''}" for noun, count in counts.items())
    return f"You sent {things}."


@dataclass(frozen=True, slots=True)
class _Turn:
    """What came after the assistant spoke last."""

    messages: Sequence[Message]
    asked: Sequence[ToolUse]


def _turn(chat: Chat) -> _Turn:
    last = max((i for i, m in enumerate(chat.messages) if m.role is Role.ASSISTANT), default=None)
    if last is None:
        return _Turn(chat.messages, ())
    asked = [part for part in chat.messages[last].parts if isinstance(part, ToolUse)]
    return _Turn(chat.messages[last + 1 :], asked)


def _results(chat: Chat) -> list[str]:
    """A sentence for each tool result that the echo is being told."""
    turn = _turn(chat)
    names = {call.id: call.name for call in turn.asked}
    return [
        _sentence(names.get(part.tool_use_id, "tool"), part)
        for message in turn.messages
        for part in message.parts
        if isinstance(part, ToolResult)
    ]


def _sentence(name: str, result: ToolResult) -> str:
    text = "\n".join(part.text for part in result.parts if isinstance(part, Text))
    return f"{name} {'failed' if result.is_error else 'answered'}: {text or 'nothing'}"


def _tools_to_call(chat: Chat) -> list[Tool]:
    """The tools that the caller demands or the last message names, in the order it names them.

    After a tool's result nothing is called, or a caller who demands a call
    each time would never hear the end.
    """
    choice = chat.tool_choice.mode if chat.tool_choice is not None else "auto"
    if not chat.tools or choice == "none" or _results(chat):
        return []
    if choice == "named":
        return [_named(chat)]
    named = _mentioned(chat)
    if not named and choice == "required":
        named = [chat.tools[0]]
    return named[:1] if chat.parallel_tool_calls is False else named


def _named(chat: Chat) -> Tool:
    assert chat.tool_choice is not None
    for tool in chat.tools:
        if tool.name == chat.tool_choice.name:
            return tool
    raise BadRequest(f"there is no tool {chat.tool_choice.name!r}", param="tool_choice")


def _mentioned(chat: Chat) -> list[Tool]:
    text = _last_words(chat)
    found = {tool.name: re.search(rf"(?<!\w){re.escape(tool.name)}(?!\w)", text) for tool in chat.tools}
    places = {name: match.start() for name, match in found.items() if match}
    return sorted((t for t in chat.tools if t.name in places), key=lambda tool: places[tool.name])


def _calls(tools: Sequence[Tool], id: str) -> list[Event]:
    """The calls one after the other, their arguments in pieces."""
    events: list[Event] = []
    for index, tool in enumerate(tools):
        arguments = orjson.dumps(minimal_instance({"type": "object", **tool.schema})).decode()
        events.append(ToolUseStarted(index, f"call_{id[-16:]}_{index}", tool.name))
        events += [ToolUseDelta(index, piece) for piece in words(arguments)]
    return events
