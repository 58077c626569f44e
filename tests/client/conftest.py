from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from tekton_llm_client import TektonLLMClient
from tests.client.cable import Cable
from tests.client.scripted import ScriptedGateway
from tests.conftest import KEY, Gateway, free_port, until_ready


@pytest.fixture
async def scripted(no_leaks: None) -> AsyncIterator[ScriptedGateway]:
    gateway = ScriptedGateway()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", gateway.handle)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    gateway.url = site.name
    yield gateway
    await runner.cleanup()


@pytest.fixture
async def client(scripted: ScriptedGateway) -> AsyncIterator[TektonLLMClient]:
    async with TektonLLMClient("comp", scripted.url) as client:
        yield client


@pytest.fixture
async def cable(gateway: Gateway) -> AsyncIterator[Cable]:
    """The way to the gateway, which may be cut."""
    async with Cable(gateway.url) as cable:
        yield cable


class Restartable:
    """A gateway in a process of its own that can be killed, and started again at the same address."""

    def __init__(self, folder: Path, given: Mapping[str, Any]) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._config = folder / "rhetor.yaml"
        self._config.write_text(
            yaml.safe_dump({**given, "server": {**given.get("server", {}), "port": port}})
        )
        self._log = folder / "gateway.log"
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Ready when it returns."""
        with self._log.open("ab") as out:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "rhetor", "serve", "--config", str(self._config),
                env={"TEST_KEY": KEY, "PATH": "/usr/bin:/bin"},
                stdin=asyncio.subprocess.DEVNULL, stdout=out, stderr=out,
            )  # fmt: skip
        await until_ready(self.url, self._process, self._log)

    async def kill(self) -> None:
        """As the kernel does it: without a word."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()


Restart = Callable[[Mapping[str, Any]], Awaitable[Restartable]]


@pytest.fixture
async def restartable(tmp_path: Path) -> AsyncIterator[Restart]:
    started: list[Restartable] = []

    async def make(given: Mapping[str, Any]) -> Restartable:
        gateway = Restartable(tmp_path, given)
        started.append(gateway)
        await gateway.start()
        return gateway

    yield make
    for gateway in started:
        await gateway.kill()
