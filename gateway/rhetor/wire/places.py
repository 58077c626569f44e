"""Places in a recorded reply: the ids of its frames, by which a caller says how far it has come.

`openai:12.2` is the second frame of what the twelfth chunk became in OpenAI's
language. Another language makes other frames of it, so an id counts in its own
only. Whoever renders a recording from its beginning finds every frame at its
place again: nothing has to be remembered of who has read how far.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeVar

from rhetor.core.errors import BadRequest
from rhetor.core.events import Event
from rhetor.wire.base import STREAM_TYPE, Renderer

Frame = TypeVar("Frame")

_ID = re.compile(r"([a-z-]{1,20}):(\d{1,9})\.(\d{1,9})", re.ASCII)


class Place(NamedTuple):
    """After so many chunks, and so many frames of the last of them."""

    chunk: int = 0
    frame: int = 0


BEGINNING = Place()


def parse_place(id: str, language: str, param: str) -> Place:
    """The place that an id names; an empty one names the beginning.

    Args:
        language: in which the rest is wanted.
        param: where the id stood.

    Raises:
        BadRequest: it is no such id, or one of another language.
    """
    if not id:
        return BEGINNING
    found = _ID.fullmatch(id)
    if found is None:
        raise BadRequest(f"{param}: expected the id of a frame, such as {language}:12.1", param=param)
    if found[1] != language:
        raise BadRequest(
            f"{param}: {id} counts frames of {found[1]!r}, which are not those of {language!r}; "
            "ask in the same language, or from the beginning",
            param=param,
        )
    return Place(int(found[2]), int(found[3]))


class Places:
    """Gives the frames of one telling their ids, and leaves out those that the caller has."""

    def __init__(self, language: str, after: Place = BEGINNING) -> None:
        self._language = language
        self._after = after
        self._chunk = 0

    def of(self, frames: Sequence[Frame]) -> list[tuple[str, Frame]]:
        """What the next chunk became, each frame with its id."""
        self._chunk += 1
        chunk, after = self._chunk, self._after
        return [
            (f"{self._language}:{chunk}.{n}", frame)
            for n, frame in enumerate(frames, 1)
            if (chunk, n) > after
        ]


class NumberedRenderer:
    """A renderer of server-sent events whose every frame has an `id:`; to be told one chunk a call."""

    content_type = STREAM_TYPE

    def __init__(self, renderer: Renderer, language: str, after: Place = BEGINNING) -> None:
        self._renderer = renderer
        self._places = Places(language, after)

    def render(self, events: Iterable[Event]) -> bytes:
        # What our own renderers write has no line end but those of the protocol.
        frames = self._renderer.render(events).split(b"\n\n")[:-1]
        return b"".join(b"id: %b\n%b\n\n" % (id.encode(), frame) for id, frame in self._places.of(frames))
