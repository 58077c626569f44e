"""How soon does a provider notice that its caller left? `python -m tests.bench.leaving`.

From the moment in which a caller closes its connection to the moment in which the provider sees its own one
closed, at every door, streamed or whole, when the provider has answered nothing yet and in the middle of its
answer. The gateway is a process of its own; caller and provider share another one, so what each of them needs
is in the figures.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from rhetor.tasks import spawn
from rhetor.testing import Point, Upstream, hangs
from tests.conftest import KEY, free_port, settings, until_ready
from tests.http.test_disconnect import EVERY, MODELS, leave

ROUNDS = 40
WARM_UP = 3
POINTS: dict[str, Point] = {"nothing answered": "request", "in the middle": 1}


class Asked:
    """What the doors' calls need to know of a gateway."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url = url
        self.session = session


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with Upstream() as upstream, aiohttp.ClientSession() as session:
            port, log = free_port(), Path(folder) / "log"
            config = Path(folder) / "rhetor.yaml"
            config.write_text(yaml.safe_dump(settings(upstream, server={"port": port})))
            command = [sys.executable, "-m", "rhetor", "serve", "--config", str(config)]
            with log.open("wb") as out:
                process = await asyncio.create_subprocess_exec(
                    *command, env={"TEST_KEY": KEY}, stdout=out, stderr=out
                )
            try:
                await until_ready(url := f"http://127.0.0.1:{port}", process, log)
                await measure(Asked(url, session), upstream)
            finally:
                process.terminate()
                await process.wait()


async def measure(gateway: Asked, upstream: Upstream) -> None:
    everything: list[float] = []
    for where, point in POINTS.items():
        print(f"{where}:")
        for door, call in EVERY.items():
            took_s: list[float] = []
            for model in MODELS[: 1 if door.startswith("embeddings") else None]:
                rounds = [await once(gateway, upstream, call, model, point) for _ in range(WARM_UP + ROUNDS)]
                took_s += rounds[WARM_UP:]
            everything += took_s
            print(f"  {door:22} {told(took_s)}")
    print(f"{'all':24} {told(everything)}")


async def once(gateway: Asked, upstream: Upstream, call: Any, model: str, point: Point) -> float:
    """Seconds from the caller's leaving to the end that the provider sees."""
    upstream.next(hangs(after=point))
    asking = spawn(call(gateway, model), "caller")
    seen = await upstream.request(len(upstream.requests) + 1)
    await seen.hanging()
    began_s = time.perf_counter()
    await leave(asking)
    await seen.aborted()
    return time.perf_counter() - began_s


def told(took_s: Sequence[float]) -> str:
    return f"median {statistics.median(took_s) * 1e3:.2f} ms, worst {max(took_s) * 1e3:.2f} ms"


if __name__ == "__main__":
    asyncio.run(main())
