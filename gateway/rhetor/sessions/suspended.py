"""The state of a suspended session, as its caller keeps it: what names it, never what opens anything.

The store has the truth. A state says which session it is of and how far it had
come, so that nobody goes on with another one, or with an older one, by mistake.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from rhetor.core.content import JsonValue
from rhetor.core.errors import BadRequest, Code
from rhetor.store.base import SessionRow

VERSION = 1
SETTINGS = ("system", "max_turns", "timeout_s", "temperature", "max_tokens", "permissions", "title")


def state_of(row: SessionRow, at: datetime) -> dict[str, JsonValue]:
    """What `resume` takes; no environment and no secret is in it."""
    document = row.document
    return {
        "version": VERSION,
        "session_id": row.id,
        "backend": row.backend,
        "native_id": document.get("native_id"),
        "model": document.get("model"),
        "directory": document.get("directory"),
        "current_directory": document.get("current_directory"),
        "settings": {name: document.get(name) for name in SETTINGS},
        "last_seq": row.last_seq,
        "turn": row.turn,
        "suspended_at": at.isoformat(),
    }


def session_id_of(state: Mapping[str, JsonValue]) -> str:
    """Which session a state is of.

    Raises:
        BadRequest: it is no state, or one that a newer gateway wrote.
    """
    version, id = state.get("version"), state.get("session_id")
    if not isinstance(version, int) or isinstance(version, bool) or not isinstance(id, str):
        raise BadRequest(
            "state: expected what suspending gave, with `version` and `session_id`", param="state"
        )
    if version > VERSION:
        message = f"state: of version {version}; this gateway reads up to {VERSION}: update it"
        raise BadRequest(message, Code.UNSUPPORTED, param="state.version")
    if version < 1:
        raise BadRequest(f"state: no such version, {version}", param="state.version")
    return id


def check(state: Mapping[str, JsonValue], row: SessionRow) -> None:
    """See that the state is of this session.

    Raises:
        BadRequest: as `session_id_of`; conflict, it is of another session or conversation, or of a log that
            went further than this one.
    """
    if session_id_of(state) != row.id:
        raise BadRequest("state: of another session", Code.CONFLICT, param="state.session_id")
    for name, known in (("backend", row.backend), ("native_id", row.document.get("native_id"))):
        if state.get(name) not in (None, known):
            raise BadRequest(
                f"state: another {name} than this session has", Code.CONFLICT, param=f"state.{name}"
            )
    last_seq = state.get("last_seq", 0)
    if not isinstance(last_seq, int) or isinstance(last_seq, bool):
        raise BadRequest("state.last_seq: expected a number", param="state.last_seq")
    if last_seq > row.last_seq:
        message = f"state: of a log with {last_seq} events, of which only {row.last_seq} are stored here"
        raise BadRequest(message, Code.CONFLICT, param="state.last_seq")
