"""A session over a WebSocket: events come, commands go, and neither waits for the other."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp import WSMsgType

from rhetor.http.sessions import socket as session_socket
from rhetor.http.sessions import stream as session_stream
from rhetor.sessions.event import Event, EventType
from rhetor.tasks import spawn
from tests.conftest import MakeGateway
from tests.http.conversing import ANN, BOB, READ_S, TOKENS, Sessions, house, take_back_the_token, text
from tests.http.conversing import sessions as sessions  # the fixture
from tests.http.following import until
from tests.sessions.scripted import Gate, asks, says, waits
from tests.testing.caller import Caller

Socket = aiohttp.ClientWebSocketResponse
Frame = dict[str, Any]
UPGRADE = (
    "host: localhost\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\n"
    "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


@asynccontextmanager
async def connected(sessions: Sessions, id: str, query: str = "", **options: Any) -> AsyncIterator[Socket]:
    url = f"{sessions.gateway.url}/v1/sessions/{id}/events{query}"
    options.setdefault("headers", sessions.headers)
    async with sessions.gateway.session.ws_connect(url, **options) as line:
        yield line


async def frame(line: Socket) -> Frame:
    told: Frame = await line.receive_json(timeout=READ_S)
    return told


async def reply(line: Socket, ref: Any = None) -> Frame:
    """The next frame that is no event."""
    while (told := await frame(line))["type"] == "event":
        pass
    assert told.get("ref") == ref, told
    return told


async def event(line: Socket, type: str) -> Frame:
    """The next event of this type."""
    while True:
        told = await frame(line)
        if told["type"] == "event" and told["event"]["type"] == type:
            happened: Frame = told["event"]
            return happened


async def events_to_the_end(line: Socket) -> list[Frame]:
    told: list[Frame] = []
    async with asyncio.timeout(READ_S):
        async for message in line:
            said = orjson.loads(message.data)
            if said["type"] == "event":
                told.append(said["event"])
    return told


async def closed(line: Socket) -> int | None:
    """The code with which the gateway hangs up."""
    async with asyncio.timeout(READ_S):
        async for _ in line:
            pass
    return line.close_code


async def test_a_session_is_led_over_one_connection(sessions: Sessions) -> None:
    sessions.backend.next(says("one "), asks("a1"), says("two"))
    sessions.backend.next(says("three"), waits())
    id = await sessions.begin()
    async with connected(sessions, id) as line:
        await line.send_json({"type": "message", "message": "go", "message_id": "m-1", "ref": 1})
        taken = await reply(line, 1)
        assert (taken["type"], taken["to"], taken["message_id"]) == ("reply", "message", "m-1")
        assert (taken["again"], taken["session"]["id"]) == (False, id)
        asked = await event(line, "approval_request")
        await line.send_json(
            {"type": "approve", "request_id": asked["data"]["request_id"], "decision": "allow", "ref": "x"}
        )
        assert (await reply(line, "x"))["session"]["state"] == "active"
        assert (await event(line, "assistant"))["content"] == "two"
        await sessions.until(id, "idle")
        await line.send_json({"type": "message", "message": "more"})
        await event(line, "assistant")
        await line.send_json({"type": "interrupt", "ref": 3})
        assert (await reply(line, 3))["to"] == "interrupt"
        assert (await event(line, "status_change"))["data"]["reason"] == "interrupted"
        await line.send_json({"type": "suspend", "ref": 4})
        state = (await reply(line, 4))["state"]
        assert state["session_id"] == id
        await line.send_json({"type": "resume", "state": state, "ref": 5})
        assert (await reply(line, 5))["session"]["state"] == "idle"
        await line.send_json({"type": "ping", "ref": 6})
        assert await reply(line, 6) == {"type": "pong", "ref": 6}
        await line.send_json({"type": "terminate", "reason": "done", "ref": 7})
        assert (await reply(line, 7))["session"]["state"] == "terminated"
        assert await closed(line) == 1000


async def test_it_tells_the_same_as_every_other_way(sessions: Sessions) -> None:
    id = await sessions.begin("one")
    async with connected(sessions, id) as from_the_beginning, connected(sessions, id, "?after=4") as later:
        await sessions.speak(id, "two")
        await sessions.said("DELETE", f"/v1/sessions/{id}")
        log = await sessions.log(id)
        assert await events_to_the_end(from_the_beginning) == log
        assert await events_to_the_end(later) == log[4:]
    async with connected(sessions, id) as ended:
        assert await events_to_the_end(ended) == log
        assert ended.close_code == 1000


async def test_a_command_does_not_wait_for_another(sessions: Sessions) -> None:
    """Nor do events: an agent that takes long to start can be told to stop."""
    sessions.backend.door = Gate()
    id = await sessions.begin()
    async with connected(sessions, id) as line:
        await line.send_json({"type": "message", "message": "go", "ref": 1})
        assert (await reply(line, 1))["session"]["state"] in ("active", "initializing")
        await sessions.backend.door.reached.wait()
        await line.send_json({"type": "interrupt", "ref": 2})
        assert (await reply(line, 2))["type"] == "reply"
        assert (await event(line, "status_change"))["data"]["to"] == "idle"
    sessions.backend.door.open()


async def test_what_is_not_possible_is_an_error_with_its_ref(sessions: Sessions) -> None:
    id = await sessions.begin()
    async with connected(sessions, id) as line:
        answer = {"type": "approve", "request_id": "a", "decision": "deny"}
        for command in ({"type": "interrupt"}, {"type": "resume"}, answer):
            await line.send_json({**command, "ref": command["type"]})
            told = await reply(line, command["type"])
            assert (told["type"], told["error"]["code"]) == ("error", "conflict")
        await line.send_json({"type": "ping"})
        assert await reply(line) == {"type": "pong"}


@pytest.mark.parametrize(
    ("command", "param"),
    [
        ({"type": "message"}, "message"),
        ({"type": "message", "message": "a", "strem": 1}, "strem"),
        ({"type": "message", "message": "a", "wait": True}, "wait"),
        ({"type": "approve", "decision": "allow"}, "request_id"),
        ({"type": "approve", "request_id": "a", "decision": "maybe"}, "decision"),
        ({"type": "interrupt", "reason": "x"}, "reason"),
        ({"type": "resume", "state": 1}, "state"),
        ({"type": "terminate", "reason": "x" * 300}, "reason"),
    ],
)
async def test_commands_that_are_wrong(sessions: Sessions, command: Frame, param: str) -> None:
    id = await sessions.begin()
    async with connected(sessions, id) as line:
        await line.send_json({**command, "ref": 9})
        told = await reply(line, 9)
        assert (told["type"], told["error"]["param"]) == ("error", param)
    assert (await sessions.get(id))["turn"] == 0


async def test_garbage_is_answered_and_too_much_of_it_is_not(sessions: Sessions) -> None:
    id = await sessions.begin()
    garbage = ["", "{", "[]", '"x"', "{}", '{"type": 1}', '{"type": "fly"}', '{"type": "fly", "ref": [1]}']
    async with connected(sessions, id) as line:
        for said in garbage:
            await line.send_str(said)
            assert (await reply(line))["error"]["code"] == "invalid_request"
        await line.send_bytes(b"\xff\xfe")
        assert (await reply(line))["type"] == "error"
        await line.send_bytes(b'{"type": "ping"}')
        assert (await reply(line))["type"] == "pong"
        for _ in range(session_socket.MOST_BAD):
            await line.send_str("{")
        assert await closed(line) == 1008
    assert (await sessions.get(id))["state"] == "idle"


async def test_too_many_commands_at_the_same_time(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_socket, "MOST_COMMANDS", 0)
    id = await sessions.begin()
    async with connected(sessions, id) as line:
        await line.send_json({"type": "ping", "ref": 1})
        assert (await reply(line, 1))["error"]["code"] == "rate_limited"


async def test_a_frame_that_is_too_large(make_gateway: MakeGateway) -> None:
    sessions = await house(make_gateway, server={"max_frame_kb": 16})
    id = await sessions.begin()
    async with connected(sessions, id) as line:
        await line.send_json({"type": "message", "message": "x" * 20_000})
        assert await closed(line) == 1009


async def test_a_caller_that_leaves_does_not_stop_the_turn(sessions: Sessions) -> None:
    gate = Gate()
    sessions.backend.next(says("one "), waits(gate), says("two"))
    id = await sessions.begin()
    before = len(asyncio.all_tasks())
    async with connected(sessions, id) as line:
        await line.send_json({"type": "message", "message": "go"})
        await event(line, "assistant")
    gate.open()
    await sessions.until(id, "idle")
    assert text(await sessions.log(id)) == "one two"
    await sessions.said("POST", f"/v1/sessions/{id}/suspend")
    await until(lambda: len(asyncio.all_tasks()) <= before + 1)


async def test_a_caller_that_takes_nothing_is_left(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_socket, "SLOW_S", 0.2)
    large = [Event(EventType.ASSISTANT, "x" * 15_000, {"message_id": f"m{n}"}) for n in range(1500)]
    sessions.backend.next(large)
    id = await sessions.begin()
    async with Caller(sessions.gateway.url) as caller:
        caller.writer.write(f"GET /v1/sessions/{id}/events HTTP/1.1\r\n{UPGRADE}\r\n".encode())
        assert b" 101 " in await caller.head()
        assert (await sessions.speak(id))["reason"] == "end"
        connection = caller.writer.get_extra_info("socket")
        await until(lambda: connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNRESET)


# Who may.


@pytest.mark.parametrize("id", ["ses_" + "0" * 24, "x"])
async def test_a_session_that_there_is_not_is_no_connection(sessions: Sessions, id: str) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        async with connected(sessions, id):
            pass
    assert refused.value.status == 404


async def test_a_place_that_there_is_not(sessions: Sessions) -> None:
    id = await sessions.begin()
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        async with connected(sessions, id, "?after=99"):
            pass
    assert refused.value.status == 400


async def test_a_ticket_opens_it_once(make_gateway: MakeGateway) -> None:
    sessions = await house(make_gateway, **TOKENS)
    id = (await sessions.ask("POST", "/v1/sessions", {"backend": "scripted"}, ANN)).json["id"]
    mine = (await sessions.ask("POST", "/api/v1/ws-ticket", headers=ANN)).json["protocols"]
    other = (await sessions.ask("POST", "/api/v1/ws-ticket", headers=BOB)).json["protocols"]
    async with connected(sessions, id, protocols=mine) as line:
        assert (await event(line, "status_change"))["session_id"] == id
        await line.send_json({"type": "interrupt", "ref": 1})
        assert (await reply(line, 1))["error"]["code"] == "conflict"
    for protocols, status in ((mine, 401), (other, 404), ([], 401)):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with connected(sessions, id, protocols=protocols):
                pass
        assert refused.value.status == status


async def test_a_foreign_page_gets_no_connection(sessions: Sessions) -> None:
    id = await sessions.begin()
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        async with connected(sessions, id, headers={"Origin": "https://evil.example"}):
            pass
    assert refused.value.status == 403


async def test_a_token_that_is_taken_back_is_good_for_no_command(
    make_gateway: MakeGateway, tmp_path: Path
) -> None:
    sessions = await house(make_gateway, **TOKENS)
    sessions.headers = ANN
    id = (await sessions.said("POST", "/v1/sessions", {"backend": "scripted"}, 201))["id"]
    async with connected(sessions, id) as line:
        await take_back_the_token(sessions, tmp_path / "rhetor.yaml")
        await line.send_json({"type": "message", "message": "go"})
        assert (await reply(line))["error"]["code"] == "unauthenticated"
    assert sessions.backend.conversations == []


async def test_a_token_that_is_taken_back_hears_no_more(
    make_gateway: MakeGateway, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(session_stream, "LOOK_S", 0.05)
    sessions = await house(make_gateway, **TOKENS)
    sessions.headers = ANN
    id = (await sessions.said("POST", "/v1/sessions", {"backend": "scripted"}, 201))["id"]
    async with connected(sessions, id) as line:
        await take_back_the_token(sessions, tmp_path / "rhetor.yaml")
        assert (await reply(line))["error"]["code"] == "unauthenticated"
        assert await closed(line) == 1008


# The end of the house.


async def test_the_house_says_goodbye(make_gateway: MakeGateway) -> None:
    sessions = await house(make_gateway)
    id = await sessions.begin("one")
    async with connected(sessions, id) as line:
        await event(line, "assistant")
        async with asyncio.timeout(3):
            stop = spawn(sessions.gateway.app.stop(), "stop")
            told = []
            async for message in line:
                assert message.type is WSMsgType.TEXT
                told.append(orjson.loads(message.data))
            await stop
        assert line.close_code == 1001
    assert told[-2]["event"]["data"]["to"] == "suspended"
    assert told[-1]["error"]["code"] == "shutting_down"


async def test_a_conflict_names_the_state(sessions: Sessions) -> None:
    id = await sessions.begin("hi")
    await sessions.said("POST", f"/v1/sessions/{id}/suspend")
    async with connected(sessions, id) as line:
        await line.send_json({"type": "message", "message": "go", "ref": 1})
        told = await reply(line, 1)
    assert (told["type"], told["error"]["code"], told["error"]["state"]) == ("error", "conflict", "suspended")


async def test_only_get_upgrades(sessions: Sessions) -> None:
    id = await sessions.begin("hi")
    reply = await sessions.ask("HEAD", f"/v1/sessions/{id}/events", None, {"Upgrade": "websocket"})
    assert (reply.status, reply.body) == (200, b"")
