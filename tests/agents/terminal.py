"""A terminal with a program in it whose screen can be read, with all that went up it."""

from __future__ import annotations

import asyncio
import fcntl
import re
import struct
import termios
from pathlib import Path

from tests.cli.sessions import terminal

COLUMNS = 240  # paths of tests are long
_TOKEN = re.compile(
    r"\x1b\[(?P<numbers>[0-9;?]*)(?P<final>[@-~])|\x1b\][^\x07]*\x07|(?P<control>[\x00-\x1f])|(?P<text>[^\x00-\x1f]+)"
)
_PENDING = re.compile(r"\x1b(\[[0-9;?]*|\][^\x07]*)?\Z")  # the beginning of a sequence


class Paper:
    """A screen without an upper end, as far as programs use it that draw below what they have printed."""

    def __init__(self) -> None:
        self._lines = [""]
        self._row = self._column = 0
        self._held = ""

    @property
    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self._lines)

    def feed(self, data: str) -> None:
        data, self._held = self._held + data, ""
        if (pending := _PENDING.search(data)) is not None:
            data, self._held = data[: pending.start()], pending[0]
        for token in _TOKEN.finditer(data):
            if token["text"]:
                self._write(token["text"])
            elif token["control"]:
                self._control(token["control"])
            elif token["final"]:
                self._obey(token["final"], int(token["numbers"]) if token["numbers"].isdigit() else 0)

    def _write(self, text: str) -> None:
        line = self._lines[self._row].ljust(self._column)
        self._column += len(text)
        self._lines[self._row] = line[: self._column - len(text)] + text + line[self._column :]

    def _control(self, control: str) -> None:
        if control == "\r":
            self._column = 0
        elif control == "\n":
            self._move(+1)

    def _obey(self, final: str, number: int) -> None:
        if final == "A":
            self._move(-max(number, 1))
        elif final == "B":
            self._move(max(number, 1))
        elif final == "G":
            self._column = max(number, 1) - 1
        elif final == "K":
            kept = {0: self._lines[self._row][: self._column], 2: ""}
            self._lines[self._row] = kept[number]

    def _move(self, by: int) -> None:
        self._row = max(self._row + by, 0)
        self._lines += [""] * (self._row + 1 - len(self._lines))


class Seat(terminal.Terminal):
    """Somebody sits there."""

    def __init__(self, process: asyncio.subprocess.Process, side: int) -> None:
        self.paper = Paper()
        super().__init__(process, side)

    def _read(self) -> None:
        before = len(self._seen)
        super()._read()
        self.paper.feed(self._seen[before:])

    @classmethod
    async def at(cls, folder: Path, url: str, *arguments: str) -> Seat:
        seat = await cls.of(folder, url, *arguments)
        assert isinstance(seat, Seat)
        fcntl.ioctl(seat._side, termios.TIOCSWINSZ, struct.pack("HHHH", terminal.ROWS, COLUMNS, 0, 0))
        return seat
