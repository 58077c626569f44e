"""The clock over a reply: what it cuts short, and what it leaves alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping

import pytest

from rhetor.core.errors import Code
from rhetor.pipeline.watch import Watch
from rhetor.tasks import reason_of, spawn

SHORT_S = 0.02
LONG_S = 60.0
PATIENT_S = 5.0


class Reply:
    """A reply of which only the closing matters."""

    status = 200
    headers: Mapping[str, str] = {}

    def __init__(self) -> None:
        self._closed = asyncio.Event()

    @property
    def response(self) -> Reply:
        return self

    @property
    def is_closed(self) -> bool:
        return self._closed.is_set()

    async def chunks(self) -> AsyncIterator[bytes]:
        yield b""

    async def read(self, limit_bytes: int) -> bytes:
        return b""

    def close(self) -> None:
        self._closed.set()

    async def closed(self) -> None:
        async with asyncio.timeout(PATIENT_S):
            await self._closed.wait()


@pytest.fixture
async def reply() -> Reply:
    return Reply()


async def pause(seconds: float) -> None:
    """Real time: what is measured here is nothing else."""
    await asyncio.sleep(seconds)


async def test_a_read_that_takes_too_long_closes_the_reply(reply: Reply) -> None:
    watch = Watch(asyncio.get_running_loop(), reply, idle_s=SHORT_S, left_s=LONG_S)
    watch.start()
    await reply.closed()
    assert watch.expired is not None
    assert watch.expired.code is Code.IDLE_TIMEOUT
    assert watch.expired.message == f"the provider was silent for {SHORT_S:g} s"


async def test_a_trip_that_takes_too_long_closes_the_reply(reply: Reply) -> None:
    watch = Watch(asyncio.get_running_loop(), reply, idle_s=LONG_S, left_s=SHORT_S)
    watch.start()
    await reply.closed()
    assert watch.expired is not None
    assert watch.expired.code is Code.TOTAL_TIMEOUT


async def test_every_read_has_its_own_time(reply: Reply) -> None:
    """Reads that are short one by one may take long together."""
    watch = Watch(asyncio.get_running_loop(), reply, idle_s=3 * SHORT_S, left_s=LONG_S)
    for _ in range(6):
        watch.start()
        await pause(SHORT_S)
        watch.stop()
    assert not reply.is_closed
    watch.close()


async def test_time_between_reads_does_not_count(reply: Reply) -> None:
    watch = Watch(asyncio.get_running_loop(), reply, idle_s=SHORT_S, left_s=LONG_S)
    watch.start()
    watch.stop()
    await pause(3 * SHORT_S)
    assert not reply.is_closed
    watch.start()
    assert not reply.is_closed
    await reply.closed()


async def test_but_it_counts_for_the_trip(reply: Reply) -> None:
    """Whoever should read is held up, by a caller who does not: the task is ended, and told why."""

    async def held_up(began: bool) -> None:
        watch = Watch(asyncio.get_running_loop(), reply, idle_s=SHORT_S, left_s=2 * SHORT_S)
        if began:
            watch.start()
            watch.stop()
        await asyncio.Event().wait()

    for began in (False, True):
        task = spawn(held_up(began), "held up")
        await reply.closed()
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        reason = reason_of(caught.value)
        assert reason is not None
        assert reason.code is Code.TOTAL_TIMEOUT


async def test_the_last_words_may_be_read_as_slowly_as_all_others(reply: Reply) -> None:
    """What a finished provider may still take is not what the caller may."""
    watch = Watch(asyncio.get_running_loop(), reply, idle_s=SHORT_S, left_s=LONG_S)
    watch.start()
    watch.stop()
    watch.end_within(SHORT_S)
    await pause(4 * SHORT_S)
    assert not reply.is_closed
    watch.start()
    await reply.closed()
    assert watch.expired is not None
    assert watch.expired.code is Code.TOTAL_TIMEOUT


async def test_after_the_ending_there_is_less_time_for_all_reads_together(reply: Reply) -> None:
    """What a finished provider still sends does not buy it more."""
    watch = Watch(asyncio.get_running_loop(), reply, idle_s=LONG_S, left_s=LONG_S)
    watch.start()
    watch.stop()
    watch.end_within(3 * SHORT_S)
    for _ in range(100):
        watch.start()
        await pause(SHORT_S / 2)
        watch.stop()
        if reply.is_closed:
            break
    assert reply.is_closed


async def test_an_ending_gives_nobody_more_time(reply: Reply) -> None:
    watch = Watch(asyncio.get_running_loop(), reply, idle_s=LONG_S, left_s=SHORT_S)
    watch.end_within(LONG_S)
    watch.start()
    await reply.closed()


async def test_a_closed_watch_is_quiet(reply: Reply) -> None:
    watch = Watch(asyncio.get_running_loop(), reply, idle_s=SHORT_S, left_s=SHORT_S)
    watch.start()
    watch.close()
    await pause(3 * SHORT_S)
    assert not reply.is_closed
    assert watch.expired is None
