"""What the script makes of a reply, before anything is sent."""

from __future__ import annotations

import pytest

from rhetor.testing.delivery import Delivery, deliver
from rhetor.testing.script import Break, Point, ScriptError, Step
from rhetor.testing.steps import broken_chunked, cuts, hangs, headers
from rhetor.testing.voices import Rendered

STREAM = Rendered("text/event-stream", [b"(", b"one ", b"two ", b"three ", b"four", b")"], events=4)
WHOLE = Rendered("application/json", [b"0123456789"], events=4)


def data(delivery: Delivery) -> bytes:
    return b"".join(beat.data for beat in delivery.beats)


def places(delivery: Delivery) -> list[object]:
    return [beat.place for beat in delivery.beats]


def test_a_stream_comes_piece_by_piece() -> None:
    delivery = deliver(STREAM, Step())
    assert places(delivery) == ["request", "headers", 0, 1, 2, 3, 4, "end"]
    assert b"transfer-encoding: chunked" in data(delivery)


def test_a_reply_in_one_piece_is_sent_at_once() -> None:
    delivery = deliver(WHOLE, Step())
    assert len(delivery.beats) == 1
    assert data(delivery).endswith(b"content-length: 10\r\n\r\n0123456789")


def test_a_reply_in_one_piece_has_as_many_slices_as_events_and_an_ending() -> None:
    delivery = deliver(WHOLE, hangs(after=2))
    assert places(delivery) == ["request", "headers", 0, 1, 2, 3, 4, "end"]
    assert [beat.data for beat in delivery.beats[2:]] == [b"", b"01", b"23", b"45", b"67", b"89"]


@pytest.mark.parametrize(("rendered", "place"), [(STREAM, 2), (Rendered("a", [b"", b"one", b""], 1), 1)])
def test_half_is_a_number_of_events(rendered: Rendered, place: int) -> None:
    assert deliver(rendered, cuts(after="half")).breaks == (place, Break.CLOSE)


@pytest.mark.parametrize("point", [5, -1])
def test_a_point_beyond_the_reply_is_a_mistake(point: Point) -> None:
    with pytest.raises(ScriptError, match="the reply has 4"):
        deliver(STREAM, cuts(after=point))
    with pytest.raises(ScriptError, match="the reply has 4"):
        deliver(STREAM, hangs(after=point))


def test_what_ends_clean_has_nothing_to_break() -> None:
    delivery = deliver(STREAM, cuts(after=1, clean=True))
    assert delivery.breaks is None
    assert places(delivery) == ["request", "headers", 0, 1, "end"]
    assert b"content-length: 4\r\n" in data(deliver(WHOLE, cuts(after=2, clean=True)))
    assert b"content-length: 0\r\n" in data(deliver(WHOLE, cuts(after="headers", clean=True)))


def test_a_reply_without_headers_cannot_end_clean() -> None:
    with pytest.raises(ScriptError, match="headers"):
        deliver(STREAM, cuts(after="request", clean=True))


def test_a_whole_reply_is_chunked_where_chunks_are_to_break() -> None:
    assert b"transfer-encoding: chunked" in data(deliver(WHOLE, broken_chunked(after=1)))


def test_the_script_has_the_last_word_on_headers() -> None:
    assert b"content-type: text/html\r\n" in data(deliver(WHOLE, headers({"content-type": "text/html"})))


def test_the_last_frame_and_the_end_of_the_body_are_one_write() -> None:
    """Clients close at `[DONE]`; they have not left before the end."""
    assert deliver(STREAM, Step()).beats[-1].data == b"1\r\n)\r\n0\r\n\r\n"
