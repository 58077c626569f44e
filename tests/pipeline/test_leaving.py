"""Leaving: a caller who goes takes the upstream call along, in whatever phase, and the books say so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from rhetor.core.errors import Code, RhetorError
from rhetor.core.request import Request
from rhetor.core.usage import Usage
from rhetor.pipeline import trip
from rhetor.testing import (
    Gate,
    Step,
    fails,
    hangs,
    nowhere,
    says,
)
from rhetor.transport.base import Progress
from tests.pipeline.house import House, chat, provider, verbatim

SHORT_S = 0.2
ABORT_WITHIN_S = 0.25
LANES = pytest.mark.parametrize("ask", [chat, verbatim], ids=["translated", "verbatim"])
STREAMED_OR_WHOLE = pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])


class TestLeaving:
    """The caller leaves: the provider sees it within a quarter of a second, and the books say so."""

    async def left(self, house: House, attempts: list[str]) -> None:
        record = await house.booked()
        assert record.outcome == Code.CANCELLED
        assert [a.outcome for a in record.attempts] == attempts

    @LANES
    @pytest.mark.parametrize(
        ("step", "stream"),
        [
            pytest.param(hangs(), True, id="awaiting headers"),
            pytest.param(hangs(after="headers"), True, id="awaiting the first event"),
            pytest.param(hangs(after=0), True, id="awaiting content"),
            pytest.param(hangs(after=1), True, id="mid-stream"),
            pytest.param(hangs(), False, id="awaiting a whole reply"),
            pytest.param(hangs(after="half"), False, id="in the middle of a whole reply"),
            pytest.param(fails(503).but(hangs(after="half")), True, id="in the middle of an error"),
        ],
    )
    async def test_in_every_phase(
        self, house: House, ask: Callable[..., Request], step: Step, stream: bool
    ) -> None:
        house["a"].next(says("one two three").but(step))
        asking = house.start(ask(stream=stream))
        seen = await house["a"].request()
        await seen.hanging()
        if seen.sent_events and stream and step.content is None:
            await asking.spoken()

        await asking.leave()

        await seen.aborted(ABORT_WITHIN_S)
        await self.left(house, [Code.CANCELLED])
        assert house["b"].requests == [], "a caller who left needs no fallback"

    async def test_while_waiting_for_a_slot(self, house: House) -> None:
        await house.replace(provider("a", house["a"].base_url, limit=1))
        transport = house.providers["a"].transport
        house["a"].next(hangs(after=0))
        occupied = await transport.open(house.providers["a"].prepare(chat(), "small").call, Progress())
        asking = house.start(chat())
        for _ in range(5):
            await asyncio.sleep(0)
        await asking.leave()
        occupied.close()
        await self.left(house, [Code.CANCELLED])
        assert len(house["a"].requests) == 1

    async def test_while_connecting(self, house: House) -> None:
        with nowhere.unreachable() as base_url:
            await house.replace(provider("a", base_url))
            asking = house.start(chat())
            for _ in range(20):
                await asyncio.sleep(0)
            await asking.leave()
        await self.left(house, [Code.CANCELLED])

    async def test_during_the_second_attempt(self, house: House) -> None:
        house["a"].next(fails(503))
        house["b"].next(hangs())
        asking = house.start(chat())
        seen = await house["b"].request()
        await asking.leave()
        await seen.aborted(ABORT_WITHIN_S)
        await self.left(house, [Code.UNAVAILABLE, Code.CANCELLED])

    async def test_by_not_listening_to_the_end(self, house: House) -> None:
        house["a"].next(says("one two three").but(hangs(after=1)))
        async with house.pipeline.trip(chat(), "test") as trip:
            async for _ in trip.chunks():
                break
        await house["a"].requests[0].aborted(ABORT_WITHIN_S)
        await self.left(house, [Code.CANCELLED])

    async def test_by_closing_the_connection_while_we_write(self, house: House) -> None:
        house["a"].next(says("one two three").but(hangs(after=1)))
        with pytest.raises(ConnectionResetError):  # noqa: PT012 - it has to come through both
            async with house.pipeline.trip(chat(), "test") as trip:
                async for _ in trip.chunks():
                    raise ConnectionResetError
        await house["a"].requests[0].aborted(ABORT_WITHIN_S)
        await self.left(house, [Code.CANCELLED])

    async def test_before_the_first_chunk_is_taken(self, house: House) -> None:
        house["a"].next(says("one two three").but(hangs(after=1)))
        async with house.pipeline.trip(chat(), "test"):
            pass
        await house["a"].requests[0].aborted(ABORT_WITHIN_S)
        await self.left(house, [Code.CANCELLED])

    async def test_a_mistake_of_the_door_is_not_the_callers(self, house: House) -> None:
        house["a"].next(says("one two three").but(hangs(after=1)))
        with pytest.raises(ZeroDivisionError):
            async with house.pipeline.trip(chat(), "test"):
                raise ZeroDivisionError
        await house["a"].requests[0].aborted(ABORT_WITHIN_S)
        assert (await house.booked()).outcome == Code.INTERNAL

    async def test_what_a_door_refuses_is_booked_as_what_it_is(self, house: House) -> None:
        with pytest.raises(RhetorError):
            async with house.pipeline.trip(chat(), "test"):
                raise RhetorError("the reply cannot be said here", Code.UNSUPPORTED)
        assert (await house.booked()).outcome == Code.UNSUPPORTED

    async def test_many_at_once(self, house: House) -> None:
        """Nothing is left of any of them: no record missing, no slot taken."""
        house["a"].always(hangs(after=1))
        asking = [house.start(chat("a/small")) for _ in range(20)]
        await house["a"].request(4)
        await asyncio.gather(*(one.leave() for one in asking))
        records = await house.books()
        assert [record.outcome for record in records] == [Code.CANCELLED] * 20
        assert house.pipeline.in_flight == 0
        house["a"].always(Step())
        assert (await house.ask(chat("a/small"))).text == "hello world"


class TestDraining:
    """Some providers bill what nobody hears, and tell the usage at the end: those are heard out."""

    @pytest.fixture(autouse=True)
    async def drained(self, house: House) -> None:
        await house.replace(provider("a", house["a"].base_url, on_leave="drain"))

    async def test_a_reply_is_heard_out_for_its_usage(self, house: House) -> None:
        gate = Gate()
        house["a"].next(says("one two three", usage=Usage(10, 50)).but(hangs(gate, after=1)))
        asking = house.start(chat())
        await asking.spoken()

        await asking.leave()
        assert house.pipeline.in_flight == 1, "the trip goes on"
        gate.open()
        await (await house["a"].request()).ended()
        await house.ended()

        record = await house.booked()
        assert (record.outcome, record.usage) == (Code.CANCELLED, Usage(10, 50))

    async def test_but_not_for_ever(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(trip, "DRAIN_S", SHORT_S)
        house["a"].next(says("one two three").but(hangs(after=1)))
        asking = house.start(chat())
        await asking.spoken()

        await asking.leave()
        await (await house["a"].request()).aborted()
        await house.ended()

        assert (await house.booked()).usage.source == "estimated"

    async def test_before_the_first_word_there_is_nothing_to_drain(self, house: House) -> None:
        house["a"].next(hangs())
        asking = house.start(chat())
        seen = await house["a"].request()

        await asking.leave()

        await seen.aborted(within_s=ABORT_WITHIN_S)
