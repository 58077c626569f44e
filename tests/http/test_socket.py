"""The Tekton door over WebSocket: many requests at the same time, and clients that are not always polite."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from websockets.asyncio.client import connect

from rhetor import tasks
from rhetor.http import socket as door
from rhetor.testing import Gate, Seen, Upstream, cuts, error_in_200, fails, hangs, raw_frames, says, slow
from rhetor.wire.tekton import socket as voices
from tests.conftest import Gateway, MakeGateway, settings
from tests.http.doors import tekton_wrong
from tests.http.old_clients import CLOSE, PING, PONG, SOCKET_FRAMES, OldSocket, ask
from tests.wire.tekton.stock import CompletionResponse, StreamingChunk

PATHS = pytest.mark.parametrize("path", ["/ws", "/api/llm/ws"])
UPSTREAMS = pytest.mark.parametrize("provider", ["oai", "ant"])
ACK = {"type": "REGISTER_ACK", "component_id": "comp", "status": "registered"}
ACK_WITHIN_S = 1.0


@pytest.fixture
async def gateway(make_gateway: MakeGateway, upstream: Upstream) -> Gateway:
    """A gateway that knows who the old clients name by themselves."""
    anthropic = {"base_url": upstream.base_url, "key": "env:TEST_KEY", "default_model": "m-def"}
    openai = {"base_url": f"{upstream.base_url}/v1", "key": "env:TEST_KEY"}
    return await make_gateway(settings(upstream, providers={"anthropic": anthropic, "openai": openai}))


async def until_done(socket: OldSocket) -> list[dict[str, Any]]:
    """The frames of the one request that is under way."""
    frames = [await socket.hear()]
    while frames[-1]["type"] == "CHUNK" and not frames[-1]["done"]:
        frames.append(await socket.hear())
    for frame in frames:
        if frame["type"] == "CHUNK":
            StreamingChunk.model_validate(frame)
    return frames


def question_of(seen: Seen) -> str:
    return str(seen.json["messages"][-1]["content"])


def text(frames: list[dict[str, Any]]) -> str:
    return "".join(frame.get("chunk", "") for frame in frames)


@PATHS
async def test_what_the_python_client_sends(gateway: Gateway, upstream: Upstream, path: str) -> None:
    """Its five kinds of requests, one after the other on one connection."""
    async with OldSocket(gateway.url, path) as socket:
        register, generate, stream, chat, *_ = SOCKET_FRAMES
        socket.say(register)
        assert await socket.hear(ACK_WITHIN_S) == ACK

        socket.say(generate)
        (response,) = await until_done(socket)
        assert (response["type"], response["request_id"]) == ("RESPONSE", "comp_1_1")
        CompletionResponse.model_validate(response)
        assert (response["content"], response["provider"]) == ("hello world", "anthropic")
        assert response["usage"] == {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
        assert response.get("error") is None

        socket.say(stream)
        chunks = await until_done(socket)
        assert [frame["request_id"] for frame in chunks] == ["comp_1_2"] * 3
        assert text(chunks) == "hello world"

        socket.say(chat)
        (response,) = await until_done(socket)
        assert (response["request_id"], response["content"]) == ("comp_1_3", "hello world")
    assert {seen.model for seen in upstream.requests} == {"m-def"}


async def test_what_the_browser_client_sends(gateway: Gateway) -> None:
    """It waits for no acknowledgement, and shows its page's origin."""
    async with OldSocket(gateway.url, "/api/llm/ws", Origin=gateway.url) as socket:
        socket.say(SOCKET_FRAMES[0])
        socket.say(SOCKET_FRAMES[4])
        assert await socket.hear(ACK_WITHIN_S) == ACK
        assert text(await until_done(socket)) == "hello world"


async def test_a_client_that_never_registers(gateway: Gateway) -> None:
    """Without a name and without an id: it is answered with both left empty."""
    async with OldSocket(gateway.url) as socket:
        socket.say('{"type":"GENERATE","prompt":"hello"}')
        response = await socket.hear()
    assert (response["type"], response["request_id"]) == ("RESPONSE", "")
    CompletionResponse.model_validate(response)


