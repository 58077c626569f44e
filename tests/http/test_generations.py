"""Recorded generations: who may look at them, how they end, and that they never fill the memory."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from rhetor import tasks
from rhetor.testing import Gate, Upstream, counts, embeds, fails, hangs, says
from tests.conftest import Gateway, MakeGateway, settings
from tests.http.doors import (
    ANTHROPIC_COUNT,
    ANTHROPIC_MESSAGES,
    OPENAI_CHAT,
    OPENAI_EMBEDDINGS,
    TEKTON_STREAM,
    Door,
    anthropic_wrong,
    openai_wrong,
    tekton_wrong,
)
from tests.http.following import (
    DETACHED,
    asked,
    following,
    frames,
    generation_of,
    id_of,
    state,
    told,
    until,
)

STREAMS = pytest.mark.parametrize("door", [OPENAI_CHAT, ANTHROPIC_MESSAGES, TEKTON_STREAM], ids=str)


async def delete(gateway: Gateway, id: str, **options: Any) -> tuple[int, Any]:
    url = f"{gateway.url}/v1/generations/{id}"
    async with gateway.session.delete(url, **options) as reply:
        return reply.status, await reply.json()


@STREAMS
async def test_a_detached_generation_finishes_with_nobody_there(
    gateway: Gateway, upstream: Upstream, door: Door
) -> None:
    gate = Gate()
    upstream.next(says("one two three").but(hangs(gate, after=1)))
    async with asked(gateway, door, stream=True) as reply:
        id = generation_of(reply)
        await frames(reply, 1)
    recordings = gateway.app.house.recordings
    await until(lambda: recordings.followed == 0)
    assert (await state(gateway, id))["state"] == "running"
    gate.open()
    await until(lambda: recordings.listed[id].ended)
    said = await state(gateway, id)
    assert said["state"] == "finished"
    assert said["usage"] == {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
    assert (said["meta"]["generation_id"], said["meta"]["served_by"]) == (id, door.model)
    whole = b"".join(await told(gateway, id))
    assert all(word in whole for word in (b"one", b"two", b"three"))
    assert [(trip["id"], trip["outcome"]) for trip in await gateway.booked()] == [(id, "ok")]


async def test_a_whole_reply_finishes_with_nobody_there(gateway: Gateway, upstream: Upstream) -> None:
    gate = Gate()
    upstream.next(says("hello").but(hangs(gate)))
    url = gateway.url + OPENAI_CHAT.path
    asking = tasks.spawn(gateway.session.post(url, json=OPENAI_CHAT.body(), headers=DETACHED), "caller")
    await upstream.request()
    asking.cancel()
    await asyncio.wait([asking])
    recordings = gateway.app.house.recordings
    await until(lambda: recordings.followed == 0)
    ((id, recording),) = recordings.listed.items()
    gate.open()
    await until(lambda: recording.ended)
    assert b"hello" in b"".join(await told(gateway, id))


async def test_who_follows_live_hears_it_as_it_is_said(gateway: Gateway, upstream: Upstream) -> None:
    gate = Gate()
    upstream.next(says("one two").but(hangs(gate, after=1)))
    async with asked(gateway, OPENAI_CHAT, stream=True) as first:
        begun = await frames(first, 2)
        async with following(gateway, generation_of(first), id_of(begun[0])) as second:
            assert await frames(second, 1) == begun[1:]
            gate.open()
            assert await frames(first) == await frames(second)


@STREAMS
async def test_delete_reaches_the_provider(gateway: Gateway, upstream: Upstream, door: Door) -> None:
    """Who follows is told; whoever comes later can still see why it ended."""
    upstream.next(hangs(after=1))
    async with asked(gateway, door, stream=True) as reply:
        id = generation_of(reply)
        await frames(reply, 1)
        status, said = await delete(gateway, id)
        assert (status, said["state"], said["code"]) == (200, "cancelled", "cancelled")
        await upstream.requests[0].aborted()
        assert b"cancelled" in b"".join(await frames(reply))
    assert (await state(gateway, id))["state"] == "cancelled"
    assert [trip["outcome"] for trip in await gateway.booked()] == ["cancelled"]


async def test_delete_forgets_what_has_ended(gateway: Gateway) -> None:
    async with asked(gateway, OPENAI_CHAT, stream=True) as reply:
        id = generation_of(reply)
        await frames(reply)
    assert (await delete(gateway, id))[1]["state"] == "finished"
    assert (await delete(gateway, id))[0] == 404
    assert gateway.app.house.recordings.total_bytes == 0


async def test_nothing_is_kept_longer_than_was_asked(gateway: Gateway) -> None:
    async with asked(gateway, OPENAI_CHAT, {"x-rhetor-detach": "0.01"}, stream=True) as reply:
        id = generation_of(reply)
        await frames(reply)
    recordings = gateway.app.house.recordings
    await until(lambda: not recordings.listed)
    assert (await gateway.get(f"/v1/generations/{id}"))[0] == 404
    assert recordings.total_bytes == 0


@pytest.mark.parametrize(
    ("dialect", "wrong"), [("openai", openai_wrong), ("anthropic", anthropic_wrong), ("tekton", tekton_wrong)]
)
async def test_an_unknown_generation(gateway: Gateway, dialect: str, wrong: Any) -> None:
    async with following(gateway, "gen_unknown", dialect=dialect) as reply:
        assert reply.status == 404
        assert "no such generation" in wrong(await reply.json()).message
    assert (await gateway.get("/v1/generations/gen_unknown"))[0] == 404
    assert (await delete(gateway, "gen_unknown"))[0] == 404


async def test_an_unknown_dialect(gateway: Gateway) -> None:
    async with following(gateway, "gen_unknown", dialect="klingon") as reply:
        assert reply.status == 400


async def test_only_its_own_principal_may_look(make_gateway: MakeGateway, upstream: Upstream) -> None:
    """To others it does not exist."""
    upstream.next(hangs(after=1))
    server = {"tokens": {"ann": "env:ANN", "bob": "env:BOB"}}
    gateway = await make_gateway(settings(upstream, server=server), {"ANN": "a" * 20, "BOB": "b" * 20})
    ann, bob = ({"Authorization": f"Bearer {letter * 20}"} for letter in "ab")
    async with asked(gateway, OPENAI_CHAT, {**DETACHED, **ann}, stream=True) as reply:
        id = generation_of(reply)
    path = f"/v1/generations/{id}"
    for stranger, status in ((bob, 404), ({}, 401)):
        assert (await gateway.get(path, headers=stranger))[0] == status
        assert (await gateway.get(f"{path}/events", headers=stranger))[0] == status
        assert (await delete(gateway, id, headers=stranger))[0] == status
        async with gateway.session.ws_connect(gateway.url + "/ws", headers=bob) as socket:
            await socket.send_json({"type": "RESUME", "request_id": "r", "generation_id": id})
            assert (await socket.receive_json())["code"] == "not_found"
    assert (await state(gateway, id, headers=ann))["state"] == "running"
    assert (await delete(gateway, id, headers=ann))[1]["state"] == "cancelled"


async def test_a_request_that_nobody_answered(gateway: Gateway, upstream: Upstream) -> None:
    """Its caller learns it by coming back, too."""
    upstream.always(fails(400, "too bad"))
    async with asked(gateway, ANTHROPIC_MESSAGES, stream=True) as reply:
        assert reply.status == 400
        id = generation_of(reply)
    async with following(gateway, id) as reply:
        assert reply.status == 400
        assert "too bad" in anthropic_wrong(await reply.json()).message
    assert (await state(gateway, id))["state"] == "failed"


@pytest.mark.parametrize(
    ("door", "step", "expected"),
    [
        (OPENAI_EMBEDDINGS, embeds([0.5]), lambda said: said["data"][0]["embedding"] == [0.5]),
        (ANTHROPIC_COUNT, counts(5), lambda said: said == {"input_tokens": 5}),
    ],
    ids=["embeddings", "count"],
)
async def test_a_reply_without_a_stream_is_one_event(
    gateway: Gateway, upstream: Upstream, door: Door, step: Any, expected: Any
) -> None:
    upstream.next(step)
    async with asked(gateway, door) as reply:
        whole = orjson.loads(await reply.read())
    (frame,) = await told(gateway, generation_of(reply))
    assert orjson.loads(frame.partition(b"data: ")[2]) == whole
    assert expected(whole)
    async with following(gateway, generation_of(reply), dialect="tekton") as reply:
        assert reply.status == 400


async def test_a_look_at_the_headers_does_not_wait(gateway: Gateway, upstream: Upstream) -> None:
    upstream.next(hangs(after=1))
    async with asked(gateway, OPENAI_CHAT, stream=True) as reply:
        id = generation_of(reply)
    async with gateway.session.head(f"{gateway.url}/v1/generations/{id}/events") as head:
        assert head.headers["content-type"] == "text/event-stream"


async def test_who_comes_back_needs_room_as_everybody_does(
    make_gateway: MakeGateway, upstream: Upstream
) -> None:
    gateway = await make_gateway(settings(upstream, server={"max_requests": 2}))
    house = gateway.app.house
    gate = Gate()
    upstream.next(hangs(gate, after=1))
    async with asked(gateway, ANTHROPIC_MESSAGES, stream=True) as first:
        id = generation_of(first)
        async with following(gateway, id) as second:
            await frames(second, 1)
            assert len(house.requests) == 2
            async with following(gateway, id) as third:
                assert (third.status, third.headers["retry-after"]) == (503, "1")
                assert "max_requests" in anthropic_wrong(await third.json()).message
            gate.open()
            await frames(second)
    await until(lambda: not house.requests)
    assert await told(gateway, id)


async def test_stopping_waits_for_what_is_recorded_and_then_ends_it(
    make_gateway: MakeGateway, upstream: Upstream
) -> None:
    upstream.next(hangs(after=1))
    gateway = await make_gateway(settings(upstream, server={"shutdown_grace_s": 0.1}))
    async with asked(gateway, OPENAI_CHAT, stream=True) as reply:
        await frames(reply, 1)
        await gateway.app.stop()
        assert b"shutting down" in b"".join(await frames(reply))
    await upstream.requests[0].aborted()
    (record,) = await gateway.app.house.books.latest(10)
    assert record.outcome == "shutting_down"


async def test_a_generation_that_grows_too_large_says_so(
    make_gateway: MakeGateway, upstream: Upstream
) -> None:
    """Its followers get what was kept and a clear error, its provider is left alone."""
    upstream.next(says(("x" * 1000 + " ") * 2000))
    gateway = await make_gateway(settings(upstream, server={"detached_each_mb": 1}))
    async with asked(gateway, OPENAI_CHAT, stream=True) as reply:
        id, whole = generation_of(reply), await frames(reply)
    assert b"detached_each_mb" in whole[-1]
    assert 700 < len(whole) < 1100
    assert await told(gateway, id) == whole
    assert (await state(gateway, id))["code"] == "request_too_large"
    assert gateway.app.house.recordings.total_bytes < 1.1 * (1 << 20)
    await upstream.requests[0].aborted()


async def test_a_thousand_at_once_fill_no_more_than_they_may(
    make_gateway: MakeGateway, upstream: Upstream
) -> None:
    """Those that ended first make room; each that does not fit says so; the newest can be read."""
    gate = Gate()
    upstream.always(says("word " * 60).but(hangs(gate, after=1)))
    gateway = await make_gateway(settings(upstream, server={"detached_mb": 8}))
    recordings = gateway.app.house.recordings

    async def ask() -> str:
        async with asked(gateway, OPENAI_CHAT, stream=True) as reply:
            assert reply.status == 200
            return generation_of(reply)

    ids: list[str] = []
    for _ in range(20):
        ids += await asyncio.gather(*(ask() for _ in range(50)))
    await until(lambda: recordings.followed == 0)
    assert gateway.app.house.pipeline.in_flight == 1000
    gate.open()
    async with asyncio.timeout(60):
        while gateway.app.house.pipeline.in_flight:
            assert recordings.total_bytes <= 8 << 20
            await asyncio.sleep(0)
    kept = recordings.listed
    assert 100 < len(kept) < 900
    newest = next(reversed(list(kept)))
    assert b"[DONE]" in b"".join(await told(gateway, newest)) or kept[newest].error is not None
    forgotten = next(id for id in ids if id not in kept)
    assert (await gateway.get(f"/v1/generations/{forgotten}"))[0] == 404
