"""A stream whose caller is cut off again and again is the stream of a caller who never was."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from rhetor.core.content import Part, Thinking, ToolUse
from rhetor.testing import Gate, Upstream, cuts, hangs, says
from tests.conftest import Gateway, MakeGateway, settings
from tests.http.doors import ANTHROPIC_MESSAGES, OPENAI_CHAT, OPENAI_EMBEDDINGS, TEKTON_STREAM, Door
from tests.http.following import DETACHED, asked, following, frames, generation_of, id_of, told, until
from tests.http.old_clients import OldSocket, ask

WORDS = " ".join(f"w{n}" for n in range(60))
ODD: list[str | Part] = [
    Thinking("let me see", "proof"),
    "it is so",
    ToolUse("c1", "look", '{"a":1}'),
    ToolUse("c2", "go", ""),
]
STREAMS = pytest.mark.parametrize("door", [OPENAI_CHAT, ANTHROPIC_MESSAGES, TEKTON_STREAM], ids=str)
MODELS = pytest.mark.parametrize("model", ["oai/m", "ant/m"])
DIALECTS = ["tekton", "openai", "anthropic"]


async def cut_up(
    gateway: Gateway, door: Door, every: int, gate: Gate, **changes: Any
) -> tuple[str, list[bytes]]:
    """The id, and every frame that a caller got who was cut off after each few."""
    async with asked(gateway, door, stream=True, **changes) as reply:
        assert reply.status == 200, await reply.text()
        id, got = generation_of(reply), await frames(reply, every)
    gate.open()
    while True:
        async with following(gateway, id, id_of(got[-1])) as reply:
            more = await frames(reply, every)
        if not more:
            assert reply.status == 204
            return id, got
        got += more


@STREAMS
@MODELS
@pytest.mark.parametrize("every", [10, 1])
async def test_cut_at_every_few_events(
    gateway: Gateway, upstream: Upstream, door: Door, model: str, every: int
) -> None:
    gate = Gate()
    upstream.next(says(WORDS).but(hangs(gate, after=25)))
    id, got = await cut_up(gateway, door, every, gate, model=model)
    assert got == await told(gateway, id)
    assert len(set(map(id_of, got))) == len(got)
    assert all(f"w{n}".encode() in b"".join(got) for n in range(60))
    assert len(upstream.requests) == 1


@STREAMS
@MODELS
async def test_events_of_many_frames_and_chunks_of_many_events(
    gateway: Gateway, upstream: Upstream, door: Door, model: str
) -> None:
    """Thoughts, tool calls and endings become several frames each; a place between them is a place too."""
    upstream.next(says(*ODD))
    async with asked(gateway, door, stream=True, model=model) as reply:
        id, whole = generation_of(reply), await frames(reply)
    assert [await told(gateway, id, id_of(frame)) for frame in whole] == [
        whole[n:] for n in range(1, len(whole) + 1)
    ]


@STREAMS
async def test_a_failure_is_resumed_like_everything_else(
    gateway: Gateway, upstream: Upstream, door: Door
) -> None:
    upstream.next(says(WORDS).but(cuts(after=20)))
    async with asked(gateway, door, stream=True) as reply:
        id, whole = generation_of(reply), await frames(reply)
    assert b"error" in whole[-1] + whole[-2]
    assert await told(gateway, id, id_of(whole[9])) == whole[10:]


@pytest.mark.parametrize("dialect", DIALECTS)
@STREAMS
async def test_in_any_dialect(gateway: Gateway, upstream: Upstream, door: Door, dialect: str) -> None:
    """Each caller's replay in one dialect is the same, whoever began."""
    upstream.always(says(WORDS))
    async with asked(gateway, door, stream=True) as reply:
        id, own = generation_of(reply), await frames(reply)
    whole = await told(gateway, id, dialect=dialect)
    assert await told(gateway, id, id_of(whole[30]), dialect=dialect) == whole[31:]
    assert await told(gateway, id, after=id_of(whole[-1]), dialect=dialect) == []
    if id_of(own[0]).startswith(dialect):
        assert own == whole


