"""Which replies are recorded, and what the same key means twice."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from rhetor.tasks import spawn
from rhetor.testing import Gate, Upstream, cuts, embeds, fails, hangs, says
from tests.conftest import Gateway, MakeGateway, settings
from tests.http.doors import (
    ANTHROPIC_MESSAGES,
    DOORS,
    EACH_DOOR,
    OPENAI_CHAT,
    OPENAI_EMBEDDINGS,
    TEKTON_CHAT,
    TEKTON_STREAM,
    Door,
    Reply,
    knock,
    refused,
)
from tests.http.following import asked, frames, generation_of, told, until
from tests.wire.tekton.stock import chunks_of

KEY = {"Idempotency-Key": "once"}
STREAMS = pytest.mark.parametrize("door", [OPENAI_CHAT, ANTHROPIC_MESSAGES, TEKTON_STREAM], ids=str)
CHATS = pytest.mark.parametrize("door", [OPENAI_CHAT, ANTHROPIC_MESSAGES, TEKTON_CHAT], ids=str)


async def knock_with_key(gateway: Gateway, door: Door, key: str = "once", **changes: Any) -> Reply:
    return await knock(gateway, door, orjson.dumps(door.body(**changes)), {"Idempotency-Key": key})


def replayed(reply: Reply) -> bool:
    return reply.headers.get("x-rhetor-idempotent-replay") == "true"


@EACH_DOOR
async def test_an_ordinary_request_is_not_recorded(gateway: Gateway, door: Door) -> None:
    reply = await knock(gateway, door, orjson.dumps(door.body()))
    assert reply.status == 200
    assert b"id: " not in reply.body
    assert not gateway.app.house.recordings.listed


@EACH_DOOR
async def test_the_same_key_and_body_are_one_generation(
    gateway: Gateway, upstream: Upstream, door: Door
) -> None:
    """Also after its success: the reply is the same, and nobody pays twice."""
    first, second = [await knock_with_key(gateway, door) for _ in range(2)]
    assert (first.status, second.status) == (200, 200)
    assert first.body == second.body
    assert (replayed(first), replayed(second)) == (False, True)
    assert first.headers["x-rhetor-generation-id"] == second.headers["x-rhetor-generation-id"]
    assert len(upstream.requests) == 1
    assert len(await gateway.booked()) == 1


@CHATS
async def test_a_running_generation_is_joined(gateway: Gateway, upstream: Upstream, door: Door) -> None:
    gate = Gate()
    upstream.next(says("one two").but(hangs(gate)))
    asking = [spawn(knock_with_key(gateway, door), "caller") for _ in range(3)]
    await until(lambda: gateway.app.house.recordings.followed == 3)
    gate.open()
    replies = await asyncio.gather(*asking)
    assert len({reply.body for reply in replies}) == 1
    assert sum(map(replayed, replies)) == 2
    assert len(upstream.requests) == 1


@STREAMS
async def test_a_running_stream_is_joined_from_its_beginning(
    gateway: Gateway, upstream: Upstream, door: Door
) -> None:
    gate = Gate()
    upstream.next(says("one two three").but(hangs(gate, after=2)))
    async with asked(gateway, door, KEY, stream=True) as first:
        begun = await frames(first, 1)
        async with asked(gateway, door, KEY, stream=True) as second:
            assert second.headers["x-rhetor-idempotent-replay"] == "true"
            gate.open()
            assert begun + await frames(first) == await frames(second)
    assert len(upstream.requests) == 1


@EACH_DOOR
async def test_the_same_key_with_another_body_is_a_conflict(gateway: Gateway, door: Door) -> None:
    await knock_with_key(gateway, door)
    wrong = refused(await knock_with_key(gateway, door, user="somebody else"), door, 409)
    assert "Idempotency-Key" in wrong.message


async def test_a_key_counts_for_one_path(gateway: Gateway, upstream: Upstream) -> None:
    for door in DOORS:
        assert not replayed(await knock_with_key(gateway, door))
    assert len(upstream.requests) == len(DOORS)


async def test_a_key_counts_for_one_principal(make_gateway: MakeGateway, upstream: Upstream) -> None:
    tokens = {"ann": "env:ANN", "bob": "env:BOB"}
    gateway = await make_gateway(
        settings(upstream, server={"tokens": tokens}), {"ANN": "a" * 20, "BOB": "b" * 20}
    )
    for token in ("a" * 20, "b" * 20):
        headers = {**KEY, "Authorization": f"Bearer {token}"}
        assert not replayed(await knock(gateway, OPENAI_CHAT, orjson.dumps(OPENAI_CHAT.body()), headers))
    assert len(upstream.requests) == 2


@EACH_DOOR
async def test_a_failure_before_any_content_is_tried_again(
    gateway: Gateway, upstream: Upstream, door: Door
) -> None:
    upstream.next(fails(400))
    assert (await knock_with_key(gateway, door)).status == 400
    again = await knock_with_key(gateway, door)
    assert (again.status, replayed(again)) == (200, False)


@CHATS
async def test_a_whole_reply_that_broke_off_is_tried_again(
    gateway: Gateway, upstream: Upstream, door: Door
) -> None:
    """Its caller heard nothing of what was said."""
    upstream.always(cuts(after=1))
    assert (await knock_with_key(gateway, door)).status >= 500
    upstream.always(says("hello"))
    assert (await knock_with_key(gateway, door)).status == 200


async def test_a_stream_that_broke_off_is_told_again_as_it_was(gateway: Gateway, upstream: Upstream) -> None:
    upstream.always(cuts(after=1))
    first, second = [await knock_with_key(gateway, OPENAI_CHAT, stream=True) for _ in range(2)]
    assert b"error" in first.body
    assert first.body == second.body
    assert replayed(second)


@STREAMS
async def test_a_caller_who_leaves_ends_what_only_a_key_recorded(
    gateway: Gateway, upstream: Upstream, door: Door
) -> None:
    upstream.next(hangs(after=1))
    async with asked(gateway, door, KEY, stream=True) as reply:
        await frames(reply, 1)
    await upstream.requests[0].aborted()
    await until(lambda: not gateway.app.house.recordings.listed)
    assert [trip["outcome"] for trip in await gateway.booked()] == ["cancelled"]
    again = await knock_with_key(gateway, door, stream=True)
    assert (again.status, replayed(again)) == (200, False)


async def test_it_goes_on_while_one_of_several_callers_is_there(gateway: Gateway, upstream: Upstream) -> None:
    gate = Gate()
    upstream.next(says("one two").but(hangs(gate, after=1)))
    async with asked(gateway, OPENAI_CHAT, KEY, stream=True) as stays:
        async with asked(gateway, OPENAI_CHAT, KEY, stream=True) as leaves:
            await frames(leaves, 1)
        await until(lambda: gateway.app.house.recordings.followed == 1)
        gate.open()
        assert b"[DONE]" in (await frames(stays))[-1]


async def test_detached_and_with_a_key(gateway: Gateway, upstream: Upstream) -> None:
    """The caller whose network broke sends the same again, and gets what goes on meanwhile."""
    gate = Gate()
    upstream.next(says("one two").but(hangs(gate, after=1)))
    headers = {**KEY, "x-rhetor-detach": "60"}
    async with asked(gateway, OPENAI_CHAT, headers, stream=True) as reply:
        begun = await frames(reply, 1)
    await until(lambda: gateway.app.house.recordings.followed == 0)
    async with asked(gateway, OPENAI_CHAT, headers, stream=True) as reply:
        gate.open()
        whole = await frames(reply)
    assert whole[:1] == begun
    assert len(upstream.requests) == 1


@EACH_DOOR
@pytest.mark.parametrize(
    "headers",
    [
        {"Idempotency-Key": "k" * 257},
        {"x-rhetor-detach": "soon"},
        {"x-rhetor-detach": "-1"},
        {"x-rhetor-detach": "nan"},
        {"x-rhetor-detach": "1e9"},
    ],
    ids=str,
)
async def test_what_cannot_be(
    gateway: Gateway, upstream: Upstream, door: Door, headers: dict[str, str]
) -> None:
    refused(await knock(gateway, door, orjson.dumps(door.body()), headers), door, 400)
    assert not upstream.requests


async def test_several_choices_cannot_be_recorded(gateway: Gateway) -> None:
    """Only one of them is heard; saying so is better than losing the others."""
    wrong = refused(await knock_with_key(gateway, OPENAI_CHAT, n=2), OPENAI_CHAT, 400)
    assert "choices" in wrong.message


@STREAMS
async def test_a_route_may_detach(make_gateway: MakeGateway, upstream: Upstream, door: Door) -> None:
    routes = {"long": {"targets": ["oai/m"], "detach_s": 60}}
    gateway = await make_gateway(settings(upstream, routes=routes, aliases={"longer": "long"}))
    for model in ("long", "longer"):
        async with asked(gateway, door, {}, stream=True, model=model) as reply:
            assert (await frames(reply, 1))[0].startswith(b"id: ")
            assert await told(gateway, generation_of(reply))
    async with asked(gateway, door, {"x-rhetor-detach": "0"}, stream=True, model="long") as reply:
        assert not (await frames(reply))[0].startswith(b"id: ")


async def test_embeddings_are_kept_as_they_came(gateway: Gateway, upstream: Upstream) -> None:
    upstream.next(embeds([0.5, 0.25]))
    first, second = [await knock_with_key(gateway, OPENAI_EMBEDDINGS) for _ in range(2)]
    assert first.json["data"][0]["embedding"] == [0.5, 0.25]
    assert first.body == second.body


async def test_the_option_of_our_own_door(gateway: Gateway) -> None:
    async with asked(gateway, TEKTON_STREAM, {}, options={"detach_s": 60}) as reply:
        own = await frames(reply)
    assert await told(gateway, generation_of(reply)) == own


async def test_old_clients_read_past_the_ids(gateway: Gateway) -> None:
    async with asked(gateway, TEKTON_STREAM) as reply:
        own = b"".join(await frames(reply))
    assert b"id: " in own
    # They look for lines that begin so, and at nothing else.
    read = [line for line in own.split(b"\n") if line.startswith(b"data: ")]
    chunks = chunks_of(b"".join(line + b"\n\n" for line in read))
    assert "".join(chunk["chunk"] for chunk in chunks) == "hello world"
