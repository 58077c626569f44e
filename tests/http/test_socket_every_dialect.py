"""What holds for every dialect on the WebSocket: the first frame decides; hostile frames, leaving, limits."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from rhetor import tasks
from rhetor.http import socket as door
from rhetor.testing import Gate, Upstream, hangs, says
from tests.conftest import Gateway, MakeGateway, settings
from tests.http.old_clients import CLOSE, SOCKET_FRAMES, OldSocket
from tests.http.older_clients import (
    FIRST,
    athena,
    bare,
    ended,
    heard_out,
    idle,
    is_error,
    is_last,
    llm_request,
    until,
)

EACH = pytest.mark.parametrize("first", FIRST.values(), ids=FIRST)


@pytest.fixture
async def gateway(make_gateway: MakeGateway, upstream: Upstream) -> Gateway:
    """A gateway that answers who names nobody."""
    return await make_gateway(settings(upstream, routes={"default": {"targets": ["oai/m"]}}))


@pytest.mark.parametrize("other", FIRST.values(), ids=FIRST)
@EACH
async def test_the_first_frame_decides(gateway: Gateway, first: Any, other: Any) -> None:
    """What comes later in another dialect is an error in that of the first; then it goes on."""
    async with OldSocket(gateway.url) as socket:
        socket.say(first)
        await heard_out(socket)
        socket.say(other)
        if other is first:
            await heard_out(socket)
            return
        refused = await socket.hear()
        assert is_error(refused)
        assert ("payload" in refused) is (first is FIRST["envelope"])
        if first is FIRST["envelope"]:
            assert idle(await socket.hear())
        socket.say(first)
        await heard_out(socket)


@EACH
async def test_nonsense_decides_nothing(gateway: Gateway, first: Any) -> None:
    async with OldSocket(gateway.url) as socket:
        for said in ("{", '{"type":"DESTROY"}', "[]", '{"prompt":"hello"}', '{"type":null}', '{"type":7}'):
            socket.say(said)
            assert is_error(await socket.hear())
        socket.say(first)
        await heard_out(socket)


@pytest.mark.parametrize(
    "said",
    [
        {"type": "PING"},
        {"type": "PONG"},
        {"type": "CANCEL", "request_id": "r9"},
        {"action": "cancel", "request_id": "r9"},
        {"type": "PING", "payload": {}},
    ],
    ids=str,
)
@EACH
async def test_who_asks_for_nothing_decides_nothing(gateway: Gateway, first: Any, said: Any) -> None:
    async with OldSocket(gateway.url) as socket:
        socket.say(said)
        if said.get("type") == "PING":
            assert await socket.hear() == {"type": "PONG"}
        socket.say(first)
        await heard_out(socket)


@pytest.mark.parametrize(
    "said",
    [
        {"type": "DESTROY", "payload": {}},
        {"type": "LLM_REQUEST", "payload": {"message": 7}},
        {"type": "generate", "data": {}},
        {"messages": 7},
        {"type": "GENERATE", "prompt": 7},
    ],
    ids=str,
)
@EACH
async def test_a_frame_that_is_refused_decides_nothing(gateway: Gateway, first: Any, said: Any) -> None:
    """It is answered as its sender reads it all the same."""
    async with OldSocket(gateway.url) as socket:
        socket.say(said)
        refused = await socket.hear()
        assert is_error(refused)
        assert ("payload" in refused) is ("payload" in said)
        if "payload" in said:
            assert idle(await socket.hear())
        socket.say(first)
        await heard_out(socket)


@EACH
async def test_a_failure_before_anybody_is_asked_is_told(
    gateway: Gateway,
    upstream: Upstream,
    first: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Nobody waits for ever because of a mistake of ours."""

    def broken(*_: Any) -> None:
        raise ZeroDivisionError("the secret of the house")

    monkeypatch.setattr(door, "retention_of", broken)
    async with OldSocket(gateway.url) as socket:
        socket.say(first)
        told = (await until(socket, is_error))[-1]
        assert told.get("payload", told)["code"] == "internal_error"
        assert "secret" not in str(told)
        monkeypatch.undo()
        if "payload" in told:
            assert idle(await socket.hear())
        socket.say(first)
        await heard_out(socket)
    assert [record.exc_info is not None for record in caplog.records] == [True]
    assert not gateway.app.house.requests


