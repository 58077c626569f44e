"""What every HTTP door has in common: headers that tell what happened, fallbacks, and honest failures."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp import web

from rhetor import tasks
from rhetor.core.capability import Capability
from rhetor.core.errors import Code
from rhetor.core.events import Event
from rhetor.http import reply as replies
from rhetor.http.reply import generate
from rhetor.testing import (
    Gate,
    Step,
    Upstream,
    cuts,
    error_in_200,
    fails,
    garbage,
    hangs,
    headers,
    raw_frames,
    resets,
    says,
)
from rhetor.wire.base import Door as WireDoor
from rhetor.wire.openai import OPENAI
from tests.conftest import Gateway, MakeGateway, settings
from tests.http.doors import (
    ANTHROPIC_MESSAGES,
    EACH_DOOR,
    OPENAI_CHAT,
    OPENAI_EMBEDDINGS,
    TEKTON_CHAT,
    TEKTON_STREAM,
    Door,
    Reply,
    http,
    knock,
    refused,
    serving,
    still_answers,
)
from tests.testing.caller import Caller

CHATS = pytest.mark.parametrize("door", [OPENAI_CHAT, ANTHROPIC_MESSAGES, TEKTON_CHAT], ids=str)
STREAMS = pytest.mark.parametrize("door", [OPENAI_CHAT, ANTHROPIC_MESSAGES, TEKTON_STREAM], ids=str)
MODELS = pytest.mark.parametrize("model", ["oai/m", "ant/m"])


async def ask(gateway: Gateway, door: Door, **changes: Any) -> Reply:
    return await knock(gateway, door, orjson.dumps(door.body(**changes)))


@pytest.fixture
async def routed(make_gateway: MakeGateway, upstream: Upstream) -> Gateway:
    """A gateway with a route whose targets speak different languages."""
    route = {"targets": ["oai/first", "ant/second"], "retries": 0, "timeouts": {"first_event_s": 1}}
    return await make_gateway(settings(upstream, routes={"fast": route}))


# Headers.


@EACH_DOOR
async def test_what_happened_is_in_the_headers(gateway: Gateway, door: Door) -> None:
    reply = await ask(gateway, door)
    said = reply.headers
    assert said["x-rhetor-generation-id"] == said["x-request-id"] == said["request-id"]
    assert re.fullmatch("gen_[0-9a-f]{24}", said["x-rhetor-generation-id"])
    assert said["x-rhetor-served-by"] == door.model
    assert re.fullmatch(rf"{door.model};ok;\d+ms", said["x-rhetor-attempts"])
    assert not {"x-rhetor-fallback", "x-rhetor-dropped", "x-rhetor-usage", "x-should-retry"} & said.keys()
    (trip,) = await gateway.booked()
    assert trip["id"] == said["x-rhetor-generation-id"]


async def test_ids_are_never_the_same(gateway: Gateway) -> None:
    ids = {(await ask(gateway, OPENAI_CHAT)).headers["x-request-id"] for _ in range(20)}
    assert len(ids) == 20


async def test_what_it_cost(make_gateway: MakeGateway, upstream: Upstream) -> None:
    """In whole micro-dollars, where the price is known."""
    openai = {"base_url": f"{upstream.base_url}/v1", "key": "env:TEST_KEY"}
    gateway = await make_gateway(settings(upstream, providers={"openai": openai}))
    async with asyncio.timeout(10):
        while (
            "x-rhetor-cost-micros"
            not in (  # prices come a moment after the start
                reply := await ask(gateway, OPENAI_CHAT, model="openai/gpt-4o-mini")
            ).headers
        ):
            await asyncio.sleep(0)
    assert int(reply.headers["x-rhetor-cost-micros"]) > 0
    assert "x-rhetor-cost-micros" not in (await ask(gateway, OPENAI_CHAT)).headers


@CHATS
async def test_usage_that_nobody_reported_is_called_an_estimate(
    gateway: Gateway, upstream: Upstream, door: Door
) -> None:
    upstream.says("hello world", usage=None)
    assert (await ask(gateway, door)).headers["x-rhetor-usage"] == "estimated"
    (trip,) = await gateway.booked()
    assert (trip["usage_source"], trip["output_tokens"]) == ("estimated", 3)


async def test_odd_headers_of_the_provider_do_no_harm(gateway: Gateway, upstream: Upstream) -> None:
    upstream.next(
        says("hi").but(headers({"x-ratelimit-reset-tokens": "caf\xe9", "retry-after": "\xff" * 9_000}))
    )
    reply = await ask(gateway, OPENAI_CHAT)
    assert reply.status == 200
    assert reply.headers["x-ratelimit-reset-tokens"] == "caf?"
    assert len(reply.headers["retry-after"]) <= replies.HEADER_LIMIT


# Fallback, before the first word.


FAULTS: dict[str, Step] = {
    "401": fails(401),
    "404": fails(404),
    "429": fails(429),
    "500": fails(500),
    "503": fails(503),
    "silence": hangs(),
    "silence after the headers": hangs(after="headers"),
    "a reset": resets(),
    "cut before the first word": cuts(after=0),
    "an error in 200": error_in_200(Code.RATE_LIMITED),
}


@pytest.mark.promise("J45")
@STREAMS
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_falling_back_is_free_before_the_first_word(
    routed: Gateway, upstream: Upstream, door: Door, fault: Step
) -> None:
    """The caller notices nothing but the metadata, which tells all."""
    upstream.next(fault)
    reply = await ask(routed, door, model="fast", stream=True)
    assert reply.status == 200
    assert b"hello" in reply.body
    assert b'"error"' not in reply.body
    assert reply.headers["x-rhetor-served-by"] == "ant/second"
    assert reply.headers["x-rhetor-fallback"] == "true"
    assert re.fullmatch(r"oai/first;\w+;\d+ms, ant/second;ok;\d+ms", reply.headers["x-rhetor-attempts"])
    assert [seen.model for seen in upstream.requests] == ["first", "second"]
    (trip,) = await routed.booked()
    assert (trip["outcome"], trip["fallback"], trip["served_by"]) == ("ok", True, "ant/second")


@CHATS
async def test_a_whole_reply_falls_back_until_it_is_whole(
    routed: Gateway, upstream: Upstream, door: Door
) -> None:
    upstream.next(cuts(after="half"))
    reply = await ask(routed, door, model="fast")
    assert (reply.status, reply.headers["x-rhetor-served-by"]) == (200, "ant/second")


@EACH_DOOR
async def test_when_all_have_failed(make_gateway: MakeGateway, upstream: Upstream, door: Door) -> None:
    """The first cause is told, and everybody who was tried; an SDK that repeats would only multiply it."""
    provider = door.model.partition("/")[0]
    targets = [f"{provider}/first", f"{provider}/second"]
    gateway = await make_gateway(settings(upstream, routes={"fast": {"targets": targets, "retries": 0}}))
    upstream.always(lambda seen: fails(503, "out to lunch") if seen.model == "first" else fails(429))
    reply = await ask(gateway, door, model="fast")
    status = 529 if provider == "ant" else 503  # Anthropic has a word of its own for it
    assert "out to lunch" in refused(reply, door, status).message
    assert reply.headers["x-should-retry"] == "false"
    tried = rf"{provider}/first;(unavailable|overloaded);\d+ms, {provider}/second;rate_limited;\d+ms"
    assert re.fullmatch(tried, reply.headers["x-rhetor-attempts"])
    assert "x-rhetor-served-by" not in reply.headers


@pytest.mark.parametrize("door", [OPENAI_CHAT, OPENAI_EMBEDDINGS], ids=str)
async def test_fallbacks_without_end(gateway: Gateway, upstream: Upstream, door: Door) -> None:
    wrong = refused(await ask(gateway, door, fallbacks=["oai/m"] * 17), door, 400)
    assert (wrong.message, wrong.param) == ("fallbacks: at most 16, got 17", "fallbacks")
    assert upstream.requests == []
    assert (await ask(gateway, door, fallbacks=["oai/m"] * 16)).status == 200


async def test_what_is_the_callers_fault_is_not_tried_again(routed: Gateway, upstream: Upstream) -> None:
    upstream.next(fails(400, "no such knob"))
    refused(await ask(routed, OPENAI_CHAT, model="fast"), OPENAI_CHAT, 400)
    assert len(upstream.requests) == 1


# Failures after the first word.


MIDSTREAM: dict[str, Step] = {
    "cut": cuts(after=1),
    "ended in order": cuts(after=1, clean=True),
    "reset": cuts(after=1),
    "an error": error_in_200(Code.UPSTREAM_ERROR, after=1).but(hangs(after=1, for_s=0.05)),
    "a frame too large": says("hello " + "x" * (9 << 20)),
}


@MODELS
@STREAMS
@pytest.mark.parametrize("fault", MIDSTREAM.values(), ids=MIDSTREAM)
async def test_no_failure_looks_like_a_success(
    gateway: Gateway, upstream: Upstream, door: Door, model: str, fault: Step
) -> None:
    """The door's own error ends the stream, its mark of success is missing, and the books agree."""
    upstream.always(fault)
    reply = await ask(gateway, door, model=model, stream=True)
    assert reply.status == 200
    assert b"hello" in reply.body
    assert b'"error"' in reply.body.rsplit(b"data: {", 1)[1]
    if door is not TEKTON_STREAM:  # there the error itself is the last chunk, and its readers want [DONE]
        assert b"[DONE]" not in reply.body
        assert b"message_stop" not in reply.body
    (trip,) = await gateway.booked()
    assert trip["outcome"] not in ("ok", "cancelled")


