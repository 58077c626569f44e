"""A reply is kept before its caller hears the ending, and never fails by it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable

import pytest

from rhetor.core.errors import Code, RhetorError
from rhetor.core.events import (
    ENDINGS,
    Event,
    Failed,
    Finished,
    FinishReason,
    Folded,
    TextDelta,
    ToolUseDelta,
    ToolUseStarted,
    fold,
)
from rhetor.core.request import Request
from rhetor.pipeline import keeping
from rhetor.pipeline.detached import Recordings, Repeat
from rhetor.pipeline.keeping import Keep, Kept
from rhetor.pipeline.recording import Retention, Telling
from rhetor.tasks import spawn
from rhetor.testing import Gate, cuts, fails, hangs, replies, says
from tests.http.following import until
from tests.pipeline.house import House, chat, verbatim

LANES = pytest.mark.parametrize("ask", [chat, verbatim], ids=["translated", "verbatim"])
STREAMED_OR_WHOLE = pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
SHORT_S = 0.05
DONE = Finished(FinishReason.TOOL_USE)


class Shelf:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.kept: list[Folded] = []

    async def keep(self, folded: Folded) -> None:
        await asyncio.sleep(0)
        self.kept.append(folded)


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


def begin(house: House, request: Request, keep: Keep, within_s: float = 5.0) -> Kept:
    return Kept(house.pipeline.trip(request, "test"), keep, within_s)


async def hear(trip: Telling, on_event: Callable[[Event], None] = lambda _: None) -> list[Event]:
    heard = []
    async with asyncio.timeout(5), trip:
        async for chunk in trip.chunks():
            for event in chunk.events:
                on_event(event)
                heard.append(event)
    return heard


@LANES
@STREAMED_OR_WHOLE
async def test_what_is_kept_is_what_was_said(
    house: House, shelf: Shelf, ask: Callable[..., Request], stream: bool
) -> None:
    house["a"].next(replies([TextDelta("one two"), ToolUseStarted(0, "c", "f"), ToolUseDelta(0, "{}"), DONE]))
    heard = await hear(begin(house, ask(stream=stream), shelf.keep))
    assert shelf.kept == [fold(heard)]
    assert shelf.kept[0].tool_uses[0].name == "f"
    assert shelf.kept[0].error is None


@LANES
@STREAMED_OR_WHOLE
async def test_it_is_kept_before_the_ending_is_heard(
    house: House, shelf: Shelf, ask: Callable[..., Request], stream: bool
) -> None:
    """Who asks for what it was just told finds it."""
    seen: list[int] = []

    def on_event(event: Event) -> None:
        if isinstance(event, ENDINGS):
            seen.append(len(shelf.kept))

    await hear(begin(house, ask(stream=stream), shelf.keep), on_event)
    assert seen == [1]


async def test_to_a_door_it_is_the_trip(house: House, shelf: Shelf) -> None:
    trip = house.pipeline.trip(verbatim(), "test")
    async with Kept(trip, shelf.keep, 5.0) as kept:
        assert (kept.request, kept.meta, kept.began_at) == (trip.request, trip.meta, trip.began_at)
        assert (kept.verbatim, kept.served_by, kept.answer) == (True, trip.served_by, trip.answer)
        raw = b"".join([chunk.raw async for chunk in kept.chunks()])
    assert raw.endswith(b"data: [DONE]\n\n")
    assert (await house.booked()).outcome == "ok"


async def test_a_failure_is_handed_over_as_one(house: House, shelf: Shelf) -> None:
    house["a"].next(says("one two three").but(cuts(after=2)))
    heard = await hear(begin(house, chat("a/small"), shelf.keep))
    assert isinstance(heard[-1], Failed)
    (kept,) = shelf.kept
    assert kept.error is heard[-1].error
    assert (kept.text, kept.finish) == ("one two", None)


async def test_a_rescued_reply_is_kept_as_one(house: House, shelf: Shelf) -> None:
    house.rule(retries=0)
    house["a"].next(says("one two three").but(cuts(after=2)))
    house["b"].next(says("one two three"))
    await hear(begin(house, verbatim(), shelf.keep))
    assert [kept.text for kept in shelf.kept] == ["one two three"]


async def test_whom_nobody_answers_has_nothing_to_keep(house: House, shelf: Shelf) -> None:
    house["a"].next(fails(400))
    with pytest.raises(RhetorError):
        await hear(begin(house, chat("a/small"), shelf.keep))
    assert shelf.kept == []


async def test_who_leaves_before_the_ending_keeps_nothing(house: House, shelf: Shelf) -> None:
    house["a"].next(says("one two").but(hangs(after=1)))
    async with begin(house, chat(), shelf.keep) as trip:
        await anext(trip.chunks())
    await house["a"].requests[0].ended()
    assert shelf.kept == []
    assert (await house.booked()).outcome == Code.CANCELLED


async def _never(folded: Folded) -> None:
    await asyncio.Event().wait()


async def _fails(folded: Folded) -> None:
    raise OSError("the disk is full")


@STREAMED_OR_WHOLE
@pytest.mark.parametrize(
    ("keep", "reason"), [(_never, "not within 0.05 s"), (_fails, "OSError")], ids=["hangs", "fails"]
)
async def test_a_store_in_trouble_costs_the_reply_nothing(
    house: House, caplog: pytest.LogCaptureFixture, keep: Keep, reason: str, stream: bool
) -> None:
    heard = await hear(begin(house, chat(stream=stream), keep, SHORT_S))
    assert isinstance(heard[-1], Finished)
    (record,) = [record for record in caplog.records if record.message == "reply not kept"]
    assert (record.levelno, vars(record)["reason"]) == (logging.WARNING, reason)
    assert (await house.booked()).outcome == "ok"


async def test_what_is_larger_than_anybody_keeps_is_passed_on_all_the_same(
    house: House, shelf: Shelf, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "LARGEST_BYTES", 1000)
    house["a"].next(says("word " * 50))
    heard = await hear(begin(house, chat(), shelf.keep))
    assert fold(heard).text == "word " * 50
    assert shelf.kept == []
    assert "reply not kept" in caplog.text


async def test_a_caller_who_leaves_while_it_is_kept_waits_for_nothing(house: House) -> None:
    asked = asyncio.Event()

    async def keep(folded: Folded) -> None:
        asked.set()
        await _never(folded)

    asking = spawn(hear(begin(house, chat(), keep)), "asking")
    async with asyncio.timeout(5):
        await asked.wait()
    asking.cancel()
    await asyncio.wait([asking], timeout=1)
    assert asking.cancelled()
    assert house.pipeline.in_flight == 0


class TestRecorded:
    @pytest.fixture
    async def recordings(self, house: House) -> AsyncIterator[Recordings]:
        made = Recordings(house.pipeline, each_mb=1, all_mb=2)
        yield made
        await made.close()

    async def test_it_is_kept_when_nobody_is_left_to_hear_it(
        self, house: House, recordings: Recordings, shelf: Shelf
    ) -> None:
        gate = Gate()
        house["a"].next(says("one two").but(hangs(gate, after=1)))
        async with recordings.begin(chat(), "test", Retention(60.0), keep=shelf.keep) as follower:
            await anext(follower.chunks())
        gate.open()
        await until(lambda: bool(shelf.kept))
        assert [kept.text for kept in shelf.kept] == ["one two"]

    async def test_it_is_kept_once_however_many_follow(
        self, house: House, recordings: Recordings, shelf: Shelf
    ) -> None:
        repeat = Repeat(("ann", "/path", "once"), b"digest")
        for _ in range(3):
            follower = recordings.begin(chat(), "test", Retention(), repeat, shelf.keep)
            assert fold(await hear(follower)).text == "hello world"
        assert len(shelf.kept) == 1
