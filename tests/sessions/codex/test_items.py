"""What is told of items; most of it is in test_reading, from recordings."""

from __future__ import annotations

from typing import Any

import pytest

from rhetor.sessions.codex import items
from rhetor.sessions.event import Event, EventType


def test_a_use_and_its_result() -> None:
    item: dict[str, Any] = {
        "type": "mcpToolCall",
        "id": "i1",
        "server": "s",
        "tool": "t",
        "arguments": {"a": 1},
    }
    assert items.use(item).data == {
        "id": "i1",
        "name": "mcp__s__t",
        "input": {"server": "s", "tool": "t", "arguments": {"a": 1}},
    }
    done = {**item, "status": "completed", "result": {"content": [{"type": "text", "text": "four"}]}}
    assert items.result(done) == Event(
        EventType.TOOL_RESULT, "four", {"id": "i1", "name": "mcp__s__t", "is_error": False}
    )
    failed = {**item, "status": "failed", "error": {"message": "no"}}
    assert (items.result(failed).content, items.result(failed).data["is_error"]) == ("no", True)


@pytest.mark.parametrize("kind", ["agentMessage", "reasoning", "plan", "what comes next", ""])
def test_what_is_no_tool(kind: str) -> None:
    assert items.name_of({"type": kind}) == ""


def test_what_was_not_done_has_changed_nothing() -> None:
    change: Any = {"path": "/a", "kind": {"type": "add"}}
    item: dict[str, Any] = {"type": "fileChange", "id": "i1", "status": "declined", "changes": [change]}
    assert not list(items.changes(item))


@pytest.mark.parametrize(
    ("item", "request_", "line"),
    [
        ({"type": "commandExecution", "command": "make\n all"}, {}, "May it run make all?"),
        ({}, {"command": "ls"}, "May it run ls?"),
        ({}, {}, "May it run a command?"),
        ({"type": "fileChange", "changes": [{"path": "/a"}, {"path": "/b"}]}, {}, "May it change /a, /b?"),
        ({"type": "fileChange"}, {}, "May it change files?"),
    ],
)
def test_questions_are_for_people(item: dict[str, Any], request_: dict[str, Any], line: str) -> None:
    assert items.question(item, request_) == line


def test_questions_are_one_line() -> None:
    assert len(items.question({}, {"command": "x" * 5000})) == items.QUESTION_CHARS + 1
