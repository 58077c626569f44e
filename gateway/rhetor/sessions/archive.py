"""The sessions that are stored, and the ends of their logs that somebody reads."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from rhetor.core.clock import Clock
from rhetor.core.content import JsonValue
from rhetor.core.errors import Code, RhetorError
from rhetor.sessions.asking import Page
from rhetor.sessions.draft import Draft
from rhetor.sessions.event import Event, EventType
from rhetor.sessions.log import TAIL_EVENTS, Feed
from rhetor.sessions.states import LIVE, State
from rhetor.store.base import LoggedEvent, SessionRow, SessionStore
from rhetor.tasks import Tasks

log = logging.getLogger(__name__)

READ_AT_ONCE = 500
RECOVERED_AT_ONCE = 100  # some 3 ms of work for the loop


class Archive:
    """
    Args:
        open_store: called when the first session is asked for; again, if it failed.
        is_live: whether a session has an owner, who keeps its feed.
    """

    def __init__(
        self,
        open_store: Callable[[], Awaitable[SessionStore]],
        clock: Clock,
        is_live: Callable[[str], bool],
    ) -> None:
        self._open_store = open_store
        self._clock = clock
        self._is_live = is_live
        self.in_use = asyncio.Event()
        """Set once the store is open."""
        self._opening: asyncio.Task[SessionStore] | None = None
        self._feeds: dict[str, Feed] = {}
        self._tasks = Tasks()
        self._closing = False

    async def opened(self) -> SessionStore:
        """The store; what an earlier process left live is suspended before anybody sees it.

        Raises:
            RhetorError: it cannot be opened; shutting_down.
        """
        if self._closing:
            raise closing()
        opening = self._opening
        if opening is None or (opening.done() and (opening.cancelled() or opening.exception() is not None)):
            opening = self._opening = self._tasks.spawn(self._recovered(), "open sessions")
        return await asyncio.shield(opening)

    @property
    def store(self) -> SessionStore:
        """Once it is open."""
        assert self._opening is not None
        return self._opening.result()

    async def close(self) -> None:
        """Whoever waits for an event hears that nothing comes."""
        self._closing = True
        for feed in list(self._feeds.values()):
            feed.publish(feed.row, ())
        opening, self._opening = self._opening, None
        if opening is not None:
            await asyncio.wait([opening])
            if not opening.cancelled() and opening.exception() is None:
                await opening.result().close()
        await self._tasks.close()

    async def find(self, id: str) -> SessionRow | None:
        if (feed := self._feeds.get(id)) is not None:
            return feed.row
        store = await self.opened()
        row = await store.find(id)
        return self._feeds[id].row if id in self._feeds else row  # somebody may have woken it meanwhile

    async def found(self, row: SessionRow) -> SessionRow:
        """Store a new session."""
        store = await self.opened()
        first = Draft(row)
        data: dict[str, JsonValue] = {"from": None, "to": row.state, "reason": "created"}
        first.say(Event(EventType.STATUS_CHANGE, row.state, data))
        stored, events = first.result(row.created_at)
        # Both are asked for before anything else is: nobody finds it without its first event.
        await asyncio.gather(store.begin(row), store.append(stored, events))
        return stored

    async def history(self, id: str, after: int = 0) -> Sequence[LoggedEvent]:
        """All of a log after this number."""
        feed = self._feeds.get(id)
        if feed is not None and (tail := feed.after(after, TAIL_EVENTS)) is not None:
            return tail
        store = await self.opened()
        events: list[LoggedEvent] = []
        while True:
            page = await store.read(id, events[-1].seq if events else after, READ_AT_ONCE)
            events += page
            if len(page) < READ_AT_ONCE:
                return events

    async def wait(self, row: SessionRow, after: int, limit: int, within_s: float) -> Page:
        """Events with greater numbers than `after`; those that come first, within so many seconds."""
        feed = self.feed(row)
        feed.readers += 1
        try:
            page = await self._page(feed, after, limit)
            if page.events or page.ended or within_s <= 0:
                return page
            if self._closing:
                raise closing()
            await feed.news(after, within_s)
            return await self._page(feed, after, limit)
        finally:
            feed.readers -= 1
            self.let_go(feed)

    async def remove(self, row: SessionRow, last_seq: int | None) -> bool:
        """From the store; who reads its log hears no more. With a number: only if its log ends there."""
        removed = await (await self.opened()).remove(row.id, last_seq)
        if removed and (feed := self._feeds.pop(row.id, None)) is not None:
            feed.publish(replace(feed.row, state=State.TERMINATED.value), ())
        return removed

    def feed(self, row: SessionRow) -> Feed:
        """The one of this session; with this row, where there is none yet."""
        return self._feeds.setdefault(row.id, Feed(row))

    def let_go(self, feed: Feed) -> None:
        """Forget a feed that nobody reads, and nobody writes."""
        id = feed.row.id
        if not feed.readers and not self._is_live(id) and self._feeds.get(id) is feed:
            del self._feeds[id]

    async def _page(self, feed: Feed, after: int, limit: int) -> Page:
        events: Sequence[LoggedEvent] | None = feed.after(after, limit)
        if events is None:
            found = await (await self.opened()).read(feed.row.id, after, limit)
            # What was stored just now is told when it is published.
            events = [event for event in found if event.seq <= feed.row.last_seq]
        last = events[-1].seq if events else after
        return Page(events, feed.row.state == State.TERMINATED and last >= feed.row.last_seq)

    async def _recovered(self) -> SessionStore:
        store = await self._open_store()
        left = frozenset(state.value for state in LIVE)
        number = 0
        try:
            while rows := await store.list(None, states=left, limit=RECOVERED_AT_ONCE):
                await asyncio.gather(*(self._find_suspended(store, row) for row in rows))
                number += len(rows)
        except BaseException:
            await store.close()  # else its folder stays taken, and nobody can open it again
            raise
        if number:
            log.info("sessions found", extra={"suspended": number})
        self.in_use.set()
        return store

    async def _find_suspended(self, store: SessionStore, row: SessionRow) -> None:
        draft = Draft(row)
        draft.withdraw_all()
        if draft.state is not State.IDLE:
            draft.fail(RhetorError("the gateway stopped in the middle of this turn", Code.SHUTTING_DOWN))
        draft.become(State.SUSPENDED, "gateway restarted")
        found, events = draft.result(self._clock.utc())
        # Nobody has touched it: what was left for long still expires.
        await store.append(replace(found, updated_at=row.updated_at), events)


def closing() -> RhetorError:
    return RhetorError("the gateway is shutting down", Code.SHUTTING_DOWN)
