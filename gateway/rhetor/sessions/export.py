"""A session as a file to take away: JSON for programs, text and Markdown for people; and in numbers."""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import orjson

from rhetor.core.content import Json, JsonValue
from rhetor.core.errors import BadRequest
from rhetor.sessions.event import EventType
from rhetor.sessions.shape import describe, describe_event
from rhetor.store.base import LoggedEvent, SessionRow

SPEAKERS: Mapping[str, str] = {EventType.USER: "User", EventType.ASSISTANT: "Assistant"}
_MARKS = re.compile(r"([\\`*_{}\[\]<>()#+!|~&-])")
_LINE_END = re.compile(r"\r\n?|\n")
_TICKS = re.compile(r"`{3,}")


def export(row: SessionRow, events: Iterable[LoggedEvent], format: str) -> tuple[bytes, str, str]:
    """The file, its content type, and its name.

    Raises:
        BadRequest: there is no such format.
    """
    kind = kind_of(format)
    return b"".join(pieces(row, events, format)), kind, file_name(row, format)


def pieces(row: SessionRow, events: Iterable[LoggedEvent], format: str) -> Iterator[bytes]:
    """The file, piece by piece: a long log is never in memory twice."""
    write, _ = _FORMATS[format]
    return write(row, events)


def kind_of(format: str) -> str:
    """The content type of a format.

    Raises:
        BadRequest: there is no such format.
    """
    if format not in _FORMATS:
        raise BadRequest(f"format: expected one of {', '.join(_FORMATS)}", param="format")
    return _FORMATS[format][1]


def file_name(row: SessionRow, format: str) -> str:
    return f"{row.id}.{format}"


@dataclass(slots=True)
class Paragraph:
    """Events that are read as one: the pieces of a message, or one event of another kind."""

    type: str
    turn: int
    at: datetime
    data: Json
    texts: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(self.texts)


def paragraphs(events: Iterable[LoggedEvent]) -> Iterator[Paragraph]:
    """A log as people read it: the pieces of one message are one."""
    last: Paragraph | None = None
    for event in events:
        if last is not None and _continues(last, event):
            last.texts.append(event.content)
            continue
        if last is not None:
            yield last
        last = Paragraph(event.type, event.turn, event.at, event.data, [event.content])
    if last is not None:
        yield last


def stats(row: SessionRow, events: Iterable[LoggedEvent]) -> dict[str, JsonValue]:
    """A session in numbers."""
    by_type: Counter[str] = Counter()
    messages: Counter[str] = Counter()
    tools: Counter[str] = Counter()
    characters = 0
    first = last = None
    for each in paragraphs(_counted(events, by_type)):
        first, last = first or each.at, each.at
        if each.type in SPEAKERS:
            messages[each.type] += 1
            characters += sum(map(len, each.texts))
        elif each.type == EventType.TOOL_USE:
            tools[str(each.data.get("name"))] += 1
    return {
        "session_id": row.id,
        "state": row.state,
        "turns": row.turn,
        "messages": messages.total(),
        "user_messages": messages[EventType.USER],
        "assistant_messages": messages[EventType.ASSISTANT],
        "characters": characters,
        "events": by_type.total(),
        "by_type": dict(by_type),
        "tools": dict(tools),
        "usage": row.document.get("usage"),
        "first_at": first.isoformat() if first is not None else None,
        "last_at": last.isoformat() if last is not None else None,
        "duration_s": (last - first).total_seconds() if first is not None and last is not None else 0.0,
    }


def _counted(events: Iterable[LoggedEvent], by_type: Counter[str]) -> Iterator[LoggedEvent]:
    for event in events:
        by_type[event.type] += 1
        yield event


def _continues(last: Paragraph, event: LoggedEvent) -> bool:
    pieces = event.type in (EventType.ASSISTANT, EventType.THINKING)
    same = event.data.get("message_id") == last.data.get("message_id")
    return pieces and last.type == event.type and last.turn == event.turn and same


# --- JSON


def _as_json(row: SessionRow, events: Iterable[LoggedEvent]) -> Iterator[bytes]:
    """The session, its events as the API tells them, and the messages that they make."""
    yield b'{"session":' + orjson.dumps(describe(row)) + b',"events":['
    messages: list[bytes] = []

    def told() -> Iterator[LoggedEvent]:
        for event in events:
            written.append(orjson.dumps(describe_event(row.id, event)))
            yield event

    written: list[bytes] = []
    separator = b""
    for each in paragraphs(told()):
        if each.type in SPEAKERS:
            messages.append(orjson.dumps(_message(each)))
        if written:
            yield separator + b",".join(written)
            written.clear()
            separator = b","
    yield b'],"messages":['
    for place, message in enumerate(messages):
        yield b"," + message if place else message
    yield b"]}\n"


