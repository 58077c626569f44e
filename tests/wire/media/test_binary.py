"""Replies that are a medium themselves: read as they come, and never mistaken for words."""

from __future__ import annotations

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhetor.core.errors import Code, RhetorError, UpstreamError
from rhetor.core.events import (
    Event,
    Failed,
    Finished,
    FinishReason,
    Grammar,
    MediumDelta,
    MediumStarted,
    Progress,
    Started,
    UsageReport,
    fold,
)
from rhetor.core.usage import Usage
from rhetor.wire.media import binary
from rhetor.wire.media.binary import BinaryDecoder, BinaryRenderer

STARTED, STOPPED = Started("", ""), Finished(FinishReason.STOP)


def decode(content_type: str | None, *pieces: bytes) -> list[Event]:
    decoder = BinaryDecoder("audio/", "audio/mpeg")
    decoder.begin(200, {} if content_type is None else {"content-type": content_type})
    chunks = [*map(decoder.feed, pieces), decoder.close()]
    assert all(chunk.raw == b"" for chunk in chunks)
    events = [event for chunk in chunks for event in chunk.events]
    grammar = Grammar()
    for event in events:
        grammar.see(event)
    assert grammar.ended
    return events


def failure(events: list[Event]) -> RhetorError:
    assert isinstance(events[-1], Failed)
    return events[-1].error


@given(st.lists(st.binary(min_size=1), min_size=1))
def test_bytes_come_out_as_they_went_in(pieces: list[bytes]) -> None:
    """Each in its turn: nobody waits for the rest."""
    assert decode("audio/wav", *pieces) == [
        STARTED,
        MediumStarted(0, "audio/wav"),
        *(MediumDelta(0, piece) for piece in pieces),
        STOPPED,
    ]


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("audio/wav", "audio/wav"),
        (" Audio/Ogg; codecs=opus ", "Audio/Ogg; codecs=opus"),
        ("application/octet-stream", "audio/mpeg"),
        ("binary/octet-stream", "audio/mpeg"),
        ("", "audio/mpeg"),
        (None, "audio/mpeg"),
    ],
)
def test_what_it_is(said: str | None, meant: str) -> None:
    assert decode(said, b"x")[1] == MediumStarted(0, meant)


@pytest.mark.parametrize(
    ("content_type", "body", "words"),
    [
        ("application/json", b'{"error": {"message": "the voice is gone"}}', "the voice is gone"),
        ("application/problem+json", b'{"detail": "no voice"}', "no voice"),
        ("text/html; charset=utf-8", b"<html><h1>Bad Gateway</h1></html>", "Bad Gateway"),
        ("text/plain", b"ID3 said nobody", "ID3 said nobody"),
        ("video/mp4", b"\x00", "video/mp4 instead of audio/"),
        ("image/png", b"", "image/png instead of audio/"),
        ("audio/wav", b"", "empty"),
    ],
)
def test_what_is_no_medium_is_a_failure(content_type: str, body: bytes, words: str) -> None:
    for pieces in ([body], [bytes([byte]) for byte in body]):
        error = failure(decode(content_type, *filter(None, pieces)))
        assert error.code is Code.PROTOCOL
        assert words in error.message


def test_endless_words_are_not_kept() -> None:
    decoder = BinaryDecoder("audio/", "audio/mpeg")
    decoder.begin(200, {"content-type": "text/plain"})
    for _ in range(4):
        assert decoder.feed(b"x" * binary.LARGEST_WORDS).events == []
    assert len(failure(decoder.close().events).message) < 1000


def test_what_was_begun_and_broke_off_is_void() -> None:
    """A result that is fetched again may say at last what it is."""
    decoder = BinaryDecoder("audio/", "audio/mpeg")
    decoder.begin(200, {"content-type": "text/plain"})
    decoder.feed(b"wait a")
    decoder.begin(200, {"content-type": "audio/wav"})
    events = [*decoder.feed(b"x").events, *decoder.close().events]
    assert events == [STARTED, MediumStarted(0, "audio/wav"), MediumDelta(0, b"x"), STOPPED]


def test_only_its_type_makes_it_a_medium() -> None:
    assert not BinaryDecoder("audio/", "audio/mpeg").has_frames
    assert BinaryDecoder("audio/", "audio/mpeg").abandon() is None


@given(st.lists(st.tuples(st.binary(), st.booleans()), min_size=1))
def test_the_first_medium_is_the_body(pieces: list[tuple[bytes, bool]]) -> None:
    deltas: list[Event] = [MediumDelta(3, b64encode(data) if b64 else data, b64) for data, b64 in pieces]
    renderer = BinaryRenderer("audio/mpeg")
    assert renderer.content_type == "audio/mpeg"
    opening = renderer.render([STARTED, Progress(0.5), MediumStarted(3, "audio/wav")])
    said = [renderer.render([delta]) for delta in deltas]
    other: list[Event] = [MediumStarted(4, "image/png"), MediumDelta(4, b"cover")]
    rest = renderer.render([*other, UsageReport(Usage(1)), STOPPED])
    assert (opening, rest, renderer.content_type) == (b"", b"", "audio/wav")
    assert said == [data for data, _ in pieces]
    assert b"".join(said) == _medium(
        fold([STARTED, MediumStarted(3, "audio/wav"), *deltas, STOPPED]).media[3]
    )


def _medium(medium: object) -> object:
    return getattr(medium, "data", None)


@pytest.mark.parametrize(
    ("events", "code"),
    [
        ([STARTED, STOPPED], Code.PROTOCOL),
        ([STARTED, MediumStarted(0, "a/b"), MediumDelta(0, b"%%%", base64=True)], Code.PROTOCOL),
        ([STARTED, MediumStarted(0, "a/b"), Failed(UpstreamError("x", Code.TRUNCATED))], Code.TRUNCATED),
    ],
)
def test_there_are_no_words_for_a_failure(events: list[Event], code: Code) -> None:
    with pytest.raises(UpstreamError) as raised:
        BinaryRenderer("audio/mpeg").render(events)
    assert raised.value.code is code
