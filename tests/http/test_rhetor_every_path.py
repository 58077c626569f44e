"""What holds for every path of the older callers: who leaves, who sends nonsense, who has no token."""

from __future__ import annotations

import orjson
import pytest

from rhetor.tasks import spawn
from rhetor.testing import Upstream, hangs, says
from tests.conftest import Gateway, MakeGateway, settings
from tests.http.following import frames, generation_of, id_of, told
from tests.http.old_clients import python_client
from tests.http.older_clients import (
    EVERY,
    SOFT,
    Repeated,
    completed,
    message_body,
    page_streamed,
    stream_body,
)

EACH = pytest.mark.parametrize("path", EVERY)
LINE_LIMIT = 64 * 1024


@pytest.fixture
async def gateway(make_gateway: MakeGateway, upstream: Upstream) -> Gateway:
    """A gateway that answers who names nobody."""
    return await make_gateway(settings(upstream, routes={"default": {"targets": ["oai/m"]}}))


@EACH
async def test_leaving_ends_the_call_to_the_provider(gateway: Gateway, upstream: Upstream, path: str) -> None:
    upstream.next(hangs())

    async def call() -> None:
        async with gateway.session.post(gateway.url + path, json=EVERY[path]) as reply:
            await reply.read()

    task = spawn(call(), "caller")
    seen = await upstream.request()
    await seen.hanging()
    task.cancel()
    await seen.aborted()
    assert [trip["outcome"] for trip in await gateway.booked()] == ["cancelled"]


@pytest.mark.parametrize("path", ["/stream", "/api/v1/generate_stream"])
async def test_leaving_in_the_middle(gateway: Gateway, upstream: Upstream, path: str) -> None:
    upstream.next(hangs(after=1))
    async with gateway.session.post(gateway.url + path, json=EVERY[path]) as reply:
        await reply.content.readuntil(b"\n\n")
        reply.close()
    await upstream.requests[0].aborted()


WRONG: dict[str, bytes] = {
    "nothing": b"",
    "half": b'{"message": "hel',
    "an array": b"[]",
    "no text": b'{"options": {}}',
    "text that is none": b'{"message": 7, "prompt": 7, "messages": 7}',
    "an empty conversation": b'{"messages": []}',
    "options that are none": b'{"message": "q", "prompt": "q", "options": "x"}',
    "options in options that are none": b'{"message": "q", "options": {"options": 7}}',
    "a hot temperature": b'{"message": "q", "options": {"temperature": "hot"}}',
    "a context that is none": b'{"message": "q", "context_id": {}}',
    "a context that is a novel": orjson.dumps({"message": "q", "context": "x" * 2_000}),
    "too deep": b'{"message": ' + b"[" * 100_000,
    "no UTF-8": b'{"message": "\xff\xfe"}',
}


@pytest.mark.parametrize("body", WRONG.values(), ids=WRONG)
@EACH
async def test_what_is_no_request_is_refused_by_the_status(
    gateway: Gateway, upstream: Upstream, path: str, body: bytes
) -> None:
    reply = await python_client(gateway.url, path, body)
    assert reply.status == 400, reply.body
    assert reply.headers["content-type"] == "application/json"
    assert isinstance(reply.json["error"], str)
    assert upstream.requests == []
    if path in SOFT:
        with pytest.raises(Repeated):
            completed(reply)


@EACH
async def test_a_token_is_needed_where_there_are_some(
    make_gateway: MakeGateway, upstream: Upstream, path: str
) -> None:
    server = {"tokens": {"terma": "env:TERMA"}}
    routes = {"default": {"targets": ["oai/m"]}}
    gateway = await make_gateway(settings(upstream, server=server, routes=routes), {"TERMA": "t" * 20})
    body = orjson.dumps(EVERY[path])
    assert (await python_client(gateway.url, path, body)).status == 401
    assert (await python_client(gateway.url, path, body, "t" * 20)).status == 200
    assert len(upstream.requests) == 1


async def test_lines_stay_short(gateway: Gateway, upstream: Upstream) -> None:
    """Though the text stands twice in them."""
    upstream.next(says('a"é\x00' * 40_000))
    reply = await python_client(gateway.url, "/stream", orjson.dumps(stream_body()))
    assert max(map(len, reply.body.split(b"\n"))) <= LINE_LIMIT
    assert page_streamed(reply.body) == 'a"é\x00' * 40_000


async def test_a_stream_that_survives_the_network(gateway: Gateway, upstream: Upstream) -> None:
    """With the header that asks for it, frames have ids, and the generation is found again."""
    headers = {"x-rhetor-resume": "30"}
    async with gateway.session.post(gateway.url + "/stream", json=stream_body(), headers=headers) as reply:
        assert (await reply.content.readuntil(b"\n\n")).startswith(b"id: rhetor:")
        id = reply.headers["x-rhetor-generation-id"]
        assert page_streamed(b"\n" + await reply.read()).endswith("world")
    async with gateway.session.get(f"{gateway.url}/v1/generations/{id}/events") as again:
        assert page_streamed(await again.read()) == "hello world"
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("query", [{}, {"dialect": "rhetor"}], ids=["its own", "named"])
@pytest.mark.parametrize("path", ["/stream", "/api/v1/generate_stream"])
async def test_who_was_cut_off_goes_on_after_the_last_id(
    gateway: Gateway, path: str, query: dict[str, str]
) -> None:
    headers = {"x-rhetor-resume": "30"}
    async with gateway.session.post(gateway.url + path, json=EVERY[path], headers=headers) as reply:
        whole = await frames(reply)
    id = generation_of(reply)
    for n, frame in enumerate(whole, 1):
        assert await told(gateway, id, id_of(frame), **query) == whole[n:]


async def test_the_same_message_twice(gateway: Gateway, upstream: Upstream) -> None:
    for _ in range(2):
        async with gateway.session.post(
            gateway.url + "/message", json=message_body(), headers={"Idempotency-Key": "k"}
        ) as reply:
            assert (await reply.json())["message"] == "hello world"
    assert len(upstream.requests) == 1
