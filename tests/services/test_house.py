"""A house minds its children from the first one on."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from rhetor.services import minder
from rhetor.services.house import House, folder_id
from tests.services.children import shell, until, with_variable

pytestmark = [
    pytest.mark.usefixtures("no_leaks"),
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]


async def test_the_minder_comes_with_the_first_child_and_goes_in_the_end(tmp_path: Path) -> None:
    house = House("a")
    assert not with_variable(minder.MINDS, house.id)
    first, second = await asyncio.gather(
        *(house.start(shell("exec sleep 600", tmp_path), mark="m") for _ in "ab")
    )
    await until(lambda: len(with_variable(minder.HOUSE, house.id)) == 2)
    await until(lambda: len(with_variable(minder.MINDS, house.id)) == 1)
    await asyncio.gather(first.stop(), second.stop())
    await house.close()
    assert not with_variable(minder.MINDS, house.id)
    await house.close()


async def test_a_minder_that_was_killed_is_replaced(tmp_path: Path) -> None:
    house = House("a")
    first = await minder_of(house)
    os.kill(first, signal.SIGKILL)
    assert await minder_of(house, other_than=first) != first
    await house.close()


async def minder_of(house: House, other_than: int | None = None) -> int:
    """The one that is there when a child is started. A program that has just begun has no environment yet."""
    async with asyncio.timeout(5.0):
        while True:
            await house.ensure_minded()
            if found := set(with_variable(minder.MINDS, house.id)) - {other_than}:
                return found.pop()
            await asyncio.sleep(0.01)


async def test_what_was_not_stopped_ends_with_the_house(tmp_path: Path) -> None:
    house = House("a")
    child = await house.start(shell("exec sleep 600", tmp_path), mark="m")
    await house.close()
    assert not with_variable(minder.HOUSE, house.id)
    await child.stop()


def test_a_folder_is_known_again_and_told_from_others(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "one")
    assert folder_id(tmp_path / "one") == folder_id(tmp_path / "link")
    assert folder_id(tmp_path / "one") != folder_id(tmp_path / "two")


def test_no_two_houses_are_the_same() -> None:
    assert House("a").id != House("a").id
    assert House("a").id.partition(".")[0] == "a"
