"""Events and sessions in a line each."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from rhetor.cli.sessions import words
from rhetor.cli.sessions.calls import Told


@pytest.mark.parametrize(
    ("input", "about", "whole"),
    [
        ({"command": "ls -la"}, "ls -la", "ls -la"),
        ({"file_path": "/a.py", "content": "x"}, "/a.py", "file_path: /a.py\ncontent: x"),
        ({"command": "a\nb"}, "a b", "a\nb"),
        ({"x": 1}, '{"x": 1}', "1"),
        ({}, "", ""),
        (None, "", ""),
        ("text", "text", "text"),
        ({"command": "\x1b[2J"}, "\ufffd[2J", "\ufffd[2J"),
    ],
)
def test_what_a_tool_is_used_for(input: Any, about: str, whole: str) -> None:
    assert (words.about(input), words.whole(input)) == (about, whole)


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (Told(1, "tool_result", "one\n\ntwo"), "one  (+1 lines)"),
        (Told(1, "tool_result", ""), "nothing"),
        (Told(1, "tool_result", "", {"is_error": True}), "failed"),
    ],
)
def test_what_came_of_it(event: Told, line: str) -> None:
    assert words.result_line(event) == line


@pytest.mark.parametrize(
    ("state", "reason", "line"),
    [
        ("idle", "end", None),
        ("idle", "created", None),
        ("active", "send", None),
        ("idle", "interrupted", "idle (interrupted)"),
        ("suspended", "suspended", "suspended"),
        ("suspended", "gateway restarted", "suspended (gateway restarted)"),
    ],
)
def test_states(state: str, reason: str, line: str | None) -> None:
    assert words.state_line(Told(1, "status_change", state, {"to": state, "reason": reason})) == line


def test_small_things() -> None:
    assert words.file_line(Told(1, "file_change", "/x", {"path": "/x", "kind": "edit"})) == "changed /x"
    assert (
        words.resolved_line(Told(1, "x", "deny", {"by": "rule", "message": "no"})) == "denied by a rule: no"
    )
    assert words.used({"calls": 1, "input_tokens": 900, "output_tokens": 200, "cost_micros": 12_300}) == (
        "1 call, 1,100 tokens, $0.0123"
    )
    assert words.used({"calls": 2, "cost_micros": None}) == "2 calls, 0 tokens, cost unknown"
    assert words.used(None) == "nothing used yet"
    now = datetime(2026, 11, 21, 12, tzinfo=UTC)
    times = ["2026-11-21T11:59:58+00:00", "2026-11-21T11:50:00+00:00", "2026-11-20T10:00:00+00:00", "?", None]
    assert [words.ago(time, now) for time in times] == ["2 s", "10 min", "1 d", "?", "?"]
    assert words.shortened("/home/ada/x", "/home/ada") == "~/x"
    assert words.shortened("/" + "a" * 40, None) == "…" + "a" * 31
