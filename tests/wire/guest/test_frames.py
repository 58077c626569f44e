"""Frames: lines of JSON, some with raw bytes behind them."""

from __future__ import annotations

import pytest
from hypothesis import given

from rhetor.core.errors import Code, UpstreamError
from rhetor.wire.guest import frames
from rhetor.wire.guest.frames import FrameSplitter, frame
from tests.wire.strategies import splits

STREAM = b"".join(
    [
        frame({"call": 1, "event": "text", "text": "moo\nmoo"}),
        frame({"call": 1, "event": "medium_delta", "index": 0}, b'{"no": "line"}\n\n\0'),
        b"\n",
        frame({"call": 2, "event": "medium_delta", "index": 0}, b""),
        b'{"event": "text"}\r\n',
    ]
)


@given(splits(STREAM))
def test_law_any_split_gives_the_same_frames(pieces: list[bytes]) -> None:
    splitter = FrameSplitter()
    found = [it for piece in pieces for it in splitter.feed(piece)]
    assert [(it.fields.get("event"), it.data) for it in found] == [
        ("text", None),
        ("medium_delta", b'{"no": "line"}\n\n\0'),
        ("medium_delta", b""),
        ("text", None),
    ]
    assert b"".join(it.raw for it in found) == STREAM.replace(b"\0\n", b"\0")
    assert splitter.is_between


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"hello\n", "not JSON"),
        (b"[1]\n", "no JSON object"),
        (b'{"bytes": -1}\n', "bytes must be"),
        (b'{"bytes": true}\n', "bytes must be"),
        (b'{"bytes": 1e3}\n', "bytes must be"),
        (b'{"bytes": 99999999999}\n', "bytes must be"),
        (b"[" * 20_000 + b"\n", "not JSON"),
    ],
)
def test_what_is_no_frame_is_said_to_be_none(line: bytes, why: str) -> None:
    with pytest.raises(UpstreamError, match=why) as caught:
        FrameSplitter().feed(line)
    assert caught.value.code is Code.PROTOCOL


def test_an_endless_line_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "LINE_LIMIT_BYTES", 100)
    splitter = FrameSplitter()
    splitter.feed(b"x" * 100)
    with pytest.raises(UpstreamError, match="more than 100 bytes"):
        splitter.feed(b"x")
    with pytest.raises(UpstreamError, match="more than 100 bytes"):
        FrameSplitter().feed(b"x" * 200 + b"\n")
    assert not splitter.is_between


@pytest.mark.parametrize("much", [b"1," * 200_000, b"[]," * 50_000, b"{}," * 50_000])
def test_a_line_that_takes_long_to_read_is_not_read(much: bytes) -> None:
    """Everybody else would wait for it."""
    line = b'{"values":[' + much[:-1] + b"]}\n"
    assert len(line) < frames.LINE_LIMIT_BYTES
    with pytest.raises(UpstreamError, match="a line of more than 100000 values, or 30000 lists"):
        FrameSplitter().feed(line)


def test_a_long_text_with_many_signs_is_a_text() -> None:
    said = ', [{"' * 150_000
    (found,) = FrameSplitter().feed(frames.frame({"event": "text", "text": said}))
    assert found.fields["text"] == said
