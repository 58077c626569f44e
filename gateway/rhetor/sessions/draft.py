"""What one step of a session comes to: its new row and the events that say why, stored together."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import datetime

import orjson

from rhetor.core.content import JsonValue
from rhetor.core.errors import BadRequest, Code, RhetorError
from rhetor.core.record import TripRecord
from rhetor.sessions.backend import Asked
from rhetor.sessions.event import PIECES, Event, EventType, merged
from rhetor.sessions.states import Move, State, after
from rhetor.store.base import LoggedEvent, SessionRow

MOST_CHARS = 1_000_000  # of an event; a store takes some more, and no reader wants as much
SHOWN_CHARS = 10_000  # of data that are too large
NAME_CHARS = 1_000
TITLE_CHARS = 80  # of the first message, where nobody gave a title
MESSAGES_REMEMBERED = 64  # to tell a message that comes again; nobody repeats an older one


class Draft:
    """A row in the making. Nothing of it is true before it is stored."""

    def __init__(self, row: SessionRow) -> None:
        self.row = row
        self._events: list[Event] = []

    @property
    def state(self) -> State:
        return State(self.row.state)

    @property
    def is_empty(self) -> bool:
        return not self._events

    def say(self, event: Event) -> None:
        event = storable(event)
        self._events.append(event)
        if event.type is EventType.DIRECTORY_CHANGE:
            self.note(current_directory=event.content)

    def note(self, **changes: JsonValue) -> None:
        """Change what is stored beside the log."""
        self.row = replace(self.row, document={**self.row.document, **changes})

    def move(self, move: Move, reason: str | None = None) -> None:
        """
        Raises:
            BadRequest: conflict, see `states.after`.
        """
        self.become(after(self.state, move), reason or move.value)

    def become(self, to: State, reason: str) -> None:
        before = self.row.state
        if before != to:
            self.row = replace(self.row, state=to.value)
            data: dict[str, JsonValue] = {"from": before, "to": to.value, "reason": reason}
            self._events.append(Event(EventType.STATUS_CHANGE, to.value, data))

    def begin_turn(self, text: str, message_id: str) -> None:
        """The caller's message; its events have the number of the turn that it begins."""
        assert self.is_empty or self._events[-1].type is EventType.STATUS_CHANGE
        self.row = replace(self.row, turn=self.row.turn + 1)
        if self.row.document.get("title") is None:
            self.note(title=" ".join(text.split())[:TITLE_CHARS] or None)
        self._events.append(Event(EventType.USER, text, {"message_id": message_id}))

    def remember(self, message_id: str, text: str) -> int:
        """That this message was taken; its event is the last one that was said, and has this number."""
        known = self.row.document.get("message_ids")
        before = known if isinstance(known, list) else []
        seq = self.row.last_seq + len(merged(self._events))
        self.note(message_ids=[*before[1 - MESSAGES_REMEMBERED :], [message_id, seq, digest(text)]])
        return seq

    def fail(self, error: RhetorError) -> None:
        data: dict[str, JsonValue] = {"code": error.code.value}
        if error.origin is not None:
            data["origin"] = error.origin
        if error.retry_after_s is not None:
            data["retry_after_s"] = error.retry_after_s
        self.say(Event(EventType.ERROR, error.message, data))

    def go_back(self) -> None:
        """An agent that was opened again begins where it did the first time."""
        began, now = self.row.document.get("directory"), self.row.document.get("current_directory")
        if began != now and isinstance(began, str):
            self.say(Event(EventType.DIRECTORY_CHANGE, began, {"directory": began, "before": now}))

    def ask(self, asked: Asked) -> None:
        data: dict[str, JsonValue] = {
            "request_id": asked.request_id,
            "tool": asked.tool,
            "input": dict(asked.input),
            "question": asked.question,
            "always": asked.always,
        }
        asks = storable(Event(EventType.APPROVAL_REQUEST, asked.question, data))
        self.say(asks)
        self.note(waiting_for=[*waiting_for(self.row), dict(asks.data)])

    def resolve(self, request_id: str, decision: str, by: str, message: str | None = None) -> None:
        """An open request is answered, or nobody waits for its answer any more."""
        data: dict[str, JsonValue] = {"request_id": request_id, "decision": decision, "by": by}
        if message:
            data["message"] = message
        self.say(Event(EventType.APPROVAL_RESOLVED, decision, data))
        self.note(waiting_for=[each for each in waiting_for(self.row) if each["request_id"] != request_id])

    def withdraw_all(self) -> None:
        for each in waiting_for(self.row):
            self.resolve(str(each["request_id"]), "withdrawn", "backend")

    def count(self, record: TripRecord) -> None:
        """A model call of this session."""
        usage = record.usage
        self.say(
            Event(
                EventType.USAGE,
                record.served_by or "",
                {
                    "generation_id": record.id,
                    "model": record.requested_model,
                    "served_by": record.served_by,
                    "input_tokens": usage.input_tokens,
                    "output_tokens": usage.output_tokens,
                    "cost_micros": record.cost_micros,
                    "outcome": record.outcome,
                    "total_ms": record.total_ms,
                },
            )
        )
        self.note(usage=_sum(self.row.document.get("usage"), record))

    def result(self, at: datetime) -> tuple[SessionRow, list[LoggedEvent]]:
        """What is to be stored."""
        before = self.row.last_seq
        logged = [
            LoggedEvent(before + n, self.row.turn, event.type.value, event.content, event.data, at)
            for n, event in enumerate(merged(self._events), start=1)
        ]
        return replace(self.row, last_seq=before + len(logged), updated_at=at), logged


