"""How much memory a reply's events fill, about: what is kept of them is bounded by it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping

from rhetor.core.content import JsonValue
from rhetor.core.errors import RhetorError
from rhetor.core.events import (
    Event,
    Failed,
    Finished,
    MediumDelta,
    MediumLink,
    MediumStarted,
    OpaquePart,
    RefusalDelta,
    Started,
    TextDelta,
    ThinkingDelta,
    ThinkingSigned,
    Timed,
    ToolUseDelta,
    ToolUseStarted,
    Vector,
)

EVENT_BYTES = 160  # an event without its text
NUMBER_BYTES = 24  # a float
OBJECT_BYTES = 16  # what Python keeps beside an object, and loses between two


def weigh(events: Iterable[Event]) -> int:
    """About how many bytes of memory these events hold."""
    return sum(EVENT_BYTES + _content_bytes(event) for event in events)


def _content_bytes(event: Event) -> int:
    match event:
        case TextDelta(text, logprobs):
            return sys.getsizeof(text) + (json_bytes(logprobs) if logprobs else 0)
        case ThinkingDelta(text) | RefusalDelta(text) | ThinkingSigned(text) | ToolUseDelta(_, text):
            return sys.getsizeof(text)
        case Vector(_, values):
            return sys.getsizeof(values) + (0 if isinstance(values, str) else NUMBER_BYTES * len(values))
        case MediumDelta(_, data):
            return sys.getsizeof(data)
        case MediumStarted(_, name, prompt) | MediumLink(_, name, _, prompt):
            return sys.getsizeof(name) + sys.getsizeof(prompt)
        case Timed(_, text, speaker=speaker):
            return sys.getsizeof(text) + sys.getsizeof(speaker) + 3 * NUMBER_BYTES
        case OpaquePart(part):
            return json_bytes(part.data)
        case Started(id, name) | ToolUseStarted(_, id, name):
            return sys.getsizeof(id) + sys.getsizeof(name)
        case Finished(_, stop_sequence):
            return sys.getsizeof(stop_sequence)
        case Failed(error):
            return error_bytes(error)
        case _:
            return 0


def error_bytes(error: RhetorError) -> int:
    """An error with what it quotes."""
    return EVENT_BYTES + sys.getsizeof(error.message) + json_bytes(error.original)


def json_bytes(value: JsonValue | Mapping[str, JsonValue]) -> int:
    """Parsed JSON, however deep."""
    size_bytes, left = 0, [value]
    while left:
        value = left.pop()
        size_bytes += sys.getsizeof(value) + OBJECT_BYTES
        if isinstance(value, Mapping):
            left += value.keys()
            left += value.values()
        elif isinstance(value, list):
            left += value
    return size_bytes
