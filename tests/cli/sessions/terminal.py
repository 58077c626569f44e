"""A terminal with a program in it, as somebody sits at one."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import re
import struct
import sys
import termios
from contextlib import suppress
from pathlib import Path
from typing import Self

from tests.cli.conftest import PATIENCE_S, clean_environment

ROWS, COLUMNS = 40, 120
CONTROLS = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07]*\x07|[\x00-\x08\x0b-\x1f]")
CTRL_C, CTRL_D, ENTER, UP = "\x03", "\x04", "\r", "\x1b[A"


class Terminal:
    def __init__(self, process: asyncio.subprocess.Process, side: int) -> None:
        self.process = process
        self._side = side
        self._seen = ""
        self._place = 0  # up to where it was waited for, without colours
        self._more = asyncio.Event()
        asyncio.get_running_loop().add_reader(side, self._read)

    @classmethod
    async def of(cls, folder: Path, url: str, *arguments: str) -> Self:
        ours, its = pty.openpty()
        fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "rhetor", *arguments,
            cwd=folder, env=clean_environment({"RHETOR_URL": url, "TERM": "xterm-256color"}),
            stdin=its, stdout=its, stderr=its, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        os.close(its)
        return cls(process, ours)

    def type(self, keys: str) -> None:
        os.write(self._side, keys.encode())

    def say(self, text: str) -> None:
        self.type(text + ENTER)

    async def until(self, text: str) -> str:
        """Wait until this is shown, after what was waited for before; what was shown until then, in plain."""
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                while text not in CONTROLS.sub("", self._seen)[self._place :]:
                    self._more.clear()
                    await self._more.wait()
        shown = CONTROLS.sub("", self._seen)[self._place :]
        assert text in shown, f"no {text!r} in:\n{shown}"
        end = shown.index(text) + len(text)
        self._place += end
        return shown[:end]

    async def ended(self) -> int:
        async with asyncio.timeout(PATIENCE_S):
            return await self.process.wait()

    @property
    def echoes(self) -> bool:
        """Whether it shows what is typed by itself, as terminals do where nobody told them otherwise."""
        return bool(termios.tcgetattr(self._side)[3] & termios.ECHO)

    async def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._side)
        os.close(self._side)
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()

    def _read(self) -> None:
        try:
            data = os.read(self._side, 1 << 16)
        except OSError:  # the program has ended
            data = b""
        if not data:
            asyncio.get_running_loop().remove_reader(self._side)
        self._seen += data.decode(errors="replace")
        self._more.set()
