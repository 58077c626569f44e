"""Replies written while they are made: whole frames, a line kept alive, and an unmistakable end."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp import web

from rhetor.core.errors import Code
from rhetor.http import stream as streams
from rhetor.http.stream import CallerLeft, EventStream
from rhetor.http.whole import write_whole
from rhetor.testing import Gate, Point, Upstream, fails, hangs, says, slow
from tests.conftest import Gateway, MakeGateway, settings
from tests.http.doors import (
    ANTHROPIC_MESSAGES,
    OPENAI_CHAT,
    TEKTON_CHAT,
    TEKTON_STREAM,
    Door,
    http,
    raw,
    refused,
    serving,
)
from tests.http.following import until
from tests.http.test_reply import ask
from tests.sdk.clients import anthropic_at, openai_at
from tests.testing.caller import Caller, body_of

ALIVE_S = 0.05
COMMENT = b": keep-alive\n\n"
PING = b'event: ping\ndata: {"type": "ping"}\n\n'
KEEPALIVES = {OPENAI_CHAT: COMMENT, ANTHROPIC_MESSAGES: PING, TEKTON_STREAM: COMMENT}
STREAMS = pytest.mark.parametrize("door", KEEPALIVES, ids=str)
MODELS = pytest.mark.parametrize("model", ["oai/m", "ant/m"])
LARGE = ["x" * 100_000] * 300  # more than the buffers of both ends take


@pytest.fixture
async def lively(make_gateway: MakeGateway, upstream: Upstream) -> Gateway:
    """A gateway that soon keeps its streams alive."""
    route = {"targets": ["oai/m"]}
    return await make_gateway(settings(upstream, server={"keepalive_s": ALIVE_S}, routes={"fast": route}))


def send(caller: Caller, door: Door, **changes: Any) -> None:
    caller.writer.write(http("POST", door.path, orjson.dumps(door.body(**changes))))


@asynccontextmanager
async def streaming(gateway: Gateway, door: Door, **changes: Any) -> AsyncIterator[Caller]:
    async with Caller(gateway.url) as caller:
        send(caller, door, stream=True, **changes)
        yield caller


async def piece(caller: Caller) -> bytes:
    """The next chunk of the body."""
    size = int(await caller.read(b"\r\n"), 16)
    return (await caller.reader.readexactly(size + 2))[:-2]


async def rest(caller: Caller) -> bytes:
    """What is left of the body, which must come to its end."""
    return body_of(await caller.rest())


# Kept alive.


@MODELS
@STREAMS
async def test_a_stream_is_kept_alive_before_anybody_answers(
    lively: Gateway, upstream: Upstream, door: Door, model: str
) -> None:
    """What is known of the reply is in its headers, and nothing of the reply is lost."""
    gate = Gate()
    upstream.next(hangs(gate))
    async with streaming(lively, door, model=model) as caller:
        head = await caller.head()
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"Content-Type: text/event-stream\r\n" in head.replace(b"content-type", b"Content-Type")
        assert re.search(rb"x-rhetor-generation-id: gen_[0-9a-f]{24}\r\n", head)
        assert b"x-rhetor-served-by" not in head
        for _ in range(3):
            assert await piece(caller) == KEEPALIVES[door]
        gate.open()
        body = await rest(caller)
    assert b"hello" in body
    assert b'"error"' not in body
    (trip,) = await lively.booked()
    assert trip["outcome"] == "ok"


@MODELS
@STREAMS
async def test_a_stream_is_kept_alive_while_nothing_is_said(
    lively: Gateway, upstream: Upstream, door: Door, model: str
) -> None:
    """Between whole frames, and in any number."""
    gate = Gate()
    upstream.next(says("hello world again").but(hangs(gate, after=1)))
    async with streaming(lively, door, model=model) as caller:
        await caller.head()
        pieces = [await piece(caller)]
        while pieces.count(KEEPALIVES[door]) < 3:
            pieces.append(await piece(caller))
        assert b"hello" in b"".join(pieces)
        gate.open()
        body = await rest(caller)
    assert b"again" in body
    assert all(said.endswith(b"\n\n") for said in pieces)


async def test_who_speaks_need_not_be_kept_alive(make_gateway: MakeGateway, upstream: Upstream) -> None:
    """Slowly, but more often than silence would last."""
    gateway = await make_gateway(settings(upstream, server={"keepalive_s": 0.4}))
    upstream.next(says(" ".join("abcdefghij")).but(slow(gap_s=0.08)))
    reply = await ask(gateway, OPENAI_CHAT, stream=True)
    assert COMMENT not in reply.body
    assert reply.headers["x-rhetor-served-by"] == "oai/m"


async def test_a_whole_reply_is_not_kept_alive(lively: Gateway, upstream: Upstream) -> None:
    gate = Gate()
    upstream.next(hangs(gate))
    async with Caller(lively.url) as caller:
        send(caller, TEKTON_CHAT)
        await gate.reached()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3 * ALIVE_S):
                await caller.reader.read(1)
        gate.open()
        assert (await caller.head()).startswith(b"HTTP/1.1 200 OK\r\n")
        assert orjson.loads(await caller.rest())["content"] == "hello world"


@STREAMS
@pytest.mark.parametrize("model", ["fast", "oai/m"])
async def test_a_failure_after_the_first_keepalive_is_a_frame(
    lively: Gateway, upstream: Upstream, door: Door, model: str
) -> None:
    """The status is out; the door's own error, with the provider's words, ends the stream in order."""
    gate = Gate()
    upstream.always(fails(503, "out to lunch").but(hangs(gate)))
    async with streaming(lively, door, model=model) as caller:
        assert (await caller.head()).startswith(b"HTTP/1.1 200 OK\r\n")
        assert await piece(caller) == KEEPALIVES[door]
        gate.open()
        body = await rest(caller)
    assert b"out to lunch" in body
    assert b'"error"' in body
    assert b"message_stop" not in body
    (trip,) = await lively.booked()
    assert trip["outcome"] not in ("ok", "cancelled")


async def test_a_failure_before_it_has_its_status(gateway: Gateway, upstream: Upstream) -> None:
    upstream.always(fails(400, "no such knob"))
    refused(await ask(gateway, OPENAI_CHAT, stream=True), OPENAI_CHAT, 400)


async def test_a_caller_of_old_is_kept_alive_too(lively: Gateway, upstream: Upstream) -> None:
    """HTTP/1.0 knows no chunks: the connection's end is the body's."""
    gate = Gate()
    upstream.next(hangs(gate))
    body = orjson.dumps(OPENAI_CHAT.body(stream=True))
    head = b"POST %b HTTP/1.0\r\nContent-Length: %d\r\n\r\n" % (OPENAI_CHAT.path.encode(), len(body))
    async with Caller(lively.url) as caller:
        caller.writer.write(head + body)
        assert b"transfer-encoding" not in (await caller.head()).lower()
        assert await caller.read(b"\n\n") == COMMENT
        gate.open()
        assert (await caller.rest()).endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("headers", [{}, {"x-rhetor-detach": "60"}], ids=["plain", "with ids"])
@pytest.mark.parametrize("point", ["request", 1])
async def test_the_official_sdks_do_not_see_it(
    lively: Gateway, upstream: Upstream, point: Point, headers: Mapping[str, str]
) -> None:
    hello: Any = [{"role": "user", "content": "hi"}]
    upstream.next(says("hello world").but(hangs(after=point, for_s=4 * ALIVE_S)))
    async with openai_at(lively) as openai:
        chunks = await openai.chat.completions.create(
            model="oai/m", messages=hello, stream=True, extra_headers=headers
        )
        text = [c.choices[0].delta.content or "" async for c in chunks if c.choices]
    assert "".join(text) == "hello world"
    upstream.next(says("hello world").but(hangs(after=point, for_s=4 * ALIVE_S)))
    async with anthropic_at(lively) as anthropic:
        asked = anthropic.messages.stream(model="ant/m", max_tokens=50, messages=hello, extra_headers=headers)
        async with asked as stream:
            assert await stream.get_final_text() == "hello world"


# Callers who are slow, or gone.


@pytest.mark.parametrize("model", ["oai/m", "ant/m"])
async def test_a_caller_who_never_reads_ends_with_the_trip(
    make_gateway: MakeGateway, upstream: Upstream, model: str
) -> None:
    """Neither the provider's connection nor ours is held for longer than the whole trip may take."""
    gateway = await make_gateway(settings(upstream, timeouts={"total_s": 0.5}))
    upstream.next(says(*LARGE))
    async with deaf(gateway) as caller:
        send(caller, OPENAI_CHAT, model=model, stream=True)
        await (await upstream.request()).aborted()
        (trip,) = await gateway.booked()
        assert trip["outcome"] == Code.TOTAL_TIMEOUT
        with pytest.raises(ConnectionError):
            await caller.rest()