HOSTILE: dict[str, bytes] = {
    "nothing": b"",
    "half": b'{"type":"LLM_',
    "an array": b'["generate"]',
    "too deep": b'{"payload":' * 50_000,
    "a payload that is none": b'{"type":"LLM_REQUEST","payload":"hello"}',
    "data that are none": b'{"type":"generate","data":"hello"}',
    "messages that are none": b'{"messages":"hello"}',
    "no message": b'{"type":"LLM_REQUEST","payload":{}}',
    "a message that is none": b'{"type":"LLM_REQUEST","payload":{"message":["hello"]}}',
    "an unknown envelope": b'{"type":"DESTROY","payload":{}}',
    "an unknown action": b'{"request_id":"r1","action":"destroy"}',
    "an id that is no word": b'{"type":"LLM_REQUEST","req_id":{"a":1},"payload":{"message":"hello"}}',
    "an id that is a novel": orjson.dumps(llm_request("x" * 5_000)),
    "a source that is no word": b'{"type":"LLM_REQUEST","source":7,"payload":{"message":"hello"}}',
    "a source that is a novel": orjson.dumps(llm_request() | {"source": "x" * 5_000}),
    "a context that is no word": b'{"type":"LLM_REQUEST","payload":{"message":"hello","context":[]}}',
    "streaming that is no flag": b'{"type":"LLM_REQUEST","payload":{"message":"hello","streaming":"no"}}',
    "options that are none": b'{"type":"LLM_REQUEST","payload":{"message":"hello","options":[1]}}',
    "an unknown provider": b'{"type":"generate","data":{"prompt":"hello","provider":"nobody","model":"m"}}',
    "a type that is no word": b'{"type":{},"payload":{"message":"hello"}}',
    "zeros": b"\x00" * 64,
}


@pytest.mark.parametrize("first", [None, *FIRST.values()], ids=["fresh", *FIRST])
@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
async def test_a_frame_that_cannot_be_followed(
    gateway: Gateway, upstream: Upstream, first: Any, data: bytes
) -> None:
    """In each dialect: an error that fits into a frame, and the connection lives on."""
    async with OldSocket(gateway.url) as socket:
        if first is not None:
            socket.say(first)
            await heard_out(socket)
        socket.say(data)
        frames = await until(socket, is_error)
        assert len(orjson.dumps(frames[-1])) < 20_000
        assert "Traceback" not in str(frames[-1])
        socket.say({"type": "PING", "payload": {}} if "payload" in frames[-1] else {"type": "PING"})
        while (answer := await socket.hear())["type"] == "UPDATE":
            assert idle(answer)
        assert answer == {"type": "PONG"} or is_error(answer)
    assert len(upstream.requests) == (0 if first is None else 1)


@EACH
async def test_an_id_that_is_in_use(gateway: Gateway, upstream: Upstream, first: Any) -> None:
    """The second is refused, the first does not suffer. Without ids there may be several."""
    gate = Gate()
    upstream.always(hangs(gate, after=1))
    async with OldSocket(gateway.url) as socket:
        socket.say(first)
        await upstream.request()
        await socket.hear()
        socket.say(first)
        if first is FIRST["athena"]:
            await upstream.request(2)
            return
        frames = await until(socket, is_error)
        assert frames[-1].get("payload", frames[-1])["code"] == "conflict"
        gate.open()
        rest = await until(socket, lambda frame: frame.get("payload", frame).get("done"))
        assert str(rest).count(" world") >= 1
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("point", ["request", "headers", 0, 1])
@EACH
async def test_leaving_ends_the_call_to_the_provider(
    gateway: Gateway, upstream: Upstream, first: Any, point: Any
) -> None:
    upstream.next(hangs(after=point))
    async with OldSocket(gateway.url) as socket:
        socket.say(first)
        seen = await upstream.request()
        await seen.hanging()
    await seen.aborted()
    assert [trip["outcome"] for trip in await gateway.booked()] == ["cancelled"]


@EACH
async def test_a_huge_frame(make_gateway: MakeGateway, upstream: Upstream, first: Any) -> None:
    """It closes its connection with the code that says so; nothing is asked."""
    gateway = await make_gateway(settings(upstream, server={"max_frame_kb": 16}))
    async with OldSocket(gateway.url) as socket:
        socket.say(orjson.dumps(first | {"x": "x" * 16_384}))
        assert await socket.closing_code() == 1009
    assert upstream.requests == []


@EACH
async def test_a_huge_text_comes_in_frames_that_everybody_takes(
    gateway: Gateway, upstream: Upstream, first: Any
) -> None:
    text = 'a"é\x00' * 250_000
    upstream.next(says(text))
    async with gateway.session.ws_connect(gateway.url + "/ws", max_msg_size=1 << 20) as socket:
        await socket.send_json(first)
        frames = [await socket.receive_json()]
        while not is_last(frames[-1]) and frames[-1].get("type") != "done":
            frames.append(await socket.receive_json())
    payloads = [frame.get("payload", frame) for frame in frames]
    assert "".join(p.get("chunk") or "" for p in payloads) == text


