"""Services over HTTP: their states, the switches, and what they say as it comes."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.conftest import Gateway, MakeGateway, settings
from tests.services.children import is_alive
from tests.test_serving import service, starts

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

PATH = {"PATH": os.environ["PATH"]}
MakeLab = Any


@pytest.fixture
async def lab(make_gateway: MakeGateway, tmp_path: Path) -> Gateway:
    """A gateway with a service, and a provider that is it."""
    services = {
        "tiny": service(tmp_path, "--say", "my key is hf-canary-55", env={"KEY": "env:HF"}),
        "broken": service(tmp_path, "--leave", requires={"memory_mb": 10**9}),
    }
    providers = {"local": {"wire": "openai", "service": "tiny", "models": ["tiny"]}}
    given = settings(services=services, providers=providers)
    return await make_gateway(given, {**PATH, "HF": "hf-canary-55"})


async def post(gateway: Gateway, path: str) -> tuple[int, Any]:
    async with gateway.session.post(gateway.url + path) as reply:
        return reply.status, await reply.json()


async def test_from_cold_to_running_and_back(lab: Gateway, tmp_path: Path) -> None:
    status, listed = await lab.get("/v1/services")
    assert (status, [it["name"] for it in listed["data"]]) == (200, ["broken", "tiny"])
    cold = listed["data"][1]
    assert (cold["state"], cold["url"], cold["pid"], cold["providers"]) == ("stopped", None, None, ["local"])
    status, started = await post(lab, "/v1/services/tiny/start")
    (pid,) = starts(tmp_path)
    assert (status, started["state"], started["pid"]) == (200, "ready", pid)
    assert started["url"] == f"http://127.0.0.1:{started['port']}/v1"
    assert (await lab.get("/v1/services/tiny"))[1] == started
    status, again = await post(lab, "/v1/services/tiny/restart")
    assert (status, again["state"], again["pid"]) == (200, "ready", starts(tmp_path)[1])
    assert not is_alive(pid)
    status, stopped = await post(lab, "/v1/services/tiny/stop")
    assert (status, stopped["state"], stopped["port"]) == (200, "stopped", None)
    cleaned = {"object": "cleanup", "processes": 0, "composed": [], "errors": []}
    assert await post(lab, "/v1/services/cleanup") == (200, cleaned)


async def test_what_cannot_be_done_says_why(lab: Gateway) -> None:
    status, refused = await post(lab, "/v1/services/broken/start")
    assert status == 503
    assert "memory: 1,000,000,000 MB wanted" in refused["error"]
    told = (await lab.get("/v1/services/broken"))[1]
    assert told["state"] == "failed"
    assert "memory: 1,000,000,000 MB wanted" in told["error"]
    (need,) = [it for it in told["requirements"] if it["name"] == "memory"]
    assert need["met"] is False
    for path in ("/v1/services/nobody", "/v1/services/nobody/logs"):
        status, refused = await lab.get(path)
        assert (status, refused["error"]) == (404, "no service is called 'nobody'; there are broken, tiny")
    status, refused = await lab.get("/v1/services/tiny/logs?lines=many")
    assert (status, refused["error"]) == (400, "lines: expected a whole number up to 10000")


async def test_its_lines_and_those_that_come(lab: Gateway) -> None:
    await post(lab, "/v1/services/tiny/start")
    told = (await lab.get("/v1/services/tiny/logs"))[1]
    lines = [line["text"] for line in told["data"]]
    assert "my key is [redacted]" in lines
    assert told["last"] == told["data"][-1]["seq"]
    assert len((await lab.get("/v1/services/tiny/logs?lines=1"))[1]["data"]) == 1
    assert (await lab.get(f"/v1/services/tiny/logs?after={told['last'] - 1}"))[1]["data"] == told["data"][-1:]
    async with (
        asyncio.timeout(30),
        lab.session.get(f"{lab.url}/v1/services/tiny/logs?follow=1&lines=1") as reply,
    ):
        assert reply.headers["content-type"].startswith("text/event-stream")
        heard = [line async for line in _lines(reply.content, 1)]
        await post(lab, "/v1/services/tiny/stop")
        heard += [line async for line in _lines(reply.content, 2)]
    assert [line["text"] for line in heard[1:]] == ["stopping", "stopped"]
    assert [line["ours"] for line in heard[1:]] == [True, True]


async def test_followers_do_not_keep_the_gateway(lab: Gateway) -> None:
    reply = await lab.session.get(f"{lab.url}/v1/services/tiny/logs?follow=1")
    async with asyncio.timeout(30):
        await lab.app.stop()
    reply.close()


async def test_a_token_is_asked_for(make_gateway: MakeGateway, tmp_path: Path) -> None:
    given = settings(services={"tiny": service(tmp_path)}, server={"tokens": {"me": "env:T"}})
    gateway = await make_gateway(given, {**PATH, "T": "t0ken-of-services"})
    for method, path in (("GET", "/v1/services"), ("POST", "/v1/services/tiny/start")):
        async with gateway.session.request(method, gateway.url + path) as reply:
            assert reply.status == 401
    assert starts(tmp_path) == []
    foreign = {"Authorization": "Bearer t0ken-of-services", "Origin": "http://evil.example"}
    async with gateway.session.post(f"{gateway.url}/v1/services/tiny/start", headers=foreign) as reply:
        assert reply.status == 403


async def _lines(content: Any, count: int) -> Any:
    while count:
        line = await content.readline()
        if line.startswith(b"data: "):
            yield orjson.loads(line[6:])
            count -= 1
