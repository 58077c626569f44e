"""The log of a session as its readers get it: what is in it, and then what comes, each at its own pace.

A reader pulls, and nothing is kept for it: who reads slowly is told later, and
who reads nothing is left alone. Whoever was cut off comes again with the number
of the last event that it has seen.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing, suppress

import orjson
from aiohttp import web

from rhetor.core.errors import BadRequest, Code, RhetorError
from rhetor.http.admission import CLOSING, admit_again
from rhetor.http.house import HOUSE, PRINCIPAL
from rhetor.http.sessions.bodies import query_whole
from rhetor.http.stream import CallerLeft, EventStream
from rhetor.pipeline.patience import Patience
from rhetor.sessions.event import EventType
from rhetor.sessions.shape import describe_event
from rhetor.sessions.states import IN_TURN
from rhetor.store.base import LoggedEvent, SessionRow
from rhetor.wire.base import STREAM_TYPE

BATCH = 200
LOOK_S = 5.0  # how often the reader of a silent log is asked for its token again
SLOW_S = 60.0  # for a reader to take what a socket holds
GOODBYE_S = 0.2  # to say why a stream ends; the house waits a quarter of a second for it
PIECE_BYTES = 64 << 10  # at once: as much as a socket holds
BEGINNING = b"retry: 1000\n\n"  # also tells the reader at once that somebody is here
KEEPALIVE = b": keep-alive\n"  # without a blank line, which some readers take for an event, see recorded.py
LAST_SEEN = "Last-Event-ID"
HEAD: Mapping[str, str] = {
    "content-type": STREAM_TYPE,
    "cache-control": "no-cache",
    "x-accel-buffering": "no",
}
NO_HEADERS: Mapping[str, str] = {}

Frame = Callable[[str, LoggedEvent], bytes]
"""An event of this session as one frame."""
Until = Callable[[LoggedEvent], bool]
"""Whether this is the last event that a reader wants."""


def event_frame(id: str, event: LoggedEvent) -> bytes:
    """An event as our own callers read it."""
    data = orjson.dumps(describe_event(id, event))
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (event.seq, event.type.encode(), data)


def ends_turn(event: LoggedEvent) -> bool:
    """Whether the turn is over with this event."""
    change = event.data
    return (
        event.type == EventType.STATUS_CHANGE
        and change.get("from") in IN_TURN
        and change.get("to") not in IN_TURN
    )


def last_seen(http: web.Request) -> int:
    """After which event the caller wants to read: its query says so, or a browser that comes again to the
    same address, and knows better.
    """
    given = http.headers.get(LAST_SEEN)
    if given is None:
        return query_whole(http, "after", 0)
    if not (given.isascii() and given.isdigit() and len(given) <= 16):
        raise BadRequest(f"{LAST_SEEN}: expected the number of an event", param=LAST_SEEN)
    return int(given)


def ensure_happened(row: SessionRow, after: int) -> None:
    """
    Raises:
        BadRequest: the session has no such event yet: the number is of another one.
    """
    if after > row.last_seq:
        message = f"after: this session's last event has the number {row.last_seq}, not {after}"
        raise BadRequest(message, param="after")


async def news(
    http: web.Request, id: str, after: int, until: Until | None = None
) -> AsyncGenerator[Sequence[LoggedEvent], None]:
    """What is in the log after this number, and what comes, in pieces; ends when nothing can come any more.

    Raises:
        BadRequest: the caller may not read any more; not_found, the session was forgotten.
        RhetorError: shutting_down, when all sessions are suspended.
    """
    house, owner = http.app[HOUSE], http.get(PRINCIPAL) or ""
    sessions, rules = house.sessions, house.gatekeeping
    page = await sessions.read(owner, id, after, BATCH)
    while True:
        for place, event in enumerate(page.events):
            after = event.seq
            if until is not None and until(event):
                yield page.events[: place + 1]
                return
        if page.events:
            yield page.events
        if page.ended:
            return
        if house.gatekeeping is not rules:
            admit_again(http, house)
            rules = house.gatekeeping
        page = await sessions.wait(owner, id, after, BATCH, LOOK_S)


async def follow(
    http: web.Request,
    id: str,
    after: int,
    frame: Frame = event_frame,
    until: Until | None = None,
    headers: Mapping[str, str] = NO_HEADERS,
) -> web.StreamResponse:
    """The news as server-sent events. What ends them early is said in a comment.

    Args:
        headers: beside our own.

    Raises:
        CallerLeft: it does not read.
    """
    house = http.app[HOUSE]
    out = EventStream(http, lambda: {**headers, **HEAD}, KEEPALIVE, house.keepalive_s)
    try:
        out.send(BEGINNING)
        async with aclosing(news(http, id, after, until)) as told:
            async for events in told:
                for piece in _pieces(frame(id, event) for event in events):
                    if out.send(piece):
                        await _caught_up(out)
        return await _end(out)
    except RhetorError as error:
        return await _say_why(out, error)
    except asyncio.CancelledError:
        if house.closing and out.takes_more:  # else the caller left
            with suppress(CallerLeft):
                await _say_why(out, RhetorError(CLOSING, Code.SHUTTING_DOWN))
        raise
    except CallerLeft:
        raise
    except Exception:
        out.abort()  # what was written must not look whole
        raise
    finally:
        out.close()


def _pieces(frames: Iterable[bytes]) -> Iterator[bytes]:
    """The frames, joined to what a socket takes at once."""
    joined: list[bytes] = []
    size = 0
    for frame in frames:
        joined.append(frame)
        size += len(frame)
        if size >= PIECE_BYTES:
            yield b"".join(joined)
            joined, size = [], 0
    if joined:
        yield b"".join(joined)


async def _caught_up(out: EventStream) -> None:
    try:
        with Patience(asyncio.get_running_loop(), SLOW_S):
            await out.catch_up()
    except TimeoutError:
        out.abort()
        raise CallerLeft from None


async def _end(out: EventStream, within_s: float = SLOW_S) -> web.StreamResponse:
    try:
        with Patience(asyncio.get_running_loop(), within_s):
            return await out.end()
    except TimeoutError:
        out.abort()
        raise CallerLeft from None


async def _say_why(out: EventStream, error: RhetorError) -> web.StreamResponse:
    out.send(b": %b\n\n" % " ".join(error.message.split()).encode())
    return await _end(out, GOODBYE_S)
