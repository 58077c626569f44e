"""How long a caller's connection may say nothing, and how long a head may take."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson
import pytest

from rhetor.testing import Gate, Upstream, hangs
from tests.conftest import Gateway, MakeGateway, settings
from tests.http.doors import OPENAI_CHAT, http
from tests.testing.caller import Caller

SHORT_S = 0.15
PATIENT_S = 60.0
KEPT = http("HEAD", "/health").replace(b"Connection: close\r\n", b"")
ASKS = http("POST", OPENAI_CHAT.path, orjson.dumps(OPENAI_CHAT.body())).replace(b"Connection: close\r\n", b"")
HEADS = [b"GET /heal", b"GET /health HTTP/1.1\r\nHost: localhost\r\n"]


@pytest.mark.parametrize(
    ("first", "sent"), [(b"", b""), *[(first, it) for first in (b"", KEPT) for it in HEADS]]
)
async def test_a_head_that_never_comes_to_its_end(
    make_gateway: MakeGateway, first: bytes, sent: bytes
) -> None:
    """A caller who says nothing, or a bit at a time, is not waited for."""
    gateway = await make_gateway(settings(server={"header_timeout_s": SHORT_S, "idle_timeout_s": PATIENT_S}))
    async with Caller(gateway.url) as caller:
        if first:
            caller.writer.write(first)
            await caller.head()
        for byte in sent:
            caller.writer.write(bytes([byte]))
            await caller.writer.drain()
        assert await caller.rest() == b""


@pytest.mark.parametrize("sent", HEADS)
async def test_a_head_that_begins_together_with_its_connection(
    make_gateway: MakeGateway, sent: bytes
) -> None:
    gateway = await make_gateway(settings(server={"header_timeout_s": SHORT_S, "idle_timeout_s": PATIENT_S}))
    async with at_once(gateway, sent) as caller:
        assert await caller.rest() == b""


async def test_a_request_that_comes_together_with_its_connection(make_gateway: MakeGateway) -> None:
    gateway = await make_gateway(settings(server={"header_timeout_s": SHORT_S, "idle_timeout_s": PATIENT_S}))
    async with at_once(gateway, KEPT) as caller:
        assert (await caller.head()).startswith(b"HTTP/1.1 200")
        await idle_for(caller, 2 * SHORT_S)


@pytest.mark.parametrize("sent", HEADS)
async def test_a_head_that_begins_while_a_request_is_answered(
    make_gateway: MakeGateway, upstream: Upstream, sent: bytes
) -> None:
    """Its time begins when there is time for it."""
    server = {"header_timeout_s": SHORT_S, "idle_timeout_s": PATIENT_S}
    gateway = await make_gateway(settings(upstream, server=server))
    gate = Gate()
    upstream.next(hangs(gate))
    async with Caller(gateway.url) as caller:
        caller.writer.write(ASKS)
        await gate.reached()
        caller.writer.write(sent)
        await idle_for(caller, 2 * SHORT_S)
        gate.open()
        assert b"hello" in await reply(caller)
        assert await caller.rest() == b""


@pytest.mark.parametrize("sent", HEADS)
async def test_a_head_that_begins_together_with_a_request(make_gateway: MakeGateway, sent: bytes) -> None:
    gateway = await make_gateway(settings(server={"header_timeout_s": SHORT_S, "idle_timeout_s": PATIENT_S}))
    async with Caller(gateway.url) as caller:
        caller.writer.write(KEPT + sent)
        await caller.head()
        assert await caller.rest() == b""


async def test_a_head_that_is_whole_before_its_time_is_over(
    make_gateway: MakeGateway, upstream: Upstream
) -> None:
    """Begun while another request was answered; and nothing ends the connection after that."""
    server = {"header_timeout_s": SHORT_S, "idle_timeout_s": PATIENT_S}
    gateway = await make_gateway(settings(upstream, server=server))
    gate = Gate()
    upstream.next(hangs(gate))
    async with Caller(gateway.url) as caller:
        caller.writer.write(ASKS)
        await gate.reached()
        caller.writer.write(KEPT + KEPT[:-1])
        gate.open()
        await reply(caller)
        await caller.head()
        caller.writer.write(KEPT[-1:])
        await caller.head()
        await idle_for(caller, 2 * SHORT_S)


async def test_a_kept_connection_may_be_silent(make_gateway: MakeGateway) -> None:
    gateway = await make_gateway(settings(server={"header_timeout_s": SHORT_S, "idle_timeout_s": PATIENT_S}))
    async with Caller(gateway.url) as caller:
        for _ in range(2):
            caller.writer.write(KEPT)
            await caller.head()
            await idle_for(caller, 2 * SHORT_S)


async def test_a_connection_without_requests_is_not_kept_for_ever(make_gateway: MakeGateway) -> None:
    gateway = await make_gateway(settings(server={"header_timeout_s": PATIENT_S, "idle_timeout_s": SHORT_S}))
    async with Caller(gateway.url) as caller:
        caller.writer.write(KEPT)
        await caller.head()
        assert await caller.rest() == b""


async def test_a_slow_reply_is_not_idle(make_gateway: MakeGateway, upstream: Upstream) -> None:
    server = {"header_timeout_s": SHORT_S, "idle_timeout_s": SHORT_S}
    gateway = await make_gateway(settings(upstream, server=server))
    gate = Gate()
    upstream.next(hangs(gate))
    async with Caller(gateway.url) as caller:
        caller.writer.write(http("POST", OPENAI_CHAT.path, orjson.dumps(OPENAI_CHAT.body())))
        await gate.reached()
        await idle_for(caller, 2 * SHORT_S)
        gate.open()
        assert (await caller.head()).startswith(b"HTTP/1.1 200")


async def test_a_slow_body_is_no_slow_head(make_gateway: MakeGateway, upstream: Upstream) -> None:
    gateway = await make_gateway(
        settings(upstream, server={"header_timeout_s": SHORT_S, "idle_timeout_s": SHORT_S})
    )
    sent = http("POST", OPENAI_CHAT.path, orjson.dumps(OPENAI_CHAT.body()))
    async with Caller(gateway.url) as caller:
        caller.writer.write(sent[:-10])
        await idle_for(caller, 2 * SHORT_S)
        caller.writer.write(sent[-10:])
        assert (await caller.head()).startswith(b"HTTP/1.1 200")


@asynccontextmanager
async def at_once(gateway: Gateway, sent: bytes) -> AsyncIterator[Caller]:
    """A caller whose first bytes are there before the gateway has heard of the connection."""
    caller = Caller(gateway.url)
    sock = socket.create_connection(("127.0.0.1", gateway.app.house.port))
    sock.sendall(sent)
    caller.reader, caller.writer = await asyncio.open_connection(sock=sock)
    try:
        yield caller
    finally:
        await caller.leave()


async def reply(caller: Caller) -> bytes:
    head = (await caller.head()).lower()
    return await caller.reader.readexactly(int(head.partition(b"content-length: ")[2].partition(b"\r")[0]))


async def idle_for(caller: Caller, seconds: float) -> None:
    """So long nothing comes, not even the end."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(seconds):
            await caller.reader.read(1)
