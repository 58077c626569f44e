"""What is told of tools; most of it is in test_reading, from recordings."""

from __future__ import annotations

from typing import Any

import pytest

from rhetor.sessions.claude_code.tools import QUESTION_CHARS, Tools, question, text_of
from rhetor.sessions.event import Event, EventType


def uses(name: str, **given: object) -> dict[str, Any]:
    return {"type": "tool_use", "id": "t1", "name": name, "input": given}


def answers(**more: object) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": "t1", "content": "done", **more}


def changes(told: list[Event]) -> list[tuple[str, object]]:
    return [(it.content, it.data["kind"]) for it in told if it.type is EventType.FILE_CHANGE]


def test_a_use_and_its_result() -> None:
    tools = Tools()
    use = tools.use(uses("Bash", command="ls"), "")
    (result,) = tools.result(answers(), None, "")
    assert use == Event(
        EventType.TOOL_USE, '{"command":"ls"}', {"id": "t1", "name": "Bash", "input": {"command": "ls"}}
    )
    assert result == Event(EventType.TOOL_RESULT, "done", {"id": "t1", "name": "Bash", "is_error": False})


def test_a_result_of_nothing_is_told_nevertheless() -> None:
    (result,) = Tools().result(answers(is_error=True), None, "")
    assert result.data == {"id": "t1", "name": "unknown", "is_error": True}


@pytest.mark.parametrize(
    ("use", "done", "change"),
    [
        (uses("Write", file_path="/a"), {"type": "create", "filePath": "/a"}, [("/a", "create")]),
        (uses("Write", file_path="/a"), {"type": "update", "filePath": "/a"}, [("/a", "edit")]),
        (uses("Edit", file_path="/a"), {"filePath": "/a", "originalFile": None}, [("/a", "create")]),
        (uses("Edit", file_path="/a"), {"filePath": "/b", "originalFile": "x"}, [("/b", "edit")]),
        (uses("MultiEdit", file_path="/a"), None, [("/a", "edit")]),
        (uses("NotebookEdit", notebook_path="/n"), {"notebook_path": "/n", "error": ""}, [("/n", "edit")]),
        (uses("NotebookEdit", notebook_path="/n"), {"notebook_path": "/n", "error": "no cell"}, []),
        (uses("Edit", file_path="/a"), "Error: no", [("/a", "edit")]),
        (uses("Edit"), {}, []),
        (uses("Read", file_path="/a"), {"type": "text"}, []),
    ],
)
def test_changes_of_files(use: dict[str, Any], done: Any, change: list[tuple[str, str]]) -> None:
    tools = Tools()
    tools.use(use, "")
    assert changes(tools.result(answers(), done, "")) == change


def test_what_failed_has_changed_nothing() -> None:
    tools = Tools()
    tools.use(uses("Write", file_path="/a"), "")
    assert not changes(tools.result(answers(is_error=True), {"filePath": "/a"}, ""))


def test_a_subagent_s_changes_are_told_by_the_hook() -> None:
    tools = Tools()
    tools.use(uses("Write", file_path="/a"), "task")
    tools.on_done("t1", {"type": "create", "filePath": "/a", "content": "x" * 9})
    *_, change = tools.result(answers(), None, "task")
    assert change.data == {"path": "/a", "kind": "create", "tool_id": "t1", "parent": "task"}


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("plain", "plain"),
        ([{"type": "text", "text": "a"}, {"type": "image", "source": {}}], "a\n[image]"),
        ([{}], "[something]"),
        (None, ""),
        ({"a": 1}, ""),
    ],
)
def test_results_as_text(content: Any, text: str) -> None:
    assert text_of(content) == text


QUESTIONS = [{"question": "A?"}, {"question": "B?"}]


@pytest.mark.parametrize(
    ("request_", "line"),
    [
        ({"tool_name": "Bash", "input": {"command": "make\n  all"}}, "May it run make all?"),
        ({"tool_name": "Write", "input": {"file_path": "/a b"}}, "May it write /a b?"),
        ({"tool_name": "NotebookEdit", "input": {"notebook_path": "/n"}}, "May it change /n?"),
        ({"tool_name": "WebFetch", "input": {"url": "http://a/"}}, "May it fetch http://a/?"),
        ({"tool_name": "ExitPlanMode"}, "May it leave plan mode, and do as it has planned?"),
        ({"tool_name": "mcp__a__b", "display_name": "B", "description": "does c"}, "May it use B: does c?"),
        ({"tool_name": "Skill"}, "May it use Skill?"),
        ({"tool_name": "Bash", "title": "Claude wants to {} it"}, "Claude wants to {} it"),
        ({"tool_name": "AskUserQuestion", "input": {"questions": QUESTIONS}}, "A? / B?"),
    ],
)
def test_questions_are_for_people(request_: dict[str, Any], line: str) -> None:
    assert question(request_) == line


def test_questions_are_one_line() -> None:
    long = question({"tool_name": "Bash", "input": {"command": "x" * 5000}})
    assert len(long) == QUESTION_CHARS + 1
