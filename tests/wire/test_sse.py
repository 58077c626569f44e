"""Server-sent events: any split of the bytes gives the same frames, and no byte is lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhetor.core.errors import Code, UpstreamError
from rhetor.wire.sse import FRAME_LIMIT_BYTES, Frame, SseSplitter, frame
from tests.wire.strategies import splits

_SNIPPETS = (
    b"data: a", b"data:b", b"data", b"data: ", b"event: x", b"event:y", b": note", b"id: 1", b"retry: 5",
    b"\n", b"\n", b"\n\n", b"\r", b"\r\n", b"\r\n\r\n", b"\xef\xbb\xbf", b" ", "é".encode(), b"\xff",
)  # fmt: skip
streams = st.lists(st.sampled_from(_SNIPPETS), min_size=1, max_size=25).map(b"".join)


def split(*pieces: bytes) -> list[Frame]:
    splitter = SseSplitter()
    frames = [it for piece in pieces for it in splitter.feed(piece)]
    return frames + splitter.close()


def told(data: bytes) -> list[tuple[str, bytes]]:
    """What a reader of the stream hears: frames that carry data."""
    return [(it.event, it.data) for it in split(data) if it.data]


@given(st.data(), streams)
def test_any_split_gives_the_same_frames(data: st.DataObject, stream: bytes) -> None:
    assert split(*data.draw(splits(stream))) == split(stream)


@given(streams)
def test_byte_by_byte_gives_the_same_frames(stream: bytes) -> None:
    assert split(*(stream[at : at + 1] for at in range(len(stream)))) == split(stream)


@given(streams)
def test_the_raw_bytes_of_all_frames_are_the_stream(stream: bytes) -> None:
    assert b"".join(it.raw for it in split(stream)) == stream


@given(streams)
def test_line_ends_do_not_matter(stream: bytes) -> None:
    """The same lines ended by LF, CRLF or CR say the same."""
    lf = stream.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    assert told(lf.replace(b"\n", b"\r\n")) == told(lf)
    assert told(lf.replace(b"\n", b"\r")) == told(lf)


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (b"data: a\n\n", [("", b"a")]),
        (b"data:a\n\n", [("", b"a")]),
        (b"data:  a\n\n", [("", b" a")]),
        (b"data: a\ndata: b\n\n", [("", b"a\nb")]),
        (b"data: a\ndata\n\n", [("", b"a\n")]),
        (b"event: ping\ndata: {}\n\n", [("ping", b"{}")]),
        (b"data: {}\nevent: ping\n\n", [("ping", b"{}")]),
        (b"id: 7\nretry: 10\ndata: a\n\n", [("", b"a")]),
        (b": hello\n\ndata: a\n\n", [("", b"a")]),
        (b": hello\ndata: a\n\n", [("", b"a")]),
        (b"event: ping\n\n", []),
        (b"\n\n\n\ndata: a\n\n\n\n", [("", b"a")]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", [("", b"a"), ("", b"b")]),
        (b"data: a\r\rdata: b\r\r", [("", b"a"), ("", b"b")]),
        (b"data: a\n\r\ndata: b\r\n\n", [("", b"a"), ("", b"b")]),
        (b"\xef\xbb\xbfdata: a\n\ndata: b\n\n", [("", b"a"), ("", b"b")]),
        (b"data: a\n\n\xef\xbb\xbfdata: b\n\n", [("", b"a")]),
        (b"database: a\n\n", []),
        (b"data: a", [("", b"a")]),
        (b"data: a\n", [("", b"a")]),
        (b"event: ping\ndata: a", [("ping", b"a")]),
        ("data: \u2028é\n\n".encode(), [("", "\u2028é".encode())]),
    ],
)
def test_reads_what_the_specification_says(stream: bytes, expected: list[tuple[str, bytes]]) -> None:
    assert told(stream) == expected


def test_a_frame_without_data_is_told_without_an_event() -> None:
    """Its bytes have to pass all the same."""
    assert split(b": keep-alive\n\nevent: x\n\n") == [
        Frame("", b"", b": keep-alive\n\n"),
        Frame("", b"", b"event: x\n\n"),
    ]


def test_a_frame_is_told_with_its_last_byte() -> None:
    """Nothing is held back for the next read, where line ends leave no doubt."""
    for stream in (b"data: a\n\n", b"data: a\r\n\r\n", b"data: a\r\r"):
        assert [it.data for it in SseSplitter().feed(stream)] == [b"a"], stream


@pytest.mark.parametrize("piece_bytes", [FRAME_LIMIT_BYTES // 3, FRAME_LIMIT_BYTES + 1])
@pytest.mark.parametrize("end", [b"", b"\n\n"])
def test_a_frame_over_the_limit_is_refused_however_it_comes(piece_bytes: int, end: bytes) -> None:
    stream = b"data: " + b"x" * FRAME_LIMIT_BYTES + end
    pieces = (stream[at : at + piece_bytes] for at in range(0, len(stream), piece_bytes))
    with pytest.raises(UpstreamError) as refused:
        split(*pieces)
    assert refused.value.code is Code.PROTOCOL


def test_a_large_frame_in_small_pieces_takes_no_longer_than_its_bytes() -> None:
    """Four megabytes in pieces of 64 bytes: joined once, not once for each piece."""
    splitter = SseSplitter()
    for _ in range(65_536):
        assert splitter.feed(b"x" * 64) == []
    assert len(splitter.feed(b"\n\n")[0].raw) == 4_194_306


@given(st.text(st.characters(codec="utf-8")).map(str.encode), st.none() | st.sampled_from(["ping", "é"]))
def test_what_is_framed_is_read_back(data: bytes, event: str | None) -> None:
    """Line ends inside the data come back as LF, which is all that the format can carry."""
    lines = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    written = frame(data, event)
    assert split(written) == [Frame(event or "", lines, written)]
