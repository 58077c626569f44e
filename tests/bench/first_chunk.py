"""What does the Python client add until the first chunk is there? `python -m tests.bench.first_chunk`.

The client and bare aiohttp ask the same gateway in turn, so that both see the
same machine; the offline provider answers at once.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import aiohttp
import yaml

from tekton_llm_client import TektonLLMClient
from tests.conftest import free_port, settings, until_ready

ROUNDS = 600
WARM_UP = 50
BODY = {
    "messages": [{"role": "user", "content": "q"}],
    "provider_id": "offline",
    "model_id": "echo",
    "streaming": True,
}


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        port, log = free_port(), Path(folder) / "log"
        config = Path(folder) / "rhetor.yaml"
        config.write_text(yaml.safe_dump(settings(server={"port": port})))
        with log.open("wb") as out:
            command = [sys.executable, "-m", "rhetor", "serve", "--config", str(config)]
            process = await asyncio.create_subprocess_exec(*command, stdout=out, stderr=out)
        try:
            await until_ready(url := f"http://127.0.0.1:{port}", process, log)
            await measure(url)
        finally:
            process.terminate()
            await process.wait()


async def measure(url: str) -> None:
    async with aiohttp.ClientSession() as session, TektonLLMClient("bench", url, "offline", "echo") as client:
        ways: Mapping[str, Callable[[], Awaitable[float]]] = {
            "aiohttp": lambda: bare(session, url, {}),
            "aiohttp, recorded": lambda: bare(session, url, {"x-rhetor-resume": "30"}),
            "client": lambda: ours(client),
        }
        took_s: dict[str, list[float]] = {name: [] for name in ways}
        for n in range(WARM_UP + ROUNDS):
            for name, ask in ways.items():
                seconds = await ask()
                if n >= WARM_UP:
                    took_s[name].append(seconds)
    for name, seconds in took_s.items():
        middle, *_, high = statistics.quantiles(seconds, n=100)[49:95]
        print(f"{name:20} median {middle * 1e3:.2f} ms, 95 % within {high * 1e3:.2f} ms")


async def bare(session: aiohttp.ClientSession, url: str, headers: Mapping[str, str]) -> float:
    began_s = time.perf_counter()
    async with session.post(f"{url}/api/v1/chat/stream", json=BODY, headers=headers) as reply:
        await reply.content.readany()
        seconds = time.perf_counter() - began_s
        await reply.read()
    return seconds


async def ours(client: TektonLLMClient) -> float:
    began_s = time.perf_counter()
    stream = await client.generate_text("q", streaming=True)
    await anext(stream)
    seconds = time.perf_counter() - began_s
    async for _ in stream:
        pass
    return seconds


if __name__ == "__main__":
    asyncio.run(main())
