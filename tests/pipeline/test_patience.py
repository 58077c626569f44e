"""What is awaited too long ends, and whoever leaves is heard."""

import asyncio

import pytest

from rhetor.pipeline.patience import Patience
from rhetor.tasks import spawn


async def test_what_takes_too_long_is_a_timeout() -> None:
    with pytest.raises(TimeoutError), Patience(asyncio.get_running_loop(), 0.001):
        await asyncio.Event().wait()
    await asyncio.sleep(0)  # and the task lives on: nothing of the cancellation is left in it
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_what_ends_in_time_is_let_alone() -> None:
    with Patience(asyncio.get_running_loop(), 60):
        await asyncio.sleep(0)


async def test_no_time_at_all_still_ends_by_timeout() -> None:
    with pytest.raises(TimeoutError), Patience(asyncio.get_running_loop(), -1):
        await asyncio.Event().wait()


async def test_a_caller_who_leaves_is_no_timeout() -> None:
    """A cancellation from outside stays one, even when time runs out in the same moment."""
    began = asyncio.Event()

    async def wait(seconds: float) -> None:
        with Patience(asyncio.get_running_loop(), seconds):
            began.set()
            await asyncio.Event().wait()

    for seconds in (60, 0):
        began.clear()
        task = spawn(wait(seconds), "waiting")
        await began.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_task_that_was_to_leave_before_can_still_run_out_of_time() -> None:
    """As it may be that cleans up after itself."""
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.sleep(0)
    try:
        with pytest.raises(TimeoutError), Patience(asyncio.get_running_loop(), 0.001):
            await asyncio.Event().wait()
    finally:
        task.uncancel()


async def test_an_error_inside_passes() -> None:
    with pytest.raises(ValueError, match="this"), Patience(asyncio.get_running_loop(), 60):
        raise ValueError("this")
