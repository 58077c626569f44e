"""When the gateway dies without a word, nothing that it started is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rhetor.services import minder
from tests.services.children import (
    DAEMON,
    FOLDER,
    PATH,
    STUBBORN,
    ended,
    is_alive,
    read_pid,
    started,
    until,
    with_variable,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

GATEWAY = """
import asyncio, sys
from pathlib import Path
from rhetor.services.house import House
from rhetor.services.process import Spec

STUBBORN, DAEMON, PATH = sys.argv[1:4]

async def main():
    house = House("minded")
    print(house.id, flush=True)
    for program, stdout in ((STUBBORN, "ring"), (DAEMON + "\\ntime.sleep(600)", "lines")):
        argv = (sys.executable, "-I", "-S", "-c", program, "pid")
        spec = Spec(argv=argv, cwd=Path.cwd(), env={"PATH": PATH}, label="it", stdin=True, stdout=stdout)
        await house.start(spec, mark="m")
    print("started", flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


async def test_kill_9_of_the_gateway_leaves_nothing(tmp_path: Path) -> None:
    """A child that ignores SIGTERM and a grandchild in its own session are gone after 5 s."""
    gateway = subprocess.Popen(
        [sys.executable, "-c", GATEWAY, STUBBORN, DAEMON, PATH],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
    )
    assert gateway.stdout is not None
    house = gateway.stdout.readline().decode().strip()
    assert gateway.stdout.readline() == b"started\n"
    await until(lambda: read_pid(tmp_path / "pid") is not None)
    await until(lambda: len(with_variable(minder.HOUSE, house)) == 3)
    await until(lambda: len(with_variable(minder.MINDS, house)) == 1)

    gateway.kill()
    gateway.wait()
    gateway.stdout.close()

    await until(lambda: not with_variable(minder.HOUSE, house), within_s=5.0)
    await until(lambda: not with_variable(minder.MINDS, house), within_s=1.0)


def start_minder(house: str) -> subprocess.Popen[bytes]:
    program = [sys.executable, "-I", "-S", minder.__file__, house]
    return subprocess.Popen(program, stdin=subprocess.PIPE, env={minder.MINDS: house}, start_new_session=True)


def ignores(pid: int, number: int) -> bool:
    fields = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return bool(int(fields["SigIgn"], 16) >> (number - 1) & 1)


async def test_it_leaves_with_the_gateway_and_not_before(tmp_path: Path) -> None:
    process = start_minder("nobody.at_all")
    await until(lambda: ignores(process.pid, signal.SIGHUP))  # the last that it sets
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        process.send_signal(number)
    time.sleep(0.1)
    assert process.poll() is None
    process.communicate(timeout=5.0)
    assert process.returncode == 0


async def test_it_is_small(tmp_path: Path) -> None:
    """It waits as long as the gateway lives."""
    process = start_minder("nobody.at_all")
    await until(lambda: "RssAnon" in Path(f"/proc/{process.pid}/status").read_text())
    time.sleep(0.2)
    fields = dict(
        line.split(":", 1)
        for line in Path(f"/proc/{process.pid}/status").read_text().splitlines()
        if ":" in line
    )
    assert int(fields["RssAnon"].split()[0]) < 8_000, "kB of its own"
    process.communicate(timeout=5.0)


def test_only_the_house_is_ended(tmp_path: Path) -> None:
    """Others' processes, and those of other houses, are not touched."""
    mine, other = (
        started("sleep", "600", env={"PATH": PATH, minder.HOUSE: house})
        for house in (f"{FOLDER}.one", f"{FOLDER}.two")
    )
    try:
        one = f"{FOLDER}.one"
        assert not minder.end_those(lambda pid: minder.environment_of(pid).get(minder.HOUSE) == one, 1.0, 2.0)
        assert mine.wait(5.0) == -signal.SIGTERM
        assert is_alive(other.pid)
    finally:
        ended(other)
        ended(mine)


def test_it_never_ends_itself() -> None:
    assert minder.signal_those(lambda pid: pid == os.getpid(), signal.SIGKILL) == 0


def test_what_is_gone_has_no_environment() -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    assert minder.environment_of(process.pid) == {}
    assert minder.session_of(process.pid) is None