@pytest.mark.parametrize("kind", ["GENERATE", "CHAT"])
@UPSTREAMS
async def test_a_whole_answer(gateway: Gateway, provider: str, kind: str) -> None:
    async with OldSocket(gateway.url) as socket:
        socket.say(ask(kind, "r1", provider))
        response = await socket.hear()
    CompletionResponse.model_validate(response)
    assert (response["type"], response["content"], response["model"]) == ("RESPONSE", "hello world", "m")
    assert response["meta"]["generation_id"].startswith("gen_")


@pytest.mark.parametrize("kind", ["STREAM", "CHAT_STREAM"])
@UPSTREAMS
async def test_a_streamed_answer(gateway: Gateway, upstream: Upstream, provider: str, kind: str) -> None:
    """Each piece arrives as it is said, not at the end."""
    gate = Gate()
    upstream.next(hangs(gate, after=1))
    async with OldSocket(gateway.url) as socket:
        socket.say(ask(kind, "r1", provider))
        assert (await socket.hear())["chunk"] == "hello"
        gate.open()
        rest = await until_done(socket)
    assert text(rest) == " world"
    assert rest[-1]["finish_reason"] == "stop"
    assert type(rest[-1]["usage"]["total_tokens"]) is int


async def test_the_acknowledgement_comes_first(gateway: Gateway) -> None:
    """Before all that was asked in the same breath."""
    async with OldSocket(gateway.url) as socket:
        socket.say(SOCKET_FRAMES[0])
        for n in range(10):
            socket.say(ask("STREAM", f"r{n}"))
        assert await socket.hear(ACK_WITHIN_S) == ACK


async def test_the_acknowledgement_comes_soon_in_a_crowd(gateway: Gateway, upstream: Upstream) -> None:
    """Within a second, while fifty other connections stream."""
    upstream.always(says("word " * 500).but(slow(gap_s=0.005)))
    async with AsyncExitStack() as stack:
        crowd = [await stack.enter_async_context(OldSocket(gateway.url)) for _ in range(50)]
        for n, socket in enumerate(crowd):
            socket.say(ask("STREAM", f"r{n}"))
            assert (await socket.hear())["type"] == "CHUNK"
        for _ in range(5):
            async with OldSocket(gateway.url) as late:
                began_s = time.monotonic()
                late.say(SOCKET_FRAMES[0])
                assert await late.hear(ACK_WITHIN_S) == ACK
                assert time.monotonic() - began_s < ACK_WITHIN_S
        assert gateway.app.house.pipeline.in_flight == 50


async def test_many_requests_on_one_connection(gateway: Gateway, upstream: Upstream) -> None:
    """A hundred at the same time: each gets its own answer, in order, and ends once."""
    gate = Gate()
    upstream.always(lambda seen: says(f"answer to {question_of(seen)}").but(hangs(gate, after=1)))
    kinds = ["GENERATE", "STREAM", "CHAT", "CHAT_STREAM"]
    heard: dict[str, list[dict[str, Any]]] = defaultdict(list)
    async with gateway.session.ws_connect(gateway.url + "/ws") as socket:
        for n in range(100):
            question = {"prompt": f"q{n}", "messages": [{"role": "user", "content": f"q{n}"}]}
            await socket.send_json(ask(kinds[n % 4], f"r{n}", ["oai", "ant"][n % 2], **question))
        await upstream.request(100)
        gate.open()
        async with asyncio.timeout(20):
            ended = 0
            while ended < 100:
                frame = await socket.receive_json()
                heard[frame["request_id"]].append(frame)
                ended += frame["type"] == "RESPONSE" or frame.get("done") is True
    for n in range(100):
        frames = heard[f"r{n}"]
        said = frames[0]["content"] if frames[0]["type"] == "RESPONSE" else text(frames)
        assert said == f"answer to q{n}"
    assert len(heard) == 100


async def test_cancel_reaches_the_provider(gateway: Gateway, upstream: Upstream) -> None:
    """Within 250 ms; nothing is answered, the others go on, and the id is free again."""
    gate = Gate()
    upstream.next(hangs(after=1), hangs(gate, after=1))
    async with OldSocket(gateway.url) as socket:
        socket.say(ask("STREAM", "goes"))
        assert (await socket.hear())["chunk"] == "hello"
        socket.say(ask("STREAM", "stays"))
        assert (await socket.hear())["request_id"] == "stays"
        socket.say({"type": "CANCEL", "request_id": "goes"})
        await upstream.requests[0].aborted()
        gate.open()
        assert {frame["request_id"] for frame in await until_done(socket)} == {"stays"}
        socket.say(ask("STREAM", "goes"))
        assert text(await until_done(socket)) == "hello world"
        socket.say({"type": "CANCEL", "request_id": "goes"})
        socket.say({"type": "CANCEL", "request_id": "never was"})
        socket.say({"type": "PING"})
        assert await socket.hear() == {"type": "PONG"}
    assert sorted(trip["outcome"] for trip in await gateway.booked(3)) == ["cancelled", "ok", "ok"]


