"""The chat platform over WebSocket: who comes in, what is told, and what bad frames do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import orjson
import pytest

from rhetor.http.chat import socket as module
from rhetor.testing import Gate, Upstream, fails, hangs, says
from tests.conftest import MakeGateway
from tests.http.chat.platform import Person, Platform, opened

GUARDED: Any = {
    "server": {"tokens": {"ops": "env:OPS_TOKEN"}},
    "environ": {"OPS_TOKEN": "canary-ops-token-1234567890"},
}


class Line:
    """A connection, frame by frame."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def send(self, **frame: Any) -> None:
        await self.socket.send_json(frame)

    async def next(self) -> dict[str, Any]:
        async with asyncio.timeout(10):
            frame: dict[str, Any] = orjson.loads(await self.socket.receive_str())
            return frame

    async def turn(self, **sent: Any) -> list[dict[str, Any]]:
        """A chat frame, and what is told of it to the end."""
        await self.send(type="chat", **sent)
        told = [await self.next()]
        while told[-1]["type"] == "token":
            told.append(await self.next())
        return told


@asynccontextmanager
async def connected(platform: Platform, **headers: str) -> AsyncIterator[Line]:
    async with platform.session.ws_connect(f"{platform.url}/ws/chat", headers=headers) as socket:
        line = Line(socket)
        hello = await line.next()
        assert (hello["type"], hello["message"]) == ("connected", "WebSocket connection established")
        assert hello["correlationId"]
        yield line


@asynccontextmanager
async def signed_in(person: Person) -> AsyncIterator[Line]:
    async with connected(person.platform) as line:
        await line.send(type="auth", token=person.token)
        assert (await line.next())["type"] == "auth_success"
        yield line


@pytest.fixture
async def platform(make_gateway: MakeGateway, upstream: Upstream) -> Platform:
    return await opened(make_gateway, upstream)


@pytest.fixture
async def ada(platform: Platform) -> Person:
    return await platform.join()


async def test_a_chat(ada: Person, upstream: Upstream) -> None:
    upstream.next(says("hello world"), says("again"))
    id = await ada.begin()
    async with signed_in(ada) as line:
        told = await line.turn(sessionId=id, message="hi", provider="oai")
        more = await line.turn(sessionId=id, message="and?")

    *tokens, done = told
    assert "".join(it["content"] for it in tokens) == "hello world"
    assert {it["sessionId"] for it in told} == {id}
    assert (done["type"], done["messageId"]) == ("done", tokens[0]["messageId"])
    assert done["usage"] == {"promptTokens": 11, "completionTokens": 7, "totalTokens": 18}
    assert isinstance(done["responseTime"], int)
    assert more[-1]["type"] == "done"


async def test_ping(platform: Platform) -> None:
    async with connected(platform) as line:
        await line.send(type="ping")
        assert await line.next() == {"type": "pong"}


@pytest.mark.promise("P17")
@pytest.mark.parametrize("token", ["nonsense", "eyJhbGciOiJub25lIn0.e30.", "", None, 7, {"$ne": 1}])
async def test_who_shows_a_bad_token_is_sent_away(platform: Platform, token: Any) -> None:
    async with connected(platform) as line:
        await line.send(type="auth", token=token)
        told = await line.next()
        assert (told["type"], told["message"]) == ("auth_error", "Invalid token")
        closed = await line.socket.receive()
        assert closed.type is aiohttp.WSMsgType.CLOSE
        assert closed.data == 1008


async def test_nobody_chats_who_has_not_said_who_this_is(platform: Platform, ada: Person) -> None:
    id = await ada.begin()
    async with connected(platform) as line:
        await line.send(type="chat", sessionId=id, message="hi")
        told = await line.next()
        assert told["type"] == "error"
        assert told["message"] == "Invalid message type or not authenticated"


