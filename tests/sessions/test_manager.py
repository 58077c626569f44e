"""Sessions as doors ask for them, with a real store and a backend that does as it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from rhetor import tasks
from rhetor.core.clock import SystemClock
from rhetor.core.errors import BadRequest, Code, RhetorError
from rhetor.sessions import manager
from rhetor.sessions.asking import NewSession
from rhetor.sessions.backend import Access, Permissions, Said, Setup, Verdict
from rhetor.sessions.event import Event, EventType
from rhetor.sessions.founding import Defaults
from rhetor.sessions.manager import Sessions
from rhetor.sessions.surroundings import Limits
from rhetor.store.base import LoggedEvent, SessionRow, SessionStore
from rhetor.store.sql.opening import open_store
from rhetor.store.sql.sessions import SqlSessions
from tests.sessions.scripted import (
    Gate,
    Scripted,
    ScriptedConversation,
    asks,
    breaks,
    fails,
    moves,
    says,
    waits,
)

pytestmark = pytest.mark.usefixtures("no_leaks")


LIMITS = {"max_live": 100, "expire_s": 1000.0, "turn_s": 60.0, "environment": frozenset({"API_KEY"})}


class NoPasses:
    def give(self, session_id: str, owner: str) -> Access:
        return Access("http://127.0.0.1:1", f"for {session_id}")

    def revoke(self, session_id: str) -> None:
        pass


class Box:
    """Sessions in a folder that can be opened again."""

    def __init__(self, folder: Path, stack: AsyncExitStack) -> None:
        self.backend = Scripted()
        self._folder = folder
        self._stack = stack

    def open(self, **limits: Any) -> Sessions:
        async def opened() -> SessionStore:
            return open_store(self._folder).sessions

        sessions = Sessions(
            {self.backend.name: self.backend},
            opened,
            SystemClock(),
            NoPasses(),
            lambda request: None,  # type: ignore[arg-type,return-value]  # nobody chooses here
            self._folder / "sessions",
            [],
            Limits(**{**LIMITS, **limits}),
            {self.backend.name: Defaults()},
        )
        self._stack.push_async_callback(sessions.close)
        return sessions

    def new(self, text: str | None = None, **more: Any) -> NewSession:
        message = None if text is None else Said(text, "msg_1")
        return NewSession(**{"owner": "", "backend": self.backend.name, "message": message, **more})


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[Box]:
    async with AsyncExitStack() as stack:
        yield Box(tmp_path, stack)


async def until(
    sessions: Sessions, id: str, done: Callable[[LoggedEvent], bool], after: int = 0
) -> list[LoggedEvent]:
    """Events up to the one that is looked for."""
    events: list[LoggedEvent] = []
    async with asyncio.timeout(10):
        while True:
            page = await sessions.wait("", id, events[-1].seq if events else after, 100, 5.0)
            for event in page.events:
                events.append(event)
                if done(event):
                    return events
            assert not page.ended, "the log has ended without it"


def becomes(state: str) -> Callable[[LoggedEvent], bool]:
    return lambda event: event.type == "status_change" and event.content == state


def is_a(kind: str) -> Callable[[LoggedEvent], bool]:
    return lambda event: event.type == kind


async def refused(work: Awaitable[object]) -> RhetorError:
    with pytest.raises(RhetorError) as caught:
        await work
    return caught.value


def text_of(events: list[LoggedEvent]) -> str:
    return "".join(event.content for event in events if event.type == "assistant")


async def test_a_turn_is_told_in_order_and_ends(box: Box) -> None:
    sessions = box.open()
    box.backend.next(says("hello ", "world"))

    row = await sessions.create(box.new("hi"))
    events = await until(sessions, row.id, becomes("idle"))

    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert [event.content for event in events if event.type == "status_change"] == [
        "initializing", "active", "idle",
    ]  # fmt: skip
    assert text_of(events) == "hello world"
    assert events[-1].data["reason"] == "end"
    assert (await sessions.get("", row.id)).turn == 1


async def test_a_second_message_goes_to_the_same_conversation(box: Box) -> None:
    sessions = box.open()
    box.backend.next(says("one"))
    box.backend.next(says("two"))
    row = await sessions.create(box.new("hi"))
    first = await until(sessions, row.id, becomes("idle"))

    accepted = await sessions.send("", row.id, Said("again", "msg_2"))
    events = await until(sessions, row.id, becomes("idle"), accepted.seq)

    assert text_of(events) == "two"
    assert accepted.seq > first[-1].seq
    assert {event.turn for event in events} == {2}
    assert len(box.backend.open_ones) == 1


async def test_the_same_message_is_taken_once(box: Box) -> None:
    sessions = box.open()
    row = await sessions.create(box.new("hi"))
    await until(sessions, row.id, becomes("idle"))

    again = await sessions.send("", row.id, Said("hi", "msg_1"))

    assert again.again
    assert (await sessions.get("", row.id)).turn == 1
    assert (await sessions.read("", row.id, again.seq - 1, 1)).events[0].type == "user"


async def test_the_same_key_is_the_same_session(box: Box) -> None:
    sessions = box.open()
    first, second = [await sessions.create(box.new("hi", key="once")) for _ in range(2)]
    assert first.id == second.id
    await until(sessions, first.id, becomes("idle"))


async def test_who_sends_during_a_turn_is_refused(box: Box) -> None:
    sessions = box.open()
    gate = Gate()
    box.backend.next(waits(gate), says("done"))
    row = await sessions.create(box.new("hi"))
    await until(sessions, row.id, becomes("active"))

    error = await refused(sessions.send("", row.id, Said("me too", "msg_2")))

    assert error.code is Code.CONFLICT
    assert "active" in error.message
    gate.open()
    assert text_of(await until(sessions, row.id, becomes("idle"))) == "done"


@pytest.mark.parametrize(
    ("decision", "always"), [("allow", False), ("allow", True), ("deny", False)], ids=lambda value: str(value)
)
async def test_an_approval_waits_for_its_answer(box: Box, decision: Any, always: bool) -> None:
    sessions = box.open()
    box.backend.next(asks("a1", tool="Bash", command="ls"), says("so be it"))
    row = await sessions.create(box.new("hi"))
    asked = (await until(sessions, row.id, becomes("waiting_input")))[-2]
    assert (asked.type, asked.data["request_id"], asked.data["tool"]) == ("approval_request", "a1", "Bash")
    assert (await sessions.get("", row.id)).document["waiting_for"][0]["request_id"] == "a1"  # type: ignore[index,call-overload]

    await sessions.answer("", row.id, "a1", Verdict(decision, always=always))

    events = await until(sessions, row.id, becomes("idle"))
    resolved = next(event for event in events if event.type == "approval_resolved")
    assert (resolved.content, resolved.data["by"]) == (decision, "caller")
    assert (await refused(sessions.answer("", row.id, "a1", Verdict("allow")))).code is Code.CONFLICT


async def test_what_the_permissions_deny_is_not_asked(box: Box) -> None:
    sessions = box.open()
    box.backend.next(asks("a1"), says("well then"))
    row = await sessions.create(box.new("hi", permissions=Permissions.DENY))
    events = await until(sessions, row.id, becomes("idle"))
    resolved = next(event for event in events if event.type == "approval_resolved")
    assert (resolved.content, resolved.data["by"]) == ("deny", "rule")
    assert not any(event.content == "waiting_input" for event in events)


async def test_an_interruption_ends_the_turn_and_not_the_session(box: Box) -> None:
    sessions = box.open()
    box.backend.next(says("I was"), waits())
    box.backend.next(says("fine"))
    row = await sessions.create(box.new("hi"))
    await until(sessions, row.id, is_a("assistant"))

    await sessions.interrupt("", row.id)

    events = await until(sessions, row.id, becomes("idle"))
    assert events[-1].data["reason"] == "interrupted"
    accepted = await sessions.send("", row.id, Said("more", "msg_2"))
    assert text_of(await until(sessions, row.id, becomes("idle"), accepted.seq)) == "fine"
    assert (await refused(sessions.interrupt("", row.id))).code is Code.CONFLICT


async def test_a_model_that_fails_costs_the_turn_and_not_the_session(box: Box) -> None:
    sessions = box.open()
    box.backend.next(fails("overloaded, sorry", Code.OVERLOADED))
    box.backend.next(says("back"))
    row = await sessions.create(box.new("hi"))
    events = await until(sessions, row.id, becomes("idle"))
    error = next(event for event in events if event.type == "error")
    assert (error.content, error.data["code"]) == ("overloaded, sorry", "overloaded")
    accepted = await sessions.send("", row.id, Said("again", "msg_2"))
    assert text_of(await until(sessions, row.id, becomes("idle"), accepted.seq)) == "back"


async def test_a_backend_that_breaks_can_be_resumed(box: Box) -> None:
    sessions = box.open()
    box.backend.next(says("half"), breaks())
    box.backend.next(says("whole"))
    row = await sessions.create(box.new("hi"))
    events = await until(sessions, row.id, becomes("failed"))
    assert text_of(events) == "half"
    assert events[-2].type == "error"

    assert (await refused(sessions.send("", row.id, Said("x", "msg_2")))).code is Code.CONFLICT
    accepted = await sessions.send("", row.id, Said("again", "msg_3"), resume=True)

    assert text_of(await until(sessions, row.id, becomes("idle"), accepted.seq)) == "whole"


async def test_what_was_suspended_goes_on_in_another_process(box: Box) -> None:
    sessions = box.open()
    box.backend.next(moves("/tmp"), says("one"))
    box.backend.next(says("two"))
    row = await sessions.create(box.new("hi", environment={"API_KEY": "canary-9"}))
    await until(sessions, row.id, becomes("idle"))

    state = await sessions.suspend("", row.id)
    await sessions.close()

    assert state["version"] == 1
    assert state["current_directory"] == "/tmp"
    assert "canary" not in str(state)
    assert not box.backend.open_ones
    later = box.open()
    assert (await later.get("", row.id)).state == "suspended"
    await later.resume("", row.id, state)
    accepted = await later.send("", row.id, Said("again", "msg_2"))
    assert text_of(await until(later, row.id, becomes("idle"), accepted.seq)) == "two"
    assert box.backend.last.setup.native_id == state["native_id"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"version": 2}, Code.UNSUPPORTED),
        ({"version": "1"}, Code.INVALID_REQUEST),
        ({"session_id": "ses_ffffffffffffffffffffffff"}, Code.CONFLICT),
        ({"native_id": "another"}, Code.CONFLICT),
        ({"backend": "another"}, Code.CONFLICT),
        ({"last_seq": 10_000}, Code.CONFLICT),
        ({"last_seq": "1"}, Code.INVALID_REQUEST),
    ],
    ids=str,
)
async def test_a_state_that_does_not_fit_is_refused(box: Box, change: dict[str, Any], code: Code) -> None:
    sessions = box.open()
    row = await sessions.create(box.new("hi"))
    await until(sessions, row.id, becomes("idle"))
    state = await sessions.suspend("", row.id)

    error = await refused(sessions.resume("", row.id, {**state, **change}))

    assert isinstance(error, BadRequest)
    assert error.code is code
    assert (await sessions.get("", row.id)).state == "suspended"


async def test_a_gateway_that_comes_back_finds_its_sessions_suspended(box: Box) -> None:
    sessions = box.open()
    box.backend.next(asks("a1"), waits())
    row = await sessions.create(box.new("hi"))
    before = await until(sessions, row.id, becomes("waiting_input"))
    await sessions.close()

    later = box.open()

    events = list((await later.read("", row.id, 0, 100)).events)
    assert events[: len(before)] == before
    assert events[-1].content == "suspended"
    assert (await later.get("", row.id)).document["waiting_for"] == []


async def test_a_turn_that_takes_too_long_is_ended(box: Box) -> None:
    sessions = box.open(turn_s=0.05)
    box.backend.next(waits())
    row = await sessions.create(box.new("hi"))
    events = await until(sessions, row.id, becomes("idle"))
    assert events[-1].data["reason"] == "timeout"
    assert next(event for event in events if event.type == "error").data["code"] == "total_timeout"


async def test_no_more_than_may_be_live(box: Box) -> None:
    sessions = box.open(max_live=1)
    gate = Gate()
    box.backend.next(waits(gate))
    first = await sessions.create(box.new("hi"))
    await until(sessions, first.id, becomes("active"))

    error = await refused(sessions.create(box.new("hi")))

    assert error.code is Code.POOL_FULL
    assert error.retry_after_s
    gate.open()
    await until(sessions, first.id, becomes("idle"))
    second = await sessions.create(box.new("hi"))  # the idle one gives its place
    await until(sessions, second.id, becomes("idle"))


async def test_nobody_sees_what_is_anothers(box: Box) -> None:
    sessions = box.open()
    row = await sessions.create(box.new(owner="ann"))
    for work in (
        sessions.get("bob", row.id),
        sessions.send("bob", row.id, Said("x", "m")),
        sessions.wait("bob", row.id, 0, 1, 0),
        sessions.terminate("bob", row.id),
        sessions.forget("bob", row.id),
        sessions.suspend("", row.id),
    ):
        assert (await refused(work)).code is Code.NOT_FOUND
    assert not await sessions.list("bob")
    assert [each.id for each in await sessions.list("ann")] == [row.id]


async def test_what_has_ended_has_an_end(box: Box) -> None:
    sessions = box.open()
    row = await sessions.create(box.new("hi"))
    await until(sessions, row.id, becomes("idle"))
    await sessions.terminate("", row.id)
    page = await sessions.wait("", row.id, 0, 1000, 5.0)
    assert page.ended
    assert page.events[-1].content == "terminated"
    assert (await refused(sessions.send("", row.id, Said("x", "msg_2")))).code is Code.CONFLICT
    assert not box.backend.open_ones
    await sessions.forget("", row.id)
    assert (await refused(sessions.get("", row.id))).code is Code.NOT_FOUND


async def test_cleaning_up_counts(box: Box) -> None:
    sessions = box.open()
    gate = Gate()
    idle = [await sessions.create(box.new()) for _ in range(3)]
    box.backend.next(waits(gate))
    busy = await sessions.create(box.new("hi"))
    await until(sessions, busy.id, becomes("active"))

    assert await sessions.cleanup("", 0.0) == {box.backend.name: 3}

    assert [each.id for each in await sessions.list("")] == [busy.id]
    assert (await refused(sessions.get("", idle[0].id))).code is Code.NOT_FOUND
    gate.open()
    await until(sessions, busy.id, becomes("idle"))


async def test_any_number_of_readers_read_the_same(box: Box) -> None:
    sessions = box.open()
    box.backend.next(says(*(f"{n} " for n in range(500))))
    row = await sessions.create(box.new("hi"))

    logs = await asyncio.gather(*(until(sessions, row.id, becomes("idle")) for _ in range(5)))

    assert all(log == logs[0] for log in logs)
    assert text_of(logs[0]) == "".join(f"{n} " for n in range(500))


async def test_the_same_message_id_with_another_text_is_refused(box: Box) -> None:
    sessions = box.open()
    row = await sessions.create(box.new("hi"))
    await until(sessions, row.id, becomes("idle"))
    error = await refused(sessions.send("", row.id, Said("something else", "msg_1")))
    assert (error.code, error.param) == (Code.CONFLICT, "message_id")


async def test_the_same_key_for_another_session_is_refused(box: Box) -> None:
    sessions = box.open()
    row = await sessions.create(box.new("hi", key="once"))
    await until(sessions, row.id, becomes("idle"))
    for other in (box.new("ho", key="once"), box.new("hi", key="once", permissions=Permissions.DENY)):
        error = await refused(sessions.create(other))
        assert (error.code, error.param) == (Code.CONFLICT, "Idempotency-Key")
    both = await asyncio.gather(
        sessions.create(box.new(key="twice", title="a")),
        sessions.create(box.new(key="twice", title="b")),
        return_exceptions=True,
    )
    assert [isinstance(each, BadRequest) for each in both].count(True) == 1


async def test_a_turn_that_begins_while_others_expire_goes_on(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions = box.open()
    first, second = [await sessions.create(box.new()) for _ in range(2)]
    gate = Gate()
    box.backend.next(waits(gate), says("still here"))
    real = SqlSessions.remove

    async def remove(self: SqlSessions, id: str, last_seq: int | None = None) -> bool:
        if id == first.id:
            await sessions.send("", second.id, Said("wait", "msg_1"))
        return await real(self, id, last_seq)

    monkeypatch.setattr(SqlSessions, "remove", remove)
    assert await sessions.cleanup(None, 0.0) == {box.backend.name: 1}
    gate.open()
    assert text_of(await until(sessions, second.id, becomes("idle"), second.last_seq)) == "still here"


async def test_others_old_sessions_do_not_hide_ones_own(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manager, "CLEANED_AT_ONCE", 2)
    sessions = box.open()
    for owner in ("ann", "ann", "ann", "bob"):
        await sessions.create(box.new(owner=owner))
    assert await sessions.cleanup("bob", 0.0) == {box.backend.name: 1}
    assert len(await sessions.list("ann")) == 3


async def test_callers_who_leave_take_no_places_beyond_the_limit(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions = box.open(max_live=2)
    for _ in range(8):
        box.backend.next(waits())
    *rows, spare = [await sessions.create(box.new()) for _ in range(9)]
    gate, real = asyncio.Event(), SqlSessions.append

    waiting: list[str] = []

    async def slowly(self: SqlSessions, row: SessionRow, events: Sequence[LoggedEvent]) -> None:
        waiting.append(row.id)
        await gate.wait()
        await real(self, row, events)

    monkeypatch.setattr(SqlSessions, "append", slowly)
    sending = [tasks.spawn(sessions.send("", row.id, Said("x", "msg_1")), "caller") for row in rows]
    try:
        async with asyncio.timeout(5):
            while len(waiting) < 2 or sum(each.done() for each in sending) < 6:
                await asyncio.sleep(0)
        for each in sending:
            each.cancel()
        await asyncio.wait(sending)
        error = await refused(sessions.send("", spare.id, Said("x", "msg_1")))
        assert error.code is Code.POOL_FULL
        assert sessions.live == 2
    finally:
        gate.set()


async def test_what_is_too_large_is_cut_and_not_the_end(box: Box) -> None:
    sessions = box.open()
    huge = Event(
        EventType.TOOL_USE, "x" * 5_000_000, {"id": "t1", "name": "Write", "input": {"text": "y" * 5_000_000}}
    )
    box.backend.next([huge], says("done"))
    row = await sessions.create(box.new("hi"))
    events = await until(sessions, row.id, becomes("idle"))
    used = next(event for event in events if event.type == "tool_use")
    assert used.data["cut"] is True
    assert (used.data["id"], used.data["name"]) == ("t1", "Write")
    assert len(used.content) <= 1_000_000
    assert text_of(events) == "done"


async def test_a_session_of_a_backend_that_is_off_can_be_read_and_forgotten(box: Box) -> None:
    sessions = box.open()
    row = await sessions.create(box.new("hi"))
    await until(sessions, row.id, becomes("idle"))
    await sessions.close()
    name, box.backend.name = box.backend.name, "another"
    later = box.open()
    error = await refused(later.send("", row.id, Said("more", "msg_2"), resume=True))
    assert (error.code, error.origin) == (Code.UNAVAILABLE, name)
    assert (await later.read("", row.id, 0, 100)).events
    await later.forget("", row.id)
    assert (await refused(later.get("", row.id))).code is Code.NOT_FOUND


async def test_a_refused_message_takes_nobodys_place(box: Box) -> None:
    sessions = box.open(max_live=1)
    warm = await sessions.create(box.new("hi"))
    await until(sessions, warm.id, becomes("idle"))
    other = await sessions.create(box.new())
    await sessions.suspend("", other.id)
    assert (await refused(sessions.send("", other.id, Said("x", "msg_1")))).code is Code.CONFLICT
    assert len(box.backend.open_ones) == 1


async def test_variables_of_a_refused_message_reach_nobody(box: Box) -> None:
    sessions = box.open()
    opening = box.backend.open
    gate = asyncio.Event()

    async def slowly(setup: Setup) -> ScriptedConversation:
        await gate.wait()
        return await opening(setup)

    box.backend.open = slowly  # type: ignore[method-assign]
    row = await sessions.create(box.new())
    await sessions.send("", row.id, Said("x", "msg_1"), environment={"API_KEY": "first"})
    await refused(sessions.send("", row.id, Said("y", "msg_2"), environment={"API_KEY": "second"}))
    gate.set()
    await until(sessions, row.id, becomes("idle"), row.last_seq)
    assert box.backend.last.setup.environment == {"API_KEY": "first"}


async def test_a_restart_is_no_use_of_a_session(box: Box) -> None:
    sessions = box.open()
    row = await sessions.create(box.new())
    await sessions.close()
    assert (await box.open().get("", row.id)).updated_at == row.updated_at


async def test_a_gateway_that_is_about_to_stop_begins_nothing(box: Box) -> None:
    sessions = box.open()
    row = await sessions.create(box.new())
    sessions.drain()
    for work in (sessions.create(box.new("hi")), sessions.send("", row.id, Said("x", "msg_1"))):
        assert (await refused(work)).code is Code.SHUTTING_DOWN
    assert (await sessions.get("", row.id)).state == "idle"
