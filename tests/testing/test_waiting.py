"""Waiting with an end."""

from __future__ import annotations

import asyncio

import pytest

from rhetor.testing.waiting import Changes, Gate


async def test_waiting_ends_when_the_condition_holds() -> None:
    changes, facts = Changes(), list[str]()
    async with asyncio.TaskGroup() as group:
        group.create_task(changes.until(lambda: len(facts) == 2, 5, "two facts"))
        for fact in "ab":
            await asyncio.sleep(0)
            facts.append(fact)
            changes.tell()


async def test_what_does_not_happen_fails_the_test_by_name() -> None:
    with pytest.raises(AssertionError, match="the moon turns green"):
        await Changes().until(lambda: False, 0.001, "the moon turns green")


async def test_a_gate_lets_through_when_it_opens_and_from_then_on() -> None:
    gate = Gate()
    async with asyncio.TaskGroup() as group:
        waiting = [group.create_task(gate.passed()) for _ in range(3)]
        await gate.reached(3)
        assert not any(task.done() for task in waiting)
        gate.open()
    await gate.passed()


async def test_a_gate_that_nobody_reaches_fails_the_test() -> None:
    with pytest.raises(AssertionError, match="2 waiting"):
        await Gate().reached(2, within_s=0.001)
