"""What the chat platform's callers are told: sessions, messages, and a turn as it goes on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from rhetor.core.content import Json, JsonValue
from rhetor.core.errors import Code, RhetorError, UpstreamError
from rhetor.core.request import Role
from rhetor.core.usage import estimate_tokens
from rhetor.core.value import value
from rhetor.http.chat.offers import named
from rhetor.http.chat.refusals import LONGEST, is_retryable
from rhetor.routing.catalog import Catalog
from rhetor.sessions.chat.conversation import ANSWERED
from rhetor.sessions.chat.transcript import Spoken, remembered
from rhetor.sessions.event import EventType
from rhetor.sessions.states import IN_TURN, State
from rhetor.store.base import LoggedEvent, SessionRow

Frame = dict[str, JsonValue]

UNTITLED = "New Chat"
TITLE_CHARS = 50
_WELL = frozenset({"end", "interrupted"})
"""Reasons for which a turn ends that are no failure."""
_STATUS = {"end": "completed", "interrupted": "cancelled"}
"""How a message ended, by the reason for which its turn did; it is an error else."""


class Turn:
    """One turn as it is told: give it the events of a log, and it gives frames.

    Args:
        user: the message that began it; None: its readers came later.
    """

    def __init__(self, user: LoggedEvent | None = None) -> None:
        self.user = user
        self.message_id: str | None = None
        self.text: list[str] = []
        self.about: Json = {}
        """How the answer came about."""
        self.ended_at: datetime | None = None
        self.reason = ""
        """Why it ended."""
        self.error: RhetorError | None = None
        """Why the turn failed, once it has."""
        self._failure: RhetorError | None = None

    @property
    def ended(self) -> bool:
        return self.ended_at is not None

    def frames(self, event: LoggedEvent) -> list[Frame]:
        match event.type:
            case EventType.ASSISTANT:
                self.message_id = str(event.data.get("message_id"))
                self.text.append(event.content)
                return [{"type": "token", "content": event.content, "messageId": self.message_id}]
            case EventType.SYSTEM:
                self.about = _answered(event) or self.about
            case EventType.ERROR:
                self._failure = _error(event)
            case EventType.STATUS_CHANGE if _ends_turn(event):
                return [self._end(event)]
        return []

    def _end(self, event: LoggedEvent) -> Frame:
        self.ended_at, self.reason = event.at, str(event.data.get("reason"))
        if self.reason in _WELL:
            return self.done()
        self.error = self._failure or RhetorError(f"the turn ended early: {self.reason}", Code.SHUTTING_DOWN)
        return error_frame(self.error)

    def done(self) -> Frame:
        """The last frame of a turn that ended well."""
        told: Frame = {"type": "done", "messageId": self.message_id or self.about.get("message_id")}
        told |= metadata(self.about, self.response_ms)
        if self.reason == "interrupted":
            told["interrupted"] = True
        return told

    @property
    def response_ms(self) -> int | None:
        return _between_ms(self.user.at if self.user is not None else None, self.ended_at)


def error_frame(error: RhetorError) -> Frame:
    """The last frame of a turn that failed, or the answer to what could not be done."""
    told: Frame = {
        "type": "error",
        "message": error.message[:LONGEST] or error.code.value,
        "retryable": is_retryable(error.code),
        "code": error.code.value,
    }
    if error.origin is not None:
        told["provider"] = error.origin
    if error.retry_after_s is not None:
        told["retryAfter"] = max(1, round(error.retry_after_s))
    return told


def metadata(about: Json, response_ms: int | None) -> Frame:
    """What is known of an answer; what is not is left out."""
    told: Frame = {}
    if about:
        told = {"provider": about.get("provider"), "model": about.get("model"), "usage": usage(about)}
        if about.get("fallback"):
            told["fallback"] = True
        if about.get("finish_reason") not in (None, "stop"):
            told["finishReason"] = about.get("finish_reason")
    if response_ms is not None:
        told["responseTime"] = response_ms
    return told


def usage(said: Json) -> JsonValue:
    """Usage in the one shape that is promised, whatever the provider's was."""
    sent, received = said.get("input_tokens"), said.get("output_tokens")
    if not isinstance(sent, int) or not isinstance(received, int):
        return None
    told: Frame = {"promptTokens": sent, "completionTokens": received, "totalTokens": sent + received}
    if said.get("estimated"):
        told["estimated"] = True
    return told


