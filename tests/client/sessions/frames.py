"""What a gateway says of sessions, as a test wants it to."""

from __future__ import annotations

import json
from typing import Any

ID = "ses_0123456789abcdef01234567"
AT = "2026-11-21T12:00:00+00:00"


def session(**fields: Any) -> dict[str, Any]:
    """A session, idle unless said otherwise."""
    return {
        "id": ID,
        "object": "session",
        "backend": "chat",
        "state": "idle",
        "turn": 0,
        "last_seq": 0,
        "created_at": AT,
        "updated_at": AT,
        "title": None,
        "model": "offline/echo",
        "waiting_for": [],
        "usage": {"calls": 0, "input_tokens": 0, "output_tokens": 0, "cost_micros": 0},
        "metadata": {},
        **fields,
    }


def event(seq: int, type: str = "assistant", content: str = "", turn: int = 1, **data: Any) -> dict[str, Any]:
    said = {"seq": seq, "type": type, "content": content, "data": data}
    return {**said, "turn": turn, "at": AT, "session_id": ID}


def change(seq: int, before: str, state: str, reason: str = "end") -> dict[str, Any]:
    return event(seq, "status_change", state, **{"from": before, "to": state, "reason": reason})


def frame(event: dict[str, Any]) -> bytes:
    said = json.dumps(event).encode()
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (event["seq"], event["type"].encode(), said)


def words(*texts: str, first: int = 1) -> list[bytes]:
    """Pieces of an answer, numbered."""
    return [frame(event(seq, content=text)) for seq, text in enumerate(texts, first)]
