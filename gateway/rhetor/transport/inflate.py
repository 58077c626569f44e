"""Compressed replies, decompressed as they arrive and never much at once."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from rhetor.core.errors import Code, UpstreamError

PIECE_BYTES = 256 * 1024
"""The most that one step makes, however little it was made of: a gigabyte of zeros fits into a megabyte."""

GZIP_FORMAT = 16 + zlib.MAX_WBITS
RAW_FORMAT = -zlib.MAX_WBITS
DEFLATED = (
    8  # the compression method in the first byte of zlib's format, https://www.rfc-editor.org/rfc/rfc1950
)

GZIP_NAMES = frozenset({"gzip", "x-gzip"})
ENCODINGS = GZIP_NAMES | {"deflate"}
"""What we can read. https://www.rfc-editor.org/rfc/rfc9110#name-content-codings (read 2026-11-20)."""


class Inflater:
    """Decompresses one reply.

    Args:
        encoding: one of `ENCODINGS`.
    """

    def __init__(self, encoding: str) -> None:
        self._gzip = encoding in GZIP_NAMES
        self._stream: zlib._Decompress | None = None
        self._one_ended = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """All that the data so far says, in pieces of at most `PIECE_BYTES`, none of them empty.

        Raises:
            UpstreamError: protocol_error, it is not compressed as it says.
        """
        held_back = False
        while held_back or (data := self._without_padding(data)):
            stream = self._stream = self._stream or zlib.decompressobj(self._format(data))
            try:
                piece = stream.decompress(data, PIECE_BYTES)
            except zlib.error as error:
                raise _not_compressed("was not compressed as it says") from error
            if piece:
                yield piece
            held_back = len(piece) == PIECE_BYTES and not stream.eof
            data = stream.unconsumed_tail
            if stream.eof:
                data, self._stream, self._one_ended = stream.unused_data, None, True

    def close(self) -> None:
        """The reply has ended.

        Raises:
            UpstreamError: protocol_error, what was compressed has not.
        """
        if self._stream is not None:
            raise _not_compressed("ended before what was compressed in it did")

    def _without_padding(self, data: bytes) -> bytes:
        """What counts: after a stream, gzip allows zeros and another one, deflate nothing."""
        if self._stream is not None or not self._one_ended:
            return data
        return data.lstrip(b"\0") if self._gzip else b""

    def _format(self, data: bytes) -> int:
        """By name, "deflate" means zlib's format; some servers leave out its header."""
        if self._gzip:
            return GZIP_FORMAT
        return zlib.MAX_WBITS if data[0] & 0x0F == DEFLATED else RAW_FORMAT


def _not_compressed(what: str) -> UpstreamError:
    return UpstreamError(f"the provider's reply {what}", Code.PROTOCOL)
