from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from tekton_llm_client import TektonLLMClient
from tests.client.scripted import ScriptedGateway


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
