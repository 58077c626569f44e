"""One step of a session, as it is stored."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from rhetor.core.errors import BadRequest, Code, UpstreamError
from rhetor.core.record import TripRecord
from rhetor.core.usage import Usage
from rhetor.sessions.backend import Asked
from rhetor.sessions.draft import MESSAGES_REMEMBERED, Draft, taken_at, waiting_for
from rhetor.sessions.event import Event, EventType
from rhetor.sessions.states import Move
from rhetor.store.base import SessionRow

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = datetime(2026, 1, 2, tzinfo=UTC)


def draft(state: str = "idle", **document: Any) -> Draft:
    row = SessionRow(
        id="ses_1", owner="", backend="chat", state=state, created_at=NOW, updated_at=NOW, last_seq=7, turn=2,
        document=document,
    )  # fmt: skip
    return Draft(row)


def trip(cost_micros: int | None, tokens: int = 10) -> TripRecord:
    return TripRecord(
        id="gen_1", at=NOW, door="anthropic", capability="text-to-text", requested_model="m",
        served_by="a/m", model_known=True, outcome="ok", stream=True, fallback=False, attempts=(),
        usage=Usage(tokens, tokens), cost_micros=cost_micros, first_event_ms=1, total_ms=2, session="ses_1",
    )  # fmt: skip


def test_numbers_go_on_where_the_log_ended() -> None:
    step = draft()
    step.move(Move.SEND)
    step.begin_turn("hi", "msg_1")
    row, events = step.result(LATER)
    assert [(event.seq, event.turn, event.type) for event in events] == [
        (8, 3, "status_change"),
        (9, 3, "user"),
    ]
    assert (row.last_seq, row.turn, row.state, row.updated_at) == (9, 3, "active", LATER)


def test_an_illegal_step_changes_nothing() -> None:
    step = draft("suspended")
    with pytest.raises(BadRequest, match="suspended"):
        step.move(Move.SEND)
    assert step.is_empty
    assert step.row.state == "suspended"


def test_a_message_that_was_taken_is_known_again() -> None:
    step = draft()
    step.move(Move.SEND)
    step.begin_turn("hi", "msg_1")
    step.remember("msg_1", "hi")
    row, events = step.result(LATER)
    assert taken_at(row, "msg_1", "hi") == events[-1].seq == 9
    assert taken_at(row, "msg_2", "hi") is None


def test_messages_are_not_remembered_for_ever() -> None:
    step = draft(message_ids=[[f"old_{n}", n] for n in range(MESSAGES_REMEMBERED)])
    step.move(Move.SEND)
    step.begin_turn("hi", "new")
    step.remember("new", "hi")
    row, _ = step.result(LATER)
    assert len(row.document["message_ids"]) == MESSAGES_REMEMBERED  # type: ignore[arg-type]
    assert taken_at(row, "old_0", "") is None
    assert taken_at(row, "old_1", "") == 1


def test_requests_are_open_until_they_are_resolved() -> None:
    step = draft("active")
    step.ask(Asked("a1", "Bash", {"command": "ls"}, "Run ls?"))
    step.ask(Asked("a2", "Write", {}, "Write?"))
    assert [each["request_id"] for each in waiting_for(step.row)] == ["a1", "a2"]
    step.resolve("a1", "allow", "caller")
    assert [each["request_id"] for each in waiting_for(step.row)] == ["a2"]
    step.withdraw_all()
    assert not waiting_for(step.row)
    _, events = step.result(LATER)
    assert [event.content for event in events] == ["Run ls?", "Write?", "allow", "withdrawn"]


def test_an_error_has_its_code_and_its_origin() -> None:
    step = draft("active")
    step.fail(UpstreamError("busy", Code.RATE_LIMITED, origin="openai", retry_after_s=3.0))
    _, (event,) = step.result(LATER)
    assert (event.content, event.data) == (
        "busy",
        {"code": "rate_limited", "origin": "openai", "retry_after_s": 3.0},
    )


def test_what_was_used_adds_up() -> None:
    step = draft()
    for _ in range(3):
        step.count(trip(5))
    assert step.row.document["usage"] == {
        "calls": 3, "input_tokens": 30, "output_tokens": 30, "cost_micros": 15,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("costs", "expected"),
    [([5, None, 5], None), ([None], None)],
)
def test_one_call_of_unknown_price_makes_the_sum_unknown(costs: list[int | None], expected: object) -> None:
    step = draft()
    for cost in costs:
        step.count(trip(cost))
    if costs:
        usage = step.row.document["usage"]
        assert isinstance(usage, dict)
        assert usage["cost_micros"] is expected


def test_a_call_that_used_nothing_costs_nothing() -> None:
    step = draft()
    step.count(trip(None, tokens=0))
    step.count(trip(5))
    usage = step.row.document["usage"]
    assert isinstance(usage, dict)
    assert usage["cost_micros"] == 5


def test_the_directory_follows_the_agent() -> None:
    step = draft("active", current_directory="/a")
    step.say(Event(EventType.DIRECTORY_CHANGE, "/b", {"directory": "/b", "before": "/a"}))
    assert step.row.document["current_directory"] == "/b"


def test_a_session_without_a_title_is_called_after_its_first_message() -> None:
    for title, expected in ((None, "Where do birds go?"), ("Birds", "Birds")):
        step = draft(title=title)
        step.move(Move.SEND)
        step.begin_turn("Where do\n  birds go?", "msg_1")
        assert step.row.document["title"] == expected
