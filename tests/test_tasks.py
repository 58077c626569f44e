"""Tasks that somebody owns: kept, named, logged, and gone when their owner says so."""

from __future__ import annotations

import asyncio
import gc

import pytest

from rhetor.core.errors import Code, RhetorError
from rhetor.tasks import (
    RESTART_FIRST_S,
    RESTART_MOST_S,
    Tasks,
    cancel,
    reason_of,
    spawn,
    stop,
    supervise,
    survive,
)


async def forever() -> None:
    await asyncio.Event().wait()


async def fail() -> None:
    raise ValueError("no")


async def test_a_task_has_a_name() -> None:
    async def answer() -> int:
        return 42

    task = spawn(answer(), "answer")
    assert task.get_name() == "answer"
    assert await task == 42


class TestTasks:
    async def test_running_tasks_are_kept(self) -> None:
        """asyncio itself only knows them weakly."""
        tasks = Tasks()
        tasks.spawn(forever(), "forever")
        gc.collect()
        await asyncio.sleep(0)
        assert len(tasks) == 1
        await tasks.close()

    async def test_tasks_that_ended_are_forgotten(self) -> None:
        tasks = Tasks()
        await tasks.spawn(asyncio.sleep(0), "short")
        await asyncio.sleep(0)
        assert len(tasks) == 0

    async def test_closing_waits_for_the_last_words(self) -> None:
        said = []

        async def polite() -> None:
            try:
                await forever()
            finally:
                await asyncio.sleep(0)
                said.append("goodbye")

        tasks = Tasks()
        task = tasks.spawn(polite(), "polite")
        await asyncio.sleep(0)
        await tasks.close()
        assert said == ["goodbye"]
        assert task.cancelled()
        assert len(tasks) == 0

    async def test_who_settles_waits_also_for_what_begins_meanwhile(self) -> None:
        said: list[str] = []
        tasks = Tasks()

        async def last() -> None:
            await asyncio.sleep(0)
            said.append("last")

        async def first() -> None:
            await asyncio.sleep(0)
            tasks.spawn(last(), "last")

        tasks.spawn(first(), "first")
        await tasks.settle(10)
        assert (said, len(tasks)) == (["last"], 0)

    async def test_who_settles_does_not_wait_for_ever(self) -> None:
        tasks = Tasks()
        tasks.spawn(forever(), "forever")
        await tasks.settle(0.01)
        assert len(tasks) == 1
        await tasks.close()

    async def test_a_failure_is_logged_and_stops_nobody_else(self, caplog: pytest.LogCaptureFixture) -> None:
        tasks = Tasks()
        other = tasks.spawn(forever(), "other")
        tasks.spawn(fail(), "failing")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not other.done()
        (record,) = caplog.records
        assert (record.getMessage(), record.__dict__["task"]) == ("task failed", "failing")
        assert record.exc_info is not None
        await tasks.close()

    async def test_a_failure_while_closing_is_logged_too(self, caplog: pytest.LogCaptureFixture) -> None:
        async def stubborn() -> None:
            try:
                await forever()
            finally:
                await fail()

        tasks = Tasks()
        tasks.spawn(stubborn(), "stubborn")
        await asyncio.sleep(0)
        await tasks.close()
        assert caplog.messages == ["task failed"]

    async def test_a_cancellation_is_no_failure(self, caplog: pytest.LogCaptureFixture) -> None:
        tasks = Tasks()
        tasks.spawn(forever(), "forever")
        await asyncio.sleep(0)
        await tasks.close()
        assert caplog.records == []


class TestStop:
    async def test_it_waits_until_the_task_is_gone(self) -> None:
        said = []

        async def polite() -> None:
            try:
                await forever()
            finally:
                await asyncio.sleep(0)
                said.append("goodbye")

        task = spawn(polite(), "polite")
        await asyncio.sleep(0)
        await stop(task)
        assert task.cancelled()
        assert said == ["goodbye"]

    async def test_a_task_that_is_done_is_gone_already(self) -> None:
        task = spawn(asyncio.sleep(0, 42), "short")
        await task
        await stop(task)
        assert task.result() == 42

    async def test_a_failure_is_not_hidden(self) -> None:
        task = spawn(fail(), "failing")
        await asyncio.wait([task])
        with pytest.raises(ValueError, match="no"):
            await stop(task)

    async def test_whoever_stops_can_be_cancelled_itself(self) -> None:
        """Else a shutdown that is cut short would believe that it had succeeded."""
        gate = asyncio.Event()

        async def stubborn() -> None:
            try:
                await forever()
            finally:
                await gate.wait()

        task = spawn(stubborn(), "stubborn")
        await asyncio.sleep(0)
        stopping = spawn(stop(task), "stopping")
        await asyncio.sleep(0)
        stopping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stopping
        gate.set()
        await asyncio.wait([task])


class Sleep:
    """Notes how long it was to be slept, and does not."""

    def __init__(self) -> None:
        self.slept_s: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.slept_s.append(seconds)
        await asyncio.sleep(0)


class TestSupervise:
    async def test_a_part_that_returns_is_done(self) -> None:
        sleep = Sleep()
        await supervise("part", lambda: asyncio.sleep(0), sleep)
        assert sleep.slept_s == []

    async def test_a_part_that_fails_is_started_again_ever_later(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        sleep, lives = Sleep(), iter([True] * 9 + [False])

        async def part() -> None:
            if next(lives):
                raise ConnectionError("gone")

        await supervise("part", part, sleep)
        assert sleep.slept_s[:3] == [RESTART_FIRST_S, 2 * RESTART_FIRST_S, 4 * RESTART_FIRST_S]
        assert sleep.slept_s[-1] == RESTART_MOST_S
        assert len(sleep.slept_s) == 9
        assert caplog.messages == ["part failed"] * 9
        assert caplog.records[0].__dict__["part"] == "part"

    async def test_a_part_that_is_cancelled_is_not_started_again(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        starts = []

        async def part() -> None:
            starts.append(1)
            await forever()

        tasks = Tasks()
        task = tasks.spawn(supervise("part", part, Sleep()), "part")
        await asyncio.sleep(0)
        await tasks.close()
        assert task.cancelled()
        assert (starts, caplog.records) == ([1], [])


class TestReason:
    async def test_who_is_cancelled_can_pass_on_why(self) -> None:
        """Through whatever it awaits; and it may go on awaiting, which a cancelled task may not."""

        async def answer() -> str:
            try:
                async with asyncio.timeout(60):
                    await forever()
            except asyncio.CancelledError as cancelled:
                reason = survive(cancelled)
                async with asyncio.timeout(60):
                    await asyncio.sleep(0)
                return reason.message
            return "nothing"

        task = spawn(answer(), "answer")
        await asyncio.sleep(0)
        cancel(task, RhetorError("the house burns", Code.SHUTTING_DOWN))
        assert await task == "the house burns"
        assert task.cancelling() == 0

    async def test_who_is_not_told_is_gone(self) -> None:
        async def answer() -> None:
            try:
                await forever()
            except asyncio.CancelledError as cancelled:
                survive(cancelled)

        task = spawn(answer(), "answer")
        await asyncio.sleep(0)
        await stop(task)
        assert task.cancelled()

    def test_only_cancellation_has_a_reason(self) -> None:
        reason = RhetorError("enough")
        assert reason_of(asyncio.CancelledError(reason)) is reason
        assert reason_of(asyncio.CancelledError("enough")) is None
        assert reason_of(ValueError(reason)) is None
        assert reason_of(None) is None
