"""The end of a log in memory, and who waits for more of it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

from rhetor import tasks
from rhetor.sessions.log import TAIL_EVENTS, Feed
from rhetor.store.base import LoggedEvent, SessionRow

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ROW = SessionRow(id="ses_1", owner="", backend="chat", state="idle", created_at=NOW, updated_at=NOW)


def logged(seq: int, content: str = "x") -> LoggedEvent:
    return LoggedEvent(seq, 1, "assistant", content, {}, NOW)


def grown(feed: Feed, *events: LoggedEvent) -> None:
    feed.publish(replace(feed.row, last_seq=events[-1].seq), events)


async def test_readers_get_what_they_have_not_seen() -> None:
    feed = Feed(ROW)
    grown(feed, logged(1), logged(2), logged(3))
    assert [event.seq for event in feed.after(1, 10) or ()] == [2, 3]
    assert [event.seq for event in feed.after(0, 2) or ()] == [1, 2]
    assert feed.after(3, 10) == []
    assert feed.after(99, 10) == []


async def test_what_is_older_is_in_the_store() -> None:
    feed = Feed(ROW)
    for seq in range(1, TAIL_EVENTS + 3):
        grown(feed, logged(seq))
    assert feed.after(0, 10) is None
    assert [event.seq for event in feed.after(2, 2) or ()] == [3, 4]


async def test_a_feed_of_a_stored_log_knows_that_it_has_nothing_of_it() -> None:
    assert Feed(replace(ROW, last_seq=7)).after(3, 10) is None


async def test_large_events_do_not_fill_the_memory() -> None:
    feed = Feed(ROW)
    for seq in range(1, 11):
        grown(feed, logged(seq, "x" * 100_000))
    assert feed.after(0, 10) is None
    assert [event.seq for event in feed.after(9, 10) or ()] == [10]


async def test_all_who_wait_are_told() -> None:
    feed = Feed(ROW)
    waiting = [tasks.spawn(feed.news(0, 10.0), "reader") for _ in range(3)]
    await asyncio.sleep(0)
    grown(feed, logged(1))
    await asyncio.wait_for(asyncio.gather(*waiting), 5)


async def test_who_is_behind_does_not_wait() -> None:
    feed = Feed(ROW)
    grown(feed, logged(1))
    await asyncio.wait_for(feed.news(0, 100.0), 5)


async def test_waiting_has_an_end() -> None:
    await asyncio.wait_for(Feed(ROW).news(0, 0.01), 5)