async def test_ids_belong_to_their_connection(gateway: Gateway, upstream: Upstream) -> None:
    """Clients count from one: the same id on another connection is another request."""
    gate = Gate()
    upstream.always(hangs(gate, after=1))
    async with OldSocket(gateway.url) as one, OldSocket(gateway.url) as other:
        for socket in (one, other):
            socket.say(ask("STREAM", "comp_1_1"))
            await socket.hear()
        one.say({"type": "CANCEL", "request_id": "comp_1_1"})
        await upstream.requests[0].aborted()
        gate.open()
        assert text(await until_done(other)) == " world"


async def test_an_id_that_is_in_use(gateway: Gateway, upstream: Upstream) -> None:
    """The second one is refused; the first does not suffer."""
    gate = Gate()
    upstream.next(hangs(gate, after=1))
    async with OldSocket(gateway.url) as socket:
        socket.say(ask("STREAM", "r1"))
        await socket.hear()
        socket.say(ask("STREAM", "r1"))
        refused = await socket.hear()
        assert (refused["type"], refused["code"]) == ("ERROR", "conflict")
        gate.open()
        assert text(await until_done(socket)) == " world"


async def test_too_many_at_the_same_time(gateway: Gateway, upstream: Upstream) -> None:
    upstream.always(hangs())
    async with OldSocket(gateway.url) as socket:
        for n in range(door.MOST_REQUESTS + 1):
            socket.say(ask("GENERATE", f"r{n}"))
        refused = await socket.hear()
        assert (refused["type"], refused["code"]) == ("ERROR", "rate_limited")
        assert refused["request_id"] == f"r{door.MOST_REQUESTS}"


@UPSTREAMS
@pytest.mark.parametrize("kind", ["GENERATE", "STREAM", "CHAT", "CHAT_STREAM"])
async def test_a_failure_before_the_first_word(
    gateway: Gateway, upstream: Upstream, provider: str, kind: str
) -> None:
    upstream.next(fails(400))
    async with OldSocket(gateway.url) as socket:
        socket.say(ask(kind, "r1", provider))
        frame = await socket.hear()
        assert (frame["type"], frame["request_id"], frame["code"]) == ("ERROR", "r1", "invalid_request")
        assert isinstance(frame["error"], str)
        assert frame["error"]
        assert None not in frame.values()
        socket.say(ask(kind, "r2", provider))
        assert (await socket.hear())["type"] in ("RESPONSE", "CHUNK")


BREAKS = {
    "cut": cuts(after=1),
    "ended too early": cuts(after=1, clean=True),
    "error": error_in_200(after=1),
}


@UPSTREAMS
@pytest.mark.parametrize("fault", BREAKS.values(), ids=BREAKS)
async def test_a_failure_in_the_middle(
    gateway: Gateway, upstream: Upstream, provider: str, fault: Any
) -> None:
    """What was said stays, then an ERROR ends the request, and no `done` pretends that all is well."""
    upstream.always(fault)
    async with OldSocket(gateway.url) as socket:
        socket.say(ask("STREAM", "r1", provider))
        *chunks, error = await until_done(socket)
        assert "hello".startswith(text(chunks))
        assert (error["type"], error["request_id"]) == ("ERROR", "r1")
        assert isinstance(error["error"], str)
        socket.say(ask("GENERATE", "r2", provider))
        assert (await socket.hear())["type"] == "ERROR"
        upstream.always(says("hello world"))
        socket.say(ask("GENERATE", "r3", provider))
        assert (await socket.hear())["type"] == "RESPONSE"