def waiting_for(row: SessionRow) -> list[dict[str, JsonValue]]:
    """The open approval requests."""
    open_ones = row.document.get("waiting_for")
    return [each for each in open_ones if isinstance(each, dict)] if isinstance(open_ones, list) else []


def is_open(row: SessionRow, request_id: str) -> bool:
    """Whether the session waits for an answer to this request."""
    return any(each["request_id"] == request_id for each in waiting_for(row))


def taken_at(row: SessionRow, message_id: str, text: str) -> int | None:
    """The number of the event of a message that was taken before; None: it is new.

    Raises:
        BadRequest: conflict, another message was taken with this id.
    """
    known = row.document.get("message_ids")
    for each in known if isinstance(known, list) else ():
        if isinstance(each, list) and each[0] == message_id and isinstance(each[1], int):
            if each[2:] not in ([], [digest(text)]):
                message = "message_id: another message was taken with it"
                raise BadRequest(message, Code.CONFLICT, param="message_id")
            return each[1]
    return None


def digest(text: str) -> str:
    """Tells texts apart, and tells nothing of them."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def storable(event: Event) -> Event:
    """The event, cut where it is larger than what a log should hold; it says so in `data`."""
    content, data = event.content, event.data
    cut = len(content) > MOST_CHARS
    if event.type not in PIECES and data and len(written := orjson.dumps(data, default=str)) > MOST_CHARS:
        short = {name: each for name, each in data.items() if isinstance(each, bool | int | float | None)}
        named = {name: each[:NAME_CHARS] for name, each in data.items() if isinstance(each, str)}
        beginning = written[:SHOWN_CHARS].decode("utf-8", "ignore")
        data, cut = {**short, **named, "beginning": beginning}, True
    if not cut:
        return event
    return Event(event.type, content[:MOST_CHARS], {**data, "cut": True})


def _sum(known: JsonValue, record: TripRecord) -> dict[str, JsonValue]:
    before = known if isinstance(known, dict) else {}

    def so_far(name: str) -> int:
        value = before.get(name, 0)
        return value if isinstance(value, int) else 0

    price = record.cost_micros if record.usage.total_tokens else record.cost_micros or 0
    cost: JsonValue = None  # one call of unknown price makes the sum unknown
    if price is not None and before.get("cost_micros", 0) is not None:
        cost = so_far("cost_micros") + price
    return {
        "calls": so_far("calls") + 1,
        "input_tokens": so_far("input_tokens") + record.usage.input_tokens,
        "output_tokens": so_far("output_tokens") + record.usage.output_tokens,
        "cost_micros": cost,
    }
