"""The frames of Tekton's WebSocket: what a client says → small values.

Many requests run on one socket at the same time; `request_id` tells them
apart, and only there: two connections may use the same ids. A frame without
one is answered too, with an empty id.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from rhetor.core.content import Json, Text
from rhetor.core.errors import BadRequest
from rhetor.core.request import Message, Original, Request, Role
from rhetor.wire import fields
from rhetor.wire.tekton.ask import WIRE, Conversation, messages_of, short_name, to_request


@dataclass(frozen=True, slots=True)
class Register:
    """The first frame of the stock clients; wants a REGISTER_ACK within a second."""

    component_id: str
    """Empty when the client has no name."""
    capabilities: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Generate:
    """GENERATE, STREAM, CHAT or CHAT_STREAM; `request.stream` tells how the answer is wanted."""

    request_id: str
    request: Request


@dataclass(frozen=True, slots=True)
class Cancel:
    """The caller has left already: nobody waits for an answer."""

    request_id: str


@dataclass(frozen=True, slots=True)
class Ping:
    """Wants a PONG."""


@dataclass(frozen=True, slots=True)
class Pong:
    """What a client answers to a PING; wants nothing."""


@dataclass(frozen=True, slots=True)
class Resume:
    """A caller who was cut off wants the rest of a recorded generation."""

    request_id: str
    generation_id: str
    last_event_id: str
    """The `event_id` of the last frame it has; empty: it has none."""


ClientFrame: TypeAlias = Register | Generate | Resume | Cancel | Ping | Pong


class BadFrame(BadRequest):
    """A frame that cannot be followed. Knows its request, so that whoever waits for it hears of the error."""

    def __init__(self, error: BadRequest, request_id: str) -> None:
        super().__init__(error.message, error.code, param=error.param)
        self.request_id = request_id


def parse_frame(data: str | bytes) -> ClientFrame:
    """One text frame of a client.

    Raises:
        BadFrame: says what is wrong with it.
    """
    body = data.encode(errors="surrogatepass") if isinstance(data, str) else data
    request_id = ""
    try:
        said = fields.parse_object(body)
        request_id = short_name(said, "request_id") or ""
        return _reader(said)(said, request_id, body)
    except BadRequest as error:
        raise BadFrame(error, request_id) from error


_Reader: TypeAlias = Callable[[Json, str, bytes], ClientFrame]


def _reader(said: Json) -> _Reader:
    kind = fields.text(said, "type")
    if kind not in _READERS:
        expected = ", ".join(_READERS)
        raise BadRequest(f"type: expected one of {expected}, got {kind!r}", param="type")
    return _READERS[kind]


def _register(said: Json, request_id: str, body: bytes) -> Register:
    return Register(short_name(said, "component_id") or "", fields.texts(said, "capabilities"))


def _prompt(said: Json, unsaid: list[str]) -> tuple[Message, ...]:
    return (Message(Role.USER, (Text(fields.text(said, "prompt")),)),)


def _generate(conversation: Conversation, field: str, stream: bool) -> _Reader:
    """A reader of requests: in which field the conversation stands, and how the answer is wanted."""
    beside = ("type", "request_id", field)

    def read(said: Json, request_id: str, body: bytes) -> Generate:
        request = to_request(said, conversation, Original(WIRE, body, said), beside)
        request.stream = stream
        return Generate(request_id, request)

    return read


def _resume(said: Json, request_id: str, body: bytes) -> Resume:
    return Resume(
        request_id,
        fields.text(said, "generation_id"),
        fields.optional_text(said, "last_event_id") or "",
    )


_READERS: Mapping[str, _Reader] = {
    "REGISTER": _register,
    "GENERATE": _generate(_prompt, "prompt", stream=False),
    "STREAM": _generate(_prompt, "prompt", stream=True),
    "CHAT": _generate(messages_of, "messages", stream=False),
    "CHAT_STREAM": _generate(messages_of, "messages", stream=True),
    "RESUME": _resume,
    "CANCEL": lambda said, request_id, body: Cancel(request_id),
    "PING": lambda said, request_id, body: Ping(),
    "PONG": lambda said, request_id, body: Pong(),
}
