"""The frames of Tekton's WebSocket: what a client says → small values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from rhetor.core.content import Json, Text
from rhetor.core.errors import BadRequest
from rhetor.core.request import Message, Original, Role
from rhetor.wire import fields
from rhetor.wire.socket import (
    BadFrame,
    Cancel,
    ClientFrame,
    Generate,
    Ping,
    Pong,
    Register,
    Resume,
    opened,
)
from rhetor.wire.tekton.ask import WIRE, Conversation, messages_of, short_name, to_request
from rhetor.wire.tekton.socket import register_ack

__all__ = [
    "BadFrame",
    "Cancel",
    "ClientFrame",
    "Generate",
    "Ping",
    "Pong",
    "Register",
    "Resume",
    "parse_frame",
    "read_frame",
]


def parse_frame(data: str | bytes) -> ClientFrame:
    """One text frame of a client.

    Raises:
        BadFrame: says what is wrong with it.
    """
    return read_frame(*opened(data))


def read_frame(said: Json, body: bytes) -> ClientFrame:
    """What these fields of a frame mean.

    Raises:
        BadFrame: says what is wrong with them.
    """
    request_id = ""
    try:
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
    component_id = short_name(said, "component_id") or ""
    return Register(component_id, fields.texts(said, "capabilities"), register_ack(component_id))


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

KINDS = frozenset(_READERS)
"""The types of frames that are known here."""
