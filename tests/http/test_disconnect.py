"""A caller that leaves stops its upstream call: at every point of the way, on every door."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from rhetor.tasks import spawn
from rhetor.testing import Point, Upstream, hangs
from rhetor.testing.nowhere import unreachable
from tests.conftest import Gateway, MakeGateway, settings

Leave = Callable[[], Awaitable[None]]

HELLO = [{"role": "user", "content": "hello"}]


def over_http(path: str, **body: Any) -> Callable[[Gateway, str], Awaitable[None]]:
    async def call(gateway: Gateway, model: str) -> None:
        async with gateway.session.post(gateway.url + path, json={"model": model, **body}) as reply:
            await reply.read()

    return call


def over_websocket(kind: str) -> Callable[[Gateway, str], Awaitable[None]]:
    async def call(gateway: Gateway, model: str) -> None:
        async with gateway.session.ws_connect(gateway.url + "/ws") as socket:
            await socket.send_json(
                {"type": kind, "request_id": "r1", "model": model, "messages": HELLO, "options": {}}
            )
            async for _ in socket:
                pass

    return call


STREAMED = {
    "openai": over_http("/v1/chat/completions", messages=HELLO, stream=True),
    "anthropic": over_http("/v1/messages", messages=HELLO, stream=True, max_tokens=50),
    "tekton": over_http("/api/v1/chat/stream", messages=HELLO),
    "ollama": over_http("/api/chat", messages=HELLO),
    "websocket": over_websocket("CHAT_STREAM"),
}
WHOLE = {
    "openai": over_http("/v1/chat/completions", messages=HELLO),
    "anthropic": over_http("/v1/messages", messages=HELLO, max_tokens=50),
    "tekton": over_http("/api/v1/chat", messages=HELLO),
    "ollama": over_http("/api/generate", prompt="hello", stream=False),
    "websocket": over_websocket("CHAT"),
    "embeddings": over_http("/v1/embeddings", input="hello"),
}
EVERY = {f"{name}, streamed": call for name, call in STREAMED.items()} | {
    f"{name}, whole": call for name, call in WHOLE.items()
}
MODELS = ["oai/m", "ant/m"]


def both(doors: dict[str, Any]) -> list[Any]:
    """Each door against an upstream of either language; nobody embeds in Anthropic's."""
    return [
        pytest.param(call, model, id=f"{door} → {model}")
        for door, call in doors.items()
        for model in MODELS
        if "embeddings" not in door or model == "oai/m"
    ]


async def leave(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not holds():
            await asyncio.sleep(0)


async def assert_nothing_is_left(gateway: Gateway, upstream: Upstream) -> None:
    """The trip is over and booked as cancelled, and no connection to the provider stays open."""
    await until(lambda: gateway.app.house.pipeline.in_flight == 0)
    assert [trip["outcome"] for trip in await gateway.booked()] == ["cancelled"]
    await upstream.connections.closed()


POINTS: dict[str, tuple[Point, dict[str, Any]]] = {
    "before the headers": ("request", EVERY),
    "after the headers": ("headers", EVERY),
    "before the first event": (0, {f"{name}, streamed": call for name, call in STREAMED.items()}),
    "in the middle": (1, EVERY),
}


@pytest.mark.parametrize(
    ("call", "model", "point"),
    [
        pytest.param(*case.values, point, id=f"{where}: {case.id}")
        for where, (point, doors) in POINTS.items()
        for case in both(doors)
    ],
)
async def test_leaving_while_the_provider_answers(
    gateway: Gateway, upstream: Upstream, call: Any, model: str, point: Point
) -> None:
    upstream.next(hangs(after=point))
    task = spawn(call(gateway, model), "caller")
    seen = await upstream.request()
    await seen.hanging()
    await leave(task)
    await seen.aborted()
    await assert_nothing_is_left(gateway, upstream)


@pytest.mark.parametrize(("call", "model"), both(EVERY))
async def test_leaving_the_queue(
    make_gateway: MakeGateway, upstream: Upstream, call: Any, model: str
) -> None:
    """Whoever waits for a free connection gives up the place; the next one gets through."""
    given = settings(upstream)
    for provider in given["providers"].values():
        provider["max_connections"] = 1
    gateway = await make_gateway(given)
    upstream.next(hangs())
    first = spawn(call(gateway, model), "caller")
    await (await upstream.request()).hanging()
    second = spawn(call(gateway, model), "caller")
    await until(lambda: gateway.app.house.pipeline.in_flight == 2)
    await leave(second)
    await until(lambda: gateway.app.house.pipeline.in_flight == 1)
    assert len(upstream.requests) == 1
    await leave(first)
    await until(lambda: gateway.app.house.pipeline.in_flight == 0)
    await upstream.connections.closed()
    assert {trip["outcome"] for trip in await gateway.booked(2)} == {"cancelled"}


@pytest.mark.parametrize("call", [pytest.param(call, id=door) for door, call in EVERY.items()])
async def test_leaving_while_connecting(make_gateway: MakeGateway, upstream: Upstream, call: Any) -> None:
    with unreachable() as base_url:
        far = {"wire": "openai", "base_url": f"{base_url}/v1"}
        gateway = await make_gateway(settings(providers={"far": far}))
        task = spawn(call(gateway, "far/m"), "caller")
        await until(lambda: gateway.app.house.pipeline.in_flight == 1)
        await leave(task)
        await assert_nothing_is_left(gateway, upstream)


@pytest.mark.parametrize("model", MODELS)
async def test_cancel_over_websocket_stops_one_request_only(
    gateway: Gateway, upstream: Upstream, model: str
) -> None:
    upstream.next(hangs(after=1), hangs(after=1))
    async with gateway.session.ws_connect(gateway.url + "/ws") as socket:
        for request_id in ("stays", "goes"):
            await socket.send_json(
                {"type": "CHAT_STREAM", "request_id": request_id, "model": model, "messages": HELLO}
            )
            await upstream.request(len(upstream.requests) + 1)
        stays, goes = upstream.requests
        await goes.hanging()
        await socket.send_json({"type": "CANCEL", "request_id": "goes"})
        await goes.aborted()
        assert stays.outcome is None
