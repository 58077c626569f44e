"""What a service has said lately, line by line, without secrets; whoever wants to hears what comes."""

from __future__ import annotations

import asyncio
import codecs
from collections import deque
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from itertools import dropwhile

from rhetor.core.clock import Clock
from rhetor.core.value import value
from rhetor.telemetry.logs import Redactor

LONGEST = 8 * 1024  # characters of a line; longer ones are cut, but not in the middle of a secret
HELD = 256 * 1024  # of a line that cannot be cut: a variable of 128 KiB is the longest that Linux hands over
AT_ONCE = 512  # lines of one read that are kept: each costs the loop some 15 µs
LINE_BYTES = 64  # that a line takes beside its text


@value
class Line:
    seq: int
    """Its place: the first one has 1."""
    at: datetime
    text: str
    ours: bool
    """A remark of the gateway's, such as that it was started."""


class Journal:
    """Keeps the last lines, and has `put` told what is written.

    Args:
        most_bytes: how much is kept; at least the last line is.
        redactor: takes secrets out of a line.
    """

    def __init__(self, most_bytes: int, redactor: Redactor, clock: Clock) -> None:
        self.most_bytes = most_bytes
        self._redactor = redactor
        self._clock = clock
        self._lines: deque[Line] = deque()
        self._size_bytes = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._begun = ""
        self._cut_at = LONGEST
        """How long what has begun must be before a cut is looked for: it costs the more the longer it is."""
        self._news: asyncio.Future[None] | None = None
        self.last = 0
        """The place of the last line."""

    def put(self, data: bytes) -> None:
        """The service wrote this, whole lines or not."""
        *ends, rest = (self._begun + self._decoder.decode(data)).split("\n")
        if (skipped := len(ends) - AT_ONCE) > 0:
            ends = ends[skipped:]
            self._add(f"{skipped} lines came at once with the following ones, and are left out", ours=True)
        for line in ends:
            self._add(_last_shown(line))
        self._begun = _last_shown(rest)
        if len(self._begun) <= LONGEST:
            self._cut_at = LONGEST
        elif len(self._begun) > self._cut_at:
            self._cut()

    def note(self, text: str) -> None:
        """A remark of ours, on a line of its own."""
        if self._begun:
            self._add(self._begun)
            self._begun = ""
        self._add(text, ours=True)

    def after(self, seq: int) -> Sequence[Line]:
        """The lines after this place, as far as they are kept."""
        return list(dropwhile(lambda line: line.seq <= seq, self._lines))

    def latest(self, count: int) -> Sequence[Line]:
        return list(self._lines)[max(0, len(self._lines) - count) :]

    async def follow(self, seq: int) -> AsyncIterator[Sequence[Line]]:
        """The lines after this place, and then those that come, without an end."""
        while True:
            if lines := self.after(seq):
                seq = lines[-1].seq
                yield lines
            else:
                await self.more()

    async def more(self) -> None:
        """Wait for the next line."""
        if self._news is None:
            self._news = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._news)

    def _cut(self) -> None:
        at = self._redactor.cut(self._begun)
        if not at and len(self._begun) > HELD:
            at = len(self._begun)
        if at:
            self._add(self._begun[:at])
            self._begun = self._begun[at:]
        self._cut_at = len(self._begun) + LONGEST

    def _add(self, text: str, ours: bool = False) -> None:
        for piece in _pieces(self._redactor.text(text)):
            self.last += 1
            self._lines.append(Line(self.last, self._clock.utc(), piece, ours))
            self._size_bytes += _bytes(piece)
        while self._size_bytes > self.most_bytes and len(self._lines) > 1:
            self._size_bytes -= _bytes(self._lines.popleft().text)
        if self._news is not None:
            self._news.set_result(None)
            self._news = None


def _last_shown(line: str) -> str:
    """What a terminal would show in the end of a line that was written over itself, as progress is."""
    return line.removesuffix("\r").rpartition("\r")[2] if "\r" in line else line


def _pieces(text: str) -> Sequence[str]:
    return [text[n : n + LONGEST] for n in range(0, len(text), LONGEST)] or [""]


def _bytes(text: str) -> int:
    return len(text) + LINE_BYTES
