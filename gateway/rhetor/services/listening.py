"""Whose a listening port is, as far as the kernel tells."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from rhetor.services import minder

TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
LISTENING = "0A"  # TCP_LISTEN, see include/net/tcp_states.h of Linux
PORT_DIGITS = 4


def is_held(port: int, belongs: Callable[[int], bool]) -> bool | None:
    """Whether a process that belongs listens there; None where the kernel tells nothing.

    False may also mean that its processes cannot be looked into.
    """
    sockets = _listeners(port)
    if sockets is None:
        return None
    return any(not sockets.isdisjoint(_sockets_of(pid)) for pid in minder.pids() if belongs(pid))


def _listeners(port: int) -> set[str] | None:
    """The listening sockets of a port, as links in `/proc/PID/fd` name them."""
    wanted = f":{port:0{PORT_DIGITS}X}"
    found: set[str] = set()
    for table in TABLES:
        try:
            lines = table.read_text().splitlines()[1:]
        except OSError:
            continue
        fields = [line.split() for line in lines]
        found |= {f"socket:[{it[9]}]" for it in fields if it[3] == LISTENING and it[1].endswith(wanted)}
    return found or None


def _sockets_of(pid: int) -> set[str]:
    folder = f"/proc/{pid}/fd"
    found = set()
    try:
        for name in os.listdir(folder):
            try:
                found.add(os.readlink(f"{folder}/{name}"))
            except OSError:  # closed just now
                continue
    except OSError:  # it ended just now, or is somebody else's
        return found
    return found
