"""What is written is one JSON object a line, and allows no more than was allowed."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from rhetor.sessions.backend import Verdict
from rhetor.sessions.claude_code import writing

BASH_RULE: dict[str, Any] = {
    "type": "addRules",
    "rules": [{"toolName": "Bash", "ruleContent": "touch x *"}],
    "behavior": "allow",
    "destination": "localSettings",
}
MODE: dict[str, Any] = {"type": "setMode", "mode": "acceptEdits", "destination": "session"}


def parsed(line: bytes) -> Any:
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1, "a line is a message"
    return orjson.loads(line)


def answer(line: bytes) -> Any:
    said = parsed(line)
    assert said["response"]["request_id"] == "r1"
    return said["response"]["response"]


def test_a_message_of_several_lines_is_one_line() -> None:
    said = parsed(writing.message("one\ntwo\r\n\u2028three"))
    assert said == {"type": "user", "message": {"role": "user", "content": "one\ntwo\r\n\u2028three"}}


def test_it_is_initialized_with_hooks_and_instructions() -> None:
    request = parsed(writing.initialize("r1", "be brief"))["request"]
    assert (request["subtype"], request["appendSystemPrompt"]) == ("initialize", "be brief")
    assert {"PostToolUse", "PostToolUseFailure"} == set(request["hooks"])
    assert "appendSystemPrompt" not in parsed(writing.initialize("r1", None))["request"]


def test_an_interrupt() -> None:
    assert parsed(writing.interrupt("r1")) == {
        "type": "control_request",
        "request_id": "r1",
        "request": {"subtype": "interrupt"},
    }


def test_an_allowance_repeats_the_input() -> None:
    """Without one it is refused."""
    said = answer(writing.verdict("r1", Verdict("allow"), {"command": "ls"}, [BASH_RULE]))
    assert said == {"behavior": "allow", "updatedInput": {"command": "ls"}}


def test_an_allowance_of_something_else() -> None:
    said = answer(writing.verdict("r1", Verdict("allow", input={"command": "pwd"}), {"command": "ls"}, []))
    assert said["updatedInput"] == {"command": "pwd"}


def test_an_allowance_that_lasts() -> None:
    given = Verdict("allow", always=True)
    assert answer(writing.verdict("r1", given, {}, [BASH_RULE]))["updatedPermissions"] == [BASH_RULE]
    assert "updatedPermissions" not in answer(writing.verdict("r1", given, {}, []))


@pytest.mark.parametrize(("message", "said"), [("not today", "not today"), (None, writing.DENIED)])
def test_a_denial_says_why(message: str | None, said: str) -> None:
    line = writing.verdict("r1", Verdict("deny", message, always=True), {}, [BASH_RULE])
    assert answer(line) == {"behavior": "deny", "message": said}


def test_a_refusal() -> None:
    response = parsed(writing.refusal("r1", "no"))["response"]
    assert response == {"subtype": "error", "request_id": "r1", "error": "no"}


def test_rules_last_in_the_session_s_home_and_modes_are_left_out() -> None:
    """What lies in the working directory outlives the session, and is the project's."""
    (rule,) = writing.rules("Bash", {}, [BASH_RULE, MODE], "/shop")
    assert rule == {**BASH_RULE, "destination": "userSettings"}


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        ("/shop/a/b.txt", "//shop/**"),
        ("/elsewhere/c/d.txt", "//elsewhere/c/**"),
        ("/elsewhere/[c]/d.txt", None),
        ("/d.txt", None),
        ("d.txt", None),
        (7, None),
    ],
)
def test_rules_for_files(path: object, rule: str | None) -> None:
    """A mode would allow commands too."""
    found: list[Any] = writing.rules("Write", {"file_path": path}, [MODE], "/shop")  # type: ignore[dict-item]
    assert [each["rules"][0]["ruleContent"] for each in found] == ([] if rule is None else [rule])
    assert all(each["rules"][0]["toolName"] == "Edit" for each in found)
    assert all(each["destination"] == "userSettings" for each in found)


def test_what_cannot_last_does_not() -> None:
    assert not writing.rules("Bash", {"command": "a; b"}, [], "/shop")
    assert not writing.rules("Write", {"file_path": "/shop/a"}, [], "/shop")
    assert not writing.rules("Bash", {}, [{**BASH_RULE, "behavior": "deny"}], "/shop")
