"""The terminal's keys, one by one as they are pressed, and the terminal as it was afterwards."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

READ_BYTES = 4096
MARK_PASTES, DO_NOT_MARK = "\x1b[?2004h", "\x1b[?2004l"


def interactive() -> bool:
    """Whether somebody sits there who sees what we write and can answer."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()) or os.environ.get("TERM") == "dumb":
        return False
    try:
        import termios  # noqa: F401  # not on Windows
    except ImportError:
        return False
    return True


ENDINGS = (signal.SIGTERM, signal.SIGHUP) if hasattr(signal, "SIGHUP") else ()


class Keyboard:
    """While it is open, keys are not echoed, and come at once.

    Args:
        on_keys: told what was typed; nothing, when the terminal is gone or we are asked to end.
        on_interrupt: told of Ctrl-C.
        on_shown: told when the terminal is ours again, or has another size.
    """

    def __init__(
        self,
        on_keys: Callable[[bytes], None],
        on_interrupt: Callable[[], None],
        on_shown: Callable[[], None],
    ) -> None:
        self._on_keys = on_keys
        self._on_interrupt = on_interrupt
        self._on_shown = on_shown
        self._input = sys.stdin.fileno()

    def __enter__(self) -> Self:
        import termios

        self._before = termios.tcgetattr(self._input)
        loop = asyncio.get_running_loop()
        loop.add_reader(self._input, self._read)
        loop.add_signal_handler(signal.SIGINT, self._on_interrupt)
        loop.add_signal_handler(signal.SIGCONT, self._take)  # after Ctrl-Z and `fg`
        loop.add_signal_handler(signal.SIGWINCH, self._on_shown)
        for number in ENDINGS:
            loop.add_signal_handler(number, self._on_keys, b"")
        self._take()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        import termios

        loop = asyncio.get_running_loop()
        loop.remove_reader(self._input)
        for number in (signal.SIGINT, signal.SIGCONT, signal.SIGWINCH, *ENDINGS):
            loop.remove_signal_handler(number)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever presses it once more is leaving already
        with suppress(termios.error, OSError):  # the terminal is gone
            termios.tcsetattr(self._input, termios.TCSADRAIN, self._before)
            os.write(sys.stdout.fileno(), DO_NOT_MARK.encode())

    def _take(self) -> None:
        import termios
        import tty

        with suppress(termios.error, OSError):
            tty.setcbreak(self._input, termios.TCSADRAIN)
            os.write(sys.stdout.fileno(), MARK_PASTES.encode())
        self._on_shown()

    def _read(self) -> None:
        try:
            data = os.read(self._input, READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            asyncio.get_running_loop().remove_reader(self._input)
        self._on_keys(data)
