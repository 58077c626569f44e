"""What has come for a call is held within bounds, and read once."""

from __future__ import annotations

import asyncio

import pytest

from rhetor.core.errors import Code, UpstreamError
from rhetor.plugins.guest.reply import MOST_FRAMES, WINDOW_BYTES, GuestReply
from rhetor.tasks import spawn
from rhetor.wire.guest.frames import Frame


class Asked:
    def __init__(self) -> None:
        self.granted = 0
        self.given_up = 0
        self.done = 0
        self.reply = GuestReply(1, self, self.on_done)

    def on_done(self) -> None:
        self.done += 1

    def grant(self, reply: GuestReply, credit: int) -> None:
        self.granted += credit

    def give_up(self, reply: GuestReply) -> None:
        self.given_up += 1

    def put(self, event: str = "text", size: int = 10) -> bool:
        return self.reply.put(Frame({"event": event}, None, b"x" * size))


async def test_it_ends_with_its_ending() -> None:
    asked = Asked()
    reading = spawn(asked.reply.read(1000), "reading")
    await asyncio.sleep(0)
    assert asked.put()
    await asyncio.sleep(0)
    assert not reading.done()
    assert asked.put("finished")
    assert await reading == b"x" * 20
    asked.reply.close()
    assert (asked.done, asked.given_up) == (1, 0)
    assert [data async for data in asked.reply.chunks()] == []


async def test_more_than_the_window_must_be_asked_for() -> None:
    asked = Asked()
    assert asked.put(size=WINDOW_BYTES - 1)
    assert asked.put(size=100)  # the last one may exceed it
    assert not asked.put()
    assert asked.put("finished")  # an ending always may come
    assert len(await asked.reply.read(1 << 30)) == WINDOW_BYTES + 109
    reader, other = Asked().reply.chunks(), Asked()
    await reader.aclose()
    assert other.put(size=WINDOW_BYTES)
    chunks = other.reply.chunks()
    await anext(chunks)
    waiting = spawn(anext(chunks), "waiting")
    await asyncio.sleep(0)
    assert other.granted == WINDOW_BYTES
    assert other.put()
    assert await waiting == b"x" * 10
    other.reply.close()
    assert other.given_up == 1


async def test_a_part_does_not_pass_for_the_whole() -> None:
    for ends in (False, True):
        asked = Asked()
        asked.put()
        if ends:
            asked.put("finished")
        asked.reply.close()
        with pytest.raises(UpstreamError, match="closed before its end"):
            await asked.reply.read(1000)
        assert asked.done == 1


async def test_what_came_before_a_failure_is_read_first() -> None:
    asked = Asked()
    asked.put()
    asked.reply.fail(UpstreamError("dead", Code.CONNECTION_LOST))
    asked.reply.fail(UpstreamError("again", Code.CONNECTION_LOST))
    chunks = asked.reply.chunks()
    assert await anext(chunks) == b"x" * 10
    with pytest.raises(UpstreamError, match="dead"):
        await anext(chunks)
    assert asked.done == 1


async def test_a_body_is_cut_off_at_the_limit() -> None:
    asked = Asked()
    asked.put(size=100)
    assert await asked.reply.read(10) == b"x" * 10
    assert asked.given_up == 1


async def test_what_has_piled_up_is_read_in_pieces_and_others_have_their_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever reads makes events of a whole piece at once; a megabyte of small ones took a second."""
    asked = Asked()
    for _ in range(3 * MOST_FRAMES):
        asked.put()
    asked.put("finished")
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = spawn(others(), "others")
    sizes = [len(data) async for data in asked.reply.chunks()]
    other.cancel()
    assert sizes == [10 * MOST_FRAMES] * 3 + [10]
    assert turns >= 3
