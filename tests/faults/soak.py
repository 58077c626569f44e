"""Does anything grow? `python -m tests.faults.soak --minutes 10`: a fixed load with faults in it, for long.

Calls are begun at a fixed rate at all doors in turns, and the primary misbehaves in every way that a
gateway can absorb. What the gateway holds is reported; nothing is asserted.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

import yaml

from rhetor.tasks import Tasks
from rhetor.testing import Step, Upstream, cuts, error_in_200, fails, hangs, resets, slow, takes_prefill
from tests.faults.callers import ASKS, Ask, Callers, call
from tests.faults.fault import FALLBACK_USAGE, PRIMARY_USAGE, ROUTE, TEXT, Column
from tests.faults.house import settings

ROOT = Path(__file__).parents[2]
WELL = 14  # replies without a fault for one turn of the faults
FAULTS: tuple[Step, ...] = (
    fails(500),
    cuts(after="half"),
    resets(),
    error_in_200(),
    hangs(after=20, for_s=1.0),
    slow(first_event_s=1.0),
)
WARM_UP = 0.2  # of the whole time
LINES = 60


@dataclass
class Gateway:
    """The gateway's process, and what it said last."""

    url: str
    held: dict[str, float] = field(default_factory=dict)


@asynccontextmanager
async def gateway(primary: Upstream, fallback: Upstream) -> AsyncIterator[Gateway]:
    tasks = Tasks()
    with tempfile.TemporaryDirectory(prefix="rhetor-soak-") as folder:
        path = Path(folder, "rhetor.yaml")
        path.write_text(yaml.safe_dump(settings(primary.base_url, fallback.base_url, Column("openai", True))))
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.faults.soaked", str(path), cwd=ROOT, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        running = Gateway((await process.stdout.readline()).decode().strip())
        tasks.spawn(_listen(process.stdout, running), "what it holds")
        try:
            yield running
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()
            await tasks.close()


async def _listen(said: asyncio.StreamReader, running: Gateway) -> None:
    async for line in said:
        running.held = json.loads(line)


async def soak(seconds: float, rate: float) -> None:
    loop = asyncio.get_running_loop()
    outcomes: Counter[str] = Counter()
    tasks, asks, steps = Tasks(), cycle(ASKS.values()), cycle([*FAULTS, *[Step()] * WELL])
    async with Upstream() as primary, Upstream() as fallback, Callers() as callers:
        primary.says(TEXT, usage=PRIMARY_USAGE)
        primary.always(lambda seen: next(steps))
        fallback.always(takes_prefill(TEXT, FALLBACK_USAGE))
        async with gateway(primary, fallback) as running:
            began_s, begun, shown = loop.time(), 0, 0
            after_warm_up: dict[str, float] = {}
            while (passed_s := loop.time() - began_s) < seconds:
                if not after_warm_up and passed_s >= WARM_UP * seconds:
                    after_warm_up = running.held
                if passed_s >= shown * seconds / LINES:
                    shown += 1
                    _show(passed_s, running.held, outcomes)
                    primary.requests.clear()  # what was seen of them would grow without end
                    fallback.requests.clear()
                tasks.spawn(_call(next(asks), callers, running.url, outcomes), "call")
                begun += 1
                await asyncio.sleep(max(0.0, began_s + begun / rate - loop.time()))
            _show(seconds, running.held, outcomes)
            for name, before in after_warm_up.items():
                print(f"{name}: {before:.4g} after the warm-up, {running.held[name]:.4g} at the end")
            await tasks.close()


async def _call(ask: Ask, callers: Callers, url: str, outcomes: Counter[str]) -> None:
    heard = await call(ask, callers, url, ROUTE)
    if heard.wrong or heard.hung:
        outcomes["failed"] += 1
    elif heard.refusal is not None:
        outcomes["refused"] += 1
    else:
        outcomes["complete" if heard.text == TEXT else "truncated"] += 1


def _show(passed_s: float, held: dict[str, float], outcomes: Counter[str]) -> None:
    figures = [f"{name} {value:.4g}" for name, value in held.items()]
    print("  ".join([f"{passed_s:6.0f} s", *figures, *(f"{k} {n}" for k, n in outcomes.items())]), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak", description="Does anything grow?")
    parser.add_argument("--minutes", type=float, default=10.0, help="how long (default: 10)")
    parser.add_argument("--rate", type=float, default=20.0, help="calls a second (default: 20)")
    options = parser.parse_args()
    asyncio.run(soak(options.minutes * 60, options.rate))


if __name__ == "__main__":
    main()
