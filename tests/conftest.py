"""What tests share: a scripted provider, and a gateway that is started the way production starts it."""

from __future__ import annotations

import asyncio
import gc
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import hypothesis
import pytest
import yaml

from rhetor import config as configuration
from rhetor.app import App
from rhetor.testing import Upstream

KEY = "sk-canary-3f9a1c7e5b"
"""The provider key of every test gateway; it must never be seen outside."""


hypothesis.settings.register_profile("unhurried", deadline=None)
hypothesis.settings.load_profile("unhurried")  # a busy machine is no counterexample


def pytest_collection_finish() -> None:
    """What was collected stays to the end: nobody need look through it for garbage again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture
async def upstream(no_leaks: None) -> AsyncIterator[Upstream]:
    """A provider that does as it is told."""
    async with Upstream() as server:
        yield server


class Gateway:
    """A running gateway and a session to ask it."""

    def __init__(self, app: App, session: aiohttp.ClientSession) -> None:
        self.app = app
        self.url = app.url
        self.session = session

    async def post(self, path: str, body: Any, **options: Any) -> tuple[int, Any]:
        """Status and parsed JSON body."""
        async with self.session.post(self.url + path, json=body, **options) as reply:
            return reply.status, await reply.json(content_type=None)

    async def get(self, path: str, **options: Any) -> tuple[int, Any]:
        async with self.session.get(self.url + path, **options) as reply:
            return reply.status, await reply.json(content_type=None)

    async def booked(self, count: int = 1) -> list[dict[str, Any]]:
        """The newest trips, once so many are in the books."""
        async with asyncio.timeout(5):
            while True:
                trips: list[dict[str, Any]] = (await self.get("/api/v1/trips"))[1]["trips"]
                if len(trips) >= count:
                    return trips
                await asyncio.sleep(0)


def settings(upstream: Upstream | None = None, **sections: Any) -> dict[str, Any]:
    """A configuration with the upstream as two providers: `oai` speaks OpenAI, `ant` speaks Anthropic."""
    providers: dict[str, Any] = {}
    if upstream is not None:
        providers = {
            "oai": {"wire": "openai", "base_url": f"{upstream.base_url}/v1", "key": "env:TEST_KEY"},
            "ant": {
                "wire": "anthropic",
                "base_url": upstream.base_url,
                "key": "env:TEST_KEY",
                "auth": {"header": "x-api-key", "prefix": ""},
                "capabilities": ["text-to-text", "count-tokens"],
            },
        }
    base: dict[str, Any] = {
        "server": {"port": 0, "shutdown_grace_s": 1},
        "discovery": {"enabled": False, "local": False},
        "logs": {"level": "warning"},
        "store": {"folder": ":memory:"},
    }
    merged = {**base, **sections, "providers": {**providers, **sections.get("providers", {})}}
    merged["server"] = {**base["server"], **sections.get("server", {})}
    merged["discovery"] = {**base["discovery"], **sections.get("discovery", {})}
    return merged


MakeGateway = Callable[..., Awaitable[Gateway]]


@pytest.fixture
async def make_gateway(tmp_path: Path, no_leaks: None) -> AsyncIterator[MakeGateway]:
    """Start a gateway from a configuration; it is stopped with the test, and must leave nothing behind."""
    async with AsyncExitStack() as stack:

        async def make(given: Mapping[str, Any], environ: Mapping[str, str] | None = None) -> Gateway:
            path = tmp_path / "rhetor.yaml"
            path.write_text(yaml.safe_dump(dict(given)))
            variables = {"TEST_KEY": KEY, **(environ or {})}
            app = App(configuration.load(path, variables), path, variables)
            await app.start()
            stack.push_async_callback(app.stop)
            session = await stack.enter_async_context(aiohttp.ClientSession())
            return Gateway(app, session)

        yield make


@pytest.fixture
async def gateway(make_gateway: MakeGateway, upstream: Upstream) -> Gateway:
    """A gateway in front of the upstream, see `settings`."""
    return await make_gateway(settings(upstream))


class GatewayProcess:
    """`rhetor serve` in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process, url: str, log: Path) -> None:
        self.process = process
        self.url = url
        self.log = log


MakeProcess = Callable[..., Awaitable[GatewayProcess]]


@pytest.fixture
async def gateway_process(tmp_path: Path) -> AsyncIterator[MakeProcess]:
    """Start `python -m rhetor serve` with a configuration; ready when it returns."""
    running: list[asyncio.subprocess.Process] = []

    async def make(given: Mapping[str, Any], environ: Mapping[str, str] | None = None) -> GatewayProcess:
        port = free_port()
        given = {**given, "server": {**given.get("server", {}), "port": port}}
        path = tmp_path / "rhetor.yaml"
        path.write_text(yaml.safe_dump(dict(given)))
        log = tmp_path / "gateway.log"
        with log.open("wb") as out:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "rhetor", "serve", "--config", str(path),
                env={"TEST_KEY": KEY, "PATH": "/usr/bin:/bin", **(environ or {})},
                stdin=asyncio.subprocess.DEVNULL, stdout=out, stderr=out,
            )  # fmt: skip
        running.append(process)
        url = f"http://127.0.0.1:{port}"
        await until_ready(url, process, log)
        return GatewayProcess(process, url, log)

    yield make
    for process in running:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def until_ready(url: str, process: asyncio.subprocess.Process, log: Path) -> None:
    """Wait until the gateway says that it takes requests."""
    async with aiohttp.ClientSession() as session, asyncio.timeout(20):
        while process.returncode is None:
            try:
                async with session.get(f"{url}/ready") as reply:
                    if reply.status == 200:
                        return
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.01)  # nothing tells us when another process listens
    raise AssertionError(f"the gateway did not start:\n{log.read_text()}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


OURS = ("RHETOR_", "TEKTON_", "JELMORE_", "USE_PROVIDER_SYSTEM")
SECRETS = ("_API_KEY", "_PROXY", "_TOKEN")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No key, proxy or setting of the machine reaches a test."""
    import os

    for name in list(os.environ):
        if name.startswith(OURS) or name.upper().endswith(SECRETS):
            monkeypatch.delenv(name)


@pytest.fixture
async def no_leaks() -> AsyncIterator[None]:
    """A task that outlives its test fails the test that left it."""
    before = asyncio.all_tasks()
    yield
    for _ in range(3):  # callbacks of what was just closed
        await asyncio.sleep(0)
    ours = asyncio.all_tasks() - before - {asyncio.current_task()}
    left = [task for task in ours if not task.done()]
    assert not left, f"tasks left behind: {left}"
