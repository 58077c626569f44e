"""A real llama.cpp server behind a gateway, once in each of the two languages that it speaks."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest
from anthropic import AsyncAnthropic
from openai import AsyncOpenAI

from tests.conftest import Gateway, MakeGateway, settings
from tests.sdk.clients import anthropic_at, openai_at

SERVER = Path(__file__).with_name("server.py")
MISSING = 3  # as in server.py, which may not be importable here
GOODBYE_S = 10.0  # it needs milliseconds


@pytest.fixture(scope="session")
def llama_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the server listens; it runs in a process of its own as long as the tests do."""
    folder = tmp_path_factory.mktemp("llamacpp")
    log = folder / "server.log"
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, str(SERVER), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
        )
    with process:
        assert process.stdout is not None
        assert process.stdin is not None
        url = process.stdout.readline().decode().strip()
        if url:
            yield url
            process.stdin.close()
            try:
                process.wait(GOODBYE_S)
            except subprocess.TimeoutExpired:  # a child of this process may hold its input open
                process.kill()
            return
        code = process.wait(GOODBYE_S)
    if code == MISSING:
        pytest.skip(f"NO REAL LLAMA.CPP: nothing is tested with it, xllamacpp is missing: {log.read_text()}")
    pytest.fail(f"llama.cpp ended with {code}:\n{log.read_text()}")


class Llama:
    """The server itself, to be asked past the gateway."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url = url
        self._session = session

    async def busy(self) -> bool:
        """Whether it generates anything right now."""
        async with self._session.get(f"{self._url}/slots") as reply:
            return any(slot["is_processing"] for slot in await reply.json())

    async def becomes(self, busy: bool) -> None:
        async with asyncio.timeout(10):
            while await self.busy() is not busy:
                await asyncio.sleep(0.005)  # nothing tells us what happens in another process

    async def generated_tokens(self) -> int:
        """How many tokens it has generated since it started."""
        async with self._session.get(f"{self._url}/metrics") as reply:
            found = re.search(r"^llamacpp:tokens_predicted_total (\d+)", await reply.text(), re.MULTILINE)
        assert found is not None
        return int(found[1])


@pytest.fixture
async def llama(llama_url: str, gateway: Gateway) -> Llama:
    return Llama(llama_url, gateway.session)


@pytest.fixture
async def gateway(make_gateway: MakeGateway, llama_url: str) -> Gateway:
    """`llamacpp` is the built-in row, `anthropic-cpp` the same server by its other endpoint."""
    other = {"wire": "anthropic", "base_url": llama_url, "capabilities": ["text-to-text", "count-tokens"]}
    providers = {"llamacpp": {"base_url": f"{llama_url}/v1"}, "anthropic-cpp": other}
    return await make_gateway(settings(providers=providers, discovery={"enabled": True}))


@pytest.fixture
async def discovered(gateway: Gateway) -> Gateway:
    """The same, once it has heard from the server which models there are."""
    await gateway.app.discovered.wait()
    return gateway


@pytest.fixture
async def openai_sdk(gateway: Gateway) -> AsyncIterator[AsyncOpenAI]:
    async with openai_at(gateway) as client:
        yield client


@pytest.fixture
async def anthropic_sdk(gateway: Gateway) -> AsyncIterator[AsyncAnthropic]:
    async with anthropic_at(gateway) as client:
        yield client
