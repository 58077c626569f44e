"""One caller's connection: whatever the reply is doing, the caller's leaving is seen at once."""

from __future__ import annotations

import asyncio

import pytest

from rhetor.testing import Outcome, Point, Upstream, hangs, says
from tests.testing.caller import CHAT, CHAT_PATH, Caller

pytestmark = pytest.mark.usefixtures("no_leaks")

LARGE = "x" * 32_000_000  # more than the kernel buffers of both sides take, which Linux lets grow to 10 MB

PHASES: list[Point] = ["request", "headers", 0, 1, "half", 3]


@pytest.mark.parametrize("politely", [True, False], ids=["FIN", "RST"])
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("point", PHASES)
async def test_sees_the_caller_leave_while_it_hangs(
    upstream: Upstream, point: Point, stream: bool, politely: bool
) -> None:
    upstream.next(says("one two three").but(hangs(after=point)))
    async with Caller(upstream.base_url) as caller:
        caller.ask({**CHAT, "stream": stream})
        seen = await upstream.request()
        await seen.hanging()
        assert seen.outcome is None

        await (caller.leave() if politely else caller.break_off())

        await seen.aborted()
    await upstream.connections.closed()


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
async def test_sees_the_caller_leave_who_does_not_read(upstream: Upstream, stream: bool) -> None:
    """The reply stands in the kernel's buffers: written is not read."""
    upstream.says(LARGE)
    async with Caller(upstream.base_url) as caller:
        caller.ask({**CHAT, "stream": stream})
        seen = await upstream.request()
        await caller.head()
        assert seen.outcome is None

        await caller.leave()

        await seen.aborted()


async def test_a_reply_that_was_read_is_complete(upstream: Upstream) -> None:
    async with Caller(upstream.base_url) as caller:
        caller.ask(CHAT)
        await caller.head()
        seen = await upstream.request()
        assert await seen.ended() is Outcome.COMPLETED
    await upstream.connections.closed()
    assert seen.outcome is Outcome.COMPLETED


async def test_a_caller_who_stays_has_not_aborted(upstream: Upstream) -> None:
    async with Caller(upstream.base_url) as caller:
        caller.ask(CHAT)
        with pytest.raises(AssertionError, match="stayed"):
            await (await upstream.request()).aborted()


async def test_a_connection_is_kept_for_the_next_request(upstream: Upstream) -> None:
    async with Caller(upstream.base_url) as caller:
        for _ in range(3):
            caller.ask(CHAT)
            assert b"hello world" in await caller.reply()
    assert upstream.connections.total == 1
    assert len(upstream.requests) == 3


async def test_pipelined_requests_are_answered_in_order(upstream: Upstream) -> None:
    upstream.next(says("first"), says("second"))
    async with Caller(upstream.base_url) as caller:
        caller.ask(CHAT)
        caller.ask(CHAT, headers="connection: close\r\n")
        replies = await caller.rest()
    assert 0 < replies.index(b"first") < replies.index(b"second")


async def test_a_caller_who_wants_no_more_is_let_go(upstream: Upstream) -> None:
    async with Caller(upstream.base_url) as caller:
        caller.ask(CHAT, headers="connection: close\r\n")
        assert b"hello world" in await caller.rest()


async def test_what_is_not_http_is_refused(upstream: Upstream) -> None:
    async with Caller(upstream.base_url) as caller:
        caller.writer.write(b"how do you do?\r\n\r\n")
        assert (await caller.rest()).startswith(b"HTTP/1.1 400 ")
    assert upstream.requests == []


async def test_a_request_that_is_not_complete_is_no_request(upstream: Upstream) -> None:
    async with Caller(upstream.base_url) as caller:
        caller.writer.write(f"POST {CHAT_PATH} HTTP/1.1\r\ncontent-length: 10\r\n\r\nhalf".encode())
        await caller.writer.drain()
        while upstream.connections.total == 0:
            await asyncio.sleep(0)
        await caller.leave()
        await upstream.connections.closed()
    assert upstream.requests == []
