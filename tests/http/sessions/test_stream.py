"""A session's log as server-sent events: nothing lost or doubled, whoever reads, leaves and comes again."""

from __future__ import annotations

import asyncio
import errno
import re
import socket
from pathlib import Path

import pytest

from rhetor.http.sessions import stream as session_stream
from rhetor.sessions.event import Event, EventType
from rhetor.tasks import spawn
from tests.conftest import MakeGateway
from tests.http.conversing import (
    ANN,
    SSE,
    TOKENS,
    Sessions,
    following,
    house,
    take_back_the_token,
    text,
    turning,
    types,
)
from tests.http.conversing import sessions as sessions  # the fixture
from tests.http.doors import http
from tests.http.following import until
from tests.sessions.scripted import Gate, Scripted, asks, says, waits
from tests.testing.caller import Caller

PIECE = "x" * 15_000
MANY = 1500
"""Events that no two sockets hold."""


def pieces(count: int) -> list[Event]:
    """Each of them an event of its own."""
    return [Event(EventType.ASSISTANT, f"{n} ", {"message_id": f"m{n}"}) for n in range(count)]


@pytest.mark.promise("J05")
@pytest.mark.promise("J36")
async def test_a_reader_gets_what_was_and_what_comes(sessions: Sessions) -> None:
    id = await sessions.begin("one")
    gate = Gate()
    sessions.backend.next(says("two "), waits(gate), says("three"))
    async with following(sessions, id) as stream:
        assert stream.reply.headers["content-type"] == "text/event-stream"
        assert stream.reply.headers["cache-control"] == "no-cache"
        before = await stream.until("assistant")
        await sessions.send(id, "go")
        heard = [*before, *await stream.until("assistant")]
        gate.open()
        await sessions.until(id, "idle")
        await sessions.said("DELETE", f"/v1/sessions/{id}")
        heard += await stream.rest()
    assert heard == await sessions.log(id)
    assert [event["seq"] for event in heard] == [*range(1, len(heard) + 1)]
    assert text(heard) == "You said: onetwo three"


async def test_whoever_was_cut_off_comes_again_for_the_rest(sessions: Sessions) -> None:
    sessions.backend.next(pieces(40))
    id = await sessions.begin()
    await sessions.speak(id)
    log = await sessions.log(id)
    heard = []
    while len(heard) < len(log):
        last = str(heard[-1]["seq"]) if heard else "0"
        async with following(sessions, id, {"Last-Event-ID": last}) as stream:
            heard += [await stream.event() for _ in range(min(7, len(log) - len(heard)))]
    assert heard == log


async def test_where_to_begin(sessions: Sessions) -> None:
    id = await sessions.begin("one")
    log = await sessions.log(id)
    async with following(sessions, id, after=3) as stream:
        assert await stream.event() == log[3]
    async with following(sessions, id, {"Last-Event-ID": "4"}, after=3) as stream:
        assert await stream.event() == log[4], "a browser comes again to the same address"
    async with following(sessions, id, {"Last-Event-ID": str(len(log))}) as stream:
        await sessions.send(id)
        event = await stream.event()
        assert event is not None
        assert event["seq"] == len(log) + 1


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({"Last-Event-ID": "x"}, ""),
        ({"Last-Event-ID": "9" * 30}, ""),
        ({"Last-Event-ID": "1000"}, ""),
        ({}, "?after=1000"),
        ({}, "?after=-1"),
        ({}, "?follow=maybe"),
        ({"Accept": "application/json"}, "?limit=0"),
    ],
)
async def test_where_nobody_can_begin(sessions: Sessions, headers: dict[str, str], query: str) -> None:
    """A number of another session's event must not wait for what never comes."""
    id = await sessions.begin()
    reply = await sessions.ask("GET", f"/v1/sessions/{id}/events{query}", headers={**SSE, **headers})
    assert reply.status == 400, reply.body


@pytest.mark.parametrize(
    ("accept", "query", "streams"),
    [
        ("text/event-stream", "", True),
        ("text/event-stream", "?follow=false", False),
        ("*/*", "", False),
        ("*/*", "?follow=true", True),
        ("application/json, text/event-stream", "", True),
    ],
)
async def test_who_gets_a_stream(sessions: Sessions, accept: str, query: str, streams: bool) -> None:
    id = await sessions.begin("one")
    await sessions.said("DELETE", f"/v1/sessions/{id}")
    reply = await sessions.ask("GET", f"/v1/sessions/{id}/events{query}", headers={"Accept": accept})
    assert (b"\ndata: " in reply.body) is streams