async def test_who_says_nothing_is_not_waited_for(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AUTH_S", 0.05)
    async with connected(platform) as line, asyncio.timeout(5):
        assert (await line.socket.receive()).data == 1008


async def test_a_token_of_the_gateway_will_do_either_way(
    make_gateway: MakeGateway, upstream: Upstream
) -> None:
    platform = await opened(make_gateway, upstream, accounts=False, **GUARDED)
    token = GUARDED["environ"]["OPS_TOKEN"]
    ops = platform.with_token(token)
    id = await ops.begin()
    async with connected(platform, authorization=f"Bearer {token}") as line:
        assert (await line.turn(sessionId=id, message="hi"))[-1]["type"] == "done"
    async with signed_in(ops) as line:
        assert (await line.turn(sessionId=id, message="hi"))[-1]["type"] == "done"


async def test_where_no_token_is_asked_for_nobody_has_to_sign_in(
    make_gateway: MakeGateway, upstream: Upstream
) -> None:
    platform = await opened(make_gateway, upstream, accounts=False)
    id = await platform.stranger.begin()
    async with connected(platform) as line:
        assert (await line.turn(sessionId=id, message="hi"))[-1]["type"] == "done"


async def test_pages_of_others_may_not_connect(platform: Platform) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        async with connected(platform, Origin="https://evil.example"):
            pass
    assert refused.value.status == 403


async def test_without_an_upgrade(platform: Platform) -> None:
    status, told = await platform.stranger.ask("GET", "/ws/chat")

    assert (status, told["error"]) == (400, "Validation failed")


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ("{", "Invalid message format"),
        ("[]", "Invalid message format"),
        ('"hi"', "Invalid message format"),
        ("[" * 2000, "Invalid message format"),
        ("{}", "Invalid message type or not authenticated"),
        ('{"type":7}', "Invalid message type or not authenticated"),
        ('{"type":"shutdown"}', "Invalid message type or not authenticated"),
        ('{"type":"chat"}', "message: expected 1 to 4000 characters"),
        ('{"type":"chat","message":"hi"}', "sessionId is missing: expected the session's id"),
        ('{"type":"chat","message":"hi","sessionId":["x"]}', "sessionId: expected a string, got an array"),
    ],
)
async def test_bad_frames_are_told_and_change_nothing(ada: Person, frame: str, message: str) -> None:
    id = await ada.begin()
    async with signed_in(ada) as line:
        await line.socket.send_str(frame)
        told = await line.next()
        assert (told["type"], told["message"], told["retryable"]) == ("error", message, False)
        assert (await line.turn(sessionId=id, message="hi"))[-1]["type"] == "done"


async def test_bytes_that_are_no_text(ada: Person) -> None:
    async with signed_in(ada) as line:
        await line.socket.send_bytes(b"\xff\xfe{")
        assert (await line.next())["message"] == "Invalid message format"


async def test_what_fails_is_told_with_its_session(ada: Person, upstream: Upstream) -> None:
    upstream.always(fails(401))
    id = await ada.begin()
    async with signed_in(ada) as line:
        (failed,) = await line.turn(sessionId=id, message="hi")
        (unknown,) = await line.turn(sessionId="ses_000000000000000000000000", message="hi")

    assert (failed["type"], failed["sessionId"], failed["retryable"]) == ("error", id, True)
    assert failed["code"] == "upstream_authentication"
    assert (unknown["type"], unknown["code"]) == ("error", "not_found")


async def test_several_chats_at_the_same_time(ada: Person, upstream: Upstream) -> None:
    gate = Gate()
    upstream.next(hangs(gate), says("quick"))
    slow, quick = await ada.begin(), await ada.begin()
    async with signed_in(ada) as line:
        await line.send(type="chat", sessionId=slow, message="hi")
        await (await upstream.request()).hanging()
        told = await line.turn(sessionId=quick, message="hi")
        assert {it["sessionId"] for it in told} == {quick}
        (busy,) = await line.turn(sessionId=slow, message="me too")
        assert busy["code"] == "conflict"
        gate.open()
        while (last := await line.next())["type"] != "done":
            pass
        assert last["sessionId"] == slow


async def test_a_token_that_is_taken_back_counts_no_more(ada: Person) -> None:
    id = await ada.begin()
    async with signed_in(ada) as line:
        await ada.ask("POST", "/api/v1/auth/logout")
        (told,) = await line.turn(sessionId=id, message="hi")

    assert (told["type"], told["code"]) == ("error", "forbidden")


async def test_who_hangs_up_ends_the_call(ada: Person, upstream: Upstream) -> None:
    upstream.next(says("one two three").but(hangs(Gate(), after=1)))
    id = await ada.begin()
    async with signed_in(ada) as line:
        await line.send(type="chat", sessionId=id, message="count")
        assert (await line.next())["content"] == "one"

    await upstream.requests[0].aborted()


async def test_limits_count_here_too(ada: Person) -> None:
    async with signed_in(ada) as line:
        for _ in range(50):
            (told,) = await line.turn(sessionId="ses_000000000000000000000000", message="x")
            assert told["code"] == "not_found"
        (told,) = await line.turn(sessionId="ses_000000000000000000000000", message="x")

    assert (told["code"], told["retryable"]) == ("rate_limited", True)
    assert 0 < told["retryAfter"] <= 900
