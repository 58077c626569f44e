"""How what we measure is started, awaited and ended. Whatever starts here ends here, also on Ctrl-C."""

import ctypes
import http.client
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.machine import process_tree

READY_S = 30.0  # a cold disk and a slow core; anything longer is a failure worth reporting
ANSWER_S = 5.0
LOOK_AGAIN_S = 0.003  # the precision of the time to ready
GRACE_S = 8.0  # a gateway may let its requests end before it leaves
LOG_LINES = 3  # a traceback ends with what matters
PR_SET_PDEATHSIG = 1


class DidNotStart(Exception):
    """A subject ended or stayed silent instead of becoming ready; carries the end of its log."""


def free_port() -> int:
    """A port of the loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(
    command: list[str], core: int, folder: Path, env: dict[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """A process pinned to a core, its output in a log. Its own session: Ctrl-C shall reach only us."""

    def settle() -> None:
        os.sched_setaffinity(0, {core})
        # If we are killed, nobody else would end it.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)

    with log_of(folder).open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=settle,
        )
    try:
        yield process
    finally:
        end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """Asks politely, then insists, also with descendants. Returns when the process is gone."""
    family = process_tree(process.pid)
    process.terminate()
    try:
        process.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pid in family[1:]:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def wait_until_ready(process: subprocess.Popen[bytes], port: int, folder: Path) -> float:
    """Seconds until GET /ready answers 200, counted from this call.

    Raises:
        DidNotStart: it ended, or READY_S passed.
    """
    begin_s = time.monotonic()
    last = "no connection"
    while time.monotonic() - begin_s < READY_S:
        if process.poll() is not None:
            raise DidNotStart(f"ended with {process.returncode}: {_log_end(folder)}")
        try:
            status, _ = get(port, "/ready")
        except (OSError, http.client.HTTPException) as error:
            last = str(error)
        else:
            if status == 200:
                return time.monotonic() - begin_s
            last = f"/ready answers {status}"
        time.sleep(LOOK_AGAIN_S)
    raise DidNotStart(f"not ready after {READY_S:.0f} s ({last}): {_log_end(folder)}")


def get(port: int, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_S)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def log_of(folder: Path) -> Path:
    return folder / "log"


def _log_end(folder: Path) -> str:
    lines = log_of(folder).read_text(errors="replace").split("\n")
    return " | ".join(line.strip() for line in lines[-LOG_LINES - 1 :] if line.strip()) or "its log is empty"