def session(catalog: Catalog, row: SessionRow, events: Iterable[LoggedEvent] = ()) -> Frame:
    """A session; `_id` is what the platform's page calls it, too.

    Args:
        events: its log from the beginning, or the beginning of it.
    """
    provider, model = named(catalog, str(row.document.get("model") or ""))
    known = row.document.get("usage")
    return {
        "_id": row.id,
        "sessionId": row.id,
        "title": _title(row, events),
        "provider": provider,
        "model": model,
        "systemPrompt": row.document.get("system") or "",
        "settings": {
            "temperature": row.document.get("temperature"),
            "maxTokens": row.document.get("max_tokens"),
        },
        "usage": usage(known) if isinstance(known, dict) else None,
        "isActive": row.state != State.TERMINATED,
        "createdAt": row.created_at.isoformat(),
        "updatedAt": row.updated_at.isoformat(),
        "lastActivityAt": row.updated_at.isoformat(),
    }


def messages(session_id: str, events: Sequence[LoggedEvent]) -> list[JsonValue]:
    """The messages that a chat remembers, in order, with what is known of each."""
    turns = _turns(events)
    transcript = remembered(events)
    told: list[JsonValue] = []
    if transcript.summary is not None and transcript.summary_at is not None:
        told.append(message(session_id, "summary", "summary", transcript.summary, transcript.summary_at, {}))
    told += [_spoken(session_id, each, turns.get(each.turn, Turn())) for each in transcript.spoken]
    return told


@value
class Counted:
    """A chat in numbers."""

    tokens: int
    user: int
    assistant: int
    summarized_at: datetime | None


def counted(events: Iterable[LoggedEvent]) -> Counted:
    transcript = remembered(events)
    user = sum(each.role is Role.USER for each in transcript.spoken)
    return Counted(transcript.tokens, user, len(transcript.spoken) - user, transcript.summary_at)


def message(
    session_id: str, id: str, role: str, content: str, at: datetime, about: Frame, status: str = "completed"
) -> Frame:
    """
    Args:
        about: what is known of it.
    """
    return {
        "_id": id,
        "id": id,
        "sessionId": session_id,
        "role": role,
        "content": content,
        "createdAt": at.isoformat(),
        "status": status,
        "metadata": {"tokenCount": estimate_tokens(content), **about},
    }


def _title(row: SessionRow, events: Iterable[LoggedEvent]) -> str:
    """Its own, or the first message, as far as there is room for it."""
    given = row.document.get("title")
    said = given or next((event.content for event in events if event.type == EventType.USER), UNTITLED)
    text = " ".join(str(said).split())
    return text if len(text) <= TITLE_CHARS else f"{text[:TITLE_CHARS]}..."


def _spoken(session_id: str, each: Spoken, turn: Turn) -> Frame:
    if each.role is Role.USER:
        return message(session_id, each.id, "user", each.text, each.at, {})
    about = metadata(turn.about, turn.response_ms)
    status = _STATUS.get(turn.reason, "error") if turn.ended else "streaming"
    about["isStreaming"] = not turn.ended
    return message(session_id, each.id, "assistant", each.text, each.at, about, status)


def _turns(events: Iterable[LoggedEvent]) -> dict[int, Turn]:
    turns: dict[int, Turn] = {}
    for event in events:
        if event.type == EventType.USER:
            turns[event.turn] = Turn(event)
        elif event.turn in turns:
            turns[event.turn].frames(event)
    return turns


def _answered(event: LoggedEvent) -> Json | None:
    found = event.data.get(ANSWERED)
    return found if isinstance(found, dict) else None


def _ends_turn(event: LoggedEvent) -> bool:
    return event.data.get("from") in IN_TURN and event.data.get("to") not in IN_TURN


def _error(event: LoggedEvent) -> RhetorError:
    code, origin, wait_s = (event.data.get(name) for name in ("code", "origin", "retry_after_s"))
    known = Code(code) if isinstance(code, str) and code in tuple(Code) else Code.INTERNAL
    kind = UpstreamError if isinstance(origin, str) else RhetorError
    return kind(
        event.content,
        known,
        origin=origin if isinstance(origin, str) else None,
        retry_after_s=wait_s if isinstance(wait_s, float | int) else None,
    )


def _between_ms(began: datetime | None, ended: datetime | None) -> int | None:
    return None if began is None or ended is None else round((ended - began).total_seconds() * 1000)