async def test_the_library_that_the_python_client_uses(gateway: Gateway) -> None:
    """It compresses what it sends, and asks for the same."""
    async with connect(gateway.url.replace("http", "ws") + "/ws") as socket:
        await socket.send(SOCKET_FRAMES[0])
        assert orjson.loads(await socket.recv()) == ACK
        await socket.send(SOCKET_FRAMES[1])
        CompletionResponse.model_validate(response := orjson.loads(await socket.recv()))
        assert (response["type"], response["content"]) == ("RESPONSE", "hello world")


async def test_a_fallback_is_told(gateway: Gateway, upstream: Upstream) -> None:
    """In `provider` and `model`, which is all that the old clients look at, and in the metadata."""
    options = {"fallback_provider": "ant", "fallback_model": "spare"}
    for kind in ("GENERATE", "STREAM"):
        upstream.next(fails(503))
        async with OldSocket(gateway.url) as socket:
            socket.say(ask(kind, "r1", options=options))
            last = (await until_done(socket))[-1]
        assert (last["provider"], last["model"], last["fallback"]) == ("ant", "spare", True)
        assert [attempt["outcome"] for attempt in last["meta"]["attempts"]] == ["unavailable", "ok"]


async def test_pings_of_the_protocol(gateway: Gateway) -> None:
    async with OldSocket(gateway.url) as socket:
        socket.send(PING, b"are you there?")
        assert await socket.receive() == (PONG, b"are you there?")


async def test_the_books_know_the_component(gateway: Gateway) -> None:
    async with OldSocket(gateway.url) as socket:
        socket.say(SOCKET_FRAMES[0])
        await socket.hear()
        socket.say(ask("GENERATE", "r1"))
        await socket.hear()
    (trip,) = await gateway.booked()
    assert (trip["component"], trip["door"], trip["model"]) == ("comp", "tekton-ws", "oai/m")


async def test_asking_without_an_upgrade(gateway: Gateway) -> None:
    async with gateway.session.get(gateway.url + "/ws") as reply:
        assert reply.status == 400
        assert "WebSocket" in tekton_wrong(await reply.json()).message


async def test_a_goodbye_when_the_gateway_stops(gateway: Gateway, upstream: Upstream) -> None:
    """What is under way may finish within the grace; then the connection is closed in order."""
    gate = Gate()
    upstream.next(hangs(gate, after=1))
    async with OldSocket(gateway.url) as socket:
        socket.say(ask("STREAM", "r1"))
        await socket.hear()
        stopping = tasks.spawn(gateway.app.stop(), "stopping")
        socket.say(ask("STREAM", "r2"))
        refused = await socket.hear()
        assert (refused["request_id"], refused["code"]) == ("r2", "shutting_down")
        gate.open()
        assert text(await until_done(socket)) == " world"
        assert await socket.closing_code() == 1001
        socket.send(CLOSE, b"\x03\xe9")
        await stopping


