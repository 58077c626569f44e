"""What happens at the same time, or only by half: no session is lost by it, and none held twice."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from rhetor.core.errors import Code, RhetorError
from rhetor.sessions import session as module
from rhetor.sessions.backend import Access, Asked, Happening, Said, Withdrawn
from rhetor.sessions.event import Event, EventType
from rhetor.sessions.manager import Sessions
from rhetor.sessions.partner import Heard
from rhetor.store.base import LoggedEvent, SessionRow
from rhetor.store.sql.sessions import SqlSessions
from rhetor.tasks import spawn
from tests.sessions.scripted import Gate, asks, says, waits
from tests.sessions.test_manager import Box, NoPasses, becomes, is_a, refused, text_of, until

pytestmark = pytest.mark.usefixtures("no_leaks")

FULL = RhetorError("the disk is full", Code.UNAVAILABLE)


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[Box]:
    async with AsyncExitStack() as stack:
        yield Box(tmp_path / "here", stack)


class Disk:
    """Writes until it is told not to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_full: Callable[[SessionRow], bool] = lambda row: False
        real = SqlSessions.append

        async def append(store: SqlSessions, row: SessionRow, events: Sequence[LoggedEvent]) -> None:
            if self.is_full(row):
                raise FULL
            await real(store, row, events)

        monkeypatch.setattr(SqlSessions, "append", append)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


async def tell(sessions: Sessions, id: str, news: Happening) -> None:
    """As if its backend told it."""
    live = sessions._live[id]
    await live._put(Heard(live.partner.epoch, news))


# --- beginning


@pytest.mark.parametrize("dies", [True, False])
async def test_a_session_that_was_begun_by_half_gets_its_message_when_asked_again(
    box: Box, disk: Disk, dies: bool
) -> None:
    """Whoever began it has no answer, so the first message must not be gone with the gateway."""
    sessions = box.open()
    disk.is_full = lambda row: row.turn > 0
    assert (await refused(sessions.create(box.new("hi", key="k")))).message == FULL.message
    disk.is_full = lambda row: False
    if dies:
        await sessions.close()
        sessions = box.open()

    row = await sessions.create(box.new("hi", key="k"))

    await until(sessions, row.id, becomes("idle"))
    again = await sessions.create(box.new("hi", key="k"))
    events = (await sessions.read("", again.id, 0, 100)).events
    assert [event.content for event in events if event.type == "user"] == ["hi"]


