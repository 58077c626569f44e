"""Jelmore's WebSockets: the first version's stream on the path of SSE, and the dialect of its branch v1."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import orjson
import pytest

from rhetor.http.jelmore.limits import A_MINUTE
from rhetor.sessions.manager import Sessions as Manager
from tests.conftest import MakeGateway
from tests.http.conversing import ANN, BOB, READ_S, TOKENS, Sessions, house
from tests.sessions.scripted import Scripted, asks, says

UNKNOWN = "ses_" + "0" * 24
Frame = dict[str, Any]


@pytest.fixture
async def jelmore(make_gateway: MakeGateway) -> Sessions:
    return await house(make_gateway, Scripted("claude_code"))


@asynccontextmanager
async def connected(
    jelmore: Sessions, id: str, path: str, **options: Any
) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    url = f"{jelmore.gateway.url}/api/v1/sessions/{id}/{path}"
    async with jelmore.gateway.session.ws_connect(url, **options) as socket:
        yield socket


async def frame(socket: aiohttp.ClientWebSocketResponse, type: str | None = None) -> Frame:
    """The next one, of this type."""
    while True:
        told: Frame = await socket.receive_json(timeout=READ_S)
        if type in (None, told.get("type")):
            return told


async def rest(socket: aiohttp.ClientWebSocketResponse) -> list[Frame]:
    async with asyncio.timeout(READ_S):
        return [orjson.loads(message.data) async for message in socket]


async def test_the_first_version_only_tells(jelmore: Sessions) -> None:
    id = await jelmore.begin("hi")
    log = await jelmore.log(id)
    async with connected(jelmore, id, "stream") as socket:
        told = [await frame(socket) for _ in log]
        assert [event["seq"] for event in told] == [event["seq"] for event in log]
        assert {"event_type", "content", "metadata", "timestamp", "session_id"} <= told[0].keys()
        await socket.send_json({"type": "input", "content": "hello?"})
        refused = await frame(socket)
        assert (refused["event_type"], refused["metadata"]) == ("error", {"code": "invalid_request"})
        await jelmore.said("DELETE", f"/v1/sessions/{id}")
        assert [event["content"] for event in await rest(socket)] == ["terminated"]
        assert socket.close_code == 1000
    async with connected(jelmore, id, f"stream?after={len(log)}") as socket:
        assert [event["content"] for event in await rest(socket)] == ["terminated"]


@pytest.mark.parametrize("path", ["stream", "ws"])
@pytest.mark.parametrize("id", [UNKNOWN, "x"])
async def test_an_unknown_session_is_told_by_the_code(jelmore: Sessions, path: str, id: str) -> None:
    async with connected(jelmore, id, path) as socket:
        assert await rest(socket) == []
        assert socket.close_code == 4004


@pytest.mark.parametrize("path", ["stream", "ws"])
async def test_a_failure_of_ours_is_told_by_the_code(
    jelmore: Sessions, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = await jelmore.begin("hi")

    async def broken(*_: object) -> None:
        raise RuntimeError("the disk is gone")

    monkeypatch.setattr(Manager, "read", broken)
    async with connected(jelmore, id, path) as socket:
        told = await rest(socket)
        assert socket.close_code == 1011
    assert "disk" not in str(told)


async def test_a_session_is_held_over_one_connection(jelmore: Sessions) -> None:
    jelmore.backend.next(says("one"), asks("a1"), says("two"))
    id = await jelmore.begin()
    async with connected(jelmore, id, "ws") as socket:
        greeting = await frame(socket)
        assert (greeting["type"], greeting["session_id"], greeting["status"]) == ("connected", id, "idle")
        await socket.send_json({"type": "ping"})
        assert (await frame(socket, "pong"))["timestamp"]
        await socket.send_json({"type": "input", "content": "begin"})
        await frame(socket, "input_received")
        while (told := await frame(socket, "output"))["metadata"].get("type") != "approval_request":
            assert told["event_type"] in ("user", "assistant", "system")
        await socket.send_json({"type": "get_status"})
        status = await frame(socket, "status_response")
        assert (status["id"], status["status"], status["provider"]) == (id, "waiting_input", "claude")
        await socket.send_json({"type": "input", "content": "yes"})
        while (update := await frame(socket, "status_update"))["status"] != "idle":
            pass
        assert update["previous_status"] == "active"
        assert jelmore.backend.last.verdicts["a1"].decision == "allow"
        await jelmore.said("DELETE", f"/v1/sessions/{id}")
        ended = (await rest(socket))[-1]
        assert (ended["type"], ended["status"]) == ("session_ended", "terminated")
        assert socket.close_code == 1000


async def test_input_wakes_a_suspended_session(jelmore: Sessions) -> None:
    id = await jelmore.begin("hi")
    await jelmore.said("POST", f"/v1/sessions/{id}/suspend")
    async with connected(jelmore, id, "ws") as socket:
        await socket.send_json({"type": "input", "content": "are you there?"})
        await frame(socket, "input_received")
        await jelmore.until(id, "idle")
    assert jelmore.backend.last.said[-1].text == "are you there?"


@pytest.mark.parametrize(
    "said", ["{", "[]", '{"type": "fly"}', '{"type": "input"}', '{"type": "input", "content": " "}']
)
async def test_garbage_is_answered(jelmore: Sessions, said: str) -> None:
    id = await jelmore.begin()
    async with connected(jelmore, id, "ws") as socket:
        await socket.send_str(said)
        told = await frame(socket, "error")
        assert (told["code"], bool(told["message"])) == ("invalid_request", True)
        await socket.send_json({"type": "ping"})
        await frame(socket, "pong")


async def test_the_path_of_ws_is_for_websockets(jelmore: Sessions) -> None:
    id = await jelmore.begin()
    reply = await jelmore.ask("GET", f"/api/v1/sessions/{id}/ws")
    assert (reply.status, "upgrade" in reply.json["detail"]) == (400, True)


async def test_who_may_hear_it(make_gateway: MakeGateway) -> None:
    jelmore = await house(make_gateway, Scripted("claude_code"), **TOKENS)
    id = (await jelmore.ask("POST", "/v1/sessions", {"backend": "claude_code"}, ANN)).json["id"]
    ticket = (await jelmore.ask("POST", "/api/v1/ws-ticket", headers=ANN)).json["protocols"]
    async with connected(jelmore, id, "ws", protocols=ticket) as socket:
        assert (await frame(socket))["type"] == "connected"
    async with connected(jelmore, id, "ws", headers=BOB) as socket:
        assert await rest(socket) == []
        assert socket.close_code == 4004
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        async with connected(jelmore, id, "ws"):
            pass
    assert refused.value.status == 401


@pytest.mark.promise("J33")
async def test_what_is_said_on_a_connection_is_limited_too(jelmore: Sessions) -> None:
    id = await jelmore.begin("hi")
    async with connected(jelmore, id, "ws") as socket:
        for _ in range(A_MINUTE["input"]):
            await socket.send_json({"type": "input", "content": ""})
            assert (await frame(socket, "error"))["code"] == "invalid_request"
            await socket.send_json({"type": "ping"})  # which is understood
            await frame(socket, "pong")
        await socket.send_json({"type": "input", "content": "hello?"})
        refused = await frame(socket, "error")
    assert (refused["code"], 1 <= refused["retry_after"] <= 60) == ("rate_limited", True)
    again = await jelmore.ask("POST", f"/api/v1/sessions/{id}/messages", {"message": "hello?"})
    assert again.status == 429
