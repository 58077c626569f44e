"""Replies in one piece: the same bytes whichever way they go, and nobody is waited for for ever."""

from __future__ import annotations

import asyncio

import orjson
import pytest

from rhetor.http import whole
from rhetor.testing import Upstream, says
from tests.conftest import Gateway, MakeGateway, settings
from tests.http.doors import OPENAI_CHAT, http
from tests.http.test_stream import LARGE, deaf, send
from tests.testing.caller import Caller

BODY = orjson.dumps(OPENAI_CHAT.body())
OWN = {b"date", b"x-request-id", b"request-id", b"x-rhetor-generation-id", b"x-rhetor-attempts"}
"""Headers that differ from reply to reply."""
PAGE = {b"vary", b"access-control-allow-origin", b"access-control-expose-headers"}
"""What only a page is told."""


def kept(*more: bytes, host: str = "localhost") -> bytes:
    """A request on a connection that stays."""
    return http("POST", OPENAI_CHAT.path, BODY, *more, host=host).replace(b"Connection: close\r\n", b"")


def headers_of(head: bytes) -> dict[bytes, bytes]:
    lines = head.strip().split(b"\r\n")[1:]
    return {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}


async def read_all(caller: Caller) -> None:
    while True:
        await caller.reply()


async def test_both_ways_write_the_same_headers(gateway: Gateway, upstream: Upstream) -> None:
    """A page's replies go the long way."""
    upstream.always(says("hello"))
    heads = []
    for more in ((), (f"Origin: {gateway.url}".encode(),)):
        async with Caller(gateway.url) as caller:
            caller.writer.write(kept(*more, host=gateway.url.split("//")[1]))
            heads.append(headers_of(await caller.head()))
    short, long = heads
    assert short.keys() == long.keys() - PAGE
    assert {name: short[name] for name in short.keys() - OWN} == {
        name: long[name] for name in short.keys() - OWN
    }
    assert short[b"server"].startswith(b"rhetor/")
    assert short[b"date"].endswith(b"GMT")


async def test_requests_that_were_sent_together_are_answered_one_by_one(
    gateway: Gateway, upstream: Upstream
) -> None:
    upstream.always(says("hello"))
    async with Caller(gateway.url) as caller:
        caller.writer.write(kept() * 3)
        for _ in range(3):
            size = int(headers_of(await caller.head())[b"content-length"])
            reply = orjson.loads(await caller.reader.readexactly(size))
            assert reply["choices"][0]["message"]["content"] == "hello"


async def test_a_caller_who_wants_no_more_is_hung_up_on(gateway: Gateway, upstream: Upstream) -> None:
    upstream.always(says("hello"))
    async with Caller(gateway.url) as caller:
        caller.writer.write(http("POST", OPENAI_CHAT.path, BODY))
        said = await caller.rest()
    assert b"hello" in said
    assert b"connection: close" in said.lower()


async def test_a_page_may_read_its_reply(make_gateway: MakeGateway, upstream: Upstream) -> None:
    origin = "https://app.example.org"
    gateway = await make_gateway(settings(upstream, server={"allowed_origins": [origin]}))
    upstream.says("hello")
    async with gateway.session.post(
        gateway.url + OPENAI_CHAT.path, data=BODY, headers={"Origin": origin}
    ) as reply:
        assert reply.headers["access-control-allow-origin"] == origin


async def test_a_whole_reply_waits_for_its_caller(
    gateway: Gateway, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not for ever."""
    monkeypatch.setattr(whole, "WHOLE_S", 0.2)
    upstream.always(says(*LARGE))
    async with deaf(gateway) as caller:
        send(caller, OPENAI_CHAT)
        await gateway.booked()
        with pytest.raises(ConnectionError):
            await caller.rest()


async def test_who_reads_none_of_many_short_replies_is_not_waited_for_either(
    gateway: Gateway, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whole, "WHOLE_S", 0.2)
    upstream.always(says("x" * 30_000))
    async with deaf(gateway) as caller:
        caller.writer.write(kept() * 300)
        await upstream.request(20)
        runner = gateway.app._runner
        assert runner is not None
        assert runner.server is not None
        async with asyncio.timeout(10):
            while runner.server.connections:
                await asyncio.sleep(0.01)  # nothing tells when it gives up
        assert len(upstream.requests) < 300
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await read_all(caller)
