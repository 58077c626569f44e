"""A whole log, read piece by piece: no session's log is held in memory for being read."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Protocol

from rhetor.sessions.asking import Page
from rhetor.store.base import LoggedEvent

AT_ONCE = 500


class Readable(Protocol):
    async def read(self, owner: str, id: str, after: int, limit: int) -> Page: ...


async def pieces_of(
    sessions: Readable, owner: str, id: str, after: int = 0
) -> AsyncGenerator[Sequence[LoggedEvent], None]:
    """What is in the log after this number, and up to now."""
    while events := (await sessions.read(owner, id, after, AT_ONCE)).events:
        yield events
        after = events[-1].seq


async def log_of(sessions: Readable, owner: str, id: str) -> list[LoggedEvent]:
    """All of it at once, for whoever cannot do with less."""
    return [event async for piece in pieces_of(sessions, owner, id) for event in piece]
