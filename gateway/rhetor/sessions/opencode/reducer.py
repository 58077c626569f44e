"""Events and lists of messages become happenings: everything is told once, whole, and in order.

No I/O. Events come in order, but are lost with a connection, since the server never repeats them. Its list of
messages is the truth, but is behind while a text is being written. So events are told as they come, and the
list fills in what they left out, and says when a turn is over.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, field

from rhetor.core.content import Json, JsonValue
from rhetor.core.errors import Code, RhetorError
from rhetor.sessions.backend import Asked, Happening, TurnEnded
from rhetor.sessions.event import Event, EventType
from rhetor.sessions.opencode import reading
from rhetor.sessions.opencode.asks import Asks
from rhetor.sessions.opencode.pieces import Pieces
from rhetor.sessions.opencode.reading import id_of, object_of, text_of

MOST_RETRIES = 3  # the gateway has tried already, and OpenCode would try for ever; by then 14 s have passed

PIECES = {"text": EventType.ASSISTANT, "reasoning": EventType.THINKING}

Told = list[Happening]


@dataclass(slots=True)
class _Message:
    role: str
    is_summary: bool
    """It sums the conversation up, for the model alone."""
    finish: str = ""
    error: Json | None = None
    final: bool = False


@dataclass(slots=True)
class _Call:
    """The use of a tool, as far as it was told."""

    used: bool = False
    done: bool = False


@dataclass(slots=True)
class _Turn:
    messages: dict[str, _Message] = field(default_factory=dict)
    pieces: Pieces = field(default_factory=Pieces)
    calls: dict[str, _Call] = field(default_factory=dict)
    asks: Asks = field(default_factory=Asks)
    interrupted: bool = False
    given_up: TurnEnded | None = None
    """We end it ourselves, like this."""
    error: Json | None = None
    may_have_ended: bool = False
    was_busy: bool = False

    @property
    def answers(self) -> list[_Message]:
        """One for each call of its model."""
        return [it for it in self.messages.values() if it.role == "assistant" and not it.is_summary]


class Reducer:
    """What happens in one session, as the server tells it."""

    def __init__(self, session: str, directory: str, max_calls: int | None = None) -> None:
        """
        Args:
            directory: where the agent works, without symbolic links.
            max_calls: how often it may call its model in a turn.
        """
        self._session = session
        self._root = self._directory = directory
        self._max_calls = max_calls
        self._turn: _Turn | None = None
        self._earlier: dict[str, None] = {}
        self._last_event = ""
        self._unread: list[Json] | None = None

    # What whoever converses does.

    @property
    def in_turn(self) -> bool:
        return self._turn is not None

    @property
    def earlier(self) -> Container[str]:
        """Ids of messages that need not be read again."""
        return self._earlier

    @property
    def wants_messages(self) -> bool:
        """The list of messages is to be read: something was missed, or the turn may have ended."""
        turn = self._turn
        return self._unread is not None or (
            turn is not None and (turn.may_have_ended or turn.pieces.wants_messages)
        )

    @property
    def wants_abort(self) -> bool:
        turn = self._turn
        return turn is not None and (turn.interrupted or turn.given_up is not None)

    @property
    def holds_asks(self) -> bool:
        return self._turn is not None and self._turn.asks.held

    def remember(self, messages: Sequence[Json]) -> None:
        """These were there before."""
        self._earlier |= dict.fromkeys(id_of(message) for message in messages)

    def begin(self) -> None:
        assert self._turn is None
        self._turn = _Turn()

    def interrupt(self) -> None:
        if self._turn is not None:
            self._turn.interrupted = True

    def find_ask(self, request: str) -> Asked | None:
        return self._turn.asks.find(request) if self._turn is not None else None

    def answered(self, request: str) -> None:
        if self._turn is not None:
            self._turn.asks.answered(request)

    def release_asks(self) -> Told:
        return self._turn.asks.release() if self._turn is not None else []

    # What the server tells.

    def on_gap(self) -> None:
        """Events may have been missed: nothing is told until the list of messages was read."""
        self._unread = []
        if self._turn is not None:
            self._turn.pieces.on_gap()

    def on_events(self, events: Sequence[Json]) -> Told:
        if self._unread is not None:
            self._unread.extend(events)
            return []
        ids = [text_of(event.get("id")) for event in events]
        if all(ids):  # they have their time in them
            events = sorted(events, key=lambda event: text_of(event.get("id")))
        return [it for event in events for it in self._on_event(event)]

    def on_messages(
        self, messages: Sequence[Json], *, busy: bool, pending: Sequence[Json] | None = None
    ) -> Told:
        """The list of messages, from the last earlier one on.

        Args:
            busy: whether the agent was at work before the list was read.
            pending: what is asked now; None: nobody looked.
        """
        if self._turn is None:
            self.remember(messages)
            self._unread = None
            return []
        told: Told = []
        for message in messages:
            if id_of(message) in self._earlier:
                continue
            told += self._on_info(object_of(message.get("info")))
            parts = message.get("parts")
            for part in parts if isinstance(parts, list) else ():
                told += self._on_part(object_of(part), live=False)
        self._turn.pieces.wants_messages = False
        unread, self._unread = self._unread, None
        told += self.on_events(unread or ())
        if pending is not None:
            told += self._turn.asks.on_pending(list(pending))
        if busy:
            self._turn.was_busy = True
            return told
        return told + self._end_if_over()

    def refuse(self, error: RhetorError) -> Told:
        """The message was not taken."""
        return self._end(TurnEnded("error", error)) if self._turn is not None else []

    def give_up_waiting(self) -> Told:
        """The agent has long been idle, and has not said how the turn ended."""
        if self._turn is None:
            return []
        silent = RhetorError("opencode ended the turn without an answer", Code.PROTOCOL, origin=reading.NAME)
        how = TurnEnded("interrupted") if self._turn.interrupted else TurnEnded("error", silent)
        return self._end(self._turn.given_up or how)

    # Events.

    def _on_event(self, event: Json) -> Told:
        id, about = text_of(event.get("id")), object_of(event.get("properties"))
        if id and id == self._last_event:
            return []
        live = not id or id > self._last_event  # else what it says may have been told, in part
        self._last_event = max(id, self._last_event)
        if self._turn is None:
            if event.get("type") == "message.updated":
                self.remember([about])
            return []
        return self._on_news(self._turn, text_of(event.get("type")), about, live)

    def _on_news(self, turn: _Turn, type: str, about: Json, live: bool) -> Told:
        ours = about.get("sessionID") in (self._session, None)
        match type:
            case "message.updated":
                return self._on_info(object_of(about.get("info")))
            case "message.part.updated":
                return self._on_part(object_of(about.get("part")), live=live)
            case "message.part.delta" if ours and about.get("field") == "text":
                delta = text_of(about.get("delta"))
                return [*turn.pieces.on_delta(text_of(about.get("partID")), delta, live)]
            case "permission.asked":
                return turn.asks.on_asked(about)
            case "permission.replied":
                return turn.asks.on_replied(text_of(about.get("requestID")))
            case "session.status" if ours:
                return self._on_status(turn, object_of(about.get("status")))
            case "session.idle" if ours:
                turn.may_have_ended = True
            case "session.error" if ours:
                turn.error = object_of(about.get("error"))
            case "session.compacted" if ours:
                return [Event(EventType.SYSTEM, "the conversation was summed up", {"subtype": "compacted"})]
        return []

    def _on_status(self, turn: _Turn, status: Json) -> Told:
        kind, attempt = text_of(status.get("type")), status.get("attempt")
        turn.may_have_ended = kind == "idle"
        turn.was_busy = turn.was_busy or kind != "idle"
        if kind != "retry":
            return []
        message = text_of(status.get("message"))
        if isinstance(attempt, int) and attempt > MOST_RETRIES and turn.given_up is None:
            error = RhetorError(message, Code.UPSTREAM_ERROR, origin=reading.NAME)
            turn.given_up = TurnEnded("error", error)
        data: dict[str, JsonValue] = {"subtype": "retry", "attempt": status.get("attempt")}
        return [Event(EventType.SYSTEM, message, data)]

    # Messages.

    def _on_info(self, info: Json) -> Told:
        turn, id = self._turn, text_of(info.get("id"))
        if turn is None or not id or id in self._earlier or info.get("sessionID") != self._session:
            return []
        if id not in turn.messages:
            turn.messages[id] = _Message(text_of(info.get("role")), bool(info.get("summary")))
        message = turn.messages[id]
        if message.role != "assistant":
            return []
        message.finish = text_of(info.get("finish"))
        message.error = object_of(info.get("error")) or message.error
        message.final = "completed" in object_of(info.get("time")) or message.error is not None
        if self._max_calls is not None and len(turn.answers) > self._max_calls and turn.given_up is None:
            turn.given_up = TurnEnded("max_turns")
        return self._on_directory(text_of(object_of(info.get("path")).get("cwd")))

    def _on_directory(self, directory: str) -> Told:
        before = self._directory
        if not directory or directory == before:
            return []
        self._directory = directory
        return [Event(EventType.DIRECTORY_CHANGE, directory, {"directory": directory, "before": before})]

    def _on_part(self, part: Json, *, live: bool) -> Told:
        turn, kind = self._turn, text_of(part.get("type"))
        if turn is None:
            return []
        told = self._on_tool(turn, part) if kind == "tool" else []
        message = turn.messages.get(text_of(part.get("messageID")))
        if kind not in PIECES or message is None or message.role != "assistant" or message.is_summary:
            return told
        if part.get("synthetic") or part.get("ignored"):
            return told
        whole = "end" in object_of(part.get("time")) or (not live and message.final)
        id, text = text_of(part.get("id")), text_of(part.get("text"))
        message_id = text_of(part.get("messageID"))
        return [*turn.pieces.on_snapshot(id, PIECES[kind], message_id, text, whole=whole, live=live)]

    def _on_tool(self, turn: _Turn, part: Json) -> Told:
        status = object_of(part.get("state")).get("status")
        if status not in ("running", "completed", "error"):
            return []  # its input is still being written
        told: Told = []
        if text_of(part.get("messageID")) in turn.messages:  # else it is a subagent's
            call = turn.calls.setdefault(text_of(part.get("id")), _Call())
            if not call.used:
                call.used = True
                told.append(reading.use(part))
            if not call.done and status != "running":
                call.done = True
                told += self._on_directory(reading.ran_in(part, self._root))
                told += [reading.result(part), *reading.changes(part)]
        return told + turn.asks.on_tool(part)

    # The end.

    def _end_if_over(self) -> Told:
        turn = self._turn
        if turn is None or not any(it.role == "user" for it in turn.messages.values()):
            return []  # an earlier turn's end was told twice: it is, when that was aborted
        answers = turn.answers
        is_cut_short = turn.error is not None or (self.wants_abort and turn.was_busy)
        is_over = answers[-1].final if answers else is_cut_short
        if not is_over:  # what it did last is told after it was said to be idle
            return []
        return self._end(turn.given_up or self._how(turn, answers))

    def _how(self, turn: _Turn, answers: Sequence[_Message]) -> TurnEnded:
        error = answers[-1].error if answers and answers[-1].final else turn.error
        if error is None and turn.interrupted and not answers:
            return TurnEnded("interrupted")
        if error is not None:
            is_abort = reading.is_abort(error)
            return TurnEnded("interrupted") if is_abort else TurnEnded("error", reading.failure(error))
        was_cut = len(answers) == self._max_calls and any(it.finish == "tool-calls" for it in answers[-2:-1])
        return TurnEnded("max_turns" if was_cut else "end")

    def _end(self, how: TurnEnded) -> Told:
        assert self._turn is not None
        withdrawn = self._turn.asks.end()
        self._earlier |= dict.fromkeys(self._turn.messages)
        self._turn = None
        return [*withdrawn, how]