async def test_a_failure_of_our_own_is_told(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody waits for ever because of a mistake of ours."""

    class Broken(voices.Responder):
        def frames(self, events: Any) -> list[str]:
            raise ZeroDivisionError("the secret of the house")

    monkeypatch.setattr(voices, "Responder", Broken)
    async with OldSocket(gateway.url) as socket:
        socket.say(ask("GENERATE", "r1"))
        frame = await socket.hear()
        assert (frame["type"], frame["request_id"], frame["code"]) == ("ERROR", "r1", "internal_error")
        assert "secret" not in frame["error"]
        socket.say(ask("STREAM", "r2"))
        assert text(await until_done(socket)) == "hello world"
    assert [record.exc_info is not None for record in caplog.records] == [True]


async def test_who_does_not_read_holds_up_nobody(gateway: Gateway, upstream: Upstream) -> None:
    """Its provider is read no faster than it reads itself; others are served meanwhile."""
    upstream.always(lambda seen: says("x" * 50_000_000 if question_of(seen) == "huge" else "hello world"))
    async with OldSocket(gateway.url) as lazy, OldSocket(gateway.url) as other:
        lazy.say(ask("STREAM", "r1", prompt="huge"))
        other.say(ask("STREAM", "r1"))
        assert text(await until_done(other)) == "hello world"


async def test_a_client_that_leaves_without_a_word(gateway: Gateway, upstream: Upstream) -> None:
    upstream.always(hangs(after=1))
    async with OldSocket(gateway.url) as socket:
        for n in range(5):
            socket.say(ask("STREAM", f"r{n}"))
        await upstream.request(5)
        for seen in upstream.requests:
            await seen.hanging()
    for seen in upstream.requests:
        await seen.aborted()
    assert {trip["outcome"] for trip in await gateway.booked(5)} == {"cancelled"}


async def test_a_request_id_is_free_with_its_last_frame(gateway: Gateway, upstream: Upstream) -> None:
    """Also while the provider takes its time to close the stream."""
    chunk = {
        "id": "c",
        "model": "m",
        "choices": [{"index": 0, "delta": {"content": "hi"}, "finish_reason": "stop"}],
    }
    stream = [b"data: %b\n\n" % orjson.dumps(chunk), b"data: [DONE]\n\n"]
    upstream.next(raw_frames(stream, content_type="text/event-stream").but(hangs(after=2)))
    async with OldSocket(gateway.url) as socket:
        socket.say(ask("STREAM", "r1"))
        assert text(await until_done(socket)) == "hi"
        assert gateway.app.house.pipeline.in_flight == 1
        socket.say(ask("STREAM", "r1"))
        assert text(await until_done(socket)) == "hello world"


async def test_a_token_that_was_taken_back(
    make_gateway: MakeGateway, upstream: Upstream, tmp_path: Path
) -> None:
    """It opens nothing any more, on connections neither that are open."""

    def given(*names: str) -> dict[str, Any]:
        return settings(upstream, server={"tokens": {name: f"env:{name.upper()}" for name in names}})

    gateway = await make_gateway(given("ann", "bob"), {"ANN": "a" * 20, "BOB": "b" * 20})
    tokens = [f"Bearer {letter * 20}" for letter in "ab"]
    async with (
        OldSocket(gateway.url, Authorization=tokens[0]) as ann,
        OldSocket(gateway.url, Authorization=tokens[1]) as bob,
    ):
        ann.say(ask("STREAM", "r1"))
        assert text(await until_done(ann)) == "hello world"
        (tmp_path / "rhetor.yaml").write_text(yaml.safe_dump(given("bob")))
        await gateway.app.reload()
        for _ in range(2):
            ann.say(ask("STREAM", "r2"))
            refused = await ann.hear()
            assert (refused["type"], refused["request_id"]) == ("ERROR", "r2")
            assert refused["code"] == "unauthenticated"
        ann.say({"type": "RESUME", "request_id": "r3", "generation_id": "gen_1"})
        assert (await ann.hear())["code"] == "unauthenticated"
        ann.say(SOCKET_FRAMES[0])
        assert (await ann.hear())["code"] == "unauthenticated"
        ann.say({"type": "PING"})
        assert await ann.hear() == {"type": "PONG"}
        bob.say(ask("STREAM", "r1"))
        assert text(await until_done(bob)) == "hello world"
    assert len(upstream.requests) == 2


async def test_no_more_requests_than_the_gateway_takes(make_gateway: MakeGateway, upstream: Upstream) -> None:
    gateway = await make_gateway(settings(upstream, server={"max_requests": 1}))
    upstream.next(hangs(after=1))
    async with OldSocket(gateway.url) as socket:
        socket.say(ask("STREAM", "r1"))
        await socket.hear()
        socket.say(ask("STREAM", "r2"))
        refused = await socket.hear()
        assert (refused["type"], refused["request_id"], refused["code"]) == ("ERROR", "r2", "pool_full")
        socket.say({"type": "CANCEL", "request_id": "r1"})
        await upstream.requests[0].aborted()


async def test_what_outlives_the_grace_is_told_why(make_gateway: MakeGateway, upstream: Upstream) -> None:
    gateway = await make_gateway(settings(upstream, server={"shutdown_grace_s": 0.05}))
    upstream.always(hangs(after=1))
    async with OldSocket(gateway.url) as socket:
        socket.say(ask("STREAM", "r1"))
        socket.say(ask("STREAM", "r2", detach_s=60))
        assert [(await socket.hear())["type"] for _ in range(2)] == ["CHUNK"] * 2
        stopping = tasks.spawn(gateway.app.stop(), "stopping")
        told = [await socket.hear() for _ in range(2)]
        assert {frame["request_id"]: frame["code"] for frame in told} == dict.fromkeys(
            ["r1", "r2"], "shutting_down"
        )
        assert await socket.closing_code() == 1001
        socket.send(CLOSE, b"\x03\xe9")
        await stopping
