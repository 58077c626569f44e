"""What Codex does, item by item: which tool that is, what came of it, and which files it has changed.

Seen running, version 0.169.0, 2026-11-21.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import orjson

from rhetor.core.content import Json, JsonValue
from rhetor.sessions.event import Event, EventType
from rhetor.wire.lenient import thing, things, word

QUESTION_CHARS = 200  # a line for people; the whole input is beside it

TOOLS: Mapping[str, str] = {
    "commandExecution": "exec_command",
    "fileChange": "apply_patch",
    "mcpToolCall": "mcp",
    "dynamicToolCall": "dynamic",
    "webSearch": "web_search",
    "imageView": "view_image",
    "imageGeneration": "image_generation",
}
"""Kinds of items that are uses of tools."""

_INPUT = ("command", "cwd", "changes", "server", "tool", "arguments", "query", "path")
_KINDS: Mapping[str, str] = {"add": "create", "delete": "delete", "update": "edit"}


def name_of(item: Json) -> str:
    """The tool that an item is a use of; empty: it is none."""
    kind = word(item, "type")
    if kind == "mcpToolCall":
        return f"mcp__{word(item, 'server')}__{word(item, 'tool')}"
    return TOOLS.get(kind, "")


def input_of(item: Json) -> dict[str, JsonValue]:
    return {name: item[name] for name in _INPUT if item.get(name) is not None}


def use(item: Json) -> Event:
    given = input_of(item)
    data: dict[str, JsonValue] = {"id": word(item, "id"), "name": name_of(item), "input": given}
    return Event(EventType.TOOL_USE, orjson.dumps(given).decode(), data)


def result(item: Json) -> Event:
    failed = word(item, "status") in ("failed", "declined") or bool(item.get("error"))
    data: dict[str, JsonValue] = {"id": word(item, "id"), "name": name_of(item), "is_error": failed}
    return Event(EventType.TOOL_RESULT, _said(item), data)


def _said(item: Json) -> str:
    if text := word(item, "aggregatedOutput"):
        return text
    if error := word(thing(item, "error"), "message"):
        return error
    content = things(thing(item, "result"), "content")
    return "\n".join(word(part, "text") for part in content if word(part, "text"))


def changes(item: Json) -> Iterator[Event]:
    """The files that an item has changed."""
    if word(item, "status") != "completed":
        return
    for change in things(item, "changes"):
        path, kind = word(change, "path"), thing(change, "kind")
        moved = word(kind, "move_path")
        yield _change(path, "delete" if moved else _KINDS.get(word(kind, "type"), "edit"), item)
        if moved:
            yield _change(moved, "create", item)


def _change(path: str, kind: str, item: Json) -> Event:
    data: dict[str, JsonValue] = {"path": path, "kind": kind, "tool_id": word(item, "id")}
    return Event(EventType.FILE_CHANGE, path, data)


def paths(item: Json) -> list[str]:
    """Of the files that it wants to change."""
    found = [word(change, "path") for change in things(item, "changes")]
    moved = [word(thing(change, "kind"), "move_path") for change in things(item, "changes")]
    return [path for path in (*found, *moved) if path]


def question(item: Json, request: Json) -> str:
    """What is asked, for people, in one line."""
    if word(item, "type") == "fileChange":
        line = f"May it change {', '.join(paths(item)) or 'files'}?"
    else:
        line = f"May it run {word(request, 'command') or word(item, 'command') or 'a command'}?"
    line = " ".join(line.split())
    return line if len(line) <= QUESTION_CHARS else f"{line[:QUESTION_CHARS]}…"
