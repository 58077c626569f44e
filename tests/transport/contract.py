"""Words for the contract of the transport: calls, and whole exchanges."""

from __future__ import annotations

import asyncio

import orjson
import pytest

from rhetor.core.call import Call
from rhetor.core.errors import Code, UpstreamError
from rhetor.testing import (
    Upstream,
    hangs,
)
from rhetor.transport.base import Progress, Response, Transport

WHOLE = 1 << 20
SOON_S = 5.0
SHORT_S = 0.05
ABORT_WITHIN_S = 0.25


def chat(base_url: str, stream: bool = False, text: str = "hi") -> Call:
    body = {"model": "small", "messages": [{"role": "user", "content": text}], "stream": stream}
    url = f"{base_url}/v1/chat/completions"
    return Call("POST", url, {"content-type": "application/json"}, orjson.dumps(body))


async def ask(transport: Transport, call: Call) -> tuple[int, bytes]:
    """Status and body of a whole exchange."""
    async with asyncio.timeout(SOON_S):
        response = await transport.open(call, Progress())
        try:
            return response.status, await response.read(WHOLE)
        finally:
            response.close()


async def failure(transport: Transport, call: Call, progress: Progress | None = None) -> UpstreamError:
    with pytest.raises(UpstreamError) as caught:
        await exchange(transport, call, progress or Progress())
    return caught.value


async def exchange(transport: Transport, call: Call, progress: Progress) -> None:
    async with asyncio.timeout(SOON_S):
        response = await transport.open(call, progress)
        try:
            await response.read(WHOLE)
        finally:
            response.close()


async def hang(transport: Transport, upstream: Upstream) -> Response:
    """A reply that stays silent after its headers."""
    upstream.next(hangs(after="headers"))
    return await transport.open(chat(upstream.base_url, stream=True), Progress())


async def turns(count: int = 5) -> None:
    """Let the loop turn, so that what was started has begun to wait."""
    for _ in range(count):
        await asyncio.sleep(0)


async def code_of(task: asyncio.Task[object]) -> Code:
    async with asyncio.timeout(SOON_S):
        with pytest.raises(UpstreamError) as caught:
            await task
    return caught.value.code
