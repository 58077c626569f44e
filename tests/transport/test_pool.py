"""The pool on sockets, beyond the contract: several origins, giving up at any moment, nothing left behind."""

from __future__ import annotations

import asyncio
import gc
import os
from pathlib import Path

import orjson
import pytest

from rhetor.core.call import Call
from rhetor.core.errors import Code
from rhetor.tasks import spawn
from rhetor.testing import Upstream, nowhere, says
from rhetor.transport.base import Phase, Progress
from rhetor.transport.pool import HttpPool
from tests.transport.conftest import MakePool
from tests.transport.exchange import (
    again,
    failure,
    get,
    open_to,
    opening,
    read,
    turns,
)
from tests.transport.peer import Peer, response


async def test_each_origin_has_connections_of_its_own(pool: HttpPool) -> None:
    async with Peer() as one, Peer() as other:
        reply, to_one = await open_to(pool, one, response())
        await read(reply)
        reply, to_other = await open_to(pool, other, response())
        await read(reply)
        assert await again(pool, one, to_one, response()) == b"ok"
        assert await again(pool, other, to_other, response()) == b"ok"
        assert (one.connections, other.connections) == (1, 1)


async def test_the_limit_counts_idle_connections_too(make_pool: MakePool) -> None:
    """One that leads elsewhere makes room for one that is needed."""
    pool = make_pool(limit=1)
    async with Peer() as one, Peer() as other:
        reply, to_one = await open_to(pool, one, response())
        await read(reply)
        reply, _ = await open_to(pool, other, response())
        await to_one.ended()
        assert await read(reply) == b"ok"


@pytest.mark.promise("J23")
async def test_the_latest_connection_is_used_first(pool: HttpPool) -> None:
    async with Peer() as peer:
        first, first_line = await open_to(pool, peer, b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n")
        second, second_line = await open_to(pool, peer, b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n")
        second_line.write(b"ok")
        await read(second)
        first_line.write(b"ok")
        await read(first)
        assert await again(pool, peer, first_line, response()) == b"ok"


@pytest.mark.parametrize("limit", [1, 4])
async def test_giving_up_in_any_turn_leaves_nothing(make_pool: MakePool, limit: int) -> None:
    """Between any two steps of a call: no slot, no socket, no task."""
    pool = make_pool(limit)
    async with Peer() as peer:
        before = sockets()
        for count in range(15):
            task = opening(pool, get(peer))
            await turns(count)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        await all_ended(peer)
        reply, line = await open_to(pool, peer, response())
        assert await read(reply) == b"ok"
        await pool.close()
        await line.ended()
        line.close()
        await turns()
        gc.collect()
        assert sockets() == before


@pytest.mark.parametrize("count", range(8))
async def test_closing_the_pool_in_any_turn(make_pool: MakePool, count: int) -> None:
    """Whoever is on the way is told, and nothing stays open."""
    pool = make_pool()
    async with Peer() as peer:
        task = opening(pool, get(peer))
        await turns(count)
        await pool.close()
        error = await failure(task)
        assert error.code in (Code.UNAVAILABLE, Code.CONNECTION_LOST)
        await all_ended(peer)


async def test_closing_the_pool_ends_connecting(make_pool: MakePool) -> None:
    pool = make_pool()
    progress = Progress()
    with nowhere.unreachable() as base_url:
        task = spawn(pool.open(Call("GET", base_url), progress), "open")
        while progress.phase is not Phase.CONNECTING:
            await asyncio.sleep(0)
        await turns()
        await pool.close()
        error = await failure(task)
    assert (error.code, progress.phase) == (Code.UNAVAILABLE, Phase.CONNECTING)


async def test_a_turn_that_comes_as_the_pool_closes_is_none(make_pool: MakePool) -> None:
    pool = make_pool(limit=1)
    async with Peer() as peer:
        reply, _ = await open_to(pool, peer, b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n")
        task = opening(pool, get(peer))
        await turns()
        reply.close()
        await pool.close()
        assert (await failure(task)).code is Code.UNAVAILABLE
        assert peer.connections == 1


async def test_many_at_once(make_pool: MakePool, upstream: Upstream) -> None:
    """More than there is room for, some of them given up: nobody waits for ever or gets another's reply."""
    pool = make_pool(limit=8)
    upstream.always(lambda seen: says(orjson.loads(seen.body)["messages"][0]["content"]))

    async def ask(n: int) -> bool:
        body = orjson.dumps({"model": "small", "messages": [{"role": "user", "content": f"call-{n}-" * n}]})
        reply = await pool.open(
            Call("POST", f"{upstream.base_url}/v1/chat/completions", {}, body), Progress()
        )
        try:
            return n % 7 == 3 or f"call-{n}-".encode() * n in await read(reply)
        finally:
            reply.close()

    asking = [spawn(ask(n), f"ask {n}") for n in range(1, 151)]
    for task in asking[::11]:
        await turns(1)
        task.cancel()
    said = await asyncio.gather(*asking, return_exceptions=True)
    gone = [isinstance(it, asyncio.CancelledError) for it in said]
    assert gone == [n % 11 == 0 for n in range(150)]
    assert [it for it, left in zip(said, gone, strict=True) if not left] == [True] * gone.count(False)
    assert upstream.connections.open <= 8


async def all_ended(peer: Peer) -> None:
    """Return once every connection that the peer has got is closed on our side."""
    await turns(20)
    while peer.waiting:
        line = await peer.line()
        await line.ended()
        line.close()


def sockets() -> int:
    """How many sockets this process has open."""
    links = [os.readlink(fd) for fd in Path("/proc/self/fd").iterdir() if fd.is_symlink()]
    return sum(link.startswith("socket:") for link in links)


async def test_a_full_queue_refuses_at_once(make_pool: MakePool) -> None:
    pool = make_pool(limit=1, waiting=1)
    async with Peer() as peer:
        reply, _ = await open_to(pool, peer, b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n")
        waits = opening(pool, get(peer))
        await turns()
        refusal = await failure(opening(pool, get(peer)))
        assert (refusal.code, refusal.retry_after_s) == (Code.POOL_FULL, 1.0)
        reply.close()
        line = await peer.line()
        await line.head()
        line.write(response())
        assert await read(await waits) == b"ok"


async def test_callers_take_turns(make_pool: MakePool) -> None:
    """The third call of one waits for the first of another that came later."""
    pool = make_pool(limit=1)
    async with Peer() as peer:
        reply, line = await open_to(pool, peer, b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n")
        calls = [Call("GET", f"{peer.url}{n}", caller=who) for n, who in enumerate("aaab")]
        opened = [opening(pool, call) for call in calls]
        await turns()
        line.write(b"ok")
        await read(reply)
        order = []
        for _ in calls:
            order.append((await line.head()).split(b" ")[1])
            line.write(response())
            await turns()
            for task in [task for task in opened if task.done()]:
                opened.remove(task)
                await read(await task)
        assert order == [b"/0", b"/3", b"/1", b"/2"]