@MODELS
@CHATS
@pytest.mark.parametrize(
    "fault",
    [cuts(), cuts(clean=True), garbage(), error_in_200(after=1)],
    ids=["cut", "short", "garbage", "error"],
)
async def test_half_a_reply_is_none(
    gateway: Gateway, upstream: Upstream, door: Door, model: str, fault: Step
) -> None:
    upstream.always(fault)
    reply = await ask(gateway, door, model=model)
    assert reply.status in (500, 502)
    assert door.wrong(reply.json).message


@EACH_DOOR
async def test_a_reply_that_is_no_json(gateway: Gateway, upstream: Upstream, door: Door) -> None:
    """A login page of some proxy, say, with status 200."""
    upstream.always(raw_frames([b"<html><body>Please log in</body></html>"], content_type="text/html"))
    reply = await ask(gateway, door)
    assert refused(reply, door, 502).message


class _Broken:
    """A door whose renderer fails after the first words: a mistake of ours."""

    keepalive = b""

    def parse(self, body: bytes, given: dict[str, str]) -> Any:
        return OPENAI.doors[Capability.CHAT].parse(body, given)

    def renderer(self, request: Any, info: Any) -> Any:
        whole = OPENAI.doors[Capability.CHAT].renderer(request, info)

        class Renderer:
            content_type = whole.content_type

            def render(self, events: Iterable[Event]) -> bytes:
                said: bytes = whole.render(list(events))
                if b" world" in said:
                    raise ZeroDivisionError("the secret of the house")
                return said

        return Renderer()