async def test_a_whole_answer_that_is_larger_than_a_frame(gateway: Gateway, upstream: Upstream) -> None:
    upstream.next(says("\x01" * 400_000))
    async with gateway.session.ws_connect(gateway.url + "/ws") as socket:
        await socket.send_json(llm_request("r1", streaming=False))
        assert (await socket.receive_json())["payload"]["isTyping"]
        refused = await socket.receive_json()
        assert (refused["type"], refused["payload"]["code"]) == ("ERROR", "unsupported")
        assert "stream it" in refused["payload"]["error"]


async def test_too_many_at_the_same_time(gateway: Gateway, upstream: Upstream) -> None:
    """Pages without ids cannot have more either."""
    upstream.always(hangs())
    async with OldSocket(gateway.url) as socket:
        for _ in range(door.MOST_REQUESTS + 1):
            socket.say(llm_request(None))
        refused = (await until(socket, is_error))[-1]
        assert refused["payload"]["code"] == "rate_limited"


@EACH
async def test_a_stop_is_told(make_gateway: MakeGateway, upstream: Upstream, first: Any) -> None:
    gateway = await make_gateway(
        settings(upstream, server={"shutdown_grace_s": 0.05}, routes={"default": {"targets": ["oai/m"]}})
    )
    upstream.always(hangs(after=1))
    async with OldSocket(gateway.url) as socket:
        socket.say(first)
        await (await upstream.request()).hanging()
        stopping = tasks.spawn(gateway.app.stop(), "stopping")
        told = (await until(socket, is_error))[-1]
        assert told.get("payload", told)["code"] == "shutting_down"
        assert await socket.closing_code() == 1001
        socket.send(CLOSE, b"\x03\xe9")
        await stopping


async def test_a_generation_that_survives_the_network(gateway: Gateway, upstream: Upstream) -> None:
    """Who asks for it gets its id in any dialect, and finds it again over HTTP; RESUME is Tekton's alone."""
    for said, last in (
        (llm_request(options={"resume_s": 30}), idle),
        (bare(resume_s=30), ended),
        (athena(resume_s=30), ended),
    ):
        async with OldSocket(gateway.url) as socket:
            socket.say(said)
            frames = [frame for frame in await until(socket, last) if not is_typing(frame)]
        assert not any("event_id" in frame for frame in frames)
        (id,) = {frame["generation_id"] for frame in frames}
        status, state = await gateway.get(f"/v1/generations/{id}")
        assert (status, state["state"]) == (200, "finished")


def is_typing(frame: Any) -> bool:
    """Said before anybody is asked, when there is no generation yet."""
    return "isTyping" in frame.get("payload", {}) and frame["payload"]["isTyping"]


async def test_a_context_goes_on_for_who_asks_for_it(gateway: Gateway, upstream: Upstream) -> None:
    """The same context in two dialects, and with a recording."""
    options = {"history": True}
    async with OldSocket(gateway.url) as socket:
        socket.say({"type": "GENERATE", "prompt": "hello", "context_id": "c1", "options": options})
        assert (await socket.hear())["type"] == "RESPONSE"
        socket.say({"type": "STREAM", "prompt": "hello", "context_id": "c1", "history": 2, "resume_s": 5})
        await until(socket, is_last)
    async with OldSocket(gateway.url) as socket:
        socket.say(llm_request(context="c1", options=options))
        await until(socket, idle)
    assert [len(seen.json["messages"]) for seen in upstream.requests] == [1, 3, 5]


async def test_raw_frames_of_the_usual_dialect_still_need_nothing(gateway: Gateway) -> None:
    """Neither REGISTER nor an id nor a model."""
    async with OldSocket(gateway.url) as socket:
        socket.say('{"type":"GENERATE","prompt":"hello"}')
        said = await socket.hear()
        assert (said["type"], said["request_id"], said["content"]) == ("RESPONSE", "", "hello world")
        socket.say(SOCKET_FRAMES[0])
        assert (await socket.hear())["type"] == "REGISTER_ACK"


async def test_a_ticket_opens_every_path(make_gateway: MakeGateway, upstream: Upstream) -> None:
    given = settings(
        upstream, server={"tokens": {"page": "env:PAGE"}}, routes={"default": {"targets": ["oai/m"]}}
    )
    gateway = await make_gateway(given, {"PAGE": "t" * 20})
    for path, first in (("/ws", llm_request()), ("/ws/generate", bare())):
        headers = {"Authorization": f"Bearer {'t' * 20}"}
        _, ticket = await gateway.post("/api/v1/ws-ticket", None, headers=headers)
        with pytest.raises(ConnectionRefusedError, match="401"):
            await OldSocket(gateway.url, path).__aenter__()
        async with gateway.session.ws_connect(gateway.url + path, protocols=ticket["protocols"]) as socket:
            await socket.send_json(first)
            assert not is_error(await socket.receive_json())
