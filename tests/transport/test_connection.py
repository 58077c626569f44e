"""One connection: large bodies both ways, early answers, and what comes unasked."""

from __future__ import annotations

import asyncio
import socket
import tracemalloc
from collections.abc import Callable

import pytest

from rhetor.core.call import Call
from rhetor.core.errors import Code
from rhetor.tasks import spawn
from rhetor.transport.pool import HttpPool
from tests.transport.exchange import (
    again,
    done,
    failure,
    get,
    open_to,
    opening,
    read,
    turns,
)
from tests.transport.peer import SOON_S, Line, Peer, response

MB = 1 << 20
LARGE = 32 * MB
IN_KERNEL = LARGE  # far more than the sockets of both sides take together


class TestSending:
    @pytest.mark.parametrize("size", [0, 1, 64 * 1024, 64 * 1024 + 1, 3 * MB + 7])
    async def test_bodies_of_any_size_arrive_whole(self, pool: HttpPool, size: int) -> None:
        body = bytes(range(256)) * (size // 256 + 1)
        async with Peer() as peer:
            task = opening(pool, Call("POST", peer.url, {}, body[:size]))
            line = await peer.line()
            assert b"content-length: %d\r\n" % size in await line.head()
            assert await line.body(size) == body[:size]
            line.write(response())
            assert await read(await done(task)) == b"ok"

    async def test_a_slow_provider_costs_no_memory(self, pool: HttpPool) -> None:
        """What the provider does not take stays where it is, instead of being copied into buffers."""
        body = bytes(LARGE)
        async with Peer(limit_bytes=MB) as peer:
            tracemalloc.start()
            task = opening(pool, Call("POST", peer.url, {}, body))
            line = await peer.line()
            await line.head()
            await turns(200)
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert peak < LARGE / 4
            assert await line.body(LARGE) == body
            line.write(response())
            assert await read(await done(task)) == b"ok"

    async def test_the_loop_turns_while_much_is_sent(self, pool: HttpPool) -> None:
        async with Peer(limit_bytes=LARGE) as peer:
            task = opening(pool, Call("POST", peer.url, {}, bytes(LARGE)))
            line = await peer.line()
            await line.head()
            arriving = spawn(line.body(LARGE), "body")
            count = 0
            while not arriving.done():
                await turns(1)
                count += 1
            line.write(response())
            await read(await done(task))
            assert count >= LARGE / MB, "at most a megabyte in each turn"

    async def test_a_refusal_need_not_wait_for_the_whole_body(self, pool: HttpPool) -> None:
        """A provider that finds it too large says so at once; the connection is of no more use."""
        async with Peer(limit_bytes=1024) as peer:
            task = opening(pool, Call("POST", peer.url, {}, bytes(LARGE)))
            line = await peer.line()
            await line.head()
            line.write(response(b"too large", status=b"413 Content Too Large"))
            reply = await done(task)
            assert (reply.status, await read(reply)) == (413, b"too large")
            await line.ended()

    async def test_an_answer_may_begin_before_the_body_has_ended(self, pool: HttpPool) -> None:
        async with Peer(limit_bytes=1024) as peer:
            task = opening(pool, Call("POST", peer.url, {}, bytes(LARGE)))
            line = await peer.line()
            await line.head()
            line.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n")
            reply = await done(task)
            await line.body(LARGE)
            line.write(b"ok")
            assert await read(reply) == b"ok"
            assert await again(pool, peer, line, response()) == b"ok"

    async def test_giving_up_in_the_middle_stops_it(self, pool: HttpPool) -> None:
        async with Peer(limit_bytes=1024) as peer:
            task = opening(pool, Call("POST", peer.url, {}, bytes(LARGE)))
            line = await peer.line()
            await line.head()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await line.ended()

    @pytest.mark.parametrize("leave", [Line.reset, Line.say_no_more], ids=["resets", "says no more"])
    async def test_a_provider_that_leaves_in_the_middle(
        self, pool: HttpPool, leave: Callable[[Line], None]
    ) -> None:
        async with Peer(limit_bytes=1024) as peer:
            task = opening(pool, Call("POST", peer.url, {}, bytes(LARGE)))
            line = await peer.line()
            await line.head()
            await turns(100)  # until the socket takes no more
            leave(line)
            assert (await failure(task)).code is Code.CONNECTION_LOST


class TestReceiving:
    async def test_a_slow_reader_makes_the_provider_wait(self, pool: HttpPool) -> None:
        async with Peer() as peer:
            head = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (2 * LARGE)
            reply, line = await open_to(pool, peer, head)
            sender = Sender(line)
            sending = spawn(sender.send(2 * LARGE), "send")
            await sender.stuck()
            assert sender.sent < IN_KERNEL
            assert len(await read(reply)) == 2 * LARGE
            await sending
            assert await again(pool, peer, line, response()) == b"ok", "the connection reads again"

    async def test_who_waits_for_a_slow_reader_can_be_left(self, pool: HttpPool) -> None:
        async with Peer() as peer:
            head = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (2 * LARGE)
            reply, line = await open_to(pool, peer, head)
            sender = Sender(line)
            sending = spawn(sender.send(2 * LARGE), "send")
            await sender.stuck()
            reply.close()
            await line.ended()
            with pytest.raises(ConnectionError):
                await sending

    async def test_the_end_of_the_connection_may_be_the_end_of_the_body(self, pool: HttpPool) -> None:
        async with Peer() as peer:
            reply, line = await open_to(pool, peer, b"HTTP/1.1 200 OK\r\n\r\nhello")
            line.close()
            assert await read(reply) == b"hello"

    @pytest.mark.parametrize(
        ("answer", "message"),
        [
            (b"", "the provider closed the connection before it answered"),
            (b"HTTP/1.1 200 OK\r\ncontent-le", "the provider closed the connection before it answered"),
        ],
        ids=["nothing", "half a head"],
    )
    async def test_an_end_before_the_headers(self, pool: HttpPool, answer: bytes, message: str) -> None:
        async with Peer() as peer:
            task = opening(pool, get(peer))
            line = await peer.line()
            await line.head()
            line.write(answer)
            line.close()
            error = await failure(task)
            assert (error.code, error.message) == (Code.CONNECTION_LOST, message)

    async def test_what_cannot_be_read_is_said(self, pool: HttpPool) -> None:
        async with Peer() as peer:
            task = opening(pool, get(peer))
            line = await peer.line()
            await line.head()
            line.write(b"HTTP/1.1 200 OK\r\ncontent-encoding: br\r\ncontent-length: 1\r\n\r\nx")
            error = await failure(task)
            assert error.code is Code.PROTOCOL
            assert error.message.endswith("it is compressed as 'br', which nobody asked for")
            await line.ended()

    async def test_head(self, pool: HttpPool) -> None:
        async with Peer() as peer:
            task = opening(pool, Call("HEAD", peer.url))
            line = await peer.line()
            await line.head()
            line.write(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n")
            reply = await done(task)
            assert (reply.headers["content-length"], await read(reply)) == ("5", b"")
            await line.ended()


class TestBetweenCalls:
    async def test_a_reply_that_has_arrived_needs_the_connection_no_more(self, pool: HttpPool) -> None:
        """Whether somebody has read it or not: it waits beside the connection, not in it."""
        async with Peer() as peer:
            first, line = await open_to(pool, peer, response(b"first"))
            assert await again(pool, peer, line, response(b"second")) == b"second"
            assert await read(first) == b"first"

    async def test_closing_a_reply_that_has_arrived_keeps_the_connection(self, pool: HttpPool) -> None:
        async with Peer() as peer:
            first, line = await open_to(pool, peer, response(b"first"))
            first.close()
            assert await again(pool, peer, line, response(b"second")) == b"second"

    @pytest.mark.parametrize(
        "header", [b"connection: close", b"keep-alive: timeout=1"], ids=["said", "in a second"]
    )
    async def test_a_connection_that_the_server_will_close_is_closed(
        self, pool: HttpPool, header: bytes
    ) -> None:
        async with Peer() as peer:
            reply, line = await open_to(pool, peer, response(b"ok", header))
            assert await read(reply) == b"ok"
            await line.ended()

    async def test_what_comes_unasked_is_not_taken_for_an_answer(self, pool: HttpPool) -> None:
        """Some servers say 408 before they close: the next call must not get it."""
        async with Peer() as peer:
            _, line = await open_to(pool, peer, response(b"first"))
            line.write(response(b"", status=b"408 Request Timeout"))
            await line.ended()
            reply, _ = await open_to(pool, peer, response(b"second"))
            assert await read(reply) == b"second"

    async def test_what_comes_with_the_answer_unasked_is_not_read(self, pool: HttpPool) -> None:
        async with Peer() as peer:
            reply, line = await open_to(pool, peer, response(b"first") + response(b"surplus"))
            assert await read(reply) == b"first"
            await line.ended()

    @pytest.mark.parametrize("unasked", [b"", response(b"surplus")], ids=["the end", "an answer"])
    async def test_what_only_the_kernel_knows_counts_too(self, pool: HttpPool, unasked: bytes) -> None:
        """The loop has had no turn to tell it; a call that was sent now would be lost."""
        loop = asyncio.get_running_loop()
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            listener.setblocking(False)
            call = Call("GET", f"http://127.0.0.1:{listener.getsockname()[1]}/")
            async with asyncio.timeout(SOON_S):
                task = opening(pool, call)
                first, _ = await loop.sock_accept(listener)
                await loop.sock_recv(first, 1000)
                await loop.sock_sendall(first, response())
                await read(await task)
                if unasked:
                    first.send(unasked)
                else:
                    first.close()
                task = opening(pool, call)  # no await since the last line
                second, _ = await loop.sock_accept(listener)
                await loop.sock_recv(second, 1000)
                await loop.sock_sendall(second, response(b"second"))
                assert await read(await task) == b"second"
            first.close()
            second.close()

    async def test_a_server_that_speaks_first(self, pool: HttpPool) -> None:
        """Another protocol: what it says is not an answer to what we ask."""
        async with Peer() as peer:
            task = opening(pool, get(peer))
            line = await peer.line()
            line.write(b"220 mail.example.org ESMTP\r\n")
            assert (await failure(task)).code in (Code.CONNECTION_LOST, Code.PROTOCOL)

    async def test_a_server_that_closes_at_once(self, pool: HttpPool) -> None:
        """On uvloop the end is there before the call is."""

        class Closer(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                transport.close()

        server = await asyncio.get_running_loop().create_server(Closer, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        assert (await failure(opening(pool, Call("GET", url)))).code is Code.CONNECTION_LOST
        server.close()
        await server.wait_closed()


class Sender:
    """Writes to a line as fast as it is taken."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self.sent = 0

    async def send(self, size: int) -> None:
        while self.sent < size:
            self._line.write(bytes(MB))
            await self._line.taken()
            self.sent += MB

    async def stuck(self) -> None:
        """Return once nothing more is taken."""
        before = -1
        while before != self.sent:
            before = self.sent
            await turns(200)