async def test_a_failure_of_our_own_breaks_the_stream_off(
    gateway: Gateway, upstream: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    """Too late for a status, so the body must not look whole; nor is a second reply written into it."""
    door: WireDoor = _Broken()  # type: ignore[assignment]

    async def broken(request: web.Request) -> web.StreamResponse:
        return await generate(request, OPENAI, door, "broken")

    gate = Gate()
    upstream.next(says("hello world again").but(hangs(gate, after=1), hangs(after=2)))
    body = OPENAI_CHAT.body(model="ant/m", stream=True)
    said = b""
    async with serving(broken, gateway.app.house) as url, gateway.session.post(url, json=body) as reply:
        while b"hello" not in said:
            said += await reply.content.readany()
        gate.open()
        with pytest.raises(aiohttp.ClientPayloadError):
            said += await reply.content.read()
    assert b"HTTP/1.1" not in said
    assert [record.message for record in caplog.records] == ["request failed"]
    (trip,) = await gateway.booked()
    assert trip["outcome"] == "internal_error"


# Bodies on their way.


@EACH_DOOR
async def test_a_caller_that_leaves_while_it_sends(gateway: Gateway, upstream: Upstream, door: Door) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.app.house.port)
    writer.write(http("POST", door.path, b"x" * 100)[:-50])
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    assert await reader.read() == b""
    await still_answers(gateway, door)
    assert len(upstream.requests) <= 1
    assert [trip["outcome"] for trip in await gateway.booked()] == ["ok"]


BROKEN_BODIES = {
    "stops in the middle": http("POST", OPENAI_CHAT.path, b"{" * 100)[:-50],
    "is no HTTP from some point on": http("POST", OPENAI_CHAT.path).replace(
        b"Content-Length: 0\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
    ),
}


@pytest.mark.parametrize("sent", BROKEN_BODIES.values(), ids=BROKEN_BODIES)
async def test_a_body_that_never_comes_to_its_end(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, sent: bytes
) -> None:
    """Nobody waits for it for ever, the caller is told, and it is no failure of ours."""
    monkeypatch.setattr(replies, "BODY_S", 0.1)
    async with Caller(gateway.url) as caller:
        caller.writer.write(sent)
        await caller.writer.drain()
        caller.writer.write(b"no size of a chunk\r\n" if b"chunked" in sent else b"")
        head = await caller.head()
        status = head.split(b" ")[1]
        if status == b"408":
            assert b"did not arrive" in await caller.read(b"}}")
        else:  # it came all at once, and no door was asked
            assert status == b"400"
    assert caplog.records == []
    await still_answers(gateway)


# Too many.


@EACH_DOOR
async def test_a_provider_with_a_full_queue(
    make_gateway: MakeGateway, upstream: Upstream, door: Door
) -> None:
    """Who finds no place is told at once, and when to come again."""
    given = settings(upstream)
    for provider in given["providers"].values():
        provider |= {"max_connections": 1, "max_waiting": 0}
    gateway = await make_gateway(given)
    gate = Gate()
    upstream.next(hangs(gate))
    first = tasks.spawn(ask(gateway, door), "first")
    await upstream.request()
    reply = await ask(gateway, door)
    assert "wait already" in refused(reply, door, 503).message
    assert reply.headers["retry-after"] == "1"
    assert "x-should-retry" not in reply.headers
    gate.open()
    assert (await first).status == 200


# Shutting down.


@EACH_DOOR
async def test_no_new_trips_while_shutting_down(gateway: Gateway, upstream: Upstream, door: Door) -> None:
    """What is under way goes on."""
    gate = Gate()
    upstream.next(hangs(gate))
    first = tasks.spawn(ask(gateway, door), "first")
    await upstream.request()
    gateway.app.house.closing = True
    refused(await ask(gateway, door), door, 503)
    gate.open()
    assert (await first).status == 200
    assert len(upstream.requests) == 1
