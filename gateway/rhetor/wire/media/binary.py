"""Replies that are a medium themselves: bytes of sound, of a picture or a film, as they come."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterable, Mapping

from rhetor.core.errors import Code, UpstreamError
from rhetor.core.events import (
    Event,
    Failed,
    Finished,
    FinishReason,
    MediumDelta,
    MediumStarted,
)
from rhetor.wire.base import Chunk, Follow, Narrator
from rhetor.wire.refusals import error_object, message_of, page_text

LARGEST_WORDS = 64 * 1024  # bytes; what is said instead of a medium is no longer than that
WORDS = ("application/json", "application/problem+json", "text/")
UNSAID = ("", "application/octet-stream", "binary/octet-stream")


class BinaryDecoder:
    """Decodes a reply whose body is one medium.

    What calls itself JSON or a page is not the medium, whatever its status says: it is read as the
    reason why there is none.

    Args:
        expected: how media types begin that may come, e.g. `audio/`; anything else is a failure, but for
            `application/octet-stream`, which is taken to be `otherwise`.
    """

    in_step = False
    has_frames = False

    def __init__(self, expected: str, otherwise: str) -> None:
        self._expected = expected
        self._otherwise = otherwise
        self._narrator = Narrator()
        self._media_type = otherwise
        self._words: bytearray | None = None
        """What is said instead of a medium."""
        self._opened = False

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        self._words = None
        said = headers.get("content-type", "").strip()
        bare = said.partition(";")[0].strip().lower()
        if bare.startswith(self._expected):
            self._media_type = said
        elif bare in UNSAID:
            self._media_type = self._otherwise
        elif bare.startswith(WORDS):
            self._words = bytearray()
        else:
            message = f"the provider sent {bare} instead of {self._expected}…"
            self._narrator.fail(message, Code.PROTOCOL)
        self._narrator.start("", "")

    def feed(self, data: bytes) -> Chunk:
        if self._words is not None:
            self._words += data[: LARGEST_WORDS - len(self._words)]
            return Chunk([])
        if not self._opened:
            self._opened = True
            self._narrator.emit(MediumStarted(0, self._media_type))
        self._narrator.emit(MediumDelta(0, data))
        return Chunk(self._narrator.take())

    def close(self) -> Chunk:
        if self._words is not None:
            self._narrator.fail(_reason(bytes(self._words)), Code.PROTOCOL)
        elif not self._opened:
            self._narrator.fail("the provider's reply is empty", Code.PROTOCOL)
        else:
            self._narrator.end(Finished(FinishReason.STOP))
        return Chunk(self._narrator.take())

    def abandon(self) -> Follow | None:
        return None


def _reason(body: bytes) -> str:
    fields = error_object(body)
    said = (message_of(fields) if fields is not None else None) or page_text(body)
    return f"the provider sent words instead of a medium: {said}"


class BinaryRenderer:
    """Renders the first medium of a reply as the reply's body.

    There is no word for a failure in it: a reply that fails after its first bytes has to be cut off.

    Args:
        media_type: of the reply, until the medium itself says what it is.
    """

    def __init__(self, media_type: str) -> None:
        self.content_type = media_type
        self._index: int | None = None

    def render(self, events: Iterable[Event]) -> bytes:
        """
        Raises:
            RhetorError: the reply failed, or there is no medium in it.
        """
        out: list[bytes] = []
        for event in events:
            match event:
                case MediumStarted(index, media_type) if self._index is None:
                    self._index = index
                    self.content_type = media_type
                case MediumDelta(index) if index == self._index:
                    out.append(_bytes(event))
                case Finished() if self._index is None:
                    raise UpstreamError("the reply has no medium in it", Code.PROTOCOL)
                case Failed(error):
                    raise error
        return b"".join(out)


def _bytes(delta: MediumDelta) -> bytes:
    if not delta.base64:
        return delta.data
    try:
        return b64decode(delta.data, validate=True)
    except ValueError as error:
        raise UpstreamError(f"the provider's medium is no base64: {error}", Code.PROTOCOL) from error
