"""Why turns end; most of it is in test_reading, from recordings."""

from __future__ import annotations

from typing import Any

import pytest

from rhetor.core.errors import Code
from rhetor.sessions.backend import TurnEnded
from rhetor.sessions.claude_code.endings import ending, is_ours


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        ({"subtype": "success", "is_error": False, "terminal_reason": "completed"}, "end"),
        ({"subtype": "success"}, "end"),
        ({"subtype": "error_max_turns", "is_error": True}, "max_turns"),
        ({"subtype": "error_during_execution", "terminal_reason": "aborted_tools"}, "interrupted"),
    ],
)
def test_reasons(result: dict[str, Any], reason: Any) -> None:
    assert ending(result, "", stopping=False) == TurnEnded(reason)


def test_versions_that_do_not_say_why_are_believed_when_we_asked_for_it() -> None:
    result: dict[str, Any] = {"subtype": "error_during_execution", "is_error": True}
    assert ending(result, "", stopping=True) == TurnEnded("interrupted")
    assert ending(result, "", stopping=False).reason == "error"


@pytest.mark.parametrize(
    ("result", "error_word", "code"),
    [
        ({"api_error_status": 429}, "", Code.RATE_LIMITED),
        ({"api_error_status": 500}, "rate_limit", Code.RATE_LIMITED),
        ({"api_error_status": 529}, "server_error", Code.OVERLOADED),
        ({"api_error_status": 404}, "model_not_found", Code.MODEL_NOT_FOUND),
        ({"api_error_status": 418}, "unknown", Code.UPSTREAM_ERROR),
        ({}, "invalid_request", Code.INVALID_REQUEST),
        ({"stop_reason": "refusal"}, "invalid_request", Code.CONTENT_POLICY),
        ({"terminal_reason": "prompt_too_long"}, "invalid_request", Code.CONTEXT_LENGTH),
        ({}, "", Code.UPSTREAM_ERROR),
    ],
)
def test_codes(result: dict[str, Any], error_word: str, code: Code) -> None:
    ended = ending(
        {"subtype": "success", "is_error": True, "result": "so it is", **result}, error_word, False
    )
    assert ended.error is not None
    assert (ended.reason, ended.error.code, ended.error.message) == ("error", code, "so it is")


def test_several_complaints_are_one_message() -> None:
    ended = ending({"subtype": "error_during_execution", "errors": ["one", 2, "two"]}, "", False)
    assert str(ended.error) == "one; two"


def test_an_ending_without_a_word_has_a_message() -> None:
    assert "did not say why" in str(ending({}, "", False).error)


@pytest.mark.parametrize(
    ("result", "ours"),
    [({}, True), ({"origin": {"kind": "human"}}, True), ({"origin": {"kind": "task-notification"}}, False)],
)
def test_whose_turn_it_was(result: dict[str, Any], ours: bool) -> None:
    assert is_ours(result) is ours
