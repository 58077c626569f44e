"""Pictures that providers send → events, whole and streamed.

https://developers.openai.com/api/reference/resources/images (read 2026-11-21). A stream has an event for each
picture that is ready, and before it, where `partial_images` says so, some that show how it grows.
"""

from __future__ import annotations

from collections.abc import Sequence

from rhetor.core.content import Json, Opaque
from rhetor.core.errors import Code
from rhetor.core.events import (
    Event,
    Failed,
    Finished,
    FinishReason,
    MediumDelta,
    MediumLink,
    MediumStarted,
    OpaquePart,
    UsageReport,
)
from rhetor.core.usage import Usage
from rhetor.wire.base import Decoder, Narrator, WholeDecoder
from rhetor.wire.lenient import lifted_text, parse_lifted, thing, things, word
from rhetor.wire.openai.errors import error_inside
from rhetor.wire.openai.images import vocabulary as words
from rhetor.wire.openai.typed import EventsDecoder, TypedDecoder, is_stream
from rhetor.wire.openai.vocabulary import NAME
from rhetor.wire.refusals import page_text

CONTENT = "b64_json"
PARTIAL, COMPLETED = ".partial_image", ".completed"


def images_decoder(stream: bool, count: int) -> Decoder:
    """A decoder of pictures.

    Args:
        stream: the caller wants one.
        count: how many pictures were asked for.
    """

    def choose(media_type: str) -> tuple[Decoder, bool]:
        streamed = is_stream(media_type) if media_type else stream
        decoder = ImagesStream(count) if streamed else ImagesWhole()
        return decoder, streamed == stream

    return TypedDecoder(choose)


class ImagesWhole(WholeDecoder):
    """Decodes pictures that come together."""

    def read(self, body: bytes) -> list[Event]:
        narrator = Narrator()
        said, lifted = parse_lifted(body, CONTENT)
        if said is None:
            narrator.fail(f"the provider's reply is not JSON: {page_text(body)}", Code.PROTOCOL)
        elif error := error_inside(said):
            narrator.end(Failed(error))
        else:
            narrator.start(word(said, "id"), word(said, "model"))
            _tell(narrator, said, lifted)
        return narrator.take()


class ImagesStream(EventsDecoder):
    """Decodes pictures that come one by one, as they grow."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self._count = count
        self._ready = 0
        self._usage = Usage()

    def read(self, kind: str, said: Json) -> None:
        narrator = self._narrator
        if kind.endswith(PARTIAL):
            narrator.emit(OpaquePart(Opaque(NAME, said)))
        elif kind.endswith(COMPLETED):
            if not _tell_picture(narrator, self._ready, said, word(said, "output_format")):
                narrator.fail("the provider's event holds no picture", Code.PROTOCOL)
                return
            self._ready += 1
            used, sum_ = words.read_usage(thing(said, "usage"), 1), self._usage
            self._usage = Usage(
                sum_.input_tokens + used.input_tokens,
                sum_.output_tokens + used.output_tokens,
                images=self._ready,
            )
            narrator.emit(UsageReport(self._usage))
            if self._ready == self._count:
                narrator.end(Finished(FinishReason.STOP))

    def done(self, said_so: bool) -> None:
        if said_so and self._ready:
            self._narrator.end(Finished(FinishReason.STOP))


def _tell(narrator: Narrator, said: Json, lifted: Sequence[bytes]) -> None:
    pictures = things(said, "data")
    for index, picture in enumerate(pictures):
        if not _tell_picture(narrator, index, picture, word(said, "output_format"), lifted):
            narrator.fail(f"the provider's reply holds no picture at data[{index}]", Code.PROTOCOL)
            return
    if not pictures:
        narrator.fail("the provider's reply holds no pictures", Code.PROTOCOL)
        return
    narrator.emit(UsageReport(words.read_usage(thing(said, "usage"), len(pictures))))
    narrator.end(Finished(FinishReason.STOP))


def _tell_picture(
    narrator: Narrator, index: int, said: Json, output_format: str, lifted: Sequence[bytes] = ()
) -> bool:
    """Tell of one picture; False: there is none."""
    prompt = word(said, "revised_prompt") or None
    content = lifted_text(said, CONTENT, lifted)
    if content:
        narrator.emit(MediumStarted(index, words.media_type_of(output_format, content), prompt))
        narrator.emit(MediumDelta(index, content, base64=True))
    elif address := word(said, "url"):
        narrator.emit(MediumLink(index, address, words.FORMATS.get(output_format), prompt))
    else:
        return False
    return True
