"""Server-sent events: bytes in any pieces → whole frames, and back.

The grammar is https://html.spec.whatwg.org/multipage/server-sent-events.html
(read 2026-11-20): lines end with LF, CRLF or CR, a blank line ends a frame, a
line that starts with a colon is a comment, several `data` lines are joined by
newlines, one byte order mark may come first.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from rhetor.core.errors import Code, UpstreamError

FRAME_LIMIT_BYTES = 8 * 1024 * 1024  # a frame may carry an image as base64, but must not fill the memory

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_LINE_END = re.compile(rb"\r\n|\n|\r")
# A CR after a line's end may be the first half of a CRLF: it ends the frame only once the next byte is known.
# An LF after CR CR belongs to the next frame, where it is one more blank line and means nothing.
_FRAME_END = re.compile(rb"\n\n|\r\r|\n\r\n|\n\r(?=[^\n])")


class Frame(NamedTuple):
    """One frame. A frame without data (comments only) tells nothing, so its event is empty too."""

    event: str
    """The event's name; empty when the frame has none."""
    data: bytes
    """The data lines, joined by newlines."""
    raw: bytes
    """The frame as it came, with its blank line: the raw bytes of all frames joined are the stream."""


class SseSplitter:
    """Cuts a byte stream into frames; any split of the same bytes gives the same frames.

    Args:
        limit_bytes: of one frame; None: as much as a text ever needs.
    """

    def __init__(self, limit_bytes: int | None = None) -> None:
        self._limit_bytes = FRAME_LIMIT_BYTES if limit_bytes is None else limit_bytes
        self._held: list[bytes] = []  # pieces of a frame whose end has not come
        self._held_bytes = 0
        self._seam = b""  # the last bytes of those pieces: a frame's end may lie across two reads
        self._begun = False

    def feed(self, data: bytes) -> list[Frame]:
        """The frames completed by these bytes.

        Raises:
            UpstreamError: protocol_error, a frame is larger than the limit.
        """
        if self._held:
            if not _holds_frame_end(self._seam + data):
                self._hold(data)
                return []
            self._held.append(data)
            data = self._release()
        if b"\r" in data:
            spans = _spans(data)
            rest = data[spans[-1][1] if spans else 0 :]
            frames = [_read(data[start:end], self._is_first()) for start, end in spans]
        else:
            blocks = data.split(b"\n\n")
            rest = blocks.pop()
            if len(blocks) == 1 and not rest and len(data) <= self._limit_bytes:  # as nearly always
                return [self._read_block(blocks[0], data)]
            frames = [self._read_block(block, block + b"\n\n") for block in blocks]
        if rest:
            self._hold(rest)
        if len(data) > self._limit_bytes and any(len(it.raw) > self._limit_bytes for it in frames):
            raise _too_large(self._limit_bytes)
        return frames

    def close(self) -> list[Frame]:
        """The last frame when it came without its blank line: some servers forget it."""
        rest = self._release()
        return [_read(rest, self._is_first())] if rest else []

    def _is_first(self) -> bool:
        """Whether no frame was read before; only the first may follow a byte order mark."""
        begun, self._begun = self._begun, True
        return not begun

    def _hold(self, data: bytes) -> None:
        self._held.append(data)
        self._held_bytes += len(data)
        self._seam = (self._seam + data[-2:])[-2:]
        if self._held_bytes > self._limit_bytes:
            raise _too_large(self._limit_bytes)

    def _release(self) -> bytes:
        data = b"".join(self._held)
        self._held = []
        self._held_bytes = 0
        self._seam = b""
        return data

    def _read_block(self, block: bytes, raw: bytes) -> Frame:
        """A frame without its blank line, LF only; the two usual shapes are not taken apart line by line."""
        if block[:6] == b"data: " and b"\n" not in block:
            self._begun = True
            return Frame("", block[6:], raw)
        if block[:7] == b"event: ":
            event, _, data = block.partition(b"\n")
            if data[:6] == b"data: " and b"\n" not in data:
                self._begun = True
                return Frame(event[7:].decode(errors="replace"), data[6:], raw)
        return _read(raw, self._is_first())


def frame(data: bytes, event: str | None = None) -> bytes:
    """One frame; data with line ends becomes several data lines."""
    head = b"" if event is None else b"event: %b\n" % event.encode()
    if b"\n" not in data and b"\r" not in data:
        return b"%bdata: %b\n\n" % (head, data)
    return head + b"".join(b"data: %b\n" % line for line in _LINE_END.split(data)) + b"\n"


def _holds_frame_end(data: bytes) -> bool:
    if b"\r" in data:
        return _FRAME_END.search(data) is not None
    return b"\n\n" in data


def _spans(data: bytes) -> list[tuple[int, int]]:
    """Where each whole frame begins and ends."""
    ends = [match.end() for match in _FRAME_END.finditer(data)]
    return list(zip([0, *ends], ends, strict=False))


def _read(raw: bytes, first: bool) -> Frame:
    event = ""
    lines: list[bytes] = []
    for line in _LINE_END.split(raw.removeprefix(_BYTE_ORDER_MARK) if first else raw):
        name, _, value = line.partition(b":")
        if name == b"data":
            lines.append(value.removeprefix(b" "))
        elif name == b"event":
            event = value.removeprefix(b" ").decode(errors="replace")
    return Frame(event if lines else "", b"\n".join(lines), raw)


def _too_large(limit_bytes: int) -> UpstreamError:
    return UpstreamError(f"the provider sent a frame of more than {limit_bytes} bytes", Code.PROTOCOL)
