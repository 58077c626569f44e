"""Generations that outlive their callers: who runs, who is kept, and for how much memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson
import pytest

from rhetor.core.errors import BadRequest, Code, RhetorError
from rhetor.core.events import Event, Failed, Grammar, Progress, fold
from rhetor.core.request import Original
from rhetor.pipeline.detached import Recordings, Repeat
from rhetor.pipeline.recording import Follower, Retention, State
from rhetor.tasks import spawn
from rhetor.testing import Gate, cuts, fails, hangs, says
from tests.http.following import until
from tests.pipeline.drawing import Script, calls, draw, drawing, working
from tests.pipeline.house import House, chat

MIB = 1 << 20
ONCE = Repeat(("ann", "/path", "once"), b"digest")


@asynccontextmanager
async def kept(house: House) -> AsyncIterator[Recordings]:
    made = Recordings(house.pipeline, each_mb=1, all_mb=2)
    yield made
    await made.close()


@pytest.fixture
async def recordings(house: House) -> AsyncIterator[Recordings]:
    async with kept(house) as made:
        yield made


async def read(follower: Follower) -> list[Event]:
    grammar, heard = Grammar(), []
    async with follower:
        async for chunk in follower.chunks():
            for event in chunk.events:
                grammar.see(event)
                heard.append(event)
    return heard


@asynccontextmanager
async def begun(
    recordings: Recordings, detach_s: float, repeat: Repeat | None = None, resume_s: float = 0
) -> AsyncIterator[Follower]:
    """A caller who has heard the first word of `hangs(after=1)`."""
    async with recordings.begin(chat(), "test", Retention(detach_s, resume_s), repeat) as follower:
        await anext(follower.chunks())
        yield follower


async def test_it_goes_on_without_anybody_and_is_booked_once(house: House, recordings: Recordings) -> None:
    gate = Gate()
    house["a"].next(says("one two").but(hangs(gate, after=1)))
    async with begun(recordings, 60) as follower:
        recording = follower.recording
    assert recordings.followed == 0
    gate.open()
    await until(lambda: house.pipeline.in_flight == 0)
    for _ in range(2):
        assert fold(await read(recordings.follow(recording, chat()))).text == "one two"
    assert (await house.booked()).outcome == "ok"


async def test_who_is_not_detached_ends_it_by_leaving(house: House, recordings: Recordings) -> None:
    house["a"].next(hangs(after=1))
    async with begun(recordings, 0, ONCE):
        pass
    await until(lambda: not recordings.listed)
    await house["a"].requests[0].aborted()
    assert (await house.booked()).outcome == "cancelled"
    assert recordings.total_bytes == 0


async def test_it_waits_for_a_caller_who_was_cut_off(house: House, recordings: Recordings) -> None:
    gate = Gate()
    house["a"].next(says("one two").but(hangs(gate, after=1)))
    async with begun(recordings, 0, resume_s=60) as follower:
        recording = follower.recording
        recording.named = True
    assert recording.timer is not None
    async with recordings.follow(recording, chat()) as again:
        assert recording.timer is None, "it is not ended under somebody who follows"
        gate.open()
        assert fold([event async for chunk in again.chunks() for event in chunk.events]).text == "one two"
    assert recordings.listed, "who is cut off in the last frame comes back for that"
    assert (await house.booked()).outcome == "ok"


async def test_it_does_not_wait_for_who_was_never_told_its_id(house: House, recordings: Recordings) -> None:
    house["a"].next(hangs(after=1))
    async with begun(recordings, 0, resume_s=60):
        pass
    await house["a"].requests[0].aborted()
    assert (await house.booked()).outcome == "cancelled"


async def test_it_ends_when_nobody_comes_back(house: House, recordings: Recordings) -> None:
    house["a"].next(hangs(after=1))
    async with begun(recordings, 0, resume_s=0.01) as follower:
        recording = follower.recording
        recording.named = True
    await house["a"].requests[0].aborted()
    assert (await house.booked()).outcome == "cancelled"
    await until(lambda: not recordings.listed)
    assert recording.state is State.CANCELLED
    assert recordings.total_bytes == 0


async def test_a_caller_who_leaves_before_anybody_answers(house: House, recordings: Recordings) -> None:
    house["a"].always(hangs())
    waiting = spawn(read(recordings.begin(chat(), "test", Retention(), ONCE)), "waiting")
    await house["a"].request()
    waiting.cancel()
    await until(lambda: not recordings.listed)
    assert (await house.booked()).outcome == "cancelled"
    assert recordings.followed == 0


async def test_ended_before_it_began(house: House, recordings: Recordings) -> None:
    """Its task never ran; who follows is told all the same."""
    follower = recordings.begin(chat(), "test", Retention(60))
    await recordings.cancel(follower.recording)
    with pytest.raises(RhetorError, match="cancelled"):
        await read(follower)
    assert follower.recording.state is State.CANCELLED


async def test_cancelled_while_it_speaks(house: House, recordings: Recordings) -> None:
    house["a"].next(hangs(after=1))
    async with begun(recordings, 60) as follower:
        await recordings.cancel(follower.recording)
        await house["a"].requests[0].aborted()
        ending = [chunk async for chunk in follower.chunks()][-1].events[-1]
    assert isinstance(ending, Failed)
    assert ending.error.code is Code.CANCELLED


async def test_a_key_leads_to_the_same_generation(house: House, recordings: Recordings) -> None:
    first = recordings.begin(chat(), "test", Retention(), ONCE)
    second = recordings.begin(chat(), "test", Retention(), ONCE)
    assert (first.replayed, second.replayed) == (False, True)
    assert first.request.id == second.request.id
    assert await read(first) == await read(second)
    assert await read(recordings.begin(chat(), "test", Retention(), ONCE)) == await read(
        recordings.follow(first.recording, chat())
    )
    await house.booked()


async def test_a_key_is_for_one_body(house: House, recordings: Recordings) -> None:
    await read(recordings.begin(chat(), "test", Retention(), ONCE))
    with pytest.raises(BadRequest) as refused:
        recordings.begin(chat(), "test", Retention(), Repeat(ONCE.scope, b"another"))
    assert refused.value.code is Code.CONFLICT


@pytest.mark.parametrize("stream", [True, False])
async def test_what_told_its_caller_nothing_leaves_its_key(
    house: House, recordings: Recordings, stream: bool
) -> None:
    for upstream in house.upstreams.values():
        upstream.always(fails(400))
    with pytest.raises(RhetorError):
        await read(recordings.begin(chat(stream=stream), "test", Retention(), ONCE))
    house["a"].always(says("hello"))
    assert not (again := recordings.begin(chat(stream=stream), "test", Retention(), ONCE)).replayed
    assert fold(await read(again)).text == "hello"


async def test_a_generation_is_its_principals(house: House, recordings: Recordings) -> None:
    await read(recordings.begin(chat(principal="ann"), "test", Retention(60)))
    (id,) = recordings.listed
    assert recordings.find(id, "ann").id == id
    for stranger in ("bob", None):
        with pytest.raises(BadRequest) as refused:
            recordings.find(id, stranger)
        assert refused.value.code is Code.NOT_FOUND


async def test_the_oldest_makes_room(house: House, recordings: Recordings) -> None:
    house["a"].always(says("x" * 600_000))
    ids = []
    for _ in range(5):
        follower = recordings.begin(chat(), "test", Retention(60))
        ids.append(follower.request.id)
        await read(follower)
        assert recordings.total_bytes <= 2 * MIB
    assert list(recordings.listed) == ids[-3:]


async def test_who_still_reads_what_made_room_is_told(house: House, recordings: Recordings) -> None:
    """Never less than was said, without a word."""
    house["a"].always(says(("x" * 300_000 + " ") * 2))
    first = recordings.begin(chat(), "test", Retention(60))
    async with first:
        chunks = first.chunks()
        await anext(chunks)
        await until(lambda: first.recording.ended)
        for _ in range(3):
            await read(recordings.begin(chat(), "test", Retention(60)))
        heard = [event async for chunk in chunks for event in chunk.events]
    assert isinstance(heard[-1], Failed)
    assert heard[-1].error.code is Code.POOL_FULL


async def test_too_large_a_reply_fails_clearly(house: House, recordings: Recordings) -> None:
    house["a"].next(says(("x" * 10_000 + " ") * 200))
    heard = await read(recordings.begin(chat(), "test", Retention(60)))
    assert isinstance(heard[-1], Failed)
    assert heard[-1].error.code is Code.TOO_LARGE
    assert 500_000 < len(fold(heard).text) < MIB
    assert (await house.booked()).outcome == Code.TOO_LARGE


async def test_a_whole_reply_that_is_too_large(house: House, recordings: Recordings) -> None:
    """It comes in one piece, and is not kept for a moment."""
    house["a"].next(says("x" * 2_000_000))
    follower = recordings.begin(chat(stream=False), "test", Retention(60))
    heard = await read(follower)
    assert isinstance(heard[-1], Failed)
    assert recordings.total_bytes < 10_000


async def test_no_room_for_another_one(house: House, recordings: Recordings) -> None:
    """While all of them still run, a new one is refused instead of an old one cut."""
    house["a"].always(hangs(after=1))
    body = Original("another", b"x" * 400_000, {})
    async with recordings.begin(chat(original=body), "test", Retention(60)):
        with pytest.raises(RhetorError) as refused:
            recordings.begin(chat(original=body), "test", Retention(60))
    assert refused.value.code is Code.POOL_FULL
    assert len(recordings.listed) == 1


async def test_what_errors_quote_makes_room_too(house: House, recordings: Recordings) -> None:
    """More is kept of a request that failed than of one that runs."""
    quoted = orjson.dumps({"error": {"message": "no", "parts": [[]] * 12_000}})
    for upstream in house.upstreams.values():
        upstream.always(fails(400, body=quoted))
    ids = []
    for _ in range(8):
        follower = recordings.begin(chat(), "test", Retention(60))
        ids.append(follower.request.id)
        with pytest.raises(RhetorError):
            await read(follower)
        assert recordings.total_bytes <= 2 * MIB
    assert 0 < len(recordings.listed) < 8
    assert list(recordings.listed) == ids[-len(recordings.listed) :]


async def test_a_lower_limit_counts_at_once(house: House, recordings: Recordings) -> None:
    recordings.limit(each_mb=1, all_mb=1)
    house["a"].always(says("x" * 600_000))
    for _ in range(3):
        await read(recordings.begin(chat(), "test", Retention(60)))
    assert recordings.total_bytes <= MIB


async def test_closing_ends_what_runs(house: House) -> None:
    recordings = Recordings(house.pipeline, 1, 2)
    house["a"].next(hangs(after=1))
    async with begun(recordings, 60) as follower:
        await recordings.close()
        ending = [chunk async for chunk in follower.chunks()][-1].events[-1]
    assert isinstance(ending, Failed)
    assert ending.error.code is Code.SHUTTING_DOWN
    assert house.pipeline.in_flight == 0


async def test_a_stream_that_broke_off_keeps_its_key(house: House, recordings: Recordings) -> None:
    """Its caller has heard the beginning, and gets the same again."""
    house.hurry()
    for upstream in house.upstreams.values():
        upstream.always(cuts(after=1))
    first = await read(recordings.begin(chat("a/small"), "test", Retention(), ONCE))
    again = recordings.begin(chat("a/small"), "test", Retention(), ONCE)
    assert again.replayed
    assert fold(await read(again)).text == fold(first).text


async def test_how_far_it_is_is_told_before_anybody_answers_and_only_once() -> None:
    gate = Gate()
    drawn = Script(poll=[working(), working().but(hangs(gate))])
    async with drawing(drawn) as house, kept(house) as recordings:
        follower = recordings.begin(draw(stream=True), "test", Retention(), early=True)
        async with follower:
            chunks = follower.chunks()
            early = [(await anext(chunks)).events for _ in range(2)]
            assert early == [[Progress(None, "processing")]] * 2
            recording = follower.recording
            assert (recording.answered, recording.progress) == (False, Progress(None, "processing"))
            gate.open()
            rest = [event async for chunk in chunks for event in chunk.events]
        assert [it for it in rest if isinstance(it, Progress)] == [Progress(None, "processing")]
        assert calls(house["a"]) == ["submit", "poll", "poll", "poll", "fetch"]
        await until(lambda: not recordings.listed)
        assert recordings.total_bytes == 0
