"""The chat platform as its callers meet it: a gateway with accounts, and people who sign in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import orjson

from rhetor.http.chat.passwords import Cost, Passwords
from rhetor.testing import Upstream
from tests.conftest import Gateway, MakeGateway, settings

SECRET = "canary-secret-0123456789abcdefghijklmnop"
PASSWORD = "correct horse"


class Person:
    """Somebody who talks to the platform, signed in or not."""

    def __init__(self, platform: Platform, token: str | None = None) -> None:
        self.platform = platform
        self.token = token
        self.headers = {"authorization": f"Bearer {token}"} if token else {}

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        status, told, _ = await self.asked(method, path, body, **headers)
        return status, told

    async def asked(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[int, Any, dict[str, str]]:
        """Status, parsed body, and headers by their lower-case names."""
        sent = {**self.headers, **{name.replace("_", "-"): text for name, text in headers.items()}}
        url = self.platform.url + path
        async with self.platform.session.request(method, url, json=body, headers=sent) as reply:
            got = {name.lower(): text for name, text in reply.headers.items()}
            raw = await reply.read()
            is_json = got.get("content-type", "").startswith("application/json")
            return reply.status, orjson.loads(raw) if is_json else raw, got

    async def begin(self, **wanted: Any) -> str:
        """A new session; its id."""
        status, told = await self.ask(
            "POST", "/api/v1/chat/session", {"provider": "oai", "model": "m", **wanted}
        )
        assert status == 201, told
        id: str = told["sessionId"]
        return id

    async def say(self, id: str, text: str, **more: Any) -> tuple[int, Any]:
        """A message, answered in one piece."""
        body = {"sessionId": id, "message": text, **more}
        return await self.ask("POST", "/api/v1/chat/message/simple", body)

    async def hear(self, id: str, text: str, **more: Any) -> list[dict[str, Any]]:
        """A message, answered as a stream: its frames."""
        async with self.streaming(id, text, **more) as reply:
            assert reply.status == 200, await reply.text()
            assert reply.headers["content-type"] == "text/event-stream"
            return [frame async for frame in frames(reply)]

    @asynccontextmanager
    async def streaming(self, id: str, text: str, **more: Any) -> AsyncIterator[aiohttp.ClientResponse]:
        url = f"{self.platform.url}/api/v1/chat/message"
        body = {"sessionId": id, "message": text, **more}
        async with self.platform.session.post(url, json=body, headers=self.headers) as reply:
            yield reply

    @asynccontextmanager
    async def following(self, id: str, **headers: str) -> AsyncIterator[aiohttp.ClientResponse]:
        url = f"{self.platform.url}/api/v1/chat/stream/{id}"
        sent = {**self.headers, **{name.replace("_", "-"): text for name, text in headers.items()}}
        async with self.platform.session.get(url, headers=sent) as reply:
            yield reply


class Platform:
    """Where it is served."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.session = gateway.session
        self.url = gateway.url
        self.house = gateway.app.house

    @property
    def stranger(self) -> Person:
        return Person(self)

    def with_token(self, token: str) -> Person:
        return Person(self, token)

    async def join(self, username: str = "ada", email: str | None = None) -> Person:
        """Somebody registers, and is signed in."""
        body = {"username": username, "email": email, "password": PASSWORD}
        status, told = await self.stranger.ask("POST", "/api/v1/auth/register", body)
        assert status == 201, told
        return Person(self, told["token"])


async def frames(reply: aiohttp.ClientResponse) -> AsyncIterator[dict[str, Any]]:
    """The data of server-sent events, as they come."""
    async with asyncio.timeout(10):
        async for line in reply.content:
            if line.startswith(b"data: "):
                yield orjson.loads(line[6:])


async def opened(
    make_gateway: MakeGateway,
    upstream: Upstream | None = None,
    *,
    accounts: bool = True,
    environ: Mapping[str, str] | None = None,
    **sections: Any,
) -> Platform:
    """The platform of a new gateway, with accounts or without. Its passwords are hashed at no cost."""
    given = settings(upstream, **sections)
    if accounts:
        given["sessions"] = {**given.get("sessions", {}), "jwt_secret": "env:JWT_SECRET"}
    gateway = await make_gateway(given, {"JWT_SECRET": SECRET, **(environ or {})})
    house = gateway.app.house
    if house.accounts is not None:
        house.accounts._passwords = Passwords(Cost(n=2, r=1, p=1))
    return Platform(gateway)