async def test_who_finds_a_session_finds_its_first_event(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a reader would hold an older row than the store, and the owner write to that."""
    sessions = box.open()
    real, begun, goes_on = SqlSessions.begin, asyncio.Event(), asyncio.Event()

    async def slowly(store: SqlSessions, row: SessionRow) -> bool:
        found = await real(store, row)
        begun.set()
        await goes_on.wait()
        return found

    monkeypatch.setattr(SqlSessions, "begin", slowly)
    creating = spawn(sessions.create(box.new("hi", key="k")), "create")
    again = spawn(sessions.create(box.new("hi", key="k")), "create again")
    await begun.wait()
    (row,) = await sessions.list("")
    reading = spawn(sessions.wait("", row.id, 0, 1, 5.0), "reader")
    assert [event.seq for event in (await reading).events] == [1]
    goes_on.set()

    assert (await creating).id == (await again).id == row.id
    events = await until(sessions, row.id, becomes("idle"))
    assert [event.type for event in events].count("user") == 1


async def test_a_store_that_cannot_be_recovered_can_be_opened_later(
    box: Box, disk: Disk, tmp_path: Path
) -> None:
    """It must not keep its own folder from itself."""
    sessions = box.open()
    box.backend.next(says("one"), waits())
    row = await sessions.create(box.new("hi"))
    await until(sessions, row.id, is_a("assistant"))
    left = tmp_path / "left"  # as a gateway leaves it that is killed
    left.mkdir()
    for file in (tmp_path / "here").glob("rhetor.db*"):
        shutil.copy(file, left)
    async with AsyncExitStack() as stack:
        next_one = Box(left, stack)
        disk.is_full = lambda row: True
        after = next_one.open()
        assert (await refused(after.get("", row.id))).message == FULL.message
        disk.is_full = lambda row: False
        assert (await after.get("", row.id)).state == "suspended"


# --- owning


async def test_the_next_owner_comes_when_the_backend_of_the_last_is_gone(box: Box, disk: Disk) -> None:
    """Two agents would write one transcript, and the first one's end would take the second one's key."""
    told: list[str] = []

    class Passes(NoPasses):
        def give(self, session_id: str, owner: str) -> Access:
            told.append("given")
            return super().give(session_id, owner)

        def revoke(self, session_id: str) -> None:
            told.append("revoked")

    sessions = box.open()
    sessions._passes = Passes()
    gate, closes, closed = Gate(), asyncio.Event(), asyncio.Event()
    box.backend.next(says("one"), waits(gate), says("two"))
    row = await sessions.create(box.new("hi"))
    await until(sessions, row.id, is_a("assistant"))
    first = box.backend.last
    close = first.close

    async def slowly() -> None:
        closes.set()
        await closed.wait()
        await close()

    first.close = slowly  # type: ignore[method-assign]
    disk.is_full = lambda row: True
    gate.open()
    await closes.wait()
    disk.is_full = lambda row: False

    early = await refused(sessions.send("", row.id, Said("more", "msg_2"), resume=True))
    assert early.code is Code.UNAVAILABLE
    assert box.backend.conversations == [first]
    closed.set()
    async with asyncio.timeout(5):
        while sessions.live:
            await asyncio.sleep(0)
    accepted = await sessions.send("", row.id, Said("more", "msg_2"), resume=True)
    await until(sessions, row.id, becomes("idle"), accepted.seq)
    assert told == ["given", "revoked", "given"]


async def test_an_interruption_is_not_lost_between_opening_and_telling(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes before the session has heard that the conversation is open, and is looked at after that."""
    sessions = box.open()
    door = box.backend.door = Gate()
    box.backend.next(says("never heard"), waits())
    row = await sessions.create(box.new("hi"))
    await door.reached.wait()
    live = sessions._live[row.id]
    real, stores, goes_on = SqlSessions.append, asyncio.Event(), asyncio.Event()

    async def slowly(store: SqlSessions, row: SessionRow, events: Sequence[LoggedEvent]) -> None:
        stores.set()
        await goes_on.wait()
        await real(store, row, events)

    monkeypatch.setattr(SqlSessions, "append", slowly)
    await tell(sessions, row.id, Event(EventType.SYSTEM, "something"))
    await stores.wait()
    interrupting = spawn(sessions.interrupt("", row.id), "interrupt")
    await asyncio.sleep(0)
    door.open()
    while not live.partner.listens:
        await asyncio.sleep(0)
    goes_on.set()

    await interrupting
    events = await until(sessions, row.id, becomes("idle"))
    assert events[-1].data["reason"] == "interrupted"
    assert not box.backend.open_ones


# --- clocks


async def test_a_second_question_gives_the_turn_no_more_time(box: Box) -> None:
    sessions = box.open(turn_s=30.0)
    box.backend.next(asks("a1"), says("done"))
    row = await sessions.create(box.new("hi"))
    await until(sessions, row.id, becomes("waiting_input"))
    await tell(sessions, row.id, Asked("a2", "Bash", {}, "May it?"))
    await until(sessions, row.id, lambda event: event.data.get("request_id") == "a2")
    assert sessions._live[row.id]._left_s <= 30.0


async def test_a_withdrawn_question_gives_an_interrupted_turn_no_more_time(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STOP_S", 0.1)
    sessions = box.open()
    box.backend.next(asks("a1"), says("never"))
    row = await sessions.create(box.new("hi"))
    await until(sessions, row.id, becomes("waiting_input"))

    async def deaf() -> None:
        pass

    box.backend.last.interrupt = deaf  # type: ignore[method-assign]
    await sessions.interrupt("", row.id)
    await tell(sessions, row.id, Withdrawn("a1"))
    events = await until(sessions, row.id, becomes("failed"))
    assert "did not end its turn" in events[-2].content


# --- the inbox


async def test_a_full_inbox_has_room_again_when_all_of_it_was_heard(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where something else was in it, such as a model call to be booked: the backend waits for room."""
    monkeypatch.setattr(module, "INBOX", 4)
    sessions = box.open()
    words = [f"{n} " for n in range(30)]
    gate = Gate()
    box.backend.next(waits(gate), says(*words))
    row = await sessions.create(box.new("hi"))
    await until(sessions, row.id, becomes("active"))
    await gate.reached.wait()
    live = sessions._live[row.id]
    real, stores, goes_on = SqlSessions.append, asyncio.Event(), asyncio.Event()

    async def slowly(store: SqlSessions, row: SessionRow, events: Sequence[LoggedEvent]) -> None:
        stores.set()
        await goes_on.wait()
        await real(store, row, events)

    monkeypatch.setattr(SqlSessions, "append", slowly)
    gate.open()
    await stores.wait()
    while live._inbox.qsize() < 4:
        await asyncio.sleep(0)
    live._inbox.put_nowait(module._Looked())
    goes_on.set()
    events = await until(sessions, row.id, becomes("idle"))
    assert text_of(events) == "".join(words)
