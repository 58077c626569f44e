"""What holds whatever happens: trips at random among providers that fail at random, left at random."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from random import Random
from typing import Any

import pytest

from rhetor.core.errors import Code, RhetorError
from rhetor.core.events import Event, Failed, Grammar
from rhetor.testing import (
    Point,
    Seen,
    Step,
    broken_chunked,
    cuts,
    error_in_200,
    fails,
    gzip,
    hangs,
    resets,
    says,
    slow,
)
from tests.pipeline.house import PLAIN, House, chat, provider, verbatim

ROUNDS, TOGETHER = 6, 12
LIMIT = 6  # fewer slots than trips: some wait
UNIT_S = 0.02


class Weather:
    """Chooses; the same seed chooses the same, as far as the order of events is the same."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    def step(self, _: Seen) -> Step:
        random = self._random
        after: Point = random.choice(["request", "headers", 0, 1, 2])
        fault = random.choice(
            [
                Step(),
                Step(),
                gzip(),
                hangs(after=after),
                cuts(after),
                resets(after),
                broken_chunked(random.choice([0, 1, 2])),
                fails(random.choice([400, 401, 404, 429, 500, 503, 529])),
                slow(first_event_s=random.random() * UNIT_S, gap_s=random.random() * UNIT_S),
                error_in_200(after=random.randrange(3)),
            ]
        )
        return says("one two three").but(fault)

    def leaves_after_s(self) -> float | None:
        return self._random.random() * 4 * UNIT_S if self._random.random() < 0.3 else None

    def streams(self) -> bool:
        return self._random.random() < 0.7

    def translates(self) -> bool:
        return self._random.random() < 0.5


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("rule", [PLAIN, {}, {"hedge": True}], ids=["plain", "rescued", "hedged"])
async def test_one_ending_one_record_and_nothing_left_behind(
    house: House, seed: int, rule: Mapping[str, Any]
) -> None:
    house.rule(**rule)
    weather = Weather(seed)
    for id in ("a", "b"):
        await house.replace(provider(id, house[id].base_url, limit=LIMIT))
        house[id].always(weather.step)
    house.hurry(first_event_s=2 * UNIT_S, idle_s=2 * UNIT_S, total_s=20 * UNIT_S)

    outcomes: dict[str, str | None] = {}
    for _ in range(ROUNDS):
        await asyncio.gather(*(_one(house, weather, outcomes) for _ in range(TOGETHER)))

    assert house.pipeline.in_flight == 0
    records = {record.id: record for record in await house.books()}
    assert records.keys() == outcomes.keys()
    assert len(await house.books()) == ROUNDS * TOGETHER, "a trip leaves exactly one record"
    for id, outcome in outcomes.items():
        record = records[id]
        assert record.outcome == (outcome or record.outcome), "the books say what the caller heard"
        if record.served_by is not None:
            assert record.served_by in [a.target for a in record.attempts]
            # Whoever leaves while the rest is looked for leaves nobody in particular.
            assert record.outcome in [Code.CANCELLED, *(a.outcome for a in record.attempts)]
    house.forget()
    await _every_slot_is_free(house)


async def _one(house: House, weather: Weather, outcomes: dict[str, str | None]) -> None:
    """One trip; its outcome as the caller heard it, None when the caller left."""
    request = (chat if weather.translates() else verbatim)(stream=weather.streams())
    trip = house.pipeline.trip(request, "test")
    grammar, last = Grammar(), list[Event]()

    async def listen() -> str:
        try:
            async with trip:
                async for chunk in trip.chunks():
                    for event in chunk.events:
                        grammar.see(event)
                        last[:] = [event]
        except RhetorError as error:
            return error.code
        assert grammar.ended
        return last[0].error.code if isinstance(last[0], Failed) else "ok"

    try:
        async with asyncio.timeout(weather.leaves_after_s()):
            outcomes[request.id] = await listen()
    except TimeoutError:
        outcomes[request.id] = None


async def _every_slot_is_free(house: House) -> None:
    for id in ("a", "b"):
        house[id].always(Step())
        asking = (house.ask(chat(f"{id}/small", stream=False)) for _ in range(LIMIT))
        assert [heard.text for heard in await asyncio.gather(*asking)] == ["hello world"] * LIMIT
