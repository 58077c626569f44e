"""OpenCode's objects in our words."""

from __future__ import annotations

import pytest

from rhetor.core.errors import Code
from rhetor.sessions.opencode import reading
from tests.sessions.opencode.recordings import Object


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (
            {"name": "APIError", "data": {"message": "slow down", "statusCode": 429}},
            Code.RATE_LIMITED,
            "slow down",
        ),
        ({"name": "APIError", "data": {"message": "no", "statusCode": 500}}, Code.UPSTREAM_ERROR, "no"),
        ({"name": "APIError", "data": {"message": "who", "statusCode": 401}}, Code.UPSTREAM_AUTH, "who"),
        ({"name": "ProviderAuthError", "data": {"message": "key"}}, Code.UPSTREAM_AUTH, "key"),
        ({"name": "ContextOverflowError", "data": {"message": "long"}}, Code.CONTEXT_LENGTH, "long"),
        ({"name": "ContentFilterError", "data": {"message": "no"}}, Code.CONTENT_POLICY, "no"),
        ({"name": "SomethingNew", "data": {}}, Code.UPSTREAM_ERROR, "SomethingNew"),
        ({"data": "nonsense"}, Code.UPSTREAM_ERROR, "opencode failed"),
    ],
)
def test_errors(error: Object, code: Code, message: str) -> None:
    failure = reading.failure(error)
    assert (failure.code, failure.message, failure.origin) == (code, message, "opencode")


@pytest.mark.parametrize(
    ("permission", "patterns", "about", "question"),
    [
        ("bash", ["ls"], {"command": "ls -l\n  /tmp"}, "May it run ls -l /tmp?"),
        ("edit", ["a.txt"], {"filepath": "/p/a.txt"}, "May it change /p/a.txt?"),
        ("webfetch", ["x"], {"url": "http://x/"}, "May it fetch http://x/?"),
        ("external_directory", ["/etc/*"], {"filepath": "/etc/passwd"}, "May it go to /etc/*: /etc/passwd?"),
        ("new_thing", ["a", "b"], {}, "May it use new_thing: a, b?"),
        ("bash", ["x"], {"command": "x" * 500}, f"May it run {'x' * 200}…?"),
    ],
)
def test_questions(permission: str, patterns: list[str], about: Object, question: str) -> None:
    assert reading.question(permission, patterns, about) == question


def part(tool: str, **state: object) -> Object:
    return {"id": "prt_1", "type": "tool", "tool": tool, "state": {"status": "completed", **state}}


@pytest.mark.parametrize(
    ("part", "changes"),
    [
        (part("write", metadata={"filepath": "/a", "exists": False}), [("/a", "create")]),
        (part("write", metadata={"filepath": "/a", "exists": True}), [("/a", "edit")]),
        (part("edit", input={"filePath": "a", "oldString": "x"}), [("a", "edit")]),
        (part("edit", input={"filePath": "a", "oldString": ""}), [("a", "create")]),
        (part("edit", metadata={"filediff": {"file": "/p/a"}}, input={"oldString": "x"}), [("/p/a", "edit")]),
        (part("apply_patch", metadata={"files": [{"filePath": "/a", "type": "add"}]}), [("/a", "create")]),
        (part("apply_patch", metadata={"files": "nonsense"}), []),
        (part("bash", metadata={"filepath": "/a"}), []),
        (part("write"), []),
        ({**part("write", metadata={"filepath": "/a"}), "state": {"status": "error"}}, []),
    ],
)
def test_changes_of_files(part: Object, changes: list[tuple[str, str]]) -> None:
    assert [(event.content, event.data["kind"]) for event in reading.changes(part)] == changes


def test_a_tool_and_its_result() -> None:
    given = part("bash", input={"command": "ls"}, output="a\n")
    use, result = reading.use(given), reading.result(given)
    assert (use.content, use.data["name"], use.data["id"]) == ('{"command":"ls"}', "bash", "prt_1")
    assert (result.content, result.data["is_error"]) == ("a\n", False)
    failed = reading.result({**given, "state": {"status": "error", "error": "no"}})
    assert (failed.content, failed.data["is_error"]) == ("no", True)


@pytest.mark.parametrize(
    ("part", "folder"),
    [
        (part("bash", input={"workdir": "deep/../other"}), "/p/other"),
        (part("bash", input={"workdir": "/q"}), "/q"),
        (part("bash", input={"command": "ls"}), ""),
        (part("bash", input={"workdir": "deep"}, status="error"), ""),
    ],
)
def test_where_a_command_ran(part: Object, folder: str) -> None:
    assert reading.ran_in(part, "/p") == folder
