"""What a scripted provider does with one request, as a value.

A *point* is how far a reply has come: `"request"` (it was read, nothing is
answered yet), `"headers"` (they are sent), a number (so many content events are
sent; 0: only what the language sends before the content), or `"half"` of them.
A reply in one piece is sent in as many slices as it has content events, so
points mean the same for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Literal, TypeAlias

from rhetor.core.capability import Capability
from rhetor.core.errors import Code, RhetorError
from rhetor.core.events import Event
from rhetor.testing.edits import Edit
from rhetor.testing.waiting import Gate


class ScriptError(Exception):
    """A script asks for what cannot be: a mistake in the test."""


Point: TypeAlias = Literal["request", "headers", "half"] | int


@dataclass(frozen=True, slots=True)
class Spoken:
    """A reply in canonical events; `Started` is put before them when it is missing."""

    events: tuple[Event, ...]
    capability: Capability = Capability.CHAT
    """What these events are an answer to."""
    model: str | None = None
    """The name the model gives itself; None repeats the request's."""


@dataclass(frozen=True, slots=True)
class Refused:
    """An error reply."""

    status: int
    code: Code
    message: str | None
    body: bytes | None
    """Sent as it is; None: an error object in the language of the request."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """Bytes to be sent as they are, frame by frame."""

    frames: tuple[bytes, ...]
    status: int = 200
    content_type: str | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """The models this provider offers."""

    models: tuple[str, ...]


Content: TypeAlias = Spoken | Refused | Recorded | Listed


class Break(StrEnum):
    """How a reply may end too early."""

    CLOSE = "close"
    RESET = "reset"
    BAD_CHUNK = "bad chunk"
    CLEAN = "clean"
    """As HTTP it is whole; what it carries is not."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Silence until the gate opens, for so long, or, with neither, for ever."""

    after: Point
    gate: Gate | None = None
    for_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What happens to one request. Made by the functions of `rhetor.testing.steps`."""

    content: Content | None = None
    """None: what the upstream answers by default."""
    failure: tuple[int, RhetorError] | None = None
    """After so many content events the rest is replaced by this error, inside the reply."""
    edits: tuple[Edit, ...] = ()
    pauses: tuple[Pause, ...] = ()
    breaks: tuple[Point, Break] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    gzip: bool = False
    gap_s: float = 0.0

    def but(self, *others: Step) -> Step:
        """This step with everything that the others say; of two contents or endings the later wins."""
        step = self
        for other in others:
            step = replace(
                step,
                content=other.content or step.content,
                failure=other.failure or step.failure,
                edits=step.edits + other.edits,
                pauses=step.pauses + other.pauses,
                breaks=other.breaks or step.breaks,
                headers={**step.headers, **other.headers},
                gzip=step.gzip or other.gzip,
                gap_s=other.gap_s or step.gap_s,
            )
        return step
