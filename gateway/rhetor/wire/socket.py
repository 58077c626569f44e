"""A language over WebSocket: what a client's frames say, as small values, and what answers them.

Many requests run on one connection at the same time; their ids tell them
apart, and only there: two connections may use the same ones. A frame without
an id is answered too, with an empty one. Frames that want one frame at once
bring it along, so that whoever serves a connection needs no language.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

import orjson

from rhetor.core.content import Json
from rhetor.core.errors import BadRequest, RhetorError
from rhetor.core.events import Event
from rhetor.core.request import Request
from rhetor.core.value import value
from rhetor.wire import fields
from rhetor.wire.base import ReplyInfo

FRAME_LIMIT_BYTES = 1_000_000
"""The `websockets` library closes the connection over a frame of more than 1 MiB."""
PONG = '{"type":"PONG"}'


@value(kw_only=True)
class Facts:
    """What a client may ask of the house itself."""

    version: str
    providers: Mapping[str, bool]
    """Whether each can be asked."""
    default_provider: str
    default_model: str


@dataclass(frozen=True, slots=True)
class Register:
    """The client says its name."""

    component_id: str
    """Empty when the client has no name."""
    capabilities: tuple[str, ...] = ()
    answer: str = field(default="", compare=False)
    request_id: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Generate:
    """A request; `request.stream` tells how the answer is wanted."""

    request_id: str
    request: Request
    source: str = ""
    """Who asks, where each answer names it."""
    answer: str = ""
    """Said before anybody is asked; empty: nothing."""


@dataclass(frozen=True, slots=True)
class Resume:
    """A caller who was cut off wants the rest of a recorded generation."""

    request_id: str
    generation_id: str
    last_event_id: str
    """The `event_id` of the last frame it has; empty: it has none."""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Cancel:
    """The caller has left already: nobody waits for an answer."""

    request_id: str


@dataclass(frozen=True, slots=True)
class Status:
    """The client wants to know who is here."""

    answer: Callable[[Facts], str]
    request_id: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Ping:
    """Wants a PONG."""


@dataclass(frozen=True, slots=True)
class Pong:
    """What a client answers to a PING; wants nothing."""


Asking: TypeAlias = Register | Generate | Resume | Status
"""Frames that want something which is not for everybody, and that tell how a client speaks."""
ClientFrame: TypeAlias = Asking | Cancel | Ping | Pong


class Asker(Protocol):
    """Whom an answer is for."""

    @property
    def request_id(self) -> str: ...

    @property
    def source(self) -> str: ...


class BadFrame(BadRequest):
    """A frame that cannot be followed. Knows its request, so that whoever waits for it hears of the error."""

    def __init__(
        self, error: BadRequest, request_id: str, source: str = "", context_id: str | None = None
    ) -> None:
        super().__init__(error.message, error.code, param=error.param)
        self.request_id = request_id
        self.source = source
        self.context_id = context_id
        """None: nobody could read so far."""


class Voice(Protocol):
    """Answers one request."""

    def frames(self, events: Iterable[Event]) -> list[str]:
        """The frames that these events make, in order."""


class Dialect(Protocol):
    """One language over WebSocket."""

    @property
    def name(self) -> str:
        """In the books, and in the ids of frames, which count those of this language."""

    @property
    def resumes(self) -> bool:
        """Whether its clients can come back with the id of a frame."""

    def parse(self, said: Json, body: bytes, now_s: int) -> ClientFrame:
        """What a client's frame means.

        Raises:
            BadFrame: says what is wrong with it.
        """

    def voice(self, to: Asker, request: Request, info: ReplyInfo) -> Voice:
        """Who answers; how the answer is wanted is in the request."""

    def failed(self, error: RhetorError, to: Asker, info: ReplyInfo, context_id: str) -> list[str]:
        """What ends a request that was not answered; also for a frame that could not be read."""


def opened(data: str | bytes) -> tuple[Json, bytes]:
    """A frame's fields, and its bytes.

    Raises:
        BadFrame: it is no JSON object.
    """
    body = data.encode(errors="surrogatepass") if isinstance(data, str) else data
    try:
        return fields.parse_object(body), body
    except BadRequest as error:
        raise BadFrame(error, "") from error


def text(frame: Json) -> str:
    return orjson.dumps(frame).decode()


def with_id(frame: str, generation_id: str, event_id: str | None) -> str:
    """A frame of a recorded generation, with all that it takes to find it, and to go on from here."""
    place = "" if event_id is None else f',"event_id":"{event_id}"'
    return f'{frame[:-1]},"generation_id":"{generation_id}"{place}}}'
