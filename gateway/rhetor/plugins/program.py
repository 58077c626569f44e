"""Programs of other people that fetch for us: watched, bounded, and with nothing of ours in their hands."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from rhetor.core.errors import BadRequest, Code, RhetorError

LOOK_S = 0.05  # a line of 1 GBit/s brings 6 MB meanwhile
SAID_BYTES = 8_000
WITHIN_S = 300.0
KEPT = (
    "PATH",
    "LANG",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "SYSTEMROOT",
)
"""What a program needs to reach the network as this machine does; nothing else is inherited."""


class Fetching:
    """What the programs of one fetch share: a folder, a ceiling, a clock, and a way to give up.

    Args:
        folder: theirs; it is their home, too.
        most_bytes: what may be in it.
        given_up: set by another thread when nobody waits any more.
    """

    def __init__(
        self, folder: Path, environ: Mapping[str, str], most_bytes: int, given_up: threading.Event
    ) -> None:
        self.folder = folder
        self._env = {name: environ[name] for name in KEPT if environ.get(name)}
        self._env |= {"HOME": str(folder), "TMPDIR": str(folder), "LC_ALL": "C"}
        self._most_bytes = most_bytes
        self._given_up = given_up
        self._until_s = time.monotonic() + WITHIN_S

    def run(
        self, argv: Sequence[str], env: Mapping[str, str], what: str, told: bytes = b""
    ) -> tuple[int, Path, str]:
        """Run a program to its end: its exit code, the file with what it wrote, and what it complained of.

        Args:
            told: its standard input.

        Raises:
            BadRequest: request_too_large, its folder has grown beyond the ceiling; unavailable, it is not
                here.
            RhetorError: total_timeout; cancelled.
        """
        program = shutil.which(argv[0], path=self._env.get("PATH"))
        if program is None:
            message = f"{what} needs the program {argv[0]}; install it, or add the plugin's folder"
            raise BadRequest(message, Code.UNAVAILABLE)
        given, out, err = (self.folder / name for name in ("told", "said", "complaints"))
        given.write_bytes(told)
        with given.open("rb") as telling, out.open("wb") as said, err.open("wb") as complaints:
            process = subprocess.Popen(
                [program, *argv[1:]],
                cwd=self.folder,
                env={**self._env, **env},
                stdin=telling,
                stdout=said,
                stderr=complaints,
                start_new_session=True,
            )
            try:
                code = self._watch(process, what)
            finally:
                _end(process)
        with err.open("rb") as file:
            complaint = file.read(SAID_BYTES).decode("utf-8", "replace")
        # A server far away has a say in it: nothing of that steers a terminal.
        shown = "".join(each if each.isprintable() else " " for each in complaint)
        return code, out, " ".join(shown.split())

    def _watch(self, process: subprocess.Popen[bytes], what: str) -> int:
        while True:
            with suppress(subprocess.TimeoutExpired):
                return process.wait(LOOK_S)
            if self._given_up.is_set():
                raise RhetorError(f"{what} was given up", Code.CANCELLED)
            if time.monotonic() > self._until_s:
                raise RhetorError(
                    f"{what} took more than {WITHIN_S:g} s; is it that large?", Code.TOTAL_TIMEOUT
                )
            if _size_of(self.folder, self._most_bytes) > self._most_bytes:
                most = f"{self._most_bytes >> 20} MiB"
                message = f"{what} was stopped: it brings more than {most}; see plugins.max_mb"
                raise BadRequest(message, Code.TOO_LARGE, param="source")


def _end(process: subprocess.Popen[bytes]) -> None:
    """It, and whatever it has started."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _size_of(folder: Path, enough: int) -> int:
    """What the files below a folder have together; as soon as it is enough, it is not counted on."""
    total = 0
    for at, _, files in os.walk(folder):
        for name in files:
            with suppress(OSError):
                total += os.lstat(os.path.join(at, name)).st_size
        if total > enough:
            break
    return total
