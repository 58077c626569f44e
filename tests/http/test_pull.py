"""Pulling a model through the gateway: what the Ollama server says, line by line."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from rhetor.testing import Upstream, cuts, fails, raw_frames
from tests.conftest import Gateway, MakeGateway, settings

LINES = [
    b'{"status":"pulling manifest"}\n',
    b'{"status":"pulling 8eeb52dfb3bb","digest":"sha256:8eeb","total":4000,"completed":1000}\n',
    b'{"status":"success"}\n',
]
"""As https://docs.ollama.com/api/pull shows them (read 2026-11-21)."""


@pytest.fixture
async def server(no_leaks: None) -> Any:
    async with Upstream(anything=True) as upstream:
        yield upstream


@pytest.fixture
async def gateway(make_gateway: MakeGateway, server: Upstream) -> Gateway:
    mine = {"wire": "ollama", "base_url": server.base_url}
    return await make_gateway(settings(providers={"mine": mine}))


async def told(gateway: Gateway, **said: Any) -> tuple[int, list[Any]]:
    async with gateway.session.post(f"{gateway.url}/api/pull", json=said) as reply:
        return reply.status, [orjson.loads(line) for line in (await reply.read()).splitlines()]


@pytest.mark.promise("M19")
@pytest.mark.parametrize("name", ["llama3.2", "mine/llama3.2"])
async def test_progress_and_success(gateway: Gateway, server: Upstream, name: str) -> None:
    server.next(raw_frames(LINES, content_type="application/x-ndjson"))
    status, lines = await told(gateway, model=name)
    assert (status, lines) == (200, [orjson.loads(line) for line in LINES])
    assert server.requests[-1].target == "/api/pull"
    assert server.requests[-1].model == "llama3.2"


async def test_in_one_piece(gateway: Gateway, server: Upstream) -> None:
    server.next(raw_frames([b'{"status":"success"}']))
    assert await told(gateway, name="llama3.2", stream=False) == (200, [{"status": "success"}])


@pytest.mark.promise("M19")
async def test_an_error_on_the_way_is_a_line(gateway: Gateway, server: Upstream) -> None:
    broken = [LINES[0], b'{"error":"pull model manifest: file does not exist"}\n']
    server.next(raw_frames(broken, content_type="application/x-ndjson"))
    assert (await told(gateway, model="nobodys"))[1][-1][
        "error"
    ] == "pull model manifest: file does not exist"

    server.next(raw_frames(LINES, content_type="application/x-ndjson").but(cuts(after=2)))
    status, lines = await told(gateway, model="llama3.2")
    assert status == 200
    assert "connection" in lines[-1]["error"]


async def test_refusals(gateway: Gateway, server: Upstream, make_gateway: MakeGateway) -> None:
    server.next(fails(404, body=b'{"error":"model is not there"}'))
    status, lines = await told(gateway, model="nobodys")
    assert (status, lines[0]["error"]) == (404, "the provider answered 404: model is not there")

    nowhere = await make_gateway(settings())
    status, lines = await told(nowhere, model="llama3.2")
    assert status == 400
    assert "no Ollama server is a provider here" in lines[0]["error"]
