"""Replies are read as what they say they are, and events as far as they go."""

from __future__ import annotations

import pytest

from rhetor.core.content import Json
from rhetor.core.errors import Code, UpstreamError
from rhetor.core.events import Event, Failed, Finished, FinishReason, Started, TextDelta
from rhetor.wire.base import BodyDecoder, Chunk, Decoder
from rhetor.wire.openai import typed
from rhetor.wire.openai.typed import EventsDecoder, TypedDecoder
from tests.wire.openai.speech import decode


class Words(EventsDecoder):
    """Tells each word, and ends with the word `end`."""

    def read(self, kind: str, said: Json) -> None:
        if kind == "end":
            self._narrator.end(Finished(FinishReason.STOP))
        else:
            self._narrator.emit(TextDelta(kind))

    def done(self, said_so: bool) -> None:
        if said_so:
            self._narrator.end(Finished(FinishReason.STOP))


class Deaf(BodyDecoder):
    in_step = False

    def feed(self, data: bytes) -> Chunk:
        return Chunk([])

    def close(self) -> Chunk:
        return Chunk([Started("", ""), Finished(FinishReason.STOP)])


STARTED, STOPPED = Started("", ""), Finished(FinishReason.STOP)
A, END, DONE = b'data: {"type":"a"}\n\n', b'data: {"type":"end"}\n\n', b"data: [DONE]\n\n"


@pytest.mark.parametrize(
    ("stream", "events", "raw"),
    [
        (A + END, [STARTED, TextDelta("a"), STOPPED], A + END),
        (A + END + DONE, [STARTED, TextDelta("a"), STOPPED], A + END + DONE),
        (A + DONE, [STARTED, TextDelta("a"), STOPPED], A + DONE),
        (A + END.rstrip(), [STARTED, TextDelta("a"), STOPPED], A + END),
        (A + DONE.rstrip(), [STARTED, TextDelta("a"), STOPPED], A + DONE),
        (
            b": hi\n\nevent: x\ndata: {}\n\n" + END,
            [STARTED, STOPPED],
            b": hi\n\nevent: x\ndata: {}\n\n" + END,
        ),
        (A + b"data: {oops\n\n" + END, [STARTED, TextDelta("a"), STOPPED], A + END),
        (A + END + A, [STARTED, TextDelta("a"), STOPPED], A + END),
    ],
)
def test_events_are_told_as_they_come(stream: bytes, events: list[Event], raw: bytes) -> None:
    for pieces in ([stream], [bytes([byte]) for byte in stream]):
        told = decode(Words(), *pieces)
        assert (told.events, told.raw) == (events, raw)


@pytest.mark.parametrize(
    ("stream", "code"),
    [
        (A, Code.TRUNCATED),
        (b"", Code.TRUNCATED),
        (A + b'data: {"type":"en', Code.PROTOCOL),
        (b"<html>Bad Gateway</html>", Code.PROTOCOL),
        (b'{"error":{"message":"slow down","code":429}}', Code.RATE_LIMITED),
        (
            A + b'event: error\ndata: {"type":"error","error":{"message":"x","code":429}}\n\n',
            Code.RATE_LIMITED,
        ),
        (A + b"data: " + b"x" * 300, Code.PROTOCOL),
    ],
)
def test_what_has_no_end_has_failed(stream: bytes, code: Code, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(typed, "PICTURE_LIMIT_BYTES", 200)
    ending = decode(Words(), stream).events[-1]
    assert isinstance(ending, Failed)
    assert ending.error.code is code


def test_a_picture_fits_into_an_event() -> None:
    """Of four million pixels that hardly compress: other streams have smaller limits."""
    large = b'data: {"type":"a","b64_json":"%b"}\n\n' % (b"A" * (20 << 20))
    assert decode(Words(), large, END).events == [STARTED, TextDelta("a"), STOPPED]


def test_the_type_chooses() -> None:
    def choose(media_type: str) -> tuple[Decoder, bool]:
        return (Words(), True) if typed.is_stream(media_type) else (Deaf(), False)

    decoder = TypedDecoder(choose)
    assert not decoder.has_frames
    assert decode(decoder).events == [STARTED, STOPPED]
    decoder.begin(200, {"content-type": "text/event-stream; charset=utf-8"})
    assert decoder.has_frames
    assert decoder.abandon() is None
    assert decode(decoder, A + END).events == [STARTED, TextDelta("a"), STOPPED]


def test_a_limit_of_ones_own() -> None:
    with pytest.raises(UpstreamError, match="more than 10 bytes"):
        typed.SseSplitter(10).feed(b"data: 123456")
