"""Frames that the WebSocket door cannot take: an ERROR says why, and what the others do goes on."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from aiohttp import WSMsgType

from rhetor.testing import Gate, Upstream, hangs
from tests.conftest import Gateway, MakeGateway, settings
from tests.http.old_clients import BINARY, PING, PONG, TEXT, OldSocket, ask

FRAME_LIMIT_BYTES = 1 << 20


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"provider_id": "nobody"}, "model_not_found"),
        ({"provider_id": "groq", "model_id": "llama"}, "no_key"),
        ({"prompt": None}, "invalid_request"),
        ({"prompt": 7}, "invalid_request"),
        ({"options": "default"}, "invalid_request"),
        ({"context_id": 7}, "invalid_request"),
    ],
)
async def test_a_request_that_cannot_be_taken(
    gateway: Gateway, upstream: Upstream, changes: dict[str, Any], code: str
) -> None:
    """Whoever waits for this id hears of it."""
    async with OldSocket(gateway.url) as socket:
        socket.say(ask("GENERATE", "r1", **changes))
        frame = await socket.hear()
        assert (frame["type"], frame["request_id"], frame["code"]) == ("ERROR", "r1", code)
        socket.say({"type": "PING"})
        assert await socket.hear() == {"type": "PONG"}
    assert upstream.requests == []


NO_FRAMES = {
    "nothing": b"",
    "half": b'{"type":"GEN',
    "an array": b'["GENERATE"]',
    "a number": b"42",
    "null": b"null",
    "no type": b'{"prompt":"hello"}',
    "a type of nobody": b'{"type":"DESTROY","request_id":"r1"}',
    "a type that is no word": b'{"type":["GENERATE"]}',
    "an id that is no word": b'{"type":"GENERATE","prompt":"hello","request_id":{"a":1}}',
    "an id that is a novel": orjson.dumps({"type": "GENERATE", "prompt": "q", "request_id": "x" * 5_000}),
    "too deep": b'{"a":' * 100_000,
    "binary garbage": bytes(range(256)),
    "zeros": b"\x00" * 64,
}


@pytest.mark.parametrize("kind", [TEXT, BINARY], ids=["text", "binary"])
@pytest.mark.parametrize("data", NO_FRAMES.values(), ids=NO_FRAMES)
async def test_a_frame_that_is_none(gateway: Gateway, kind: int, data: bytes) -> None:
    """It is answered with an ERROR, and the connection lives on; text that is no UTF-8 must end it."""
    async with OldSocket(gateway.url) as socket:
        socket.send(kind, data)
        if kind == TEXT and data is NO_FRAMES["binary garbage"]:
            assert await socket.closing_code() == 1007
            return
        frame = await socket.hear()
        assert frame["type"] == "ERROR"
        assert isinstance(frame["error"], str)
        assert len(frame["error"]) < 5_000
        assert "Traceback" not in frame["error"]
        socket.say(ask("GENERATE", "r1"))
        assert (await socket.hear())["type"] == "RESPONSE"


async def test_a_binary_frame_may_carry_a_request(gateway: Gateway) -> None:
    async with OldSocket(gateway.url) as socket:
        socket.send(BINARY, orjson.dumps(ask("GENERATE", "r1")))
        assert (await socket.hear())["type"] == "RESPONSE"


async def test_a_frame_in_pieces(gateway: Gateway) -> None:
    """With a control frame in between, as the protocol allows."""
    data = orjson.dumps(ask("GENERATE", "r1"))
    async with OldSocket(gateway.url) as socket:
        socket.send(TEXT, data[:7], last=False)
        socket.send(PING, b"there?")
        socket.send(0, data[7:20], last=False)
        socket.send(0, data[20:])
        assert await socket.receive() == (PONG, b"there?")
        assert (await socket.hear())["type"] == "RESPONSE"


@pytest.mark.parametrize("compressed", [False, True])
async def test_a_frame_over_the_limit(
    make_gateway: MakeGateway, upstream: Upstream, compressed: bool
) -> None:
    """The connection is closed with the code that says so; what the others do goes on."""
    gateway = await make_gateway(settings(upstream, server={"max_frame_kb": 16}))
    gate = Gate()
    upstream.next(hangs(gate, after=1))
    url = gateway.url + "/ws"
    async with (
        gateway.session.ws_connect(url) as good,
        gateway.session.ws_connect(url, compress=15 if compressed else 0) as bad,
    ):
        await good.send_json(ask("STREAM", "r1"))
        await good.receive_json()
        await bad.send_json(ask("GENERATE", "r1", prompt="x" * 16_384))
        assert (await bad.receive()).type is WSMsgType.CLOSE
        assert bad.close_code == 1009
        gate.open()
        assert (await good.receive_json())["chunk"] == " world"
    assert len(upstream.requests) == 1


async def test_the_usual_limit_of_a_frame(gateway: Gateway, upstream: Upstream) -> None:
    """A mebibyte, as in the library that the clients use."""
    room = FRAME_LIMIT_BYTES - len(orjson.dumps(ask("GENERATE", "r1", prompt="")))
    async with gateway.session.ws_connect(gateway.url + "/ws", compress=0) as socket:
        await socket.send_str(orjson.dumps(ask("GENERATE", "r1", prompt="x" * room)).decode())
        assert (await socket.receive_json())["type"] == "RESPONSE"
        await socket.send_str(orjson.dumps(ask("GENERATE", "r1", prompt="x" * (room + 1))).decode())
        assert (await socket.receive()).type is WSMsgType.CLOSE
        assert socket.close_code == 1009


async def test_no_answer_is_larger_than_a_frame(gateway: Gateway, upstream: Upstream) -> None:
    """A whole answer that does not fit is an error with the remedy in it; a streamed one comes in pieces."""
    word = "\x01" * 400_000  # six bytes each, once escaped
    upstream.says(word)
    async with gateway.session.ws_connect(gateway.url + "/ws", max_msg_size=FRAME_LIMIT_BYTES) as socket:
        await socket.send_json(ask("GENERATE", "r1"))
        refused = await socket.receive_json()
        assert refused["type"] == "ERROR"
        assert "STREAM" in refused["error"]
        await socket.send_json(ask("STREAM", "r2"))
        said = ""
        while not (frame := await socket.receive_json())["done"]:
            said += frame["chunk"]
        assert said == word


async def test_what_wants_no_answer(gateway: Gateway) -> None:
    async with OldSocket(gateway.url) as socket:
        for sent in ({"type": "PONG"}, {"type": "CANCEL", "request_id": "x"}, {"type": "CANCEL"}):
            socket.say(sent)
        socket.say({"type": "PING"})
        assert await socket.hear() == {"type": "PONG"}
