"""The tools that Claude Code uses: what is told of them, and what they have changed.

Seen running, version 2.1.197, 2026-11-21.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from rhetor.core.content import Json, JsonValue
from rhetor.sessions.claude_code.writing import CHANGES_FILES, PATHS
from rhetor.sessions.event import Event, EventType
from rhetor.wire.lenient import thing, things, word

QUESTION_CHARS = 200  # a line for people; the whole input is beside it


@dataclass(slots=True)
class _Use:
    name: str
    input: Json
    done: Json | None = None
    """What it says that it did."""


class Tools:
    """The tools of a turn."""

    def __init__(self) -> None:
        self._uses: dict[str, _Use] = {}

    def begin_turn(self) -> None:
        self._uses.clear()

    def use(self, block: Json, parent: str) -> Event:
        """A tool is used; its input is complete.

        Args:
            parent: the use of a tool that this is a part of, a subagent's; or empty.
        """
        id, name, given = word(block, "id"), word(block, "name") or "unknown", dict(thing(block, "input"))
        self._uses[id] = _Use(name, given)
        data: dict[str, JsonValue] = {"id": id, "name": name, "input": given, **_within(parent)}
        return Event(EventType.TOOL_USE, orjson.dumps(given).decode(), data)

    def on_done(self, id: str, done: Json) -> None:
        """The hook after a tool tells what it did: of a subagent's tools nothing else does."""
        if (use := self._uses.get(id)) is not None and use.name in CHANGES_FILES:
            use.done = {name: done.get(name) for name in _TELLING if name in done}

    def result(self, block: Json, done: JsonValue, parent: str) -> list[Event]:
        """What came of a tool, and which file it has changed.

        Args:
            done: `tool_use_result`: an object that depends on the tool, or the text of an error.
        """
        id = word(block, "tool_use_id")
        use = self._uses.get(id) or _Use("unknown", {})
        failed = block.get("is_error") is True
        data: dict[str, JsonValue] = {"id": id, "name": use.name, "is_error": failed, **_within(parent)}
        told = [Event(EventType.TOOL_RESULT, text_of(block.get("content")), data)]
        if use.name in CHANGES_FILES and not failed:
            told += _change(id, use, done if isinstance(done, Mapping) else use.done or {}, parent)
        return told


_TELLING = ("type", "filePath", "notebook_path", "originalFile", "error")


def _change(id: str, use: _Use, done: Json, parent: str) -> list[Event]:
    path = word(done, "filePath") or word(done, "notebook_path") or _path(use.input)
    if not path or word(done, "error"):
        return []
    is_new = done.get("type") == "create" or ("originalFile" in done and done["originalFile"] is None)
    data: dict[str, JsonValue] = {"path": path, "kind": "create" if is_new else "edit", "tool_id": id}
    return [Event(EventType.FILE_CHANGE, path, data | _within(parent))]


def _within(parent: str) -> dict[str, JsonValue]:
    return {"parent": parent} if parent else {}


def _path(given: Json) -> str:
    return next((word(given, name) for name in PATHS if word(given, name)), "")


def text_of(content: JsonValue) -> str:
    """What a tool answers, as text; pictures and the like are only named."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    return "\n".join(
        word(part, "text") if part.get("type") == "text" else f"[{word(part, 'type') or 'something'}]"
        for part in things({"content": content}, "content")
    )


def question(request: Json) -> str:
    """What is asked with `can_use_tool`, for people, in one line."""
    line = " ".join(_question(request).split())
    return line if len(line) <= QUESTION_CHARS else f"{line[:QUESTION_CHARS]}…"


def _question(request: Json) -> str:
    tool, given = word(request, "tool_name"), thing(request, "input")
    if tool == "AskUserQuestion":
        return " / ".join(word(each, "question") for each in things(given, "questions"))
    if title := word(request, "title"):
        return title
    about = word(given, _ABOUT.get(tool, "")) or _path(given) or word(request, "description")
    name = word(request, "display_name") or tool
    return f"May it {_VERBS.get(tool, f'use {name}:')} {about}".rstrip(": ") + "?"


_VERBS: Mapping[str, str] = {
    "Bash": "run",
    "Write": "write",
    "Edit": "change",
    "MultiEdit": "change",
    "NotebookEdit": "change",
    "Read": "read",
    "WebFetch": "fetch",
    "WebSearch": "search the web for",
    "ExitPlanMode": "leave plan mode, and do as it has planned",
}
_ABOUT: Mapping[str, str] = {"Bash": "command", "WebFetch": "url", "WebSearch": "query"}
