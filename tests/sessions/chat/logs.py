"""Logs of chats, written down as a test tells them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from rhetor.sessions.backend import Said
from rhetor.sessions.event import Event, EventType
from rhetor.store.base import LoggedEvent

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


class Log:
    """A log that grows; each event a second after the one before, unless the test lets time pass."""

    def __init__(self) -> None:
        self.events: list[LoggedEvent] = []
        self.turn = 0
        self.now = BEGAN

    def after(self, seconds: float) -> Log:
        self.now += timedelta(seconds=seconds)
        return self

    def user(self, text: str, id: str | None = None) -> Log:
        self.turn += 1
        return self.add(Event(EventType.USER, text, {"message_id": id or f"msg_{self.turn}"}))

    def says(self, *texts: str, id: str | None = None) -> Log:
        for text in texts:
            self.add(Event(EventType.ASSISTANT, text, {"message_id": id or f"said_{self.turn}"}))
        return self

    def exchange(self, question: str, *answer: str) -> Log:
        return self.user(question).says(*answer)

    def add(self, event: Event) -> Log:
        self.now += timedelta(seconds=1)
        seq = len(self.events) + 1
        logged = LoggedEvent(seq, self.turn, event.type.value, event.content, event.data, self.now)
        self.events.append(logged)
        return self

    def on_said(self, said: Said) -> None:
        self.user(said.text, said.message_id)

    @property
    def last_seq(self) -> int:
        return self.events[-1].seq

    async def history(self, after: int = 0) -> Sequence[LoggedEvent]:
        return self.events[after:]
