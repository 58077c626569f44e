"""What every store of sessions promises: numbered without gaps, all of it or nothing, and nobody else's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as law
from hypothesis import strategies as st

from rhetor.core.errors import Code, RhetorError
from rhetor.store.base import LoggedEvent, SessionRow, SessionStore
from rhetor.store.sql.opening import open_store
from rhetor.store.sql.written import LARGEST_BYTES

START = datetime(2026, 11, 21, 12, 0, 0, 123_456, UTC)

STORES: Mapping[str, Callable[[Path], SessionStore]] = {
    "sqlite file": lambda folder: open_store(folder / "state").sessions,
    "sqlite memory": lambda folder: open_store(None).sessions,
}


@pytest.fixture(params=list(STORES.values()), ids=list(STORES))
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SessionStore]:
    made: SessionStore = request.param(tmp_path)
    yield made
    await made.close()


def session(id: str = "ses_1", minutes: float = 0.0, **columns: Any) -> SessionRow:
    at = START + timedelta(minutes=minutes)
    row = SessionRow(id=id, owner="ann", backend="chat", state="idle", created_at=at, updated_at=at)
    return replace(row, **columns)


def event(seq: int, content: str = "", **columns: Any) -> LoggedEvent:
    return replace(LoggedEvent(seq, 1, "assistant", content, {"message_id": "m"}, START), **columns)


def grown(row: SessionRow, *contents: str) -> tuple[SessionRow, list[LoggedEvent]]:
    """A session with these said in it as well, and their events."""
    events = [event(row.last_seq + n, content) for n, content in enumerate(contents, 1)]
    return replace(row, last_seq=row.last_seq + len(events), turn=row.turn + 1), events


async def began(store: SessionStore, *contents: str, **columns: Any) -> SessionRow:
    """A stored session in which these were said."""
    row = session(**columns)
    assert await store.begin(row)
    row, events = grown(row, *contents)
    await store.append(row, events)
    return row


async def said(store: SessionStore, id: str = "ses_1") -> list[str]:
    return [event.content for event in await store.read(id, 0, 1000)]


def ids(rows: Sequence[SessionRow]) -> list[str]:
    return [row.id for row in rows]


# A session.


async def test_what_was_begun_is_found_with_all_that_it_has(store: SessionStore) -> None:
    document = {"title": "日本 \x00 😀", "usage": {"calls": 1, "cost": None}, "list": [1, 2.5, True, {}]}
    row = session(owner="bob", backend="claude_code", state="initializing", turn=3, document=document)
    assert await store.begin(row)
    assert await store.find("ses_1") == row


async def test_what_nobody_began_is_not_found(store: SessionStore) -> None:
    assert await store.find("ses_1") is None
    assert await store.read("ses_1", 0, 10) == []
    assert not await store.remove("ses_1")


async def test_a_session_begins_once(store: SessionStore) -> None:
    assert await store.begin(session())
    assert not await store.begin(session(owner="bob", document={"title": "another"}))
    assert await store.find("ses_1") == session()


async def test_of_many_who_begin_the_same_one_does(store: SessionStore) -> None:
    rows = [session(document={"n": n}) for n in range(20)]
    begun = await asyncio.gather(*map(store.begin, rows))
    assert begun.count(True) == 1
    assert await store.find("ses_1") == rows[begun.index(True)]


async def test_moments_are_the_same_in_every_zone(store: SessionStore) -> None:
    elsewhere = START.astimezone(tz=None)
    await store.begin(session(created_at=elsewhere))
    found = await store.find("ses_1")
    assert found is not None
    assert found.created_at == START
    assert found.created_at.tzinfo is UTC


# Its log.


async def test_what_was_appended_is_read_in_order(store: SessionStore) -> None:
    row = await began(store, "one", "two")
    row, events = grown(row, "three")
    row = replace(row, state="active", updated_at=START + timedelta(seconds=1), document={"model": "small"})
    await store.append(row, events)
    assert await said(store) == ["one", "two", "three"]
    assert await store.find("ses_1") == row


async def test_an_event_is_read_as_it_was_written(store: SessionStore) -> None:
    data = {"id": "t1", "input": {"path": "/tmp/ü", "lines": [1, 2]}, "is_error": False, "none": None}
    logged = event(1, "a\r\nb\x00\u2028😀", type="tool_use", data=data, turn=7)
    await store.begin(session())
    await store.append(session(last_seq=1), [logged])
    assert await store.read("ses_1", 0, 10) == [logged]


@pytest.mark.parametrize(
    ("after", "limit", "expected"),
    [
        (0, 2, "ab"),
        (2, 2, "c"),
        (1, 100, "bc"),
        (3, 10, ""),
        (9, 10, ""),
        (0, 0, ""),
        (0, -1, ""),
        (-5, 1, "a"),
    ],
)
async def test_a_log_is_read_from_any_number(
    store: SessionStore, after: int, limit: int, expected: str
) -> None:
    await began(store, *"abc")
    assert "".join(event.content for event in await store.read("ses_1", after, limit)) == expected


async def test_no_number_is_too_large_to_be_asked_for(store: SessionStore) -> None:
    await began(store, "a")
    assert await store.read("ses_1", 10**30, 10**30) == []
    assert ids(await store.list(None, limit=10**30)) == ["ses_1"]
    assert await store.list(None, offset=10**30) == []


async def test_the_row_changes_without_events_too(store: SessionStore) -> None:
    row = await began(store, "a")
    changed = replace(row, state="suspended", document={"title": "A"})
    await store.append(changed, [])
    assert await store.find("ses_1") == changed
    assert await said(store) == ["a"]


async def conflict(store: SessionStore, row: SessionRow, events: Sequence[LoggedEvent]) -> str:
    with pytest.raises(RhetorError) as refused:
        await store.append(row, events)
    assert refused.value.code is Code.CONFLICT
    assert row.id in refused.value.message
    return refused.value.message


async def test_a_second_writer_is_refused_and_changes_nothing(store: SessionStore) -> None:
    stale = await began(store, "a")
    row, events = grown(stale, "b")
    await store.append(row, events)
    assert "event 2" in await conflict(store, *grown(replace(stale, state="failed"), "x"))
    await conflict(store, replace(stale, state="failed"), [])
    assert await said(store) == ["a", "b"]
    assert await store.find("ses_1") == row


@pytest.mark.parametrize("numbers", [[3], [1], [2, 4], [2, 2], [3, 2], [2, 3, 4]])
async def test_events_must_follow_each_other_up_to_the_last(store: SessionStore, numbers: list[int]) -> None:
    row = await began(store, "a")
    await conflict(store, replace(row, last_seq=3), [event(n) for n in numbers])
    assert await said(store) == ["a"]
    assert await store.find("ses_1") == row


async def test_a_log_without_a_session_is_refused(store: SessionStore) -> None:
    await conflict(store, *grown(session(), "a"))
    assert await store.find("ses_1") is None


async def test_a_session_begins_without_events(store: SessionStore) -> None:
    with pytest.raises(RhetorError) as refused:
        await store.begin(session(last_seq=1))
    assert refused.value.code is Code.CONFLICT
    assert await store.find("ses_1") is None


async def test_what_is_said_beside_each_other_is_kept_apart(store: SessionStore) -> None:
    """One writer that comes too late is refused alone, however many write at the same moment."""
    rows = [await began(store, "a", id=f"ses_{n}") for n in range(30)]
    stale = [replace(row, last_seq=0) if n % 3 == 0 else row for n, row in enumerate(rows)]
    outcomes = await asyncio.gather(
        *(store.append(*grown(row, "b")) for row in stale), return_exceptions=True
    )
    for n, outcome in enumerate(outcomes):
        if n % 3 == 0:
            assert isinstance(outcome, RhetorError)
            assert await said(store, f"ses_{n}") == ["a"]
        else:
            assert outcome is None
            assert await said(store, f"ses_{n}") == ["a", "b"]


async def test_who_reads_after_a_write_reads_what_was_written(store: SessionStore) -> None:
    row = await began(store)
    writing = asyncio.gather(store.append(*grown(row, "a")), store.read("ses_1", 0, 10))
    assert [event.content for event in (await writing)[1]] == ["a"]


# What is too large, or cannot be told.


@pytest.mark.parametrize(
    ("content", "data"),
    [
        ("x" * LARGEST_BYTES, {}),
        ("", {"text": "x" * LARGEST_BYTES}),
        ("é" * (LARGEST_BYTES // 4 + 1), {"text": "x" * (LARGEST_BYTES // 2)}),
    ],
    ids=["content", "data", "both"],
)
async def test_an_event_that_is_too_large_is_refused_with_its_neighbours(
    store: SessionStore, content: str, data: dict[str, str]
) -> None:
    row = await began(store, "a")
    row, events = grown(row, "b", "c")
    with pytest.raises(RhetorError) as refused:
        await store.append(row, [events[0], replace(events[1], content=content, data=data)])
    assert refused.value.code is Code.TOO_LARGE
    assert "event 3 (assistant)" in refused.value.message
    assert await said(store) == ["a"]
    await store.append(row, events)


async def test_an_event_may_be_large(store: SessionStore) -> None:
    row = await began(store, "x" * (LARGEST_BYTES - 100))
    assert len((await store.read(row.id, 0, 1))[0].content) == LARGEST_BYTES - 100


async def test_a_document_that_is_too_large_is_refused(store: SessionStore) -> None:
    row = await began(store, "a")
    with pytest.raises(RhetorError) as refused:
        await store.append(replace(row, document={"text": "x" * LARGEST_BYTES}), [])
    assert refused.value.code is Code.TOO_LARGE
    assert await store.find("ses_1") == row


@pytest.mark.parametrize(
    "broken",
    [{"content": "\ud800"}, {"data": {"x": "\ud800"}}, {"data": {"x": 1 << 80}}, {"type": "\udcff"}],
    ids=["content", "data", "number", "type"],
)
async def test_what_is_no_text_is_refused_alone(store: SessionStore, broken: dict[str, Any]) -> None:
    row = await began(store, "a")
    other = await began(store, "a", id="ses_2")
    after, events = grown(row, "b")
    outcomes = await asyncio.gather(
        store.append(after, [replace(events[0], **broken)]),
        store.append(*grown(other, "b")),
        return_exceptions=True,
    )
    assert isinstance(outcomes[0], RhetorError)
    assert outcomes[0].code is Code.INVALID_REQUEST
    assert await said(store) == ["a"]
    assert await store.find("ses_1") == row
    assert await said(store, "ses_2") == ["a", "b"]


async def test_a_name_that_is_no_text_is_refused(store: SessionStore) -> None:
    with pytest.raises(RhetorError) as refused:
        await store.find("ses_\udcff")
    assert refused.value.code is Code.INVALID_REQUEST


# Many.


async def test_what_changed_last_comes_first(store: SessionStore) -> None:
    for n in range(5):
        await store.begin(session(f"ses_{n}", minutes=n))
    await store.append(session("ses_1", minutes=9), [])
    assert ids(await store.list("ann")) == ["ses_1", "ses_4", "ses_3", "ses_2", "ses_0"]
    assert ids(await store.list("ann", limit=2)) == ["ses_1", "ses_4"]
    assert ids(await store.list("ann", limit=2, offset=3)) == ["ses_2", "ses_0"]
    assert await store.list("ann", limit=0) == []


async def test_what_changed_at_once_is_listed_once(store: SessionStore) -> None:
    for n in range(6):
        await store.begin(session(f"ses_{n}"))
    pages = [ids(await store.list("ann", limit=2, offset=at)) for at in (0, 2, 4)]
    assert sorted(id for page in pages for id in page) == [f"ses_{n}" for n in range(6)]


@pytest.fixture
async def several(store: SessionStore) -> SessionStore:
    for n, (owner, backend, state) in enumerate(
        [
            ("ann", "chat", "idle"),
            ("ann", "claude_code", "active"),
            ("ann", "chat", "terminated"),
            ("bob", "chat", "idle"),
            ("", "opencode", "failed"),
        ]
    ):
        await store.begin(session(f"ses_{n}", minutes=-n, owner=owner, backend=backend, state=state))
    return store


@pytest.mark.parametrize(
    ("owner", "conditions", "expected"),
    [
        ("ann", {}, "012"),
        ("bob", {}, "3"),
        ("", {}, "4"),
        ("eve", {}, ""),
        (None, {}, "01234"),
        ("ann", {"states": ["idle", "active"]}, "01"),
        ("ann", {"states": []}, ""),
        ("ann", {"states": ["no such state"]}, ""),
        ("ann", {"backend": "chat"}, "02"),
        (None, {"backend": "chat", "states": {"idle"}}, "03"),
    ],
)
async def test_some_of_them_are_listed(
    several: SessionStore, owner: str | None, conditions: dict[str, Any], expected: str
) -> None:
    found = ids(await several.list(owner, **conditions))
    assert "".join(id.removeprefix("ses_") for id in found) == expected


async def test_they_are_counted_by_backend(several: SessionStore) -> None:
    assert await several.count("ann") == {"chat": 2, "claude_code": 1}
    assert await several.count(None) == {"chat": 3, "claude_code": 1, "opencode": 1}
    assert await several.count(None, {"idle", "failed"}) == {"chat": 2, "opencode": 1}
    assert await several.count("eve") == {}
    assert await several.count(None, ()) == {}


async def test_those_that_did_not_change_are_found_the_oldest_first(several: SessionStore) -> None:
    assert ids(await several.idle_since(START - timedelta(minutes=2), 10)) == ["ses_4", "ses_3", "ses_2"]
    assert ids(await several.idle_since(START, 2)) == ["ses_4", "ses_3"]
    assert await several.idle_since(START - timedelta(hours=1), 10) == []


async def test_what_was_removed_is_gone_with_its_log(store: SessionStore) -> None:
    await began(store, "a", "b")
    await began(store, "c", id="ses_2")
    assert await store.remove("ses_1")
    assert not await store.remove("ses_1")
    assert await store.find("ses_1") is None
    assert await store.read("ses_1", 0, 10) == []
    assert await said(store, "ses_2") == ["c"]
    assert await store.begin(session())
    assert await said(store) == []


# Callers who leave, and the end.


async def test_who_is_cancelled_while_writing_has_written_all_or_nothing(store: SessionStore) -> None:
    row = await began(store)
    writing = asyncio.gather(store.append(*grown(row, "a", "b")))
    await asyncio.sleep(0)  # now it waits
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert await said(store) == ["a", "b"]
    await store.append(*grown(replace(row, last_seq=2), "c"))
    assert await said(store) == ["a", "b", "c"]


@pytest.mark.usefixtures("no_leaks")
async def test_closing_waits_for_what_was_asked(tmp_path: Path) -> None:
    store = STORES["sqlite file"](tmp_path)
    row = await began(store)
    asked = asyncio.gather(store.append(*grown(row, "a")), store.find("ses_1"))
    await asyncio.sleep(0)  # now it waits
    await asyncio.gather(store.close(), store.close())
    _, found = await asked
    assert found is not None
    assert found.last_seq == 1
    with pytest.raises(RhetorError) as refused:
        await store.find("ses_1")
    assert refused.value.code is Code.SHUTTING_DOWN


async def test_several_loops_may_ask_at_the_same_time(store: SessionStore) -> None:
    async def write(id: str) -> list[str]:
        row = await began(store, id=id)
        for n in range(20):
            row, events = grown(row, str(n))
            await store.append(row, events)
        return await said(store, id)

    elsewhere = [asyncio.to_thread(asyncio.run, write(f"ses_{n}")) for n in range(3)]
    for log in await asyncio.gather(write("ses_here"), *elsewhere):
        assert log == [str(n) for n in range(20)]


# Laws.


@asynccontextmanager
async def opened(kind: str) -> AsyncIterator[SessionStore]:
    with TemporaryDirectory() as folder:
        store = STORES[kind](Path(folder))
        try:
            yield store
        finally:
            await store.close()


Steps = list[tuple[int, list[str]]]
"""Which session goes on, and what is said in it."""

steps: st.SearchStrategy[Steps] = st.lists(
    st.tuples(st.integers(0, 4), st.lists(st.text(max_size=20), max_size=3)), max_size=30
)


@pytest.mark.parametrize("kind", STORES)
@law(max_examples=40, deadline=None)
@given(steps=steps, together=st.integers(1, 6))
async def test_any_interleaving_reads_back_in_order_and_without_gaps(
    kind: str, steps: Steps, together: int
) -> None:
    """Whoever writes when: each log has its own events, numbered from one on."""
    async with opened(kind) as store:
        rows = {n: session(f"ses_{n}") for n in range(5)}
        expected: dict[int, list[LoggedEvent]] = {n: [] for n in rows}
        for row in rows.values():
            await store.begin(row)
        for at in range(0, len(steps), together):
            writes = []
            for n, contents in steps[at : at + together]:
                rows[n], events = grown(rows[n], *contents)
                expected[n] += events
                writes.append(store.append(rows[n], events))
            await asyncio.gather(*writes)
        for n, row in rows.items():
            log = list(await store.read(row.id, 0, 1000))
            assert log == expected[n]
            assert [event.seq for event in log] == list(range(1, row.last_seq + 1))
            assert await store.find(row.id) == row


numbers = st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False)
json = st.recursive(
    st.none() | st.booleans() | numbers | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@law(max_examples=60, deadline=None)
@given(
    content=st.text(),
    data=st.dictionaries(st.text(max_size=5), json, max_size=4),
    at=st.datetimes(timezones=st.just(UTC)),
)
async def test_what_is_read_is_what_was_written(content: str, data: dict[str, Any], at: datetime) -> None:
    async with opened("sqlite memory") as store:
        logged = LoggedEvent(1, 1, "assistant", content, data, at)
        row = session(last_seq=1, document=data, created_at=at)
        await store.begin(replace(row, last_seq=0))
        await store.append(row, [logged])
        assert await store.read(row.id, 0, 1) == [logged]
        assert await store.find(row.id) == row
