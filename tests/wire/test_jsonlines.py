"""JSON lines: any split of the bytes gives the same lines, and no byte is lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhetor.core.errors import Code, UpstreamError
from rhetor.wire.jsonlines import LINE_LIMIT_BYTES, LineSplitter
from tests.wire.strategies import splits

streams = st.lists(st.sampled_from((b"{}", b"\n", b"\r", b'{"a":"\xc3\xa9"}', b" ")), min_size=1).map(
    b"".join
)


def split(*pieces: bytes) -> list[bytes]:
    splitter = LineSplitter()
    lines = [line for piece in pieces for line in splitter.feed(piece)]
    return lines + splitter.close()


@given(st.data(), streams)
def test_any_split_gives_the_same_lines(data: st.DataObject, stream: bytes) -> None:
    assert split(*data.draw(splits(stream))) == split(stream)


@given(streams)
def test_all_lines_joined_are_the_stream(stream: bytes) -> None:
    lines = split(stream)
    assert b"".join(lines) == stream
    assert all(line.count(b"\n") == 1 for line in lines[:-1])


def test_a_line_is_told_with_its_newline() -> None:
    assert LineSplitter().feed(b"{}\n[]\n1") == [b"{}\n", b"[]\n"]


def test_the_last_line_may_lack_its_newline() -> None:
    assert split(b"{}\n[]") == [b"{}\n", b"[]"]
    assert split(b"{}\n") == [b"{}\n"]


@pytest.mark.parametrize("piece_bytes", [LINE_LIMIT_BYTES // 3, LINE_LIMIT_BYTES + 2])
@pytest.mark.parametrize("end", [b"", b"\n"])
def test_a_line_over_the_limit_is_refused_however_it_comes(piece_bytes: int, end: bytes) -> None:
    stream = b"x" * (LINE_LIMIT_BYTES + 1) + end
    pieces = (stream[at : at + piece_bytes] for at in range(0, len(stream), piece_bytes))
    with pytest.raises(UpstreamError) as refused:
        split(*pieces)
    assert refused.value.code is Code.PROTOCOL
