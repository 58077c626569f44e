"""Callers of sessions: they begin one, speak, and read what is told, over any of its doors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import aiohttp
import orjson
import pytest

from rhetor.sessions.backend import Backend
from tests.conftest import Gateway, MakeGateway, settings
from tests.sessions.scripted import Scripted

READ_S = 10.0
SSE = {"Accept": "text/event-stream"}
Event = dict[str, Any]
TOKENS: dict[str, Any] = {
    "server": {"tokens": {"ann": "env:ANN", "bob": "env:BOB"}},
    "environ": {"ANN": "a" * 20, "BOB": "b" * 20, "EVE": "e" * 20},
}
ANN, BOB = ({"Authorization": f"Bearer {letter * 20}"} for letter in "ab")


@dataclass
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


class Sessions:
    """A gateway with sessions of a backend that does as it is told."""

    def __init__(self, gateway: Gateway, backend: Scripted) -> None:
        self.gateway = gateway
        self.backend = backend
        self.headers: dict[str, str] = {}
        """Of whoever calls."""

    async def ask(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] = {}) -> Reply:
        data = body if isinstance(body, bytes) or body is None else orjson.dumps(body)
        async with (
            asyncio.timeout(READ_S),
            self.gateway.session.request(
                method, self.gateway.url + path, data=data, headers={**self.headers, **headers}
            ) as reply,
        ):
            return Reply(reply.status, reply.headers, await reply.read())

    async def said(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        """The reply's body, of a call that goes well."""
        reply = await self.ask(method, path, body)
        assert reply.status == status, reply.body
        return reply.json

    async def begin(self, message: str | None = None, **more: Any) -> str:
        """A session with the scripted backend; one with a message when its first turn is over."""
        given = {"backend": self.backend.name, **more}
        if message is not None:
            given["message"] = message
        id: str = (await self.said("POST", "/v1/sessions", given, 201))["id"]
        if message is not None:
            await self.until(id, "idle")
        return id

    async def speak(self, id: str, message: str = "go on", **more: Any) -> dict[str, Any]:
        """A turn, to its end."""
        said: dict[str, Any] = await self.said(
            "POST", f"/v1/sessions/{id}/messages", {"message": message, "wait": True, **more}
        )
        return said

    async def send(self, id: str, message: str = "go on", **more: Any) -> dict[str, Any]:
        """A turn, begun."""
        path = f"/v1/sessions/{id}/messages"
        said: dict[str, Any] = await self.said("POST", path, {"message": message, **more}, 202)
        return said

    async def waiting(self, id: str, message: str = "go on") -> str:
        """A turn, up to what the agent asks; the id of that."""
        await self.send(id, message)
        session = await self.until(id, "waiting_input")
        request_id: str = session["waiting_for"][0]["request_id"]
        return request_id

    async def get(self, id: str) -> dict[str, Any]:
        session: dict[str, Any] = await self.said("GET", f"/v1/sessions/{id}")
        return session

    async def until(self, id: str, *states: str) -> dict[str, Any]:
        """The session, once it is in one of these states."""
        async with asyncio.timeout(READ_S):
            while (session := await self.get(id))["state"] not in states:
                house = self.gateway.app.house.sessions
                await house.wait(self.owner, id, session["last_seq"], 1, READ_S)
        return session

    async def log(self, id: str, after: int = 0) -> list[Event]:
        """All events, as a list tells them."""
        events: list[Event] = []
        while True:
            said = await self.said("GET", f"/v1/sessions/{id}/events?after={after}&limit=1000")
            if not said["data"]:
                return events
            events += said["data"]
            after = events[-1]["seq"]

    @property
    def owner(self) -> str:
        return self.headers.get("x-owner", "")


MakeSessions = Callable[..., Awaitable[Sessions]]


async def house(make_gateway: MakeGateway, backend: Scripted | None = None, **sections: Any) -> Sessions:
    """A gateway whose sessions can be had with this backend, too."""
    environ = sections.pop("environ", None)
    gateway = await make_gateway(settings(**sections), environ)
    backend = backend or Scripted()
    admit(gateway, backend)
    return Sessions(gateway, backend)


def admit(gateway: Gateway, backend: Backend) -> None:
    cast(dict[str, Backend], gateway.app.house.sessions.backends)[backend.name] = backend


async def take_back_the_token(sessions: Sessions, file: Path) -> None:
    """Ann's is not known any more."""
    file.write_text(file.read_text().replace("ann: env:ANN", "eve: env:EVE"))
    assert (await sessions.ask("POST", "/api/v1/reload", headers=BOB)).status == 200


@pytest.fixture
async def sessions(make_gateway: MakeGateway) -> Sessions:
    return await house(make_gateway)


class Stream:
    """Server-sent events as a reader gets them."""

    def __init__(self, reply: aiohttp.ClientResponse) -> None:
        self.reply = reply
        self.comments: list[bytes] = []

    async def frame(self) -> bytes | None:
        """The next frame that tells something; None: the stream has ended."""
        async with asyncio.timeout(READ_S):
            while line := await self.reply.content.readline():
                if line.startswith(b":"):
                    self.comments.append(line.strip())
                elif line.startswith((b"id:", b"event:", b"data:")):
                    return line + await self.reply.content.readuntil(b"\n\n")
        return None

    async def event(self) -> Event | None:
        frame = await self.frame()
        return None if frame is None else event_of(frame)

    async def until(self, type: str) -> list[Event]:
        """The events up to the first of this type."""
        events = []
        while (event := await self.event()) is not None:
            events.append(event)
            if event["type"] == type:
                return events
        raise AssertionError(f"no {type}: {events}")

    async def rest(self) -> list[Event]:
        events = []
        while (event := await self.event()) is not None:
            events.append(event)
        return events


def event_of(frame: bytes) -> Event:
    """The event, whose frame has its number as its id, and its type as its name."""
    lines = dict(line.split(b": ", 1) for line in frame.strip().split(b"\n"))
    event: Event = orjson.loads(lines[b"data"])
    assert lines[b"id"] == str(event["seq"]).encode()
    assert lines[b"event"] == event["type"].encode()
    return event


@asynccontextmanager
async def following(
    sessions: Sessions,
    id: str,
    headers: Mapping[str, str] = {},
    **query: Any,
) -> AsyncIterator[Stream]:
    """A reader of a session's log."""
    url = f"{sessions.gateway.url}/v1/sessions/{id}/events"
    given = {**SSE, **sessions.headers, **headers}
    reply = await sessions.gateway.session.get(url, headers=given, params=query)
    try:
        yield Stream(reply)
    finally:
        reply.close()


@asynccontextmanager
async def turning(sessions: Sessions, id: str, message: str = "go on") -> AsyncIterator[Stream]:
    """A reader of one turn."""
    url = f"{sessions.gateway.url}/v1/sessions/{id}/messages"
    body = {"message": message, "stream": True}
    reply = await sessions.gateway.session.post(url, json=body, headers=sessions.headers)
    try:
        yield Stream(reply)
    finally:
        reply.close()


def types(events: list[Event]) -> list[str]:
    return [event["type"] for event in events]


def text(events: list[Event]) -> str:
    return "".join(event["content"] for event in events if event["type"] == "assistant")
