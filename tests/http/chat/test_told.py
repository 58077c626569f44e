"""What is told of a log: turns however they end, messages, and usage in one shape."""

from __future__ import annotations

import pytest

from rhetor.core.content import Json
from rhetor.core.errors import Code
from rhetor.http.chat.told import Frame, Turn, messages, usage
from rhetor.sessions.chat.transcript import summarized
from rhetor.sessions.event import Event, EventType
from tests.sessions.chat.logs import Log

ANSWERED: Json = {
    "answered": {
        "message_id": "said_1",
        "provider": "lab",
        "model": "small",
        "finish_reason": "stop",
        "input_tokens": 3,
        "output_tokens": 4,
        "estimated": False,
        "fallback": True,
    }
}


def change(to: str, reason: str, before: str = "active") -> Event:
    return Event(EventType.STATUS_CHANGE, to, {"from": before, "to": to, "reason": reason})


def error(message: str, **data: str | float) -> Event:
    return Event(EventType.ERROR, message, data)


def told(log: Log) -> list[Frame]:
    turn = Turn()
    frames: list[Frame] = []
    for event in log.events:
        if event.type == EventType.USER:
            turn = Turn(event)
        frames += turn.frames(event)
    return frames


def test_a_turn_that_ends_well() -> None:
    log = (
        Log()
        .exchange("hi", "hel", "lo")
        .add(Event(EventType.SYSTEM, "", ANSWERED))
        .add(change("idle", "end"))
    )

    *tokens, done = told(log)

    assert [it["content"] for it in tokens] == ["hel", "lo"]
    assert done == {
        "type": "done",
        "messageId": "said_1",
        "provider": "lab",
        "model": "small",
        "usage": {"promptTokens": 3, "completionTokens": 4, "totalTokens": 7},
        "fallback": True,
        "responseTime": 4000,
    }


def test_a_turn_that_was_interrupted_says_so() -> None:
    (_, done) = told(Log().exchange("hi", "hel").add(change("idle", "interrupted")))

    assert (done["type"], done["interrupted"]) == ("done", True)


@pytest.mark.promise("P18", "P28")
@pytest.mark.parametrize(
    ("failure", "end", "code", "retryable"),
    [
        (error("overloaded", code="overloaded", origin="lab"), change("idle", "error"), "overloaded", True),
        (
            error("wait", code="rate_limited", retry_after_s=7.0),
            change("idle", "error"),
            "rate_limited",
            True,
        ),
        (
            error("no", code="content_policy_violation"),
            change("idle", "error"),
            "content_policy_violation",
            False,
        ),
        (error("odd", code="nobody_knows"), change("failed", "failed"), "internal_error", False),
        (error("odd"), change("failed", "failed"), "internal_error", False),
        (None, change("suspended", "suspended"), "shutting_down", True),
        (None, change("terminated", "terminated", "waiting_input"), "shutting_down", True),
        (error("too long", code="total_timeout"), change("idle", "timeout"), "total_timeout", True),
    ],
)
def test_a_turn_that_failed(failure: Event | None, end: Event, code: str, retryable: bool) -> None:
    log = Log().exchange("hi", "hel")
    if failure is not None:
        log.add(failure)

    *_, last = told(log.add(end))

    assert (last["type"], last["code"], last["retryable"]) == ("error", code, retryable)
    assert last["message"]
    if failure is not None and failure.data.get("origin"):
        assert last["provider"] == "lab"
    if failure is not None and failure.data.get("retry_after_s"):
        assert last["retryAfter"] == 7


def test_what_else_changes_ends_no_turn() -> None:
    log = (
        Log()
        .user("hi")
        .add(change("active", "opened", "initializing"))
        .add(change("idle", "resume", "suspended"))
    )

    assert told(log) == []


@pytest.mark.promise("P06")
@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (
            {"input_tokens": 3, "output_tokens": 4},
            {"promptTokens": 3, "completionTokens": 4, "totalTokens": 7},
        ),
        (
            {"input_tokens": 0, "output_tokens": 0, "estimated": True},
            {"promptTokens": 0, "completionTokens": 0, "totalTokens": 0, "estimated": True},
        ),
        ({}, None),
        ({"input_tokens": "3", "output_tokens": 4}, None),
    ],
)
def test_usage_has_one_shape(said: Json, shown: Json | None) -> None:
    assert usage(said) == shown


class TestMessages:
    def test_each_says_how_it_ended(self) -> None:
        log = Log().exchange("one", "1").add(change("idle", "end")).exchange("two", "2")
        log.add(change("idle", "interrupted")).exchange("three", "3").add(
            error("oh", code=Code.TRUNCATED.value)
        )
        log.add(change("idle", "error")).exchange("four", "4")

        listed = messages("ses_1", log.events)

        assert [(it["content"], it["status"]) for it in listed if isinstance(it, dict)] == [
            ("one", "completed"),
            ("1", "completed"),
            ("two", "completed"),
            ("2", "cancelled"),
            ("three", "completed"),
            ("3", "error"),
            ("four", "completed"),
            ("4", "streaming"),
        ]

    def test_a_summary_is_one_of_them(self) -> None:
        log = Log().exchange("one", "1").add(change("idle", "end")).add(summarized("they count", 2))

        (only,) = messages("ses_1", log.events)

        assert isinstance(only, dict)
        assert (only["role"], only["content"]) == ("summary", "they count")
