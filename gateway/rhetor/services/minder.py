"""Ends what a gateway started, when the gateway itself has died without a word.

A program of its own, `python -I -S minder.py HOUSE`, which needs nothing of this package. The gateway holds
the other end of its standard input, so the end of that means that the gateway is gone, however it went. Then
every process of this user that carries the house in its environment is ended; after an orderly stop there is
none.

The functions are also what the gateway itself finds its children's children by: see `process`, `reaper`.
"""

from __future__ import annotations

import os
import signal
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:  # spelt so that nothing is imported: this program waits for months, and should be small
    from collections.abc import Callable

HOUSE = "RHETOR_HOUSE"
"""Which gateway a process belongs to: an id of its folder, a dot, and something random."""
MARK = "RHETOR_MARK"
"""What it is for, such as a session."""
CHILD = "RHETOR_CHILD"
"""Which start it comes from: never the same twice."""
MINDS = "RHETOR_MINDS"
"""Which house a minder waits for; it is not of the house itself."""

GRACE_S = 1.5  # two pauses of an editor that saves its buffers; the whole must be over after 5 s
WITHIN_S = 4.5
PAUSE_S = 0.05


def environment_of(pid: int) -> dict[str, str]:
    """Nothing, when the process is gone, a zombie, or somebody else's."""
    try:
        if os.stat(f"/proc/{pid}").st_uid != os.geteuid():
            return {}
        with open(f"/proc/{pid}/environ", "rb") as file:
            pairs = os.fsdecode(file.read()).split("\0")
    except OSError:
        return {}
    return dict(pair.partition("=")[::2] for pair in pairs)


def session_of(pid: int) -> int | None:
    """The session, in the kernel's sense, that a living process is in."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()  # the name before it may have anything in it
    except OSError:
        return None
    return int(fields[3]) if fields[0] not in (b"Z", b"X") else None


def pids() -> list[int]:
    """Of all processes that can be seen; none where there is no /proc."""
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return []


def signal_those(belongs: Callable[[int], bool], number: int) -> int:
    """Signal every process that belongs, other than this one. How many there were."""
    count = 0
    for pid in pids():
        if pid == os.getpid() or not belongs(pid):
            continue
        try:
            count += _signal(pid, belongs, number)
        except OSError:  # it ended just now
            continue
    return count


def _signal(pid: int, belongs: Callable[[int], bool], number: int) -> int:
    try:
        process = os.pidfd_open(pid)
    except (AttributeError, PermissionError):  # an old kernel, or a sandbox
        os.kill(pid, number)
        return 1
    try:
        if not belongs(
            pid
        ):  # asked again, for what the descriptor holds: the number may be another one's by now
            return 0
        signal.pidfd_send_signal(process, number)
        return 1
    finally:
        os.close(process)


def wait_for_those(belongs: Callable[[int], bool], within_s: float) -> int:
    """Wait until none is left. How many are, when the time is over."""
    end_s = time.monotonic() + within_s
    while left := sum(pid != os.getpid() and belongs(pid) for pid in pids()):
        if time.monotonic() > end_s:
            break
        time.sleep(PAUSE_S)
    return left


def end_those(belongs: Callable[[int], bool], grace_s: float, within_s: float, looks: int = 2) -> int:
    """SIGTERM, then after the grace SIGKILL, again and again until none is left, or the time is over.

    How many are left, which is none unless they cannot be killed. A process that is just becoming another
    program has no environment for a moment, so it takes two looks in a row to be sure that there is none.
    """
    end_s = time.monotonic() + within_s
    number, pause_s, unseen, left = signal.SIGTERM, grace_s, 0, 0
    while unseen < looks and time.monotonic() < end_s:
        if signal_those(belongs, number):
            left = wait_for_those(belongs, pause_s)
            number, pause_s, unseen = signal.SIGKILL, PAUSE_S, 0
        else:
            left, unseen = 0, unseen + 1
            if unseen < looks:
                time.sleep(PAUSE_S)
    return left


def main(house: str) -> int:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # it leaves with the gateway, not before
    while os.read(0, 4096):
        pass
    return 1 if end_those(lambda pid: environment_of(pid).get(HOUSE) == house, GRACE_S, WITHIN_S) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
