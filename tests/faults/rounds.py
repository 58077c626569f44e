"""Playing many cells at the same time, where they do not disturb each other.

First those that mostly wait, begun one after the other, because at a fast pace a busy moment is long;
then the others, a few at a time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack

from tests.faults.callers import Callers
from tests.faults.fault import Score
from tests.faults.house import House, house, play
from tests.faults.judging import Verdict, judged
from tests.faults.table import Cell

log = logging.getLogger(__name__)

BUSY = 3  # cells at a time that keep a core busy
APART_S = 0.5  # between the beginnings of two that wait

OnVerdict = Callable[[Cell, Verdict], None]


async def play_all(
    cells: Iterable[Cell], on_verdict: OnVerdict = lambda cell, verdict: None
) -> Mapping[Cell, Verdict]:
    """What each of these cells gets."""
    cells = list(cells)
    verdicts: dict[Cell, Verdict] = {}

    def tell(cell: Cell, verdict: Verdict) -> None:
        verdicts[cell] = verdict
        on_verdict(cell, verdict)

    async with Callers() as callers:
        await _play_patient([cell for cell in cells if cell.fault.patient], callers, tell)
        await _play_busy([cell for cell in cells if not cell.fault.patient], callers, tell)
    return verdicts


async def _play_patient(cells: Iterable[Cell], callers: Callers, tell: OnVerdict) -> None:
    longest_first = sorted(cells, key=lambda cell: -cell.fault.calls_at_s[-1])

    async def one(cell: Cell, house: House, nth: int) -> None:
        await asyncio.sleep(nth * APART_S)
        tell(cell, await _verdict(cell, house, callers))

    async with AsyncExitStack() as stack:
        houses = [(cell, await stack.enter_async_context(house(cell))) for cell in longest_first]
        async with asyncio.TaskGroup() as group:
            for nth, (cell, furnished) in enumerate(houses):
                group.create_task(one(cell, furnished, nth), name=str(cell))


async def _play_busy(cells: Iterable[Cell], callers: Callers, tell: OnVerdict) -> None:
    turn = asyncio.Semaphore(BUSY)

    async def one(cell: Cell) -> None:
        async with turn, house(cell) as furnished:
            tell(cell, await _verdict(cell, furnished, callers))

    async with asyncio.TaskGroup() as group:
        for cell in cells:
            group.create_task(one(cell), name=str(cell))


async def _verdict(cell: Cell, house: House, callers: Callers) -> Verdict:
    try:
        return judged(cell.fault, cell.column, await play(cell, house, callers))
    except Exception as error:  # one cell that cannot be played shall not end the others
        log.exception("not played", extra={"cell": str(cell)})
        return Verdict(Score.FAIL, [f"could not be played: {error!r}"])