async def test_an_id_counts_in_its_own_dialect_only(gateway: Gateway) -> None:
    async with asked(gateway, OPENAI_CHAT, stream=True) as reply:
        id, own = generation_of(reply), await frames(reply)
    async with following(gateway, id, id_of(own[0]), dialect="anthropic") as reply:
        assert reply.status == 400
        assert "openai" in (await reply.json())["error"]["message"]


@pytest.mark.parametrize("after", ["nonsense", "openai:1", "openai:999.1", "openai:-1.2"])
async def test_an_id_that_never_was(gateway: Gateway, after: str) -> None:
    async with asked(gateway, OPENAI_CHAT, stream=True) as reply:
        id = generation_of(reply)
        await frames(reply)
    async with following(gateway, id, after) as reply:
        assert reply.status == 400


async def test_the_query_serves_where_headers_cannot_be_set(gateway: Gateway) -> None:
    async with asked(gateway, OPENAI_CHAT, stream=True) as reply:
        id, own = generation_of(reply), await frames(reply)
    url = f"{gateway.url}/v1/generations/{id}/events"
    async with gateway.session.get(url, params={"after": id_of(own[0])}) as reply:
        assert await frames(reply) == own[1:]


async def test_the_bytes_are_those_of_an_ordinary_stream(gateway: Gateway, upstream: Upstream) -> None:
    """But for the ids, nobody can tell a recorded stream from another."""
    upstream.always(says(WORDS))

    def plain(told: list[bytes]) -> list[Any]:
        said = [orjson.loads(f[f.index(b"data: ") + 6 :]) for f in told if b"[DONE]" not in f]
        for chunk in said:
            chunk.pop("timestamp"), chunk.pop("meta", None)
        return said

    async with asked(gateway, TEKTON_STREAM) as recorded, asked(gateway, TEKTON_STREAM, {}) as ordinary:
        assert plain(await frames(recorded)) == plain(await frames(ordinary))


# WebSocket


async def hear(socket: OldSocket, most: int | None = None) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = []
    while most is None or len(told) < most:
        told.append(await socket.hear())
        if told[-1]["type"] != "CHUNK" or told[-1]["done"]:
            break
    return told


def resume(generation_id: str, last_event_id: str = "", request_id: str = "r2") -> dict[str, str]:
    return {
        "type": "RESUME",
        "request_id": request_id,
        "generation_id": generation_id,
        "last_event_id": last_event_id,
    }


