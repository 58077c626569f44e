"""No more sessions are live than may be, also where many want to be at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from rhetor.core.errors import Code, RhetorError
from rhetor.sessions.asking import Accepted
from rhetor.sessions.backend import Said
from rhetor.store.base import SessionRow
from tests.sessions.scripted import says, waits
from tests.sessions.test_manager import Box, becomes, refused, until

pytestmark = pytest.mark.usefixtures("no_leaks")

HI = Said("hi", "msg_1")


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[Box]:
    async with AsyncExitStack() as stack:
        yield Box(tmp_path, stack)


@pytest.mark.parametrize("of_backend", [True, False])
async def test_those_who_come_together_are_counted(box: Box, of_backend: bool) -> None:
    if of_backend:
        box.backend.max_sessions = 2
    sessions = box.open(max_live=100 if of_backend else 2)
    rows = [await sessions.create(box.new()) for _ in range(6)]
    for _ in rows:
        box.backend.next(waits())
    said = await asyncio.gather(*(sessions.send("", row.id, HI) for row in rows), return_exceptions=True)
    assert sum(isinstance(it, Accepted) for it in said) == 2
    assert {it.code for it in said if isinstance(it, RhetorError)} == {Code.POOL_FULL}
    assert sessions.live == 2


async def test_those_who_begin_together_are_counted(box: Box) -> None:
    """And of those that are refused nothing is left."""
    box.backend.max_sessions = 2
    sessions = box.open()
    for _ in range(6):
        box.backend.next(waits())
    said = await asyncio.gather(*(sessions.create(box.new("hi")) for _ in range(6)), return_exceptions=True)
    assert sum(isinstance(it, SessionRow) for it in said) == 2
    assert len(await sessions.list("")) == 2


async def test_two_who_come_together_each_get_the_place_of_another(box: Box) -> None:
    box.backend.max_sessions = 2
    sessions = box.open()
    rows = [await sessions.create(box.new()) for _ in range(4)]
    for row in rows[:2]:
        accepted = await sessions.send("", row.id, HI)
        await until(sessions, row.id, becomes("idle"), accepted.seq)
    assert sessions.live == 2
    for _ in rows[2:]:
        box.backend.next(waits())
    await asyncio.gather(*(sessions.send("", row.id, HI) for row in rows[2:]))
    assert sessions.live == 2
    assert {it.setup.session_id for it in box.backend.open_ones} <= {row.id for row in rows[2:]}


async def test_a_refusal_keeps_no_place(box: Box) -> None:
    box.backend.max_sessions = 1
    sessions = box.open()
    row = await sessions.create(box.new())
    await sessions.suspend("", row.id)
    assert (await refused(sessions.send("", row.id, HI))).code is Code.CONFLICT
    assert sessions.live == 0
    box.backend.next(says("hello"))
    await sessions.create(box.new("hi"))
