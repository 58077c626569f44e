"""Active checks: who is back is noticed before anybody asks."""

from __future__ import annotations

import asyncio

from rhetor.checks import check_again_and_again, check_once
from rhetor.core.errors import Code
from rhetor.routing.breaker import IN_A_ROW, State
from rhetor.routing.catalog import Candidate, Target
from rhetor.tasks import spawn, stop
from rhetor.testing import fails
from tests.pipeline.conftest import house
from tests.pipeline.house import House

__all__ = ["house"]  # the fixture

A = Candidate(Target("a", "small"), "", "a")


def down(house: House) -> None:
    """The breaker of the only target of `a` opens."""
    health = house.pipeline.health
    for _ in range(IN_A_ROW):
        health.began(A.target)
        health.ended(A, Code.UNAVAILABLE, house.pipeline.clock.monotonic_s())


def state(house: House) -> State:
    return house.pipeline.health.of(A.target, A.domain, house.pipeline.clock.monotonic_s()).breaker


async def test_whoever_answers_is_probed_by_the_next_request(house: House) -> None:
    down(house)
    assert state(house) is State.OPEN

    await check_once(house.pipeline.registry, house.pipeline.health)

    assert state(house) is State.HALF_OPEN
    assert not house["b"].requests, "only who is left alone is asked"


async def test_whoever_does_not_stays_as_it_is(house: House) -> None:
    down(house)
    house["a"].lists(but=fails(503))

    await check_once(house.pipeline.registry, house.pipeline.health)

    assert state(house) is State.OPEN


async def test_rounds_follow_each_other_until_they_are_switched_off(house: House) -> None:
    down(house)
    house["a"].lists(but=fails(503))
    rounds = spawn(
        check_again_and_again(house.pipeline.registry, house.pipeline.health, lambda: 0.001), "checks"
    )

    async with asyncio.timeout(5):
        while len(house["a"].requests) < 2:
            await asyncio.sleep(0)

    await stop(rounds)