def bare(frames: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What a frame says, whichever request it answers."""
    return [{k: v for k, v in frame.items() if k != "request_id"} for frame in frames]


@pytest.mark.parametrize("every", [10, 1])
@pytest.mark.parametrize("place", [{"detach_s": 60}, {"options": {"detach_s": 60}}], ids=["field", "option"])
async def test_a_socket_cut_at_every_few_events(
    gateway: Gateway, upstream: Upstream, every: int, place: dict[str, Any]
) -> None:
    gate = Gate()
    upstream.next(says(WORDS).but(hangs(gate, after=25)))
    async with OldSocket(gateway.url) as socket:
        socket.say(ask("STREAM", "r1", **place))
        got = await hear(socket, every)
    id = got[0]["generation_id"]
    gate.open()
    while not got[-1]["done"]:
        async with OldSocket(gateway.url) as socket:
            socket.say(resume(id, got[-1]["event_id"]))
            got += await hear(socket, every)
    async with OldSocket(gateway.url) as socket:
        socket.say(resume(id))
        whole = await hear(socket)
    assert bare(got) == bare(whole)
    assert got[-1]["meta"]["generation_id"] == id
    assert "".join(frame["chunk"] for frame in got) == WORDS
    assert len(upstream.requests) == 1


async def test_a_whole_reply_is_resumed_as_one(gateway: Gateway, upstream: Upstream) -> None:
    gate = Gate()
    upstream.next(says("hello").but(hangs(gate)))
    async with OldSocket(gateway.url) as socket:
        socket.say(ask("GENERATE", "r1", detach_s=60))
        await upstream.request()
    (recording,) = gateway.app.house.recordings.listed.values()
    gate.open()
    async with OldSocket(gateway.url) as socket:
        socket.say(resume(recording.id))
        reply = await socket.hear()
    assert (reply["type"], reply["content"]) == ("RESPONSE", "hello")


async def test_what_was_asked_over_http_is_resumed_over_websocket(gateway: Gateway) -> None:
    async with asked(gateway, OPENAI_CHAT, DETACHED, stream=True) as reply:
        id = generation_of(reply)
    async with OldSocket(gateway.url) as socket:
        socket.say(resume(id))
        assert "".join(frame["chunk"] for frame in await hear(socket)) == "hello world"
        socket.say(resume(id, "openai:1.1", "r3"))
        refused = await socket.hear()
        assert (refused["type"], refused["request_id"]) == ("ERROR", "r3")
        socket.say(resume("gen_unknown", request_id="r4"))
        refused = await socket.hear()
        assert (refused["code"], refused["request_id"]) == ("not_found", "r4")


async def test_what_is_no_chat_is_not_resumed_over_websocket(gateway: Gateway) -> None:
    """Rather than told as an answer without a word."""
    async with asked(gateway, OPENAI_EMBEDDINGS, DETACHED) as reply:
        id = generation_of(reply)
    async with OldSocket(gateway.url) as socket:
        socket.say(resume(id))
        refused = await socket.hear()
    assert (refused["type"], refused["code"]) == ("ERROR", "unsupported")
    assert f"/v1/generations/{id}/events" in refused["error"]


async def test_who_resumes_needs_room_as_everybody_does(
    make_gateway: MakeGateway, upstream: Upstream
) -> None:
    gateway = await make_gateway(settings(upstream, server={"max_requests": 2}))
    gate = Gate()
    upstream.next(hangs(gate, after=1))
    async with OldSocket(gateway.url) as socket:
        socket.say(ask("STREAM", "r1", detach_s=60))
        id = (await socket.hear())["generation_id"]
        socket.say(resume(id, request_id="r2"))
        assert (await socket.hear())["request_id"] == "r2"
        assert len(gateway.app.house.requests) == 2
        socket.say(resume(id, request_id="r3"))
        refused = await socket.hear()
        assert (refused["request_id"], refused["code"]) == ("r3", "pool_full")
        gate.open()
        for _ in range(4):  # " world" and the end, for each of the two
            await socket.hear()
        await until(lambda: not gateway.app.house.requests)
        socket.say(resume(id, request_id="r3"))
        assert (await socket.hear())["chunk"] == "hello"


async def test_cancel_ends_a_detached_generation(gateway: Gateway, upstream: Upstream) -> None:
    """A dropped socket does not; CANCEL does, also from another socket that resumed it."""
    upstream.next(hangs(after=1))
    async with OldSocket(gateway.url) as socket:
        socket.say(ask("STREAM", "r1", detach_s=60))
        await socket.hear()
    (recording,) = gateway.app.house.recordings.listed.values()
    (seen,) = upstream.requests
    async with OldSocket(gateway.url) as socket:
        socket.say(resume(recording.id))
        assert (await socket.hear())["chunk"] == "hello"
        assert seen.outcome is None
        socket.say({"type": "CANCEL", "request_id": "r2"})
        await seen.aborted()
    assert recording.state == "cancelled"


async def test_who_leaves_before_the_id_was_told_is_not_waited_for(
    gateway: Gateway, upstream: Upstream
) -> None:
    upstream.next(hangs())
    async with OldSocket(gateway.url) as socket:
        socket.say(ask("STREAM", "r1", resume_s=60))
        await (await upstream.request()).hanging()
    await upstream.requests[0].aborted()


async def test_without_room_a_reply_is_not_recorded_rather_than_refused(
    make_gateway: MakeGateway, upstream: Upstream
) -> None:
    gateway = await make_gateway(settings(upstream))
    gateway.app.house.recordings.limit(0, 0)
    async with asked(gateway, OPENAI_CHAT, {"x-rhetor-resume": "30"}, stream=True) as reply:
        assert reply.status == 200
        assert b"\nid:" not in await reply.content.read()
    async with asked(gateway, OPENAI_CHAT, DETACHED, stream=True) as reply:
        assert reply.status == 503