def _message(each: Paragraph) -> JsonValue:
    return {
        "id": each.data.get("message_id"),
        "role": each.type,
        "content": each.text,
        "turn": each.turn,
        "at": each.at.isoformat(),
    }


# --- text


def _as_text(row: SessionRow, events: Iterable[LoggedEvent]) -> Iterator[bytes]:
    """What was said, with who said it in front, and a line for what else happened."""
    for each in paragraphs(events):
        line = _SAID[each.type](each) if each.type in _SAID else None
        if each.type in SPEAKERS:
            line = f"{SPEAKERS[each.type].upper()}: {each.text}"
        if line:
            yield f"{line}\n\n".encode()


def _change(each: Paragraph) -> str | None:
    """Only what ends otherwise than a turn does: the rest goes without saying."""
    reason = each.data.get("reason")
    if each.data.get("to") in ("suspended", "terminated", "failed"):
        return f"[{each.text}: {reason}]" if reason and reason != each.text else f"[{each.text}]"
    return f"[{reason}]" if reason in ("interrupted", "timeout", "max_turns") else None


_SAID: Mapping[str, Callable[[Paragraph], str | None]] = {
    EventType.SYSTEM: lambda each: f"[{each.text}]" if each.text else None,
    EventType.TOOL_USE: lambda each: f"[uses {each.data.get('name')}: {each.text}]",
    EventType.TOOL_RESULT: lambda each: (
        f"[{'error' if each.data.get('is_error') else 'result'}: {each.text.strip()}]"
    ),
    EventType.APPROVAL_REQUEST: lambda each: f"[asks: {each.text}]",
    EventType.APPROVAL_RESOLVED: lambda each: f"[{each.text} by {each.data.get('by')}]",
    EventType.FILE_CHANGE: lambda each: f"[{each.data.get('kind')}: {each.text}]",
    EventType.DIRECTORY_CHANGE: lambda each: f"[now in {each.text}]",
    EventType.ERROR: lambda each: f"[failed: {each.text}]",
    EventType.STATUS_CHANGE: _change,
}
"""One line for each kind of event beside messages. What a model thinks, and what calls cost, is left out."""


# --- Markdown


def _as_markdown(row: SessionRow, events: Iterable[LoggedEvent]) -> Iterator[bytes]:
    """The same to be read in a browser: tools and thoughts are folded."""
    title = row.document.get("title")
    yield f"# {_plain(str(title)) if title else row.id}\n\n".encode()
    yield f"{row.backend}, begun {row.created_at:%Y-%m-%d %H:%M} UTC".encode()
    model = row.document.get("model")
    yield (f", with {_code(str(model))}\n\n" if model else "\n\n").encode()
    for each in paragraphs(events):
        if (text := _markdown(each)) is not None:
            yield f"{text}\n\n".encode()


def _markdown(each: Paragraph) -> str | None:
    match each.type:
        case EventType.USER | EventType.ASSISTANT:
            return f"## {SPEAKERS[each.type]}\n\n{_quoted(each.text)}"
        case EventType.THINKING:
            return _folded("Thoughts", each.text)
        case EventType.TOOL_USE:
            return _folded(f"Tool: {each.data.get('name')}", _pretty(each), "json")
        case EventType.TOOL_RESULT:
            failed = "Error" if each.data.get("is_error") else "Result"
            return _folded(f"{failed}: {each.data.get('name') or 'tool'}", each.text)
    said = _SAID[each.type](each) if each.type in _SAID else None
    return f"*{html.escape(_line(said.strip('[]')), quote=False)}*" if said else None


def _quoted(text: str) -> str:
    """What is in a quotation cannot pass for the words of somebody else, whatever headings it holds."""
    return "\n".join(f"> {line}".rstrip() for line in _LINE_END.split(text))


def _plain(text: str) -> str:
    """One line in which nothing means anything to Markdown."""
    return _MARKS.sub(r"\\\1", _line(text))


def _code(text: str) -> str:
    return f"`{_line(text).replace('`', '')}`"


def _folded(summary: str, text: str, language: str = "") -> str:
    ticks = "`" * (max((len(found) for found in _TICKS.findall(text)), default=2) + 1)
    head = html.escape(_line(summary), quote=False)
    return f"<details><summary>{head}</summary>\n\n{ticks}{language}\n{text}\n{ticks}\n\n</details>"


def _pretty(each: Paragraph) -> str:
    given = each.data.get("input")
    if not isinstance(given, Mapping):
        return each.text
    return orjson.dumps(given, option=orjson.OPT_INDENT_2).decode()


def _line(text: str) -> str:
    return " ".join(text.split())


_FORMATS: Mapping[str, tuple[Callable[[SessionRow, Iterable[LoggedEvent]], Iterator[bytes]], str]] = {
    "json": (_as_json, "application/json"),
    "txt": (_as_text, "text/plain"),
    "md": (_as_markdown, "text/markdown"),
}
FORMATS = tuple(_FORMATS)
