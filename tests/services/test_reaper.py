"""A gateway ends what its predecessor left, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from rhetor.services import minder, reaper
from rhetor.services.house import House
from rhetor.services.reaper import reap
from tests.services.children import FOLDER, PATH, ended, is_alive, started

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

FORMER, NOW = f"{FOLDER}.former", f"{FOLDER}.now"


@pytest.fixture
def left() -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """Processes of several houses."""
    houses = (FORMER, f"{FOLDER}2.former", f"{FOLDER[:-1]}.former", NOW)
    processes = {house: started("sleep", "600", env={"PATH": PATH, minder.HOUSE: house}) for house in houses}
    yield processes
    for process in processes.values():
        ended(process)


async def test_only_the_same_folder_s_former_children_end(left: dict[str, subprocess.Popen[bytes]]) -> None:
    assert await reap(NOW) == 1
    alive = {house: is_alive(process.pid) for house, process in left.items()}
    assert list(alive.values()) == [False, True, True, True]


async def test_what_a_living_gateway_s_minder_waits_for_is_left_alone(
    left: dict[str, subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reaper.minder, "WITHIN_S", 0.2)
    program = (sys.executable, "-I", "-S", minder.__file__, FORMER)
    waiting = started(*program, env={minder.MINDS: FORMER})
    assert await reap(NOW) == 1
    assert is_alive(left[FORMER].pid)
    ended(waiting)


async def test_there_is_mostly_nothing() -> None:
    assert await reap(House("nobody-has-this").id) == 0
