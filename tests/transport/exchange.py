"""The two halves of an exchange, for tests that hold both ends of a connection."""

from __future__ import annotations

import asyncio

from rhetor.core.call import Call
from rhetor.core.errors import UpstreamError
from rhetor.tasks import spawn
from rhetor.transport.base import Progress, Response, Transport
from tests.transport.peer import SOON_S, Line, Peer

WHOLE = 1 << 30


def get(peer: Peer) -> Call:
    return Call("GET", peer.url)


def opening(transport: Transport, call: Call) -> asyncio.Task[Response]:
    return spawn(transport.open(call, Progress()), "open")


async def done(task: asyncio.Task[Response]) -> Response:
    async with asyncio.timeout(SOON_S):
        return await task


async def failure(task: asyncio.Task[Response]) -> UpstreamError:
    """What the opening failed with."""
    try:
        response = await done(task)
    except UpstreamError as error:
        return error
    response.close()
    raise AssertionError("it was opened")


async def open_to(transport: Transport, peer: Peer, answer: bytes) -> tuple[Response, Line]:
    """An open reply of which so much has been written, and the new connection that it comes on."""
    task = opening(transport, get(peer))
    line = await peer.line()
    await line.head()
    line.write(answer)
    return await done(task), line


async def again(transport: Transport, peer: Peer, line: Line, answer: bytes) -> bytes:
    """The whole reply to another call, which must come on the same connection."""
    task = opening(transport, get(peer))
    await line.head()
    line.write(answer)
    response = await done(task)
    try:
        return await read(response)
    finally:
        response.close()


async def read(response: Response) -> bytes:
    async with asyncio.timeout(SOON_S):
        return await response.read(WHOLE)


async def turns(count: int = 5) -> None:
    """Let the loop turn, so that what was started has begun to wait."""
    for _ in range(count):
        await asyncio.sleep(0)
