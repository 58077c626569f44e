"""Replies about media: what they are is said by their type, whatever was asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from rhetor.core.content import Json
from rhetor.core.errors import UpstreamError
from rhetor.core.events import Failed
from rhetor.wire.base import STREAM_TYPE, BodyDecoder, Chunk, Decoder, Follow, Narrator
from rhetor.wire.lenient import parse
from rhetor.wire.openai.errors import error_inside
from rhetor.wire.openai.reply import instead_of_stream
from rhetor.wire.sse import Frame, SseSplitter

DONE = b"[DONE]"
PICTURE_LIMIT_BYTES = 48 << 20  # of a frame: a picture of 3840 × 2160 that hardly compresses, as base64

Choose: TypeAlias = Callable[[str], tuple[Decoder, bool]]
"""The decoder for a bare media type, and whether a caller of the same language can read what it decodes."""


class TypedDecoder:
    """Decodes a reply with the decoder for its type."""

    in_step = False

    def __init__(self, choose: Choose) -> None:
        self._choose = choose
        self._inner, self.has_frames = choose("")

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        said = headers.get("content-type", "")
        self._inner, self.has_frames = self._choose(said.partition(";")[0].strip().lower())
        self._inner.begin(status, headers)

    def feed(self, data: bytes) -> Chunk:
        return self._inner.feed(data)

    def close(self) -> Chunk:
        return self._inner.close()

    def abandon(self) -> Follow | None:
        return self._inner.abandon()


def is_stream(media_type: str) -> bool:
    return media_type == STREAM_TYPE


class EventsDecoder(BodyDecoder):
    """Decodes server-sent events whose `type` says what they are: a subclass reads each, and the end."""

    in_step = False

    def __init__(self) -> None:
        self._splitter = SseSplitter(PICTURE_LIMIT_BYTES)
        self._narrator = Narrator()
        self._narrator.start("", "")

    def feed(self, data: bytes) -> Chunk:
        try:
            frames = self._splitter.feed(data)
        except UpstreamError as error:
            self._narrator.end(Failed(error))
            return Chunk(self._narrator.take())
        raw = b"".join([frame.raw for frame in frames if self._take(frame)])
        return Chunk(self._narrator.take(), raw)

    def close(self) -> Chunk:
        """What a last frame without its blank line says, and the ending."""
        raw = b""
        for last in self._splitter.close():
            if self._narrator.ended:
                continue
            whole = last.data.strip() == DONE or parse(last.data) is not None
            if whole and self._take(last):
                raw = last.raw + b"\n\n"
            elif error := instead_of_stream(last.raw):
                self._narrator.end(Failed(error))
        if not self._narrator.ended:
            self.done(False)
        if not self._narrator.ended:
            self._narrator.hang_up()
            raw = b""
        return Chunk(self._narrator.take(), raw)

    def read(self, kind: str, said: Json) -> None:
        """Tell what an event says."""
        raise NotImplementedError

    def done(self, said_so: bool) -> None:
        """The stream is at its end; unless the narrator is told to end, it broke off.

        Args:
            said_so: by `[DONE]`, which not everybody sends.
        """

    def _take(self, frame: Frame) -> bool:
        """Tell what a frame says; False when its bytes are not for the caller."""
        if self._narrator.ended:
            return frame.data.strip() == DONE  # it comes after the last event
        if frame.data.strip() == DONE:
            self.done(True)
            return True
        said = parse(frame.data) if frame.data else {}
        if said is None:
            return False
        if error := error_inside(said, frame.event):
            self._narrator.end(Failed(error))
            return True
        kind = said.get("type")
        if isinstance(kind, str):
            self.read(kind, said)
        return True
