"""A whole log in pieces: every event once, whatever its length."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from rhetor.sessions import reading
from rhetor.sessions.asking import Page
from rhetor.sessions.reading import log_of, pieces_of
from rhetor.store.base import LoggedEvent

AT = datetime(2026, 1, 1, tzinfo=UTC)


class Kept:
    def __init__(self, length: int) -> None:
        self.events = [LoggedEvent(n, 1, "user", str(n), {}, AT) for n in range(1, length + 1)]
        self.calls = 0

    async def read(self, owner: str, id: str, after: int, limit: int) -> Page:
        self.calls += 1
        return Page(self.events[after : after + limit], ended=False)


@pytest.mark.parametrize("length", [0, 1, 2, 3, 4, 7])
async def test_every_event_comes_once(length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "AT_ONCE", 3)
    kept = Kept(length)

    assert await log_of(kept, "ada", "ses_1") == kept.events


async def test_pieces_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "AT_ONCE", 3)

    sizes = [len(piece) async for piece in pieces_of(Kept(7), "ada", "ses_1", after=1)]

    assert sizes == [3, 3]
