"""What a model is told of a chat: the session's log as messages, as many as there is room for.

Whatever changes a chat's memory is an event of the log as well, of the type `system`:

    {"context": "cleared"}                             what was said before is forgotten
    {"context": "summary", "until": 17, "text": "…"}   stands for all that was said up to this event
    {"context": "model", "model": "openai/gpt-4o"}     who answers from now on
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from rhetor.core.content import JsonValue
from rhetor.core.request import Message, Role
from rhetor.core.usage import estimate_tokens
from rhetor.core.value import value
from rhetor.sessions.backend import Said
from rhetor.sessions.chat.asking import message
from rhetor.sessions.event import Event, EventType
from rhetor.store.base import LoggedEvent

CONTEXT = "context"
"""The key in a system event's data by which it is found."""
MESSAGE_TOKENS = 4  # what a message costs beside its words, about
LEAD = "Summary of what was said before:"


class Context(StrEnum):
    """What may happen to a chat's memory."""

    CLEARED = "cleared"
    SUMMARY = "summary"
    MODEL = "model"


@value
class Spoken:
    """One message."""

    role: Role
    """User or assistant."""
    text: str
    at: datetime
    """When it began."""
    seq: int
    """Of its last event."""
    turn: int
    id: str


@value(kw_only=True)
class Transcript:
    """A chat as far as it is remembered."""

    spoken: Sequence[Spoken]
    summary: str | None = None
    """Of what was said before that."""
    summary_at: datetime | None = None
    model: str | None = None
    """Who answers, where that was changed since the session began."""

    @property
    def tokens(self) -> int:
        """About how much it is."""
        return estimate_tokens(self.summary or "") + sum(map(tokens_of, self.spoken))


def cleared() -> Event:
    """All of it is to be forgotten."""
    return Event(EventType.SYSTEM, "what was said before is forgotten", {CONTEXT: Context.CLEARED.value})


def summarized(text: str, until: int) -> Event:
    """What was said up to this event is to be remembered as this text."""
    data: dict[str, JsonValue] = {CONTEXT: Context.SUMMARY.value, "until": until, "text": text}
    return Event(EventType.SYSTEM, "earlier messages were summed up", data)


def changed_model(model: str) -> Event:
    """Another model is to answer."""
    return Event(
        EventType.SYSTEM, f"{model} answers from now on", {CONTEXT: Context.MODEL.value, "model": model}
    )


def remembered(events: Iterable[LoggedEvent]) -> Transcript:
    """The chat of which this is the log."""
    recollection = Recollection()
    for event in events:
        recollection.read(event)
    return recollection.result()


def asked(transcript: Transcript, said: Said, at: datetime) -> Transcript:
    """The transcript with this as its last message, whether the log had it already or not."""
    if any(it.id == said.message_id for it in reversed(transcript.spoken)):
        return transcript
    last = transcript.spoken[-1] if transcript.spoken else None
    seq, turn = (last.seq + 1, last.turn + 1) if last is not None else (0, 0)
    question = Spoken(Role.USER, said.text, at, seq, turn, said.message_id)
    return replace(transcript, spoken=(*transcript.spoken, question))


def told(transcript: Transcript, system: str | None, most_tokens: int) -> tuple[list[Message], int]:
    """What the model is told, and how many messages are left out since there is no room.

    The system prompt, the summary and the last message are told in any case.
    """
    lead = "\n\n".join(filter(None, (system, transcript.summary and f"{LEAD}\n\n{transcript.summary}")))
    heard = window(transcript.spoken, most_tokens - estimate_tokens(lead))
    messages = [message(Role.SYSTEM, lead)] if lead else []
    for role, texts in _in_turns(heard):
        messages.append(message(role, "\n\n".join(texts)))
    return messages, len(transcript.spoken) - len(heard)


def window(spoken: Sequence[Spoken], most_tokens: int) -> Sequence[Spoken]:
    """The last of these that there is room for: not without the last one, and not from an answer on."""
    first, left = len(spoken), most_tokens
    while first and (left := left - tokens_of(spoken[first - 1])) >= 0:
        first -= 1
    last = max(len(spoken) - 1, 0)
    first = min(first, last)
    while first < last and spoken[first].role is Role.ASSISTANT:
        first += 1
    return spoken[first:]


def tokens_of(spoken: Spoken) -> int:
    return estimate_tokens(spoken.text) + MESSAGE_TOKENS


def _in_turns(spoken: Iterable[Spoken]) -> Iterable[tuple[Role, list[str]]]:
    """User and assistant one after the other, as many models demand: what nobody answered is said with what
    was said next."""
    turns: list[tuple[Role, list[str]]] = []
    for each in spoken:
        if not each.text.strip():
            continue  # providers refuse a message without a word
        if turns and turns[-1][0] is each.role:
            turns[-1][1].append(each.text)
        else:
            turns.append((each.role, [each.text]))
    return turns


@dataclass(slots=True)
class _Open:
    """A message that may go on."""

    role: Role
    at: datetime
    seq: int
    turn: int
    id: str
    pieces: list[str] = field(default_factory=list)

    def close(self) -> Spoken:
        return Spoken(self.role, "".join(self.pieces), self.at, self.seq, self.turn, self.id)


class Recollection:
    """A chat as far as its log was read; it can be read further."""

    def __init__(self) -> None:
        self.last_seq = 0
        self._spoken: list[Spoken] = []
        self._open: _Open | None = None
        """Comes after them."""
        self._summary: str | None = None
        self._summary_at: datetime | None = None
        self._model: str | None = None
        self._forgotten = 0
        """The last event of what is forgotten."""

    def result(self) -> Transcript:
        return Transcript(
            spoken=(*self._spoken, *([self._open.close()] if self._open is not None else ())),
            summary=self._summary,
            summary_at=self._summary_at,
            model=self._model,
        )

    def read(self, event: LoggedEvent) -> None:
        self.last_seq = event.seq
        match event.type:
            case EventType.USER:
                self._begin(Role.USER, event)
            case EventType.ASSISTANT:
                last = self._open
                if last is None or last.role is not Role.ASSISTANT or last.turn != event.turn:
                    self._begin(Role.ASSISTANT, event)
                else:
                    last.pieces.append(event.content)
                    last.seq = event.seq
            case EventType.SYSTEM:
                self._change(event)

    def _begin(self, role: Role, event: LoggedEvent) -> None:
        self._close()
        id = str(event.data.get("message_id") or event.seq)
        self._open = _Open(role, event.at, event.seq, event.turn, id, [event.content])

    def _close(self) -> None:
        if self._open is not None:
            self._spoken.append(self._open.close())
            self._open = None

    def _change(self, event: LoggedEvent) -> None:
        match dict(event.data):
            case {"context": Context.CLEARED}:
                self._spoken.clear()
                self._open = self._summary = self._summary_at = None
                self._forgotten = event.seq
            case {"context": Context.SUMMARY, "until": int(until), "text": str(text)}:
                if until > self._forgotten:
                    self._close()
                    self._spoken = [each for each in self._spoken if each.seq > until]
                    self._summary, self._summary_at = text, event.at
            case {"context": Context.MODEL, "model": str(model)}:
                self._model = model
