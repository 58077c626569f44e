"""What happens in a session, as its log tells it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field, replace
from enum import StrEnum

from rhetor.core.content import Json
from rhetor.core.value import value


class EventType(StrEnum):
    SYSTEM = "system"
    """The backend says something about itself; `data` as it said it."""
    USER = "user"
    """What the caller said; data: message_id."""
    ASSISTANT = "assistant"
    """The next piece of an answer: all pieces of a turn, joined, are its text; data: message_id, which
    changes with each message of the turn."""
    THINKING = "thinking"
    """The next piece of what the model thinks; data: message_id."""
    TOOL_USE = "tool_use"
    """The agent uses a tool; content: its input as JSON; data: id, name, input."""
    TOOL_RESULT = "tool_result"
    """content: what came of it, as text; data: id, name, is_error."""
    APPROVAL_REQUEST = "approval_request"
    """The agent asks whether it may; content: the question; data: request_id, tool, input, always (whether it
    can be allowed for the rest of the session)."""
    APPROVAL_RESOLVED = "approval_resolved"
    """content: allow, deny or withdrawn; data: request_id, decision, message?, by (`caller`, `rule` or
    `backend`)."""
    FILE_CHANGE = "file_change"
    """content: the path; data: path, kind (create, edit, delete), tool_id?."""
    DIRECTORY_CHANGE = "directory_change"
    """content: where the agent works now; data: directory, before."""
    USAGE = "usage"
    """A model call of this session was booked; data: generation_id, model, served_by, input_tokens,
    output_tokens, cost_micros, outcome, total_ms."""
    ERROR = "error"
    """content: the message, for people; data: code, origin?, and whatever helps."""
    STATUS_CHANGE = "status_change"
    """content: the new state; data: from, to, reason."""


@value
class Event:
    type: EventType
    content: str = ""
    data: Json = field(default_factory=dict)


PIECES = frozenset({EventType.ASSISTANT, EventType.THINKING})
MERGED_CHARS = 16_384  # of one event: a reader who comes late must not get a book at once


def merged(events: Iterable[Event]) -> list[Event]:
    """The same with neighbouring pieces of a message as one: what is said counts, not in how many pieces."""
    together: list[Event] = []
    pieces: list[str] = []
    size = 0
    for event in events:
        last = together[-1] if together else None
        if (
            last is not None
            and event.type in PIECES
            and event.type is last.type
            and event.data == last.data
            and size + len(event.content) <= MERGED_CHARS
        ):
            pieces.append(event.content)
            size += len(event.content)
            continue
        if last is not None and len(pieces) > 1:
            together[-1] = replace(last, content="".join(pieces))
        together.append(event)
        pieces, size = [event.content], len(event.content)
    if len(pieces) > 1:
        together[-1] = replace(together[-1], content="".join(pieces))
    return together