async def test_a_caller_who_is_slow_gets_all(gateway: Gateway, upstream: Upstream) -> None:
    upstream.next(says(*LARGE[:50]))
    async with deaf(gateway) as caller:
        send(caller, OPENAI_CHAT, stream=True)
        await caller.head()
        body = await rest(caller)
    assert body.count(b"x" * 1000) == 50 * 100
    assert body.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("back", [False, True], ids=["who asked", "who came back"])
@pytest.mark.parametrize("headers", [(b"x-rhetor-detach: 60",), (b"Idempotency-Key: once",)], ids=str)
async def test_who_never_reads_a_recorded_reply_is_not_waited_for_either(
    make_gateway: MakeGateway,
    upstream: Upstream,
    monkeypatch: pytest.MonkeyPatch,
    headers: tuple[bytes, ...],
    back: bool,
) -> None:
    """Its trip has long ended, and clocks nobody any more."""
    monkeypatch.setattr(streams, "WHOLE_S", 0.3)
    gateway = await make_gateway(settings(upstream, server={"detached_each_mb": 200}))
    house = gateway.app.house
    upstream.next(says(*LARGE))
    asks = http("POST", OPENAI_CHAT.path, orjson.dumps(OPENAI_CHAT.body(stream=True)), *headers)
    if back:
        async with Caller(gateway.url) as caller:
            caller.writer.write(asks)
            await caller.rest()
        (id,) = house.recordings.listed
        asks = http("GET", f"/v1/generations/{id}/events")
    async with deaf(gateway) as caller:
        caller.writer.write(asks)
        await caller.head()
        await until(lambda: not house.recordings.followed)
        assert not house.requests
        with pytest.raises(ConnectionError):
            await caller.rest()
    assert all(recording.state == "finished" for recording in house.recordings.listed.values())


