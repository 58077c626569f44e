"""Ends what a former gateway of the same folder left behind, for when its minder died as well."""

from __future__ import annotations

import asyncio
import logging
import time

from rhetor.services import minder

log = logging.getLogger(__name__)

GRACE_S = 1.5
WITHIN_S = 4.0


async def reap(house: str) -> int:
    """End every process of an earlier house with the same folder. How many there were.

    Where its minder is at work it is left to that one. One that still waits shows that its gateway is alive:
    then two gateways share a folder, and nothing is touched.
    """
    return await asyncio.to_thread(_reap, house)


def _reap(house: str) -> int:
    found = _left_behind(house)
    if not found:
        return 0
    end_s = time.monotonic() + minder.WITHIN_S
    while (others := _minded() & set(found.values())) and time.monotonic() < end_s:
        time.sleep(minder.PAUSE_S)
    if others:
        log.error(
            "another gateway has this folder, its processes are left alone", extra={"count": len(others)}
        )

    def belongs(pid: int) -> bool:
        of = minder.environment_of(pid).get(minder.HOUSE, "")
        return _is_former(of, house) and of not in others

    left = minder.end_those(belongs, GRACE_S, WITHIN_S)
    log.info("ended what a former gateway left behind", extra={"processes": len(found), "left": left})
    return len(found)


def _is_former(of: str, house: str) -> bool:
    return of != house and of.partition(".")[0] == house.partition(".")[0]


def _left_behind(house: str) -> dict[int, str]:
    """Processes of earlier houses with the same folder, and which; seen in two looks, as in `end_those`."""
    found: dict[int, str] = {}
    for pause_s in (minder.PAUSE_S, 0.0):
        houses = {pid: minder.environment_of(pid).get(minder.HOUSE, "") for pid in minder.pids()}
        found |= {pid: of for pid, of in houses.items() if _is_former(of, house)}
        time.sleep(pause_s)
    return found


def _minded() -> set[str]:
    return {minder.environment_of(pid).get(minder.MINDS, "") for pid in minder.pids()}
