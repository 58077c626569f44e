"""A provider whose process dies takes nobody's answer with it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from rhetor.testing import Upstream, takes_prefill
from tests.faults.callers import ASKS, Callers, call
from tests.faults.fault import FALLBACK_USAGE, ROUTE, TEXT, Column
from tests.faults.house import gateway, settings
from tests.faults.pace import LoopClock
from tests.faults.provider import UNDER_WAY

ROOT = Path(__file__).parents[2]
DOORS = ("openai", "anthropic", "tekton", "ws")
STREAMS = 100
STARTS_S = 30.0


@asynccontextmanager
async def provider(streams: int) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.faults.provider", str(streams), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def line(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(STARTS_S):
        return (await process.stdout.readline()).decode().strip()


async def test_a_killed_provider_truncates_nothing_and_fails_nobody() -> None:
    async with Upstream() as fallback, provider(STREAMS) as primary, Callers() as callers:
        fallback.always(takes_prefill(TEXT, FALLBACK_USAGE))
        given = settings(await line(primary), fallback.base_url, Column("openai", True))
        async with gateway(given, LoopClock()) as app, asyncio.TaskGroup() as group:
            asking = [
                group.create_task(call(ASKS[DOORS[n % len(DOORS)], True], callers, app.url, ROUTE))
                for n in range(STREAMS)
            ]
            assert await line(primary) == UNDER_WAY
            primary.kill()
        heard = [task.result() for task in asking]
    assert len(fallback.requests) >= STREAMS, "some had ended before the provider was killed"
    truncated = [it.text for it in heard if it.refusal is None and not it.wrong and it.text != TEXT]
    failed = [it.refusal or it.wrong for it in heard if it.refusal or it.wrong or it.hung]
    assert not truncated, f"{len(truncated)} of {STREAMS} pass for whole and are not: {truncated[0][-60:]!r}"
    assert not failed, f"{len(failed)} of {STREAMS} failed: {failed[0]}"
