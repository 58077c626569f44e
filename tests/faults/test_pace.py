"""Time that passes faster does so for everybody alike."""

from __future__ import annotations

import asyncio
import time

from tests.faults.pace import LoopClock, run

PACE = 50.0
NAP_S = 2.0


async def _nap() -> tuple[float, float, float]:
    clock, loop = LoopClock(), asyncio.get_running_loop()
    began_s, began = loop.time(), clock.utc()
    await asyncio.sleep(NAP_S)
    return loop.time() - began_s, clock.monotonic_s() - began_s, (clock.utc() - began).total_seconds()


def test_a_nap_takes_its_time_by_every_clock_of_the_loop() -> None:
    for napped_s in run(_nap(), PACE):
        assert napped_s >= NAP_S


def test_a_nap_is_short_by_the_clock_on_the_wall() -> None:
    began_s = time.monotonic()
    run(_nap(), PACE)
    assert time.monotonic() - began_s < NAP_S


async def _timeout() -> None:
    async with asyncio.timeout(NAP_S):
        await asyncio.get_running_loop().create_future()


def test_timeouts_expire() -> None:
    try:
        run(_timeout(), PACE)
    except TimeoutError:
        return
    raise AssertionError("it did not expire")
