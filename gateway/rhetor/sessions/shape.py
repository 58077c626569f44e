"""Sessions and their events as callers read them."""

from __future__ import annotations

from rhetor.core.content import JsonValue
from rhetor.store.base import LoggedEvent, SessionRow


def describe(row: SessionRow) -> dict[str, JsonValue]:
    """A session as callers read it, see docs/sessions.md."""
    told: dict[str, JsonValue] = {
        "id": row.id,
        "object": "session",
        "backend": row.backend,
        "state": row.state,
        "turn": row.turn,
        "last_seq": row.last_seq,
        "created_at": row.created_at.isoformat(),
        "updated_at": row.updated_at.isoformat(),
    }
    return told | {name: row.document.get(name) for name in TOLD}


TOLD = (
    "title", "model", "system", "directory", "current_directory", "permissions", "max_turns", "timeout_s",
    "temperature", "max_tokens", "waiting_for", "usage", "selection", "metadata",
)  # fmt: skip
"""What callers see of a session's document. `waiting_for` lists open approval requests, each as the data of
its event; `usage` is {calls, input_tokens, output_tokens, cost_micros}, the last null where the price of a
call is not known."""


def describe_event(session_id: str, event: LoggedEvent) -> dict[str, JsonValue]:
    """An event as callers read it."""
    return {
        "seq": event.seq,
        "type": event.type,
        "content": event.content,
        "data": dict(event.data),
        "turn": event.turn,
        "at": event.at.isoformat(),
        "session_id": session_id,
    }
