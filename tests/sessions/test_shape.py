"""Sessions as callers read them."""

from __future__ import annotations

from datetime import UTC, datetime

from rhetor.sessions.shape import describe, describe_event
from rhetor.store.base import LoggedEvent, SessionRow

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_session_has_all_its_fields_and_no_others() -> None:
    row = SessionRow(
        id="ses_1", owner="ann", backend="chat", state="idle", created_at=NOW, updated_at=NOW, last_seq=3,
        turn=1, document={"model": "m", "native_id": "n", "message_ids": [["msg_1", 2]]},
    )  # fmt: skip
    told = describe(row)
    assert (told["id"], told["state"], told["model"], told["last_seq"]) == ("ses_1", "idle", "m", 3)
    assert told["created_at"] == "2026-01-01T00:00:00+00:00"
    assert told["title"] is None
    assert not {"owner", "native_id", "message_ids"} & told.keys()


def test_an_event_names_its_session() -> None:
    event = LoggedEvent(7, 2, "assistant", "hi", {"message_id": "m"}, NOW)
    assert describe_event("ses_1", event) == {
        "seq": 7, "type": "assistant", "content": "hi", "data": {"message_id": "m"}, "turn": 2,
        "at": "2026-01-01T00:00:00+00:00", "session_id": "ses_1",
    }  # fmt: skip
