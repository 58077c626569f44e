"""Turns: as many as there are, callers in turn, each in the order of coming, and none is lost."""

from __future__ import annotations

import asyncio

import pytest

from rhetor.core.errors import Code, UpstreamError
from rhetor.tasks import spawn
from rhetor.transport.slots import Slots


async def waiting(slots: Slots, count: int, caller: str = "") -> list[asyncio.Task[None]]:
    """So many who wait, the first of them first."""
    tasks = [spawn(slots.wait(caller), f"waiter {n}") for n in range(count)]
    await asyncio.sleep(0)
    return tasks


async def settled(tasks: list[asyncio.Task[None]]) -> list[bool]:
    for _ in range(3):
        await asyncio.sleep(0)
    return [task.done() for task in tasks]


async def leave(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_there_are_as_many_as_was_said(no_leaks: None) -> None:
    slots = Slots(2, 10)
    assert [slots.take() for _ in range(3)] == [True, True, False]
    assert slots.taken == 2
    slots.give_back()
    assert slots.take()


async def test_who_waits_longest_is_next(no_leaks: None) -> None:
    slots = Slots(1, 10)
    slots.take()
    first, second = await waiting(slots, 2)
    slots.give_back()
    assert await settled([first, second]) == [True, False]
    slots.give_back()
    await second
    assert slots.taken == 1


async def test_who_comes_later_does_not_overtake(no_leaks: None) -> None:
    """The slot belongs to the waiter as soon as it is given back, before the waiter wakes up."""
    slots = Slots(1, 10)
    slots.take()
    (waiter,) = await waiting(slots, 1)
    slots.give_back()
    assert not slots.take()
    await waiter


async def test_who_left_is_passed_over(no_leaks: None) -> None:
    slots = Slots(1, 10)
    slots.take()
    leaver, heir = await waiting(slots, 2)
    await leave(leaver)
    slots.give_back()
    await heir


@pytest.mark.parametrize("first", ["turn", "leaving"])
async def test_a_turn_that_comes_while_one_leaves_goes_to_the_next(first: str, no_leaks: None) -> None:
    slots = Slots(1, 10)
    slots.take()
    leaver, heir = await waiting(slots, 2)
    if first == "turn":
        slots.give_back()
        leaver.cancel()
    else:
        leaver.cancel()
        slots.give_back()
    await heir
    assert leaver.cancelled()
    assert slots.taken == 1


async def test_nobody_waits_when_all_have_left(no_leaks: None) -> None:
    slots = Slots(1, 10)
    slots.take()
    await leave(*await waiting(slots, 3))
    slots.give_back()
    assert slots.take()


async def test_closing_sends_everybody_away(no_leaks: None) -> None:
    slots = Slots(1, 10)
    slots.take()
    waiters = await waiting(slots, 2)
    slots.close()
    for waiter in waiters:
        with pytest.raises(UpstreamError) as caught:
            await waiter
        assert caught.value.code is Code.UNAVAILABLE
    with pytest.raises(UpstreamError) as caught:
        slots.take()
    assert caught.value.code is Code.UNAVAILABLE


async def test_a_turn_that_comes_just_before_closing_is_none(no_leaks: None) -> None:
    slots = Slots(1, 10)
    slots.take()
    (waiter,) = await waiting(slots, 1)
    slots.give_back()
    slots.close()
    with pytest.raises(UpstreamError) as caught:
        await waiter
    assert caught.value.code is Code.UNAVAILABLE
    assert slots.taken == 0


@pytest.mark.promise("P22")
async def test_callers_are_served_in_turn(no_leaks: None) -> None:
    """Who asks for a lot at once waits for it, and nobody else does."""
    slots = Slots(1, 100)
    slots.take()
    greedy = await waiting(slots, 50, "greedy")
    modest = await waiting(slots, 2, "modest")
    (shy,) = await waiting(slots, 1, "shy")
    for _ in range(6):
        slots.give_back()
    assert await settled([*greedy[:4], *modest, shy]) == [True, True, True, False, True, True, True]
    await leave(*greedy)
    assert slots.waiting == 0


async def test_a_turn_comes_round_again_after_leaving(no_leaks: None) -> None:
    """Those who left are not waited for, and their place in the round is no place before others."""
    slots = Slots(1, 100)
    slots.take()
    first = await waiting(slots, 1, "a")
    others = await waiting(slots, 1, "b")
    await leave(*first)
    again = await waiting(slots, 1, "a")
    slots.give_back()
    assert await settled([*others, *again]) == [True, False]
    slots.give_back()
    await again[0]


async def test_only_so_many_may_wait(no_leaks: None) -> None:
    """The next one is refused at once; a place that is left is free again."""
    slots = Slots(1, 2)
    slots.take()
    waiters = await waiting(slots, 2)
    with pytest.raises(UpstreamError) as caught:
        await slots.wait("")
    assert (caught.value.code, caught.value.retry_after_s) == (Code.POOL_FULL, 1.0)
    await leave(waiters[0])
    (heir,) = await waiting(slots, 1, "another")
    assert slots.waiting == 2
    slots.give_back()
    slots.give_back()
    await asyncio.gather(waiters[1], heir)


async def test_nobody_may_wait_where_there_is_no_queue(no_leaks: None) -> None:
    slots = Slots(1, 0)
    assert slots.take()
    with pytest.raises(UpstreamError):
        await slots.wait("")
    slots.give_back()
    assert slots.take()