async def test_a_list_is_paged(sessions: Sessions) -> None:
    sessions.backend.next(pieces(30))
    id = await sessions.begin()
    await sessions.speak(id)
    first = await sessions.said("GET", f"/v1/sessions/{id}/events?limit=10")
    assert [event["seq"] for event in first["data"]] == [*range(1, 11)]
    assert (first["last_seq"] > 30, first["state"], first["ended"]) == (True, "idle", False)
    assert len(await sessions.log(id)) == first["last_seq"]


async def test_who_has_heard_the_end_is_not_told_to_come_again(sessions: Sessions) -> None:
    id = await sessions.begin("one")
    await sessions.said("DELETE", f"/v1/sessions/{id}")
    async with following(sessions, id) as stream:
        heard = await stream.rest()
    assert heard == await sessions.log(id)
    again = {**SSE, "Last-Event-ID": str(heard[-1]["seq"])}
    assert (await sessions.ask("GET", f"/v1/sessions/{id}/events", headers=again)).status == 204


async def test_readers_are_independent(sessions: Sessions) -> None:
    gate = Gate()
    sessions.backend.next(pieces(20), waits(gate), pieces(20))
    id = await sessions.begin()
    async with following(sessions, id) as one, following(sessions, id) as two:
        await sessions.send(id)
        heard_by_one = await one.until("assistant")
        async with following(sessions, id, after=5) as three:
            gate.open()
            await sessions.until(id, "idle")
            await sessions.said("DELETE", f"/v1/sessions/{id}")
            log = await sessions.log(id)
            assert await two.rest() == log
            assert await three.rest() == log[5:]
            assert heard_by_one + await one.rest() == log


async def test_one_who_is_forgotten_under_a_reader(sessions: Sessions) -> None:
    id = await sessions.begin("one")
    async with following(sessions, id) as stream:
        await stream.until("assistant")
        await sessions.said("DELETE", f"/v1/sessions/{id}?forget=true")
        rest = await stream.rest()
    assert types(rest)[-1] == "status_change"


async def test_a_silent_stream_is_kept_alive(make_gateway: MakeGateway) -> None:
    sessions = await house(make_gateway, server={"keepalive_s": 0.05})
    id = await sessions.begin("one")
    async with following(sessions, id, after=(await sessions.get(id))["last_seq"]) as stream:
        reading = spawn(stream.event(), "reader")
        async with asyncio.timeout(5):
            while len(stream.comments) < 3:
                await asyncio.sleep(0.01)
        assert set(stream.comments) == {b": keep-alive"}
        await sessions.send(id)
        event = await reading
        assert event is not None
        assert event["type"] == "status_change"


# Turns.


async def test_a_turn_can_be_streamed(sessions: Sessions) -> None:
    sessions.backend.next(says("one "), asks("a1"), says("two"))
    id = await sessions.begin()
    async with turning(sessions, id, "go") as stream:
        heard = await stream.until("approval_request")
        assert heard[0]["content"] in ("go", "active")
        await sessions.said("POST", f"/v1/sessions/{id}/approvals/a1", {"decision": "allow"})
        heard += await stream.rest()
    assert text(heard) == "one two"
    assert (heard[-1]["type"], heard[-1]["data"]["to"]) == ("status_change", "idle")
    assert [event["content"] for event in heard if event["type"] == "user"] == ["go"]


async def test_a_turn_is_streamed_for_whoever_accepts_that(sessions: Sessions) -> None:
    id = await sessions.begin()
    path = f"/v1/sessions/{id}/messages"
    streamed = await sessions.ask("POST", path, {"message": "hi", "message_id": "m"}, SSE)
    assert streamed.headers["content-type"] == "text/event-stream"
    again = await sessions.ask("POST", path, {"message": "hi", "message_id": "m"}, SSE)
    assert again.body == streamed.body
    not_so = await sessions.ask("POST", path, {"message": "hi", "message_id": "m", "stream": False}, SSE)
    assert (not_so.status, not_so.json["again"]) == (202, True)


