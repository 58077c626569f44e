"""Why turns end; most of it is in test_reading, from recordings."""

from __future__ import annotations

from typing import Any

import pytest

from rhetor.core.errors import Code
from rhetor.sessions.backend import TurnEnded
from rhetor.sessions.codex.endings import ending, failed


@pytest.mark.parametrize(
    ("status", "exhausted", "reason"),
    [
        ("completed", True, "end"),
        ("interrupted", False, "interrupted"),
        ("interrupted", True, "max_turns"),
    ],
)
def test_reasons(status: str, exhausted: bool, reason: Any) -> None:
    assert ending({"status": status}, exhausted) == TurnEnded(reason)


@pytest.mark.parametrize(
    ("info", "code"),
    [
        ("usageLimitExceeded", Code.UPSTREAM_BILLING),
        ("cyberPolicy", Code.CONTENT_POLICY),
        ({"responseTooManyFailedAttempts": {"httpStatusCode": 429}}, Code.RATE_LIMITED),
        ({"httpConnectionFailed": {"httpStatusCode": 418}}, Code.UPSTREAM_ERROR),
        ({"httpConnectionFailed": {"httpStatusCode": None}}, Code.UPSTREAM_ERROR),
        ("what comes next", Code.UPSTREAM_ERROR),
        (None, Code.UPSTREAM_ERROR),
        (7, Code.UPSTREAM_ERROR),
    ],
)
def test_codes(info: Any, code: Code) -> None:
    assert failed({"message": "so it is", "codexErrorInfo": info}).code is code


def test_an_ending_without_a_word_has_a_message() -> None:
    assert "did not say why" in str(ending({}, False).error)
