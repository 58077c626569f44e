"""Small programs as children, and ways to see what became of them."""

from __future__ import annotations

import asyncio
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rhetor.services import minder
from rhetor.services.process import Spec

PATH = "/usr/bin:/bin"
FOLDER = secrets.token_hex(8)
"""Tests may run beside each other."""
HOUSE = f"{FOLDER}.house_of_a_test"


def python(program: str, folder: Path, env: Mapping[str, str] | None = None, **given: Any) -> Spec:
    """A child that runs this program."""
    argv = (sys.executable, "-I", "-S", "-u", "-c", program)
    return Spec(argv=argv, cwd=folder, env={"PATH": PATH, **(env or {})}, label="child", **given)


def shell(program: str, folder: Path, **given: Any) -> Spec:
    return Spec(argv=("sh", "-c", program), cwd=folder, env={"PATH": PATH}, label="child", **given)


def is_alive(pid: int) -> bool:
    """Zombies are not."""
    return minder.session_of(pid) is not None


def with_variable(name: str, value: str) -> list[int]:
    return [pid for pid in minder.pids() if minder.environment_of(pid).get(name) == value]


def started(*argv: str, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """A process whose environment can be seen: it has none while it becomes the program."""
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, env=env)
    for _ in range(1000):
        if env.items() <= minder.environment_of(process.pid).items():
            return process
        time.sleep(0.005)
    raise AssertionError(f"{argv} did not start")


def ended(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.communicate()


async def until(holds: Callable[[], bool], within_s: float = 5.0) -> None:
    """Wait for something that no event tells: what other processes do."""
    async with asyncio.timeout(within_s):
        while not holds():
            await asyncio.sleep(0.01)


def read_pid(path: Path) -> int | None:
    """What another process wrote there, once it has."""
    try:
        text = path.read_text()
    except FileNotFoundError:
        return None
    return int(text) if text.endswith("\n") else None


STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready'); time.sleep(600)"
)

DAEMON = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        with open(sys.argv[1], "w") as file:
            file.write(f"{os.getpid()}\\n")
        time.sleep(600)
    os._exit(0)
os.wait()
"""
"""Leaves a grandchild in a session of its own, which writes its number where the first argument says."""


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))
