"""How a provider of each language sounds: requests heard, replies and errors said.

A voice is one capability of one language. Languages that have doors lend
theirs, so that an upstream says exactly what the gateway itself would.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import orjson

from rhetor.core.capability import Capability
from rhetor.core.errors import RhetorError
from rhetor.core.events import Event, Failed
from rhetor.core.request import Embed, Request
from rhetor.testing.script import ScriptError
from rhetor.testing.speech import is_content
from rhetor.wire.base import STREAM_TYPE, Door, Renderer, ReplyInfo, Wire

CREATED_S = 1_767_225_600  # 2026-01-01: replies are the same bytes in every run


@dataclass(frozen=True, slots=True)
class Asked:
    """What an upstream needs to know of a request to answer it."""

    model: str
    stream: bool
    inputs: int = 1
    """How many embeddings are wanted."""
    request: Request | None = None


@dataclass(frozen=True, slots=True)
class Rendered:
    """A reply in its language.

    `pieces` is what comes before the content, one piece for each content
    event, and the ending; or one single piece, when it is not a stream.
    """

    content_type: str
    pieces: Sequence[bytes]
    events: int = 1
    """How many content events it carries."""
    status: int = 200

    @property
    def whole(self) -> bool:
        return len(self.pieces) == 1


class Voice(Protocol):
    """One capability of one language, as a provider speaks it."""

    @property
    def capability(self) -> Capability: ...

    @property
    def stream_type(self) -> str:
        """The content type of its streams."""

    def hear(self, body: bytes, headers: Mapping[str, str]) -> Asked:
        """What is asked.

        Raises:
            BadRequest: as a real provider would refuse it.
        """

    def say(self, asked: Asked, events: Sequence[Event], model: str, id: str) -> Rendered: ...

    def refuse(self, error: RhetorError, id: str) -> bytes:
        """The body of an error reply."""


class DoorVoice:
    """The voice of a language that has a door for this capability.

    Args:
        door: another one than the language's usual.
    """

    def __init__(
        self, wire: Wire, capability: Capability, door: Door | None = None, stream_type: str = STREAM_TYPE
    ) -> None:
        self.capability = capability
        self.stream_type = stream_type
        self._wire = wire
        self._door = door or wire.doors[capability]

    def hear(self, body: bytes, headers: Mapping[str, str]) -> Asked:
        request = self._door.parse(body, headers)
        inputs = len(request.input.inputs) if isinstance(request.input, Embed) else 1
        return Asked(request.model, request.stream, inputs, request)

    def say(self, asked: Asked, events: Sequence[Event], model: str, id: str) -> Rendered:
        assert asked.request is not None
        renderer = self._door.renderer(asked.request, ReplyInfo(id, CREATED_S, model, served_model=model))
        return rendered(renderer, asked.stream, events, lambda error: self.refuse(error, id))

    def refuse(self, error: RhetorError, id: str) -> bytes:
        return self._wire.render_error(error, id)


class AnyVoice:
    """Hears whatever is asked and has no words of its own: scripts say what is sent, byte for byte.

    For languages of which only the providers' side is known.
    """

    capability = Capability.COUNT_TOKENS
    stream_type = STREAM_TYPE

    def hear(self, body: bytes, headers: Mapping[str, str]) -> Asked:
        return Asked("", stream=False)

    def say(self, asked: Asked, events: Sequence[Event], model: str, id: str) -> Rendered:
        raise ScriptError("nobody knows this language: answer with raw_frames() or fails(…, body=…)")

    def refuse(self, error: RhetorError, id: str) -> bytes:
        return orjson.dumps({"error": {"message": error.message, "code": error.code}})


ANY_VOICE = AnyVoice()


def rendered(
    renderer: Renderer,
    stream: bool,
    events: Sequence[Event],
    refuse: Callable[[RhetorError], bytes],
) -> Rendered:
    """Events as a reply: in pieces when it is a stream, else in one, and then `refuse` renders a failure."""
    content = sum(map(is_content, events))
    if stream:
        pieces = _pieces(renderer, events)  # of which a medium's type comes
        return Rendered(renderer.content_type, pieces, content)
    ending = events[-1]
    body = refuse(ending.error) if isinstance(ending, Failed) else renderer.render(events)
    return Rendered(renderer.content_type, [body], max(content, 1))


def _pieces(renderer: Renderer, events: Sequence[Event]) -> list[bytes]:
    first = next((n for n, event in enumerate(events) if is_content(event)), len(events))
    pieces = [renderer.render(events[:first])]
    silent = b""
    for event in events[first:]:
        silent += renderer.render([event])
        if is_content(event):
            pieces.append(silent)
            silent = b""
    return [*pieces, silent]
