"""Rows and events in Jelmore's shapes: every field that its callers read has a value of its type."""

from __future__ import annotations

from datetime import UTC, datetime

import orjson
import pytest

from rhetor.http.jelmore.shape import event, frame, legacy, metrics, status
from rhetor.sessions.event import EventType
from rhetor.store.base import LoggedEvent, SessionRow
from rhetor.wire.jelmore import EVENT_TYPES

AT = datetime(2026, 11, 21, tzinfo=UTC)


def row(**document: object) -> SessionRow:
    return SessionRow(
        id="ses_1", owner="", backend="claude_code", state="idle", created_at=AT, updated_at=AT, last_seq=7,
        document=document,  # type: ignore[arg-type]
    )  # fmt: skip


def test_a_session_of_which_little_is_known() -> None:
    told = status(row())
    assert (told["provider"], told["model"], told["current_directory"]) == ("claude", "auto", "")
    assert (told["metadata"], told["user_id"], told["waiting_for"]) == ({}, None, [])
    assert legacy(row())["output_buffer_size"] == 7


def test_where_it_works_now_counts() -> None:
    assert legacy(row(directory="/a", current_directory="/b"))["current_directory"] == "/b"
    assert legacy(row(directory="/a", current_directory=None))["current_directory"] == "/a"


@pytest.mark.promise("J36")
@pytest.mark.parametrize("type", EventType)
def test_every_event_has_a_word_that_is_known(type: EventType) -> None:
    logged = LoggedEvent(seq=3, turn=1, type=type.value, content="a\nb", data={"x": 1}, at=AT)
    told = event("ses_1", logged)
    assert told["event_type"] in EVENT_TYPES
    if type.value not in EVENT_TYPES:
        assert told["metadata"] == {"type": type.value, "x": 1}
    id, data = frame("ses_1", logged).strip().split(b"\n")
    assert id == b"id: 3"
    assert orjson.loads(data.removeprefix(b"data: ")) == told


def test_counts() -> None:
    told = metrics("chat", {"active": 2, "initializing": 1, "waiting_input": 4, "idle": 8, "suspended": 16})
    assert (told["active_sessions"], told["waiting_sessions"], told["total_sessions"]) == (3, 4, 31)
