"""Callers of recorded generations: they read so many frames, are cut off, and come back for the rest."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from tests.conftest import Gateway
from tests.http.doors import READ_S, Door

DETACHED = {"x-rhetor-detach": "60"}


async def frames(reply: aiohttp.ClientResponse, most: int | None = None) -> list[bytes]:
    """The frames of a stream, to its end or so many."""
    told: list[bytes] = []
    async with asyncio.timeout(READ_S):
        while reply.status == 200 and (most is None or len(told) < most):
            frame = await reply.content.readuntil(b"\n\n")
            if not frame:
                break
            assert frame.endswith(b"\n\n"), "the stream ends within a frame"
            told.append(frame)
    return told


def id_of(frame: bytes) -> str:
    line = frame.split(b"\n")[0]
    assert line.startswith(b"id: "), frame
    return line.removeprefix(b"id: ").decode()


@asynccontextmanager
async def asked(
    gateway: Gateway, door: Door, headers: Mapping[str, str] = DETACHED, **changes: Any
) -> AsyncIterator[aiohttp.ClientResponse]:
    """The reply to a request. Left early, its connection is cut."""
    reply = await gateway.session.post(gateway.url + door.path, json=door.body(**changes), headers=headers)
    try:
        yield reply
    finally:
        reply.close()


@asynccontextmanager
async def following(
    gateway: Gateway, id: str, after: str = "", **query: str
) -> AsyncIterator[aiohttp.ClientResponse]:
    """The events of a generation after this one."""
    headers = {"Last-Event-ID": after} if after else {}
    url = f"{gateway.url}/v1/generations/{id}/events"
    reply = await gateway.session.get(url, headers=headers, params=query)
    try:
        yield reply
    finally:
        reply.close()


async def told(gateway: Gateway, id: str, after: str = "", **query: str) -> list[bytes]:
    """All that a generation says after this event, to its end."""
    async with following(gateway, id, after, **query) as reply:
        assert reply.status in (200, 204), await reply.text()
        return await frames(reply)


def generation_of(reply: aiohttp.ClientResponse) -> str:
    return reply.headers["x-rhetor-generation-id"]


async def state(gateway: Gateway, id: str, **options: Any) -> dict[str, Any]:
    status, said = await gateway.get(f"/v1/generations/{id}", **options)
    assert status == 200, said
    assert isinstance(said, dict)
    return said


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(READ_S):
        while not holds():
            await asyncio.sleep(0)
