"""The contract of `transport.base`, second half: slots, connections, and what closing does to whom."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import weakref
from pathlib import Path

import pytest

from rhetor.core.errors import Code, UpstreamError
from rhetor.tasks import spawn
from rhetor.testing import (
    Gate,
    Outcome,
    Upstream,
    hangs,
    nowhere,
    says,
)
from rhetor.transport.base import Phase, Progress, Response, Transport
from tests.transport.conftest import MakeTransport
from tests.transport.contract import (
    ABORT_WITHIN_S,
    SOON_S,
    WHOLE,
    ask,
    chat,
    code_of,
    failure,
    hang,
    turns,
)


class TestPool:
    async def test_a_connection_is_used_again(self, transport: Transport, upstream: Upstream) -> None:
        for _ in range(3):
            await ask(transport, chat(upstream.base_url))
        assert upstream.connections.total == 1

    async def test_a_connection_is_free_once_its_reply_is_read(
        self, make_transport: MakeTransport, upstream: Upstream
    ) -> None:
        """Also before the reader closes it."""
        transport = make_transport(limit=1)
        first = await transport.open(chat(upstream.base_url), Progress())
        await first.read(WHOLE)
        assert (await ask(transport, chat(upstream.base_url)))[0] == 200
        first.close()
        assert upstream.requests[0].outcome is Outcome.COMPLETED
        assert upstream.connections.total == 1

    async def test_a_connection_that_the_server_closed_is_not_used_again(
        self, transport: Transport, upstream: Upstream
    ) -> None:
        await ask(transport, chat(upstream.base_url))
        await upstream.stop()
        await upstream.start()
        assert (await ask(transport, chat(upstream.base_url)))[0] == 200

    async def test_no_more_connections_than_allowed(
        self, make_transport: MakeTransport, upstream: Upstream
    ) -> None:
        transport = make_transport(limit=3)
        gate = Gate()
        upstream.always(hangs(gate))
        asking = [spawn(ask(transport, chat(upstream.base_url)), "ask") for _ in range(12)]
        await gate.reached(3)
        assert len(upstream.requests) == upstream.connections.open == 3
        gate.open()
        assert [status for status, _ in await asyncio.gather(*asking)] == [200] * 12
        assert upstream.connections.total == 3

    async def test_the_call_beyond_the_limit_waits_for_its_turn(
        self, make_transport: MakeTransport, upstream: Upstream
    ) -> None:
        transport = make_transport(limit=1)
        first = await hang(transport, upstream)
        progress = Progress()
        waiting = spawn(transport.open(chat(upstream.base_url), progress), "open")
        await turns()
        assert progress.phase is Phase.QUEUED
        first.close()
        async with asyncio.timeout(SOON_S):
            (await waiting).close()
        assert progress.phase is Phase.READING

    async def test_a_call_that_waits_can_be_cancelled(
        self, make_transport: MakeTransport, upstream: Upstream
    ) -> None:
        transport = make_transport(limit=1)
        first = await hang(transport, upstream)
        waiting = spawn(transport.open(chat(upstream.base_url), Progress()), "open")
        await turns()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        first.close()
        assert (await ask(transport, chat(upstream.base_url)))[0] == 200
        assert len(upstream.requests) == 2, "what was cancelled was never asked"

    async def test_a_turn_that_comes_too_late_goes_to_the_next(
        self, make_transport: MakeTransport, upstream: Upstream
    ) -> None:
        """The call whose turn it is leaves in the same moment: the one behind it must not wait for ever."""
        transport = make_transport(limit=1)
        first = await hang(transport, upstream)
        leaver = spawn(transport.open(chat(upstream.base_url), Progress()), "leaver")
        heir = spawn(ask(transport, chat(upstream.base_url)), "heir")
        await turns()
        first.close()
        leaver.cancel()
        assert (await heir)[0] == 200
        with pytest.raises(asyncio.CancelledError):
            await leaver

    async def test_cancelled_connecting_gives_the_slot_back(
        self, make_transport: MakeTransport, upstream: Upstream
    ) -> None:
        transport = make_transport(limit=1)
        progress = Progress()
        with nowhere.unreachable() as base_url:
            opening = spawn(transport.open(chat(base_url), progress), "open")
            while progress.phase is not Phase.CONNECTING:
                await asyncio.sleep(0)
            opening.cancel()
            with pytest.raises(asyncio.CancelledError):
                await opening
        assert (await ask(transport, chat(upstream.base_url)))[0] == 200

    async def test_cancelled_waiting_for_headers_gives_the_slot_back(
        self, make_transport: MakeTransport, upstream: Upstream
    ) -> None:
        transport = make_transport(limit=1)
        upstream.next(hangs())
        opening = spawn(transport.open(chat(upstream.base_url), Progress()), "open")
        await (await upstream.request()).hanging()
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        assert (await ask(transport, chat(upstream.base_url)))[0] == 200

    async def test_nothing_waits_in_the_kernel(self, transport: Transport, upstream: Upstream) -> None:
        """TCP_NODELAY: a peer that forgets it shows 43 ms between small writes."""
        response = await hang(transport, upstream)
        host, port = upstream.base_url.removeprefix("http://").split(":")
        assert own_socket_option((host, int(port)), socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
        response.close()


class TestClosingAReply:
    async def test_the_provider_sees_it_at_once(self, transport: Transport, upstream: Upstream) -> None:
        response = await hang(transport, upstream)
        response.close()
        await upstream.requests[0].aborted(ABORT_WITHIN_S)
        await upstream.connections.closed()

    async def test_in_the_middle_of_the_body(self, transport: Transport, upstream: Upstream) -> None:
        upstream.next(says("one two three").but(hangs(after=1)))
        response = await transport.open(chat(upstream.base_url, stream=True), Progress())
        await anext(response.chunks())
        response.close()
        await upstream.requests[0].aborted(ABORT_WITHIN_S)
        assert (await ask(transport, chat(upstream.base_url)))[0] == 200
        assert upstream.connections.total == 2, "an aborted connection is not used again"

    async def test_wakes_the_reader(self, transport: Transport, upstream: Upstream) -> None:
        response = await hang(transport, upstream)
        reading = spawn(response.read(WHOLE), "read")
        await turns()
        response.close()
        async with asyncio.timeout(SOON_S):
            with pytest.raises(UpstreamError) as caught:
                await reading
        assert caught.value.code is Code.CONNECTION_LOST

    async def test_a_reader_that_was_woken_is_forgotten(
        self, transport: Transport, upstream: Upstream
    ) -> None:
        """No exception that outlives the reply may keep its frames: that would be a leak per abort."""
        response = await hang(transport, upstream)
        reader = Reader(response)
        forgotten = weakref.ref(reader)
        reading = spawn(reader.read(), "read")
        await turns()
        response.close()
        with pytest.raises(UpstreamError):
            await reading
        del reader, reading, response
        await turns()
        gc.collect()
        assert forgotten() is None

    async def test_reading_on_is_an_error(self, transport: Transport, upstream: Upstream) -> None:
        response = await hang(transport, upstream)
        response.close()
        with pytest.raises(UpstreamError) as caught:
            await anext(response.chunks())
        assert caught.value.code is Code.CONNECTION_LOST

    async def test_twice_is_once(self, make_transport: MakeTransport, upstream: Upstream) -> None:
        """A slot that was given back twice would let two calls pass where one may."""
        transport = make_transport(limit=1)
        response = await hang(transport, upstream)
        response.close()
        response.close()
        gate = Gate()
        upstream.always(hangs(gate))
        asking = [spawn(ask(transport, chat(upstream.base_url)), "ask") for _ in range(2)]
        await gate.reached()
        await turns()
        assert len(upstream.requests) == 2
        gate.open()
        await asyncio.gather(*asking)

    async def test_after_its_end_changes_nothing(self, transport: Transport, upstream: Upstream) -> None:
        response = await transport.open(chat(upstream.base_url), Progress())
        await response.read(WHOLE)
        response.close()
        await ask(transport, chat(upstream.base_url))
        assert upstream.connections.total == 1


class TestClosingThePool:
    async def test_closes_its_connections(self, transport: Transport, upstream: Upstream) -> None:
        await ask(transport, chat(upstream.base_url))
        await transport.close()
        await upstream.connections.closed()

    async def test_wakes_readers(self, transport: Transport, upstream: Upstream) -> None:
        response = await hang(transport, upstream)
        reading = spawn(response.read(WHOLE), "read")
        await turns()
        await transport.close()
        assert await code_of(reading) is Code.CONNECTION_LOST
        await upstream.requests[0].aborted(ABORT_WITHIN_S)
        response.close()

    async def test_wakes_who_waits_for_headers(self, transport: Transport, upstream: Upstream) -> None:
        upstream.next(hangs())
        opening = spawn(transport.open(chat(upstream.base_url), Progress()), "open")
        await (await upstream.request()).hanging()
        await transport.close()
        assert await code_of(opening) is Code.CONNECTION_LOST

    async def test_wakes_who_waits_for_a_slot(
        self, make_transport: MakeTransport, upstream: Upstream
    ) -> None:
        """With an error: nobody cancelled them."""
        transport = make_transport(limit=1)
        await hang(transport, upstream)
        waiting = [spawn(transport.open(chat(upstream.base_url), Progress()), "open") for _ in range(3)]
        await turns()
        await transport.close()
        assert [await code_of(task) for task in waiting] == [Code.UNAVAILABLE] * 3

    async def test_it_stays_closed(self, transport: Transport, upstream: Upstream) -> None:
        await ask(transport, chat(upstream.base_url))
        await transport.close()
        await transport.close()
        assert (await failure(transport, chat(upstream.base_url))).code is Code.UNAVAILABLE

    async def test_an_unused_pool_closes_too(self, transport: Transport) -> None:
        await transport.close()


class Reader:
    """Somebody who reads a reply, and may be looked for afterwards."""

    def __init__(self, response: Response) -> None:
        self._response = response

    async def read(self) -> bytes:
        return await self._response.read(WHOLE)


def own_socket_option(peer: tuple[str, int], level: int, option: int) -> int:
    """An option of the one socket of this process that is connected to the peer."""
    for fd in Path("/proc/self/fd").iterdir():
        try:
            if not os.readlink(fd).startswith("socket:"):
                continue  # a copy of anything else would have no owner that closes it
            with socket.socket(fileno=os.dup(int(fd.name))) as it:
                if it.getpeername() == peer:
                    return it.getsockopt(level, option)
        except OSError:
            continue
    raise AssertionError(f"no socket is connected to {peer}")
