"""The owner of a session, where its backend or its store does not do as it should."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from rhetor.core.errors import Code, RhetorError
from rhetor.sessions import manager
from rhetor.sessions import session as module
from rhetor.sessions.backend import Said, Verdict
from rhetor.store.base import LoggedEvent, SessionRow
from rhetor.store.sql.sessions import SqlSessions
from tests.sessions.scripted import Gate, asks, breaks, says, waits
from tests.sessions.test_manager import Box, becomes, is_a, text_of, until

pytestmark = pytest.mark.usefixtures("no_leaks")


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[Box]:
    async with AsyncExitStack() as stack:
        yield Box(tmp_path, stack)


async def test_a_backend_that_hears_no_interruption_is_ended(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STOP_S", 0.05)
    sessions = box.open()
    box.backend.next(says("I go on"), waits(deaf=True))
    row = await sessions.create(box.new("hi"))
    await until(sessions, row.id, is_a("assistant"))

    await sessions.interrupt("", row.id)

    events = await until(sessions, row.id, becomes("failed"))
    assert "did not end its turn" in events[-2].content
    assert not box.backend.open_ones


async def test_a_suspension_does_not_wait_for_the_turn(box: Box) -> None:
    sessions = box.open()
    box.backend.next(says("half"), waits(deaf=True))
    row = await sessions.create(box.new("hi"))
    await until(sessions, row.id, is_a("assistant"))
    state = await sessions.suspend("", row.id)
    assert not box.backend.open_ones
    assert state["last_seq"] == (await sessions.get("", row.id)).last_seq


async def test_an_interruption_withdraws_what_was_asked(box: Box) -> None:
    sessions = box.open()
    box.backend.next(asks("a1"), says("never"))
    row = await sessions.create(box.new("hi"))
    await until(sessions, row.id, becomes("waiting_input"))

    await sessions.interrupt("", row.id)

    events = await until(sessions, row.id, becomes("idle"))
    resolved = next(event for event in events if event.type == "approval_resolved")
    assert (resolved.content, resolved.data["by"]) == ("withdrawn", "backend")
    assert text_of(events) == ""
    assert (await sessions.get("", row.id)).document["waiting_for"] == []


async def test_an_interruption_before_the_backend_is_open_ends_the_turn(box: Box) -> None:
    sessions = box.open()
    gate = Gate()
    opening = box.backend.open

    async def slowly(setup: object) -> object:
        arrived.set()
        while not gate.is_open:
            await asyncio.Event().wait()
        return await opening(setup)  # type: ignore[arg-type]

    arrived = asyncio.Event()
    box.backend.open = slowly  # type: ignore[assignment,method-assign]
    row = await sessions.create(box.new("hi"))
    await arrived.wait()
    await sessions.interrupt("", row.id)
    events = await until(sessions, row.id, becomes("idle"))
    assert events[-1].data["reason"] == "interrupted"


async def test_an_idle_backend_rests_after_a_while(box: Box) -> None:
    box.backend.warm_s = 0.0
    sessions = box.open()
    row = await sessions.create(box.new("hi"))
    await until(sessions, row.id, becomes("idle"))
    async with asyncio.timeout(5):
        while sessions.live:
            await asyncio.sleep(0)
    assert not box.backend.open_ones
    assert (await sessions.get("", row.id)).state == "idle"
    accepted = await sessions.send("", row.id, Said("still there?", "msg_2"))
    await until(sessions, row.id, becomes("idle"), accepted.seq)


async def test_a_store_that_fails_loses_no_session(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = box.open()
    gate = Gate()
    box.backend.next(says("one"), waits(gate), says("two"))
    box.backend.next(says("three"))
    row = await sessions.create(box.new("hi"))
    await until(sessions, row.id, is_a("assistant"))
    real = SqlSessions.append

    async def full(self: SqlSessions, row: SessionRow, events: Sequence[LoggedEvent]) -> None:
        raise RhetorError("the disk is full", Code.UNAVAILABLE)

    monkeypatch.setattr(SqlSessions, "append", full)
    gate.open()
    async with asyncio.timeout(5):
        while sessions.live:
            await asyncio.sleep(0)
    with pytest.raises(RhetorError, match="disk is full"):
        await sessions.send("", row.id, Said("x", "msg_2"))
    monkeypatch.setattr(SqlSessions, "append", real)

    accepted = await sessions.send("", row.id, Said("again", "msg_3"), resume=True)

    events = await until(sessions, row.id, becomes("idle"), accepted.seq)
    assert text_of(events) == "three"
    page = await sessions.read("", row.id, 0, 1000)
    assert [event.seq for event in page.events] == list(range(1, len(page.events) + 1))


async def test_a_backend_that_fails_between_turns_is_told(box: Box) -> None:
    sessions = box.open()
    box.backend.next(says("done"))
    box.backend.next(breaks("it fell over"))
    row = await sessions.create(box.new("hi"))
    await until(sessions, row.id, becomes("idle"))
    accepted = await sessions.send("", row.id, Said("more", "msg_2"))
    events = await until(sessions, row.id, becomes("failed"), accepted.seq)
    assert [event.type for event in events][-2:] == ["error", "status_change"]
    assert events[-2].content == "it fell over"


async def test_who_leaves_while_something_is_done_does_not_stop_it(box: Box) -> None:
    sessions = box.open()
    box.backend.next(says("done"))
    creating = asyncio.ensure_future(sessions.create(box.new("hi", key="k")))  # noqa: TID251 - a caller
    await asyncio.sleep(0)
    creating.cancel()
    row = await sessions.create(box.new("hi", key="k"))
    events = await until(sessions, row.id, becomes("idle"))
    assert [event.type for event in events].count("user") == 1


async def test_a_backend_that_raises_what_is_no_error_of_ours_costs_the_turn_only(
    box: Box, caplog: pytest.LogCaptureFixture
) -> None:
    sessions = box.open()
    box.backend.next(says("fine"))
    row = await sessions.create(box.new("hi"))
    await until(sessions, row.id, becomes("idle"))

    async def broken(said: Said) -> None:
        raise ValueError("a bug")

    box.backend.last.send = broken  # type: ignore[method-assign]
    accepted = await sessions.send("", row.id, Said("more", "msg_2"))

    events = await until(sessions, row.id, becomes("failed"), accepted.seq)
    assert "a bug" not in str(events)
    assert "backend failed" in caplog.text


async def test_an_owner_that_died_in_a_turn_is_followed_by_another(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manager, "MEND_S", 0.05)
    sessions = box.open()
    gate = Gate()
    box.backend.next(says("one"), waits(gate), says("two"))
    row = await sessions.create(box.new("hi"))
    await until(sessions, row.id, is_a("assistant"))
    real = SqlSessions.append

    async def full(self: SqlSessions, row: SessionRow, events: Sequence[LoggedEvent]) -> None:
        monkeypatch.setattr(SqlSessions, "append", real)
        raise RhetorError("the disk is full", Code.UNAVAILABLE)

    monkeypatch.setattr(SqlSessions, "append", full)
    gate.open()

    events = await until(sessions, row.id, becomes("failed"))
    assert events[-2].type == "error"


async def test_a_backend_may_say_much_before_it_listens(box: Box) -> None:
    """More than the inbox takes, while its owner waits for it to take an answer."""
    sessions = box.open()
    box.backend.next(asks("a1"), says(*("x" for _ in range(2000))))
    row = await sessions.create(box.new("hi"))
    await until(sessions, row.id, becomes("waiting_input"))
    conversation = box.backend.last
    told = conversation.answer
    heard = asyncio.Event()

    async def late(request_id: str, verdict: Verdict) -> None:
        await told(request_id, verdict)
        async with asyncio.timeout(5):
            while sessions._live[row.id]._inbox.qsize() < 600:
                await asyncio.sleep(0)
        heard.set()

    conversation.answer = late  # type: ignore[method-assign]
    await sessions.answer("", row.id, "a1", Verdict("allow"))
    events = await until(sessions, row.id, becomes("idle"))
    assert heard.is_set()
    assert len(text_of(events)) == 2000