async def test_a_reader_that_leaves_does_not_stop_the_turn(sessions: Sessions) -> None:
    gate = Gate()
    sessions.backend.next(says("one "), waits(gate), says("two"))
    id = await sessions.begin()
    async with turning(sessions, id) as stream:
        await stream.until("assistant")
    await gate.reached.wait()
    gate.open()
    await sessions.until(id, "idle")
    assert text(await sessions.log(id)) == "one two"
    assert sessions.backend.last.interrupts == 0


async def test_a_message_that_is_refused_has_a_status(sessions: Sessions) -> None:
    id = await sessions.begin()
    await sessions.said("POST", f"/v1/sessions/{id}/suspend")
    reply = await sessions.ask("POST", f"/v1/sessions/{id}/messages", {"message": "hi", "stream": True})
    assert (reply.status, reply.json["state"]) == (409, "suspended")


# Readers that are slow, leave, or may not read any more.


async def test_a_reader_that_leaves_is_left_at_once(sessions: Sessions) -> None:
    id = await sessions.begin("one")
    before = len(asyncio.all_tasks())
    async with following(sessions, id) as stream:
        await stream.until("assistant")
        assert len(asyncio.all_tasks()) > before
    async with asyncio.timeout(0.5):
        await until(lambda: len(asyncio.all_tasks()) <= before)


async def test_a_reader_that_takes_nothing_is_dropped(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And holds up nobody: the turn ends, and others read all of it."""
    monkeypatch.setattr(session_stream, "SLOW_S", 0.2)
    sessions.backend.next([Event(EventType.ASSISTANT, PIECE, {"message_id": f"m{n}"}) for n in range(MANY)])
    id = await sessions.begin()
    async with Caller(sessions.gateway.url) as caller:
        caller.writer.write(http("GET", f"/v1/sessions/{id}/events?follow=true"))
        assert b" 200 " in await caller.head()
        ended = await sessions.speak(id)
        assert (ended["reason"], ended["complete"], len(ended["text"])) == ("end", False, MANY * len(PIECE))
        connection = caller.writer.get_extra_info("socket")
        await until(lambda: connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNRESET)
    async with following(sessions, id) as stream:
        heard = [await stream.event() for _ in range(ended["session"]["last_seq"])]
    assert [event and event["seq"] for event in heard] == [*range(1, len(heard) + 1)]


async def test_a_token_that_is_taken_back_ends_the_stream(
    make_gateway: MakeGateway, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(session_stream, "LOOK_S", 0.05)
    sessions = await house(make_gateway, **TOKENS)
    sessions.headers = ANN
    id = (await sessions.said("POST", "/v1/sessions", {"backend": "scripted"}, 201))["id"]
    async with following(sessions, id) as stream:
        await stream.event()
        await take_back_the_token(sessions, tmp_path / "rhetor.yaml")
        assert await stream.rest() == []
        assert any(b"token" in comment for comment in stream.comments)


# Shutdown.


async def test_a_stream_ends_with_the_house_and_says_so(make_gateway: MakeGateway) -> None:
    """What was suspended is told first, and the stop is not held up."""
    sessions = await house(make_gateway)
    id = await sessions.begin("one")
    async with following(sessions, id) as stream:
        await stream.until("assistant")
        async with asyncio.timeout(2):
            await sessions.gateway.app.stop()
        rest = await stream.rest()
    assert rest[-1]["data"]["to"] == "suspended"
    assert any(b"shutting down" in comment for comment in stream.comments)


async def test_a_turn_that_does_not_end_is_cut_with_its_stream(make_gateway: MakeGateway) -> None:
    sessions = await house(make_gateway, Scripted(), server={"shutdown_grace_s": 0.1})
    sessions.backend.next(says("one"), waits(deaf=True))
    id = await sessions.begin()
    async with turning(sessions, id) as stream:
        await stream.until("assistant")
        async with asyncio.timeout(5):
            await sessions.gateway.app.stop()
        rest = await stream.rest()
    assert rest[-1]["data"]["to"] == "suspended"


def test_the_comment_is_no_event() -> None:
    """A blank line after it would be taken for one by readers that remember the last id."""
    assert re.fullmatch(rb": [\w-]+\n", session_stream.KEEPALIVE)
