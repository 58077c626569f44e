"""A chat's log as its callers follow it: the turn of one message, or whatever comes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import suppress

from rhetor.core.errors import Code, RhetorError
from rhetor.http.chat.told import Frame, Turn
from rhetor.http.house import House
from rhetor.sessions.asking import Accepted
from rhetor.sessions.event import EventType
from rhetor.sessions.states import IN_TURN
from rhetor.store.base import LoggedEvent

BATCH = 200
LOOK_S = 5.0  # how often a log is asked again in which nothing happens, and the caller for its token

Still = Callable[[], Awaitable[object]]
"""Raises when the caller may not hear more."""


async def turn_of(
    house: House, owner: str, accepted: Accepted, turn: Turn, still: Still | None = None
) -> AsyncGenerator[list[Frame], None]:
    """The frames of the turn that a message began, to the one that ends it; `turn` knows all of it then.

    Args:
        still: asked now and then, whether its caller may still hear it.

    Raises:
        RhetorError: there is nothing more of it: the session was forgotten, or the gateway stops; or the
            caller may not hear it any more.
    """
    id, after, looked_s = accepted.row.id, accepted.seq - 1, house.clock.monotonic_s()
    while not turn.ended:
        page = await house.sessions.wait(owner, id, after, BATCH, LOOK_S)
        if still is not None and (now_s := house.clock.monotonic_s()) - looked_s >= LOOK_S:
            looked_s = now_s
            await still()
        frames: list[Frame] = []
        for event in page.events:
            after = event.seq
            if event.seq == accepted.seq:
                turn.user = event
            frames += turn.frames(event)
            if turn.ended:
                break
        if frames:
            yield frames
        if page.ended and not turn.ended:
            raise RhetorError("the session has ended", Code.NOT_FOUND)


async def news_of(
    house: House, owner: str, id: str, after: int
) -> AsyncGenerator[Sequence[tuple[LoggedEvent, Frame]], None]:
    """Frames of all turns after this event, each with the event that it tells; ends with the session.

    Raises:
        RhetorError: the session was forgotten, or the gateway stops.
    """
    turn = Turn()
    while True:
        page = await house.sessions.wait(owner, id, after, BATCH, LOOK_S)
        told: list[tuple[LoggedEvent, Frame]] = []
        for event in page.events:
            after = event.seq
            if event.type == EventType.USER:
                turn = Turn(event)
            told += [(event, frame) for frame in turn.frames(event)]
        yield told  # also when there is nothing, so that readers can look around
        if page.ended:
            return


def leave(house: House, owner: str, accepted: Accepted) -> None:
    """The caller left: have the turn of its message end, in the background, if it still goes on."""
    if accepted.again:
        return  # whoever said it first may still be there

    async def interrupt() -> None:
        with suppress(RhetorError):  # it has ended by itself, or the gateway stops
            row = await house.sessions.get(owner, accepted.row.id)
            if row.turn == accepted.row.turn and row.state in IN_TURN:
                await house.sessions.interrupt(owner, row.id)

    house.pipeline.drains.spawn(interrupt(), f"leave {accepted.row.id}")
