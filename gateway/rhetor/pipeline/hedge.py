"""Two at a time: a second one starts when the first is late, and the earlier answer counts."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from rhetor.tasks import spawn

log = logging.getLogger(__name__)

T = TypeVar("T")


async def earliest(
    first: Coroutine[Any, Any, T | None],
    second: Callable[[], Coroutine[Any, Any, T | None] | None],
    late_s: float,
    discard: Callable[[T], None],
) -> T | None:
    """The first answer of the two; None when neither has one.

    Args:
        second: asked for when the first has not answered after `late_s` seconds; may still decline.
        discard: gets an answer that came too late, or that nobody waits for any more.
    """
    racers = [spawn(first, "hedge: first")]
    winner: asyncio.Task[T | None] | None = None
    try:
        done, _ = await asyncio.wait(racers, timeout=late_s)
        if not done and (other := second()) is not None:
            racers.append(spawn(other, "hedge: second"))
        while (winner := _winner(racers)) is None and (running := _running(racers)):
            await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        return winner.result() if winner is not None else None
    finally:
        losers = [racer for racer in racers if racer is not winner]
        for loser in losers:
            loser.cancel()
        try:
            if running := _running(losers):
                await asyncio.wait(running)  # they end at once, and note what became of them
        except BaseException:
            losers = racers  # whoever was to get the winner is gone
            raise
        finally:
            for loser in losers:
                loser.add_done_callback(lambda task: _give_back(task, discard))


def _winner(racers: list[asyncio.Task[T | None]]) -> asyncio.Task[T | None] | None:
    return next((racer for racer in racers if racer.done() and racer.result() is not None), None)


def _running(racers: list[asyncio.Task[T | None]]) -> list[asyncio.Task[T | None]]:
    return [racer for racer in racers if not racer.done()]


def _give_back(task: asyncio.Task[T | None], discard: Callable[[T], None]) -> None:
    """A loser may have answered in the very moment of its cancellation."""
    if task.cancelled():
        return
    if (error := task.exception()) is not None:
        log.error("hedge failed", exc_info=error)
    elif (answer := task.result()) is not None:
        discard(answer)
