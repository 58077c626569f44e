"""Pictures as vendors beside OpenAI send them: JSON with a list, each picture as base64 text."""

from __future__ import annotations

from collections.abc import Mapping

from rhetor.core.content import Json
from rhetor.core.errors import Code
from rhetor.core.events import (
    Event,
    Finished,
    FinishReason,
    MediumDelta,
    MediumLink,
    MediumStarted,
    UsageReport,
)
from rhetor.core.usage import Usage
from rhetor.wire.base import Narrator, WholeDecoder
from rhetor.wire.lenient import count, lifted_text, parse_lifted, thing, things, word
from rhetor.wire.refusals import message_of, page_text

CONTENT = "b64_json"
_BEGINNINGS: Mapping[bytes, str] = {
    b"iVBORw0KGgo": "image/png",
    b"/9j/": "image/jpeg",
    b"UklGR": "image/webp",
    b"R0lGOD": "image/gif",
    b"PHN2Z": "image/svg+xml",
}
"""How pictures begin, as base64: https://en.wikipedia.org/wiki/List_of_file_signatures (read 2026-11-21)."""


class PicturesDecoder(WholeDecoder):
    """Decodes a list of pictures.

    Args:
        otherwise: the media type of what says of itself nothing that we understand.
    """

    def __init__(self, otherwise: str = "image/png") -> None:
        super().__init__()
        self._otherwise = otherwise

    def read(self, body: bytes) -> list[Event]:
        narrator = Narrator()
        said, lifted = parse_lifted(body, CONTENT)
        if said is None:
            narrator.fail(f"the provider's reply is not JSON: {page_text(body)}", Code.PROTOCOL)
            return narrator.take()
        pictures = things(said, "data")
        if not pictures:
            reason = message_of(said) or "no reason given"
            narrator.fail(f"the provider's reply holds no picture: {reason}", Code.PROTOCOL)
            return narrator.take()
        narrator.start(word(said, "id"), word(said, "model"))
        for index, picture in enumerate(pictures):
            self._tell(narrator, index, picture, lifted_text(picture, CONTENT, lifted))
        narrator.emit(UsageReport(_usage(thing(said, "usage"), len(pictures))))
        narrator.end(Finished(FinishReason.STOP))
        return narrator.take()

    def _tell(self, narrator: Narrator, index: int, picture: Json, data: bytes) -> None:
        url = word(picture, "url")
        prompt = word(picture, "revised_prompt") or None
        said = word(picture, "media_type") or None
        if data:
            narrator.emit(MediumStarted(index, said or self._type_of(data), prompt))
            narrator.emit(MediumDelta(index, data, base64=True))
        elif url:
            narrator.emit(MediumLink(index, url, said, prompt))
        else:
            narrator.fail(f"the provider's reply holds no picture at data[{index}]", Code.PROTOCOL)

    def _type_of(self, data: bytes) -> str:
        return next((kind for text, kind in _BEGINNINGS.items() if data.startswith(text)), self._otherwise)


def nearest_ratio(size: tuple[int, int], ratios: tuple[str, ...]) -> str:
    """The aspect ratio that comes nearest to a size, for vendors who draw no other sizes."""
    wanted = size[0] / size[1]

    def distance(ratio: str) -> float:
        width, _, height = ratio.partition(":")
        there = float(width) / float(height)
        return max(wanted, there) / min(wanted, there)

    return min(ratios, key=distance)


def _usage(said: Json, pictures: int) -> Usage:
    return Usage(
        input_tokens=count(said, "prompt_tokens") or count(said, "input_tokens"),
        output_tokens=count(said, "completion_tokens") or count(said, "output_tokens"),
        images=pictures,
    )