async def test_the_time_for_a_recorded_reply_is_for_all_of_it(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who reads a bit now and then does not begin anew each time."""
    monkeypatch.setattr(streams, "WHOLE_S", 0.5)
    told: list[bool] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        stream = EventStream(request, plain, b"", 1.0, limited=True)
        for _ in range(1000):
            if stream.send(b"x" * 100_000):
                told.append(True)
                await stream.catch_up()
        return await stream.end()

    async with serving(handler, gateway.app.house) as url, Caller(url) as caller:
        caller.writer.write(http("GET", "/"))
        with pytest.raises(ConnectionError):
            await slowly(caller)
    assert len(told) > 1


async def test_the_end_of_a_recorded_reply_has_its_time_too(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "WHOLE_S", 0.2)
    told: list[type[BaseException]] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        stream = EventStream(request, plain, b"", 1.0, limited=True)
        stream.send(b"x" * (64 << 20))
        try:
            return await stream.end()
        except CallerLeft as error:
            told.append(type(error))
            raise

    async with serving(handler, gateway.app.house) as url, Caller(url) as caller:
        caller.writer.write(http("GET", "/"))
        await until(lambda: bool(told))


async def slowly(caller: Caller) -> None:
    while await caller.reader.read(1 << 16):
        await asyncio.sleep(0.01)


@asynccontextmanager
async def deaf(gateway: Gateway) -> AsyncIterator[Caller]:
    """A caller who reads only when told to, and has little room for what comes."""
    caller = Caller(gateway.url)
    sock = socket.create_connection(("127.0.0.1", gateway.app.house.port))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
    caller.reader, caller.writer = await asyncio.open_connection(sock=sock, limit=4096)
    try:
        yield caller
    finally:
        await caller.leave()


# The writer alone.


def plain() -> Mapping[str, str]:
    return {"content-type": "text/plain"}


async def test_it_can_be_written_without_waiting(gateway: Gateway) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        stream = EventStream(request, plain, b"", 1.0)
        assert not stream.begun
        assert not stream.send(b"one ")
        assert stream.begun
        assert not stream.send(b"two")
        assert stream.takes_more
        response = await stream.end()
        assert not stream.takes_more
        return response

    async with serving(handler, gateway.app.house) as url, gateway.session.get(url) as reply:
        assert await reply.read() == b"one two"


async def test_an_empty_stream_is_whole(gateway: Gateway) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        return await EventStream(request, plain, b"", 1.0).end()

    async with serving(handler, gateway.app.house) as url:
        reply = await raw(url, b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
    assert (reply.status, reply.body) == (200, b"")


async def test_nobody_is_written_to_who_has_left(gateway: Gateway) -> None:
    seen: list[type[BaseException]] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        stream = EventStream(request, plain, b"", 1.0)
        stream.send(b"x")
        assert request.transport is not None
        request.transport.abort()
        for write in (lambda: stream.send(b"y"), lambda: EventStream(request, plain, b"", 1.0).send(b"y")):
            try:
                write()
            except CallerLeft as error:
                seen.append(type(error))
        try:
            await write_whole(request, {}, b"z")
        except CallerLeft as error:
            seen.append(type(error))
        raise CallerLeft

    async with serving(handler, gateway.app.house) as url, Caller(url) as caller:
        caller.writer.write(http("GET", "/"))
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await caller.read(b"never")
    assert seen == [CallerLeft] * 3


async def test_a_head_that_waits_is_a_mistake_of_ours(gateway: Gateway) -> None:
    """Told at once: what completes the heads of replies must do without waiting."""
    said: list[str] = []

    async def waits(request: web.Request, response: web.StreamResponse) -> None:
        await asyncio.sleep(0)

    async def handler(request: web.Request) -> web.StreamResponse:
        stream = EventStream(request, plain, b"", 1.0)
        try:
            stream.send(b"x")
        except RuntimeError as error:
            said.append(str(error))
        stream.abort()
        raise CallerLeft

    async with serving(handler, gateway.app.house, waits) as url:
        with pytest.raises(aiohttp.ClientError):
            await gateway.session.post(url)  # which nobody sends twice
    assert said == ["what prepares a response must not wait"]
