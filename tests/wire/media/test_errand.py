"""Work done elsewhere: what every decoder of it keeps, however its bytes are split."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhetor.core.capability import Capability
from rhetor.core.content import Json
from rhetor.core.errors import Code
from rhetor.core.events import Event, Failed, Finished, Grammar, MediumDelta, MediumStarted, Progress, fold
from rhetor.wire.base import Chunk, Follow
from rhetor.wire.lenient import things, word
from rhetor.wire.media import errand
from rhetor.wire.media.errand import IMAGE, SHAPE, VIDEO, ErrandDecoder, Result, kind_of, media_type_of

JSON: Mapping[str, str] = {"content-type": "application/json"}
CANCEL = Follow(url="/cancel", method="POST")


class Decoder(ErrandDecoder):
    """Of the simplest vendor there could be."""

    def read(self, said: Json) -> None:
        if word(said, "state") == "made":
            self.fetch(Result(url=word(it, "url")) for it in things(said, "media"))
        elif word(said, "state") == "elsewhere":
            self.ask("/result")
        elif word(said, "state"):
            self.wait("/poll", word(said, "state"), cancel=CANCEL)


def tell(decoder: ErrandDecoder, body: bytes, headers: Mapping[str, str] = JSON, size: int = 0) -> Chunk:
    """One whole response."""
    decoder.begin(200, headers)
    events: list[Event] = []
    for at in range(0, len(body), size or len(body) or 1):
        events += decoder.feed(body[at : at + (size or len(body))]).events
    last = decoder.close()
    return Chunk([*events, *last.events], follow=last.follow)


MADE = b"""{"state": "made", "media": [
 {"url": "/0.png"}, {"url": "data:image/gif;base64,R0lGOA=="}, {"url": "/2"}]}"""


@given(st.integers(1, 40))
def test_any_split_means_the_same(size: int) -> None:
    decoder = Decoder(IMAGE)
    events = tell(decoder, b'{"state": "busy"}', size=size).events
    first = tell(decoder, MADE, size=size)
    assert first.follow == Follow(url="/0.png", keyed=False, steady=True)
    events += first.events
    second = tell(decoder, b"first", {"content-type": "image/webp"}, size)
    assert second.follow == Follow(url="/2", keyed=False, steady=True)
    events += second.events
    last = tell(decoder, b"third", {}, size)
    assert last.follow is None
    events += last.events

    grammar = Grammar()
    for event in events:
        grammar.see(event)
    assert isinstance(events[-1], Finished)
    media = [(it.media_type, it.data) for it in fold(events).media.values()]  # type: ignore[union-attr]
    assert media == [("image/webp", b"first"), ("image/gif", b"GIF8"), ("image/png", b"third")]


def test_pauses_grow_up_to_a_limit() -> None:
    decoder = Decoder(IMAGE)
    pauses = []
    for _ in range(20):
        follow = tell(decoder, b'{"state": "busy"}').follow
        assert follow is not None
        pauses.append(follow.after_s)
    assert pauses[0] == errand.FIRST_PAUSE_S
    assert pauses == sorted(pauses)
    assert pauses[-1] == errand.LONGEST_PAUSE_S


def test_who_works_is_told_to_stop_once_and_only_while_there_is_something_to_stop() -> None:
    decoder = Decoder(IMAGE)
    assert decoder.abandon() is None, "nothing is known of it yet"
    tell(decoder, b'{"state": "busy"}')
    assert decoder.abandon() == CANCEL
    assert decoder.abandon() is None
    for ending, farewell in (
        (MADE, None),
        (b'{"state": "elsewhere"}', None),
        (b"{}", CANCEL),
        (b"<h1>", CANCEL),  # it works on, whatever is said of it
    ):
        decoder = Decoder(IMAGE)
        tell(decoder, b'{"state": "busy"}')
        tell(decoder, ending)
        assert decoder.abandon() == farewell, ending


def test_a_medium_that_began_and_never_came_has_no_number() -> None:
    decoder = Decoder(IMAGE)
    tell(decoder, b'{"state": "made", "media": [{"url": "/0.png"}]}')
    decoder.begin(200, {"content-type": "image/png"})
    told = tell(decoder, b"first", {"content-type": "image/png"})
    assert list(fold(told.events).media) == [0]


def test_a_response_that_broke_off_is_void() -> None:
    decoder = Decoder(IMAGE)
    decoder.begin(200, JSON)
    decoder.feed(b'{"state": "bu')
    chunk = tell(decoder, b'{"state": "busy"}')
    assert chunk.events[-1] == Progress(None, "busy")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "is not JSON"),
        (b"[]", "is not JSON"),
        (b"<h1>Busy</h1>", "is not JSON: Busy"),
        (b"{}", "does not say what becomes of the request"),
        (b'{"state": "made", "media": []}', "made nothing"),
        (b'{"state": "made", "media": [{"url": "data:image/png,raw"}]}', "instead of an image"),
        (b'{"state": "made", "media": [{"url": "data:video/mp4;base64,AA=="}]}', "video/mp4"),
    ],
)
def test_whatever_makes_no_sense_is_a_failure(body: bytes, words: str) -> None:
    chunk = tell(Decoder(IMAGE), body)
    ending = chunk.events[-1]
    assert isinstance(ending, Failed)
    assert ending.error.code is Code.PROTOCOL
    assert words in ending.error.message
    assert chunk.follow is None


def test_words_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errand, "WHOLE_LIMIT_BYTES", 8)
    decoder = Decoder(IMAGE)
    decoder.begin(200, JSON)
    (_, failed) = decoder.feed(b"123456789").events
    assert isinstance(failed, Failed)
    assert decoder.feed(b"more").events == []
    assert decoder.close().events == []


def test_media_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errand, "LARGEST_RESULTS", 8)
    decoder = Decoder(IMAGE)
    tell(decoder, MADE)
    first = tell(decoder, b"12345", {"content-type": "image/png"})
    assert not isinstance(first.events[-1], Failed)
    second = tell(decoder, b"6789", {"content-type": "image/png"})
    assert isinstance(second.events[-1], Failed)
    assert second.follow is None


def test_vendors_words_are_shortened() -> None:
    decoder = Decoder(IMAGE)
    decoder.wait("/poll", "x" * 1000)
    decoder.fail("y" * 10_000, Code.UPSTREAM_ERROR)
    progress, failed = decoder.close().events[1:]
    assert isinstance(progress, Progress)
    assert isinstance(failed, Failed)
    assert (len(progress.note), len(failed.error.message)) == (errand.LONGEST_NOTE, 500)


def test_a_medium_is_handed_on_as_it_comes() -> None:
    decoder = Decoder(VIDEO)
    tell(decoder, b'{"state": "made", "media": [{"url": "/0.mp4"}]}')
    decoder.begin(200, {"content-type": "video/mp4"})
    assert decoder.feed(b"12").events[1:] == [MediumStarted(0, "video/mp4"), MediumDelta(0, b"12")]
    assert decoder.feed(b"34").events == [MediumDelta(0, b"34")]


@pytest.mark.parametrize(
    ("capability", "name"),
    [
        (Capability.TEXT_TO_IMAGE, "an image"),
        (Capability.VIDEO_TO_AUDIO, "audio"),
        (Capability.IMAGE_TO_3D, "a 3D model"),
        (Capability.AUDIO_TO_TEXT, "text"),
        (Capability.CHAT, "text"),
    ],
)
def test_what_comes_out_of_an_operation(capability: Capability, name: str) -> None:
    assert kind_of(capability).name == name


@pytest.mark.parametrize(
    ("said", "kind", "url", "media_type"),
    [
        ("image/png; q=1", IMAGE, "/x", "image/png; q=1"),
        ("IMAGE/PNG", IMAGE, "/x", "IMAGE/PNG"),
        ("", IMAGE, "/x.jpeg?sig=1.mp4", "image/jpeg"),
        ("application/octet-stream", IMAGE, "/x.mp4", "image/png"),
        ("binary/octet-stream", SHAPE, "/x.obj", "model/obj"),
        ("application/octet-stream", SHAPE, "/x.zip#y", "application/zip"),
        ("video/mp4", IMAGE, "/x.png", None),
        ("text/html", IMAGE, "/x.png", None),
    ],
)
def test_of_what_type_a_medium_is(said: str, kind: errand.Kind, url: str, media_type: str | None) -> None:
    assert media_type_of(said, kind, Result(url=url)) == media_type
