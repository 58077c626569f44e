"""Event streams, cut into messages."""

from __future__ import annotations

import struct
import sys
from contextlib import suppress
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhetor.core.errors import Code, UpstreamError
from rhetor.testing.eventstream import message
from rhetor.wire.bedrock.frames import Message, StreamSplitter
from tests.wire.bedrock.speaking import BROKE, CALLED, REASONED
from tests.wire.strategies import splits

WHOLE = CALLED + REASONED + BROKE


def read(*pieces: bytes) -> list[Message]:
    splitter = StreamSplitter()
    return [it for piece in pieces for it in splitter.feed(piece)]


@given(splits(WHOLE))
def test_any_split_gives_the_same_messages(pieces: list[bytes]) -> None:
    assert read(*pieces) == read(WHOLE)


def test_a_large_message_in_small_pieces_is_put_together_once() -> None:
    """Were it copied with every piece, this would be a terabyte."""
    large = message("event", "x", b'{"bytes":"' + b"A" * (8 << 20) + b'"}')
    assert [it.name for it in read(*(large[at : at + 32] for at in range(0, len(large), 32)))] == ["x"]


def test_what_a_message_says() -> None:
    assert read(message("event", "messageStart", b'{"role":"assistant"}')) == [
        Message("event", "messageStart", {"role": "assistant"})
    ]
    [broke] = read(BROKE)
    assert (broke.kind, broke.name) == ("exception", "modelStreamErrorException")
    assert broke.said is not None
    assert broke.said["message"] == "Model Stream Error"


def test_it_has_begun_with_its_first_message() -> None:
    splitter = StreamSplitter()
    splitter.feed(BROKE[:50])
    assert not splitter.begun
    splitter.feed(BROKE[50:])
    assert splitter.begun


@given(st.integers(0, len(BROKE) - 1), st.integers(1, 255))
def test_a_changed_byte_is_noticed(at: int, by: int) -> None:
    """Or a message never ends; it is never read as another one."""
    changed = bytearray(BROKE)
    changed[at] ^= by
    with suppress(UpstreamError):
        assert read(bytes(changed)) == []


@pytest.mark.parametrize("headers", [b"\x01x\x0b", b"\x05x", b"\x01\xff\x04\0\0\0\1"])
def test_headers_that_nobody_can_read(headers: bytes) -> None:
    """Their checksums are right: whoever wrote them meant it."""
    prelude = struct.pack("!II", 16 + len(headers) + 2, len(headers))
    message = prelude + struct.pack("!I", crc32(prelude)) + headers + b"{}"
    with pytest.raises(UpstreamError) as caught:
        read(message + struct.pack("!I", crc32(message)))
    assert caught.value.code is Code.PROTOCOL


def test_what_is_no_event_stream() -> None:
    with pytest.raises(UpstreamError) as caught:
        read(b"<html><title>Sign in</title></html>")
    assert caught.value.code is Code.PROTOCOL


@pytest.mark.parametrize("length", [0, 11, 15])
def test_no_message_is_shorter_than_what_surrounds_it(length: int) -> None:
    prelude = struct.pack("!II", length, 0)
    with pytest.raises(UpstreamError):
        read(prelude + struct.pack("!I", crc32(prelude)))


def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "botocore.eventstream", None)
    with pytest.raises(UpstreamError) as caught:
        StreamSplitter()
    assert "rhetor[bedrock]" in caught.value.message
