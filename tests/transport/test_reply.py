"""What waits in a reply: how it comes out, and what an early end makes of it."""

from __future__ import annotations

import asyncio
import gzip
from typing import Any

import pytest

from rhetor.core.errors import Code, UpstreamError
from rhetor.tasks import spawn
from rhetor.transport.http1 import Fields
from rhetor.transport.inflate import PIECE_BYTES
from rhetor.transport.reply import HttpReply

WHOLE = 1 << 30


class Source:
    """The connection's end, played by the test."""

    def __init__(self) -> None:
        self.taken = 0
        self.abandoned = 0
        self.reply = HttpReply(self, asyncio.get_running_loop())

    def on_taken(self) -> None:
        self.taken += 1

    def abandon(self) -> None:
        self.abandoned += 1

    def head(self, **fields: str) -> HttpReply:
        raw = {name.replace("_", "-"): value for name, value in fields.items()}
        self.reply.on_head(200, Fields(raw))
        self.reply.wake()
        return self.reply

    def body(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.reply.on_body(piece)
        self.reply.wake()

    def end(self) -> None:
        self.reply.on_end()
        self.reply.wake()

    def fail(self) -> None:
        self.reply.on_failure("the cable was cut", Code.CONNECTION_LOST)
        self.reply.wake()


def at_once(awaitable: Any) -> Any:
    """The result of something that needs no turn of the loop."""
    try:
        awaitable.__await__().send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("it waits")


async def rest_of(reply: HttpReply) -> list[bytes]:
    return [chunk async for chunk in reply.chunks()]


async def test_it_has_begun_with_its_headers() -> None:
    source = Source()
    opening = spawn(source.reply.begun(), "begun")
    await asyncio.sleep(0)
    assert not opening.done()
    reply = source.head(x_request_id="7")
    await opening
    assert (reply.status, reply.headers["X-Request-Id"]) == (200, "7")


async def test_what_is_there_costs_no_turn() -> None:
    """A small reply comes in one read: nobody should wait for it twice."""
    source = Source()
    reply = source.head()
    source.body(b"hello")
    source.end()
    assert at_once(reply.begun()) is None
    assert at_once(reply.read(WHOLE)) == b"hello"


async def test_what_has_arrived_comes_in_one_chunk() -> None:
    source = Source()
    reply = source.head()
    source.body(b"one ", b"two ", b"three")
    assert await anext(reply.chunks()) == b"one two three"
    source.body(b"four")
    source.end()
    assert await rest_of(reply) == [b"four"]


async def test_a_reader_is_woken() -> None:
    source = Source()
    reading = spawn(rest_of(source.head()), "read")
    await asyncio.sleep(0)
    source.body(b"one")
    await asyncio.sleep(0)
    source.body(b"two")
    source.end()
    assert await reading == [b"one", b"two"]


async def test_a_reader_that_left_does_no_harm() -> None:
    source = Source()
    reading = spawn(rest_of(source.head()), "read")
    await asyncio.sleep(0)
    reading.cancel()
    source.body(b"one")
    with pytest.raises(asyncio.CancelledError):
        await reading
    source.end()
    assert await rest_of(source.reply) == [b"one"]


async def test_who_asks_again_after_the_end_finds_it_again() -> None:
    source = Source()
    reply = source.head()
    source.end()
    assert await rest_of(reply) == await rest_of(reply) == []
    reply.close()
    assert await rest_of(reply) == []


async def test_what_arrived_before_a_failure_is_read_first() -> None:
    source = Source()
    reply = source.head()
    source.body(b"one")
    source.fail()
    assert await anext(reply.chunks()) == b"one"
    for _ in range(2):
        with pytest.raises(UpstreamError, match="the cable was cut"):
            await anext(reply.chunks())


async def test_a_failure_is_a_new_exception_each_time() -> None:
    """One that is kept would gather the frames of everybody it was raised in."""
    source = Source()
    source.head()
    source.fail()
    errors = []
    for _ in range(2):
        with pytest.raises(UpstreamError) as caught:
            await anext(source.reply.chunks())
        errors.append(caught.value)
    assert errors[0] is not errors[1]


async def test_the_source_hears_when_there_is_room_again() -> None:
    source = Source()
    reply = source.head()
    source.body(b"one", b"two")
    assert (reply.waiting_bytes, source.taken) == (6, 0)
    await anext(reply.chunks())
    assert (reply.waiting_bytes, source.taken) == (0, 1)


class TestClosing:
    async def test_abandons_what_has_not_arrived(self) -> None:
        source = Source()
        reply = source.head()
        reply.close()
        reply.close()
        assert source.abandoned == 1

    async def test_leaves_a_source_alone_that_has_done_its_part(self) -> None:
        source = Source()
        reply = source.head()
        source.body(b"one")
        source.end()
        reply.close()
        assert source.abandoned == 0

    @pytest.mark.parametrize("arrived", [False, True])
    async def test_reading_on_is_an_error(self, arrived: bool) -> None:
        """Also where the rest is there: a part must not pass for the whole."""
        source = Source()
        reply = source.head()
        source.body(b"one")
        if arrived:
            source.end()
        reply.close()
        with pytest.raises(UpstreamError) as caught:
            await anext(reply.chunks())
        assert caught.value.code is Code.CONNECTION_LOST

    async def test_keeps_the_reason_that_was_there_before(self) -> None:
        source = Source()
        source.head()
        source.fail()
        source.reply.close()
        with pytest.raises(UpstreamError, match="the cable was cut"):
            await anext(source.reply.chunks())

    async def test_ends_the_wait_for_headers(self) -> None:
        source = Source()
        opening = spawn(source.reply.begun(), "begun")
        await asyncio.sleep(0)
        source.reply.close()
        with pytest.raises(UpstreamError) as caught:
            await opening
        assert caught.value.code is Code.CONNECTION_LOST


class TestCompressed:
    async def test_comes_out_as_it_arrives(self) -> None:
        source = Source()
        reply = source.head(content_encoding="GZIP")
        squeezed = gzip.compress(b"hello world")
        source.body(squeezed[:5])
        source.body(squeezed[5:])
        source.end()
        assert await reply.read(WHOLE) == b"hello world"

    async def test_headers_without_a_body_need_nothing(self) -> None:
        source = Source()
        reply = source.head(content_encoding="gzip")
        source.end()
        assert await rest_of(reply) == []

    async def test_is_not_whole_when_it_breaks_off(self) -> None:
        source = Source()
        reply = source.head(content_encoding="gzip")
        source.body(gzip.compress(b"hello world")[:-3])
        source.end()
        with pytest.raises(UpstreamError) as caught:
            await reply.read(WHOLE)
        assert caught.value.code is Code.PROTOCOL

    async def test_others_have_their_turn_while_much_comes_out(self) -> None:
        source = Source()
        reply = source.head(content_encoding="gzip")
        source.body(gzip.compress(bytes(40 * PIECE_BYTES)))
        source.end()
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0)

        ticking = spawn(tick(), "tick")
        sizes = [len(chunk) async for chunk in reply.chunks()]
        ticking.cancel()
        assert sizes == [PIECE_BYTES] * 40
        assert ticks >= 40

    async def test_closing_stops_it(self) -> None:
        source = Source()
        reply = source.head(content_encoding="gzip")
        source.body(gzip.compress(bytes(4 * PIECE_BYTES)))
        source.end()
        await anext(reply.chunks())
        reply.close()
        with pytest.raises(UpstreamError):
            await anext(reply.chunks())
