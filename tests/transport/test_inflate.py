"""Compressed replies: every form that servers send, in any split, and never much at once."""

from __future__ import annotations

import gzip
import zlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhetor.core.errors import Code, UpstreamError
from rhetor.transport.inflate import PIECE_BYTES, Inflater

TEXT = b"data: the fox lives in a den\n\n" * 40


def raw_deflate(data: bytes) -> bytes:
    squeeze = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return squeeze.compress(data) + squeeze.flush()


FORMS = {
    "gzip": ("gzip", gzip.compress(TEXT)),
    "gzip by its old name": ("x-gzip", gzip.compress(TEXT)),
    "gzip in two members": ("gzip", gzip.compress(TEXT[:100]) + gzip.compress(TEXT[100:])),
    "gzip with padding": ("gzip", gzip.compress(TEXT) + b"\0" * 9),
    "deflate": ("deflate", zlib.compress(TEXT)),
    "deflate without its header": ("deflate", raw_deflate(TEXT)),
}


def inflated(encoding: str, *pieces: bytes) -> bytes:
    inflater = Inflater(encoding)
    said = b"".join(part for piece in pieces for part in inflater.feed(piece))
    inflater.close()
    return said


@pytest.mark.parametrize(("encoding", "data"), FORMS.values(), ids=FORMS)
@given(cuts=st.sets(st.integers(0, 120)))
def test_any_split_means_the_same(encoding: str, data: bytes, cuts: set[int]) -> None:
    marks = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    assert inflated(encoding, *(data[begin:end] for begin, end in pairwise(marks))) == TEXT


def test_what_was_flushed_is_there_at_once() -> None:
    """A stream of tokens must stay a stream."""
    squeeze = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
    inflater = Inflater("gzip")
    for token in (b"one ", b"two ", b"three "):
        data = squeeze.compress(token) + squeeze.flush(zlib.Z_SYNC_FLUSH)
        assert b"".join(inflater.feed(data)) == token


@pytest.mark.parametrize(("size", "last"), [(10 * PIECE_BYTES, PIECE_BYTES), (10 * PIECE_BYTES + 1, 1)])
def test_little_becomes_much_only_in_steps(size: int, last: int) -> None:
    """A bomb fills nobody's memory: who does not want more stops asking."""
    inflater = Inflater("gzip")
    sizes = [len(piece) for piece in inflater.feed(gzip.compress(bytes(size)))]
    inflater.close()
    assert sizes[:10] == [PIECE_BYTES] * 10
    assert sum(sizes) == size
    assert sizes[-1] == last


def test_a_body_that_is_not_there_is_no_mistake() -> None:
    assert inflated("gzip") == b""


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_what_is_not_compressed(encoding: str) -> None:
    with pytest.raises(UpstreamError) as caught:
        inflated(encoding, b"hello, I am plain text")
    assert caught.value.code is Code.PROTOCOL


@pytest.mark.parametrize(("encoding", "data"), FORMS.values(), ids=FORMS)
def test_what_ends_too_early(encoding: str, data: bytes) -> None:
    with pytest.raises(UpstreamError) as caught:
        inflated(encoding, data.rstrip(b"\0")[:-9])
    assert caught.value.code is Code.PROTOCOL
    assert "ended before" in caught.value.message
