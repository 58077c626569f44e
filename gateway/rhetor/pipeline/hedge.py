"""Two at a time: a second one starts when the first is late, and the earlier answer counts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from rhetor.tasks import spawn

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
        discard: gets an answer that came too late.
    """
    running = {spawn(first, "hedge: first")}
    try:
        done, _ = await asyncio.wait(running, timeout=late_s)
        if not done and (other := second()) is not None:
            running.add(spawn(other, "hedge: second"))
        while running:
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            answers = [answer for task in done if (answer := task.result()) is not None]
            for late in answers[1:]:
                discard(late)
            if answers:
                return answers[0]
        return None
    finally:
        for loser in running:
            loser.add_done_callback(lambda task: _give_back(task, discard))
            loser.cancel()
        if running:
            await asyncio.wait(running)  # they end at once: what they hold is closed, not waited for


def _give_back(task: asyncio.Task[T | None], discard: Callable[[T], None]) -> None:
    """A loser may have answered in the very moment of its cancellation."""
    if not task.cancelled() and task.exception() is None and (answer := task.result()) is not None:
        discard(answer)
