"""Whom children belong to: this gateway, as far as they and its successor can tell."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from rhetor.core.errors import Code, RhetorError
from rhetor.core.ids import new_id
from rhetor.services import minder
from rhetor.services.process import Child, OnSaid, Spec, start

log = logging.getLogger(__name__)

CLOSING_S = minder.WITHIN_S + 1.0
MINDED = sys.platform == "linux"
"""Where others' environments can be read; elsewhere there are only process groups."""


def folder_id(folder: Path) -> str:
    """The same for every gateway that has this folder, whatever it calls it, and for no other one here."""
    found = folder.stat()
    return f"{found.st_dev:x}-{found.st_ino:x}"


class House:
    """Starts children, and sees to it that none outlives this process.

    The first one is preceded by a minder: a program that ends them all when this process is gone.
    """

    def __init__(self, folder: str) -> None:
        """
        Args:
            folder: see `folder_id`.
        """
        self.id = f"{folder}.{new_id('house')}"
        self._turn = asyncio.Lock()
        self._minder: subprocess.Popen[bytes] | None = None

    async def start(
        self, spec: Spec, *, mark: str, on_said: OnSaid | None = None, on_out: OnSaid | None = None
    ) -> Child:
        """See `process.start`."""
        return await start(spec, self, mark=mark, on_said=on_said, on_out=on_out)

    async def ensure_minded(self) -> None:
        """
        Raises:
            RhetorError: unavailable, there can be no minder.
        """
        async with self._turn:
            if not MINDED or (self._minder is not None and self._minder.poll() is None):
                return
            if self._minder is not None:
                log.warning("minder is gone, another one starts", extra={"code": self._minder.returncode})
                _let_go(self._minder)
            # Not in a thread: a start that nobody waits for any more would leave a minder behind.
            self._minder = _start_minder(self.id)

    async def close(self) -> None:
        """When every child was stopped. The minder leaves, and ends whatever is there nevertheless."""
        async with self._turn:
            process, self._minder = self._minder, None
        if process is not None:
            _let_go(process)
            await asyncio.to_thread(_wait, process)


def _start_minder(house: str) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", minder.__file__, house],
            cwd="/",
            env={minder.MINDS: house},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            start_new_session=True,  # Ctrl-C in a terminal is not for it
        )
    except OSError as error:
        message = f"cannot start the program that ends children when this gateway dies: {error}"
        raise RhetorError(message, Code.UNAVAILABLE) from error


def _let_go(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    process.stdin.close()


def _wait(process: subprocess.Popen[bytes]) -> None:
    with suppress(subprocess.TimeoutExpired):
        process.wait(CLOSING_S)
