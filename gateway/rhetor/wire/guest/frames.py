"""What travels between the gateway and a guest: lines of JSON, some followed by raw bytes.

A frame is a JSON object on one line; where it says `"bytes": N`, exactly N bytes follow the line's end
before the next line begins. See `docs/provider-protocol.md`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import orjson

from rhetor.core.content import Json
from rhetor.core.errors import Code, UpstreamError

LINE_LIMIT_BYTES = 1 << 20  # an embedding of 4096 numbers is some 90 KB, a tool call's arguments less
MOST_VALUES = 100_000
MOST_GROUPS = 30_000  # lists and objects in one line: they take longest to read, and nobody else is served
SHORT_BYTES = 64 << 10  # so much is read in a moment, whatever it is
RAW_LIMIT_BYTES = 4 << 20  # whoever has more says it in several frames


@dataclass(slots=True)
class Frame:
    fields: Json
    data: bytes | None
    """The raw bytes; None where none were announced."""
    raw: bytes
    """All of it, as it came."""


class FrameSplitter:
    """Cuts a byte stream into frames; any split of the same bytes gives the same frames."""

    def __init__(self) -> None:
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._head: tuple[Json, bytes] | None = None
        """A line whose raw bytes have not all come."""
        self._missing = 0

    @property
    def is_between(self) -> bool:
        """Whether nothing is held: the stream may end here."""
        return not self._held_bytes and self._head is None

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that are complete with these bytes.

        Raises:
            UpstreamError: protocol_error, these are no frames; nothing after that can be read.
        """
        frames: list[Frame] = []
        at = 0
        while at < len(data):
            at = self._raw(data, at, frames) if self._head is not None else self._line(data, at, frames)
        return frames

    def _line(self, data: bytes, at: int, frames: list[Frame]) -> int:
        end = data.find(b"\n", at)
        if end < 0:
            self._hold(data[at:])
            if self._held_bytes > LINE_LIMIT_BYTES:
                raise _broken(f"a line of more than {LINE_LIMIT_BYTES} bytes")
            return len(data)
        self._hold(data[at : end + 1])
        line = self._release()
        if len(line) > LINE_LIMIT_BYTES:
            raise _broken(f"a line of more than {LINE_LIMIT_BYTES} bytes")
        if line.strip():  # a blank one says nothing
            fields = _object(line)
            size = fields.get("bytes")
            if size is None:
                frames.append(Frame(fields, None, line))
            else:
                self._announce(fields, line, size, frames)
        return end + 1

    def _announce(self, fields: Json, line: bytes, size: object, frames: list[Frame]) -> None:
        if type(size) is not int or not 0 <= size <= RAW_LIMIT_BYTES:
            raise _broken(f"bytes must be a number from 0 to {RAW_LIMIT_BYTES}")
        if size:
            self._head, self._missing = (fields, line), size
        else:
            frames.append(Frame(fields, b"", line))

    def _raw(self, data: bytes, at: int, frames: list[Frame]) -> int:
        assert self._head is not None
        piece = data[at : at + self._missing]
        self._hold(piece)
        self._missing -= len(piece)
        if not self._missing:
            (fields, line), self._head = self._head, None
            body = self._release()
            frames.append(Frame(fields, body, line + body))
        return at + len(piece)

    def _hold(self, piece: bytes) -> None:
        self._held.append(piece)
        self._held_bytes += len(piece)

    def _release(self) -> bytes:
        data = self._held[0] if len(self._held) == 1 else b"".join(self._held)
        self._held, self._held_bytes = [], 0
        return data


def frame(fields: Json, data: bytes | None = None) -> bytes:
    """One frame, as it is written."""
    if data is None:
        return orjson.dumps(fields) + b"\n"
    return orjson.dumps({**fields, "bytes": len(data)}) + b"\n" + data


def _object(line: bytes) -> Json:
    if len(line) > SHORT_BYTES and _is_much(line) and _is_much(_STRING.sub(b"", line)):
        raise _broken(f"a line of more than {MOST_VALUES} values, or {MOST_GROUPS} lists and objects")
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        shown = line[:80].decode(errors="replace").strip()
        raise _broken(f"a line that is not JSON: {shown!r}") from error
    if not isinstance(value, dict):
        raise _broken("a line that is no JSON object")
    return value


_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"')


def _is_much(line: bytes) -> bool:
    """Whether there would be too much in it; of a line with texts this may be said wrongly."""
    return line.count(b",") > MOST_VALUES or line.count(b"[") + line.count(b"{") > MOST_GROUPS


def _broken(what: str) -> UpstreamError:
    return UpstreamError(f"the guest wrote {what}", Code.PROTOCOL)
