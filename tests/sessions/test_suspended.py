"""What a suspended session's caller keeps."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from rhetor.core.errors import BadRequest, Code
from rhetor.sessions.suspended import VERSION, check, session_id_of, state_of
from rhetor.store.base import SessionRow

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ROW = SessionRow(
    id="ses_1", owner="ann", backend="claude_code", state="suspended", created_at=NOW, updated_at=NOW,
    last_seq=9, turn=2,
    document={"native_id": "n-1", "model": "m", "directory": "/a", "message_ids": [], "title": "T"},
)  # fmt: skip


def test_a_state_fits_its_session() -> None:
    state = state_of(ROW, NOW)
    assert session_id_of(state) == "ses_1"
    check(state, ROW)
    assert state["version"] == VERSION
    assert state["settings"] == {
        "system": None, "max_turns": None, "timeout_s": None, "temperature": None, "max_tokens": None,
        "permissions": None, "title": "T",
    }  # fmt: skip


def test_a_state_tells_nothing_that_opens_anything() -> None:
    assert not {"owner", "environment", "access", "token"} & state_of(ROW, NOW).keys()


@pytest.mark.parametrize(
    "state", [{}, {"version": 1}, {"session_id": "ses_1"}, {"version": True, "session_id": "s"}]
)
def test_what_is_no_state_is_said_to_be_none(state: dict[str, object]) -> None:
    with pytest.raises(BadRequest, match="expected what suspending gave"):
        session_id_of(state)  # type: ignore[arg-type]


def test_a_newer_state_is_left_to_a_newer_gateway() -> None:
    with pytest.raises(BadRequest, match="update it") as caught:
        session_id_of({"version": VERSION + 1, "session_id": "ses_1"})
    assert caught.value.code is Code.UNSUPPORTED


def test_a_state_of_a_longer_log_means_that_this_one_has_lost_something() -> None:
    with pytest.raises(BadRequest, match="only 9 are stored") as caught:
        check({**state_of(ROW, NOW), "last_seq": 10}, ROW)
    assert caught.value.code is Code.CONFLICT
