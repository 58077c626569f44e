"""Calls to an OpenCode server, and the stream of its events.

Seen running, version 1.18.33 of 2026-11-21; its own description is at `/doc`.
"""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator, Container, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import orjson

from rhetor.core.call import Call
from rhetor.core.content import Json
from rhetor.core.errors import Code, RhetorError, UpstreamError
from rhetor.sessions.opencode.reading import id_of
from rhetor.sessions.opencode.setting import USER
from rhetor.sessions.program import Clean
from rhetor.transport.base import Progress, Response, Transport
from rhetor.transport.pool import HttpPool
from rhetor.wire.sse import SseSplitter

CALLS = 8  # at the same time: the events, and one or two others
CONNECT_S = 3.0
CALL_S = 20.0
SILENT_S = 30.0  # it says `server.heartbeat` every 10 s
REPLY_BYTES = 256 << 20  # a list of messages has everything in it that tools ever said
PAGE = 100  # messages that are asked for first


class Refused(RhetorError):
    """The server answers, but not to this."""


class Server:
    """One server, which is asked by one conversation.

    Every call raises:
        RhetorError: not_found; unavailable, it does not answer; or protocol_error, nobody understands how.
    """

    def __init__(self, url: str, password: str, clean: Clean = bytes) -> None:
        """
        Args:
            clean: takes secrets out of whatever the server tells.
        """
        self._url = url
        self._clean = clean
        self._headers = {
            "authorization": f"Basic {b64encode(f'{USER}:{password}'.encode()).decode()}",
            "content-type": "application/json",
        }
        self._pool: Transport = HttpPool(CALLS, CONNECT_S)

    async def close(self) -> None:
        """End every call."""
        await self._pool.close()

    async def create(self, title: str) -> str:
        """A new session's id."""
        return str((await self._call("POST", "/session", {"title": title}))["id"])

    async def find(self, session: str) -> None:
        """See that it knows this session."""
        await self._call("GET", f"/session/{quote(session)}")

    async def prompt(self, session: str, body: Json) -> None:
        await self._call("POST", f"/session/{session}/prompt_async", body)

    async def abort(self, session: str) -> None:
        await self._call("POST", f"/session/{session}/abort", {})

    async def reply(self, request: str, body: Json) -> None:
        """Answer a request for permission."""
        await self._call("POST", f"/permission/{quote(request)}/reply", body)

    async def pending(self) -> Sequence[Json]:
        """Requests for permission that nobody has answered, of the session and its subagents alike."""
        return _objects(await self._call("GET", "/permission"))

    async def is_busy(self, session: str) -> bool:
        states = await self._call("GET", "/session/status")
        state = states.get(session) if isinstance(states, dict) else None
        return isinstance(state, dict) and state.get("type") != "idle"

    async def last_messages(self, session: str, count: int) -> Sequence[Json]:
        """The last so many messages, in order, each with its parts."""
        return _objects(await self._call("GET", f"/session/{session}/message?limit={count}"))

    async def messages_since(self, session: str, known: Container[str]) -> Sequence[Json]:
        """Messages in order, at least all that come after the last known one."""
        count = PAGE
        while True:
            messages = await self.last_messages(session, count)
            if len(messages) < count or any(id_of(message) in known for message in messages):
                return messages
            count *= 4

    @asynccontextmanager
    async def events(self) -> AsyncIterator[AsyncIterator[Sequence[Json]]]:
        """Its events from now on, as many at a time as have come together. They end when the connection does;
        what happens while nobody is connected is never told.
        """
        call = Call("GET", f"{self._url}/event", self._headers)
        try:
            async with asyncio.timeout(CALL_S):
                response = await self._pool.open(call, Progress())
        except TimeoutError as error:
            raise RhetorError("opencode did not answer GET /event in time", Code.UNAVAILABLE) from error
        try:
            if response.status != 200:
                raise RhetorError(f"opencode answered {response.status} to GET /event", Code.PROTOCOL)
            yield _events(response, self._clean)
        finally:
            response.close()

    async def _call(self, method: str, path: str, body: Json | None = None) -> Any:
        """The parsed reply. Any: it is whatever the server says, and read with care."""
        sent = None if body is None else orjson.dumps(body)
        try:
            async with asyncio.timeout(CALL_S):
                call = Call(method, self._url + path, self._headers, sent)
                response = await self._pool.open(call, Progress())
                try:
                    data = self._clean(await response.read(REPLY_BYTES))
                finally:
                    response.close()
        except TimeoutError as error:
            message = f"opencode did not answer {method} {_plain(path)} within {CALL_S:g} s"
            raise RhetorError(message, Code.UNAVAILABLE) from error
        if response.status >= 400:
            raise _refusal(response.status, data, f"{method} {_plain(path)}")
        try:
            return orjson.loads(data) if data else {}
        except orjson.JSONDecodeError as error:
            message = f"opencode answered {method} {_plain(path)} with what is no JSON"
            raise RhetorError(message, Code.PROTOCOL) from error


async def _events(response: Response, clean: Clean) -> AsyncIterator[Sequence[Json]]:
    splitter = SseSplitter()
    chunks = response.chunks()
    while True:
        try:
            async with asyncio.timeout(SILENT_S):
                chunk = await anext(chunks, None)
        except TimeoutError:
            return
        if chunk is None:
            return
        if events := [_event(clean(frame.data)) for frame in splitter.feed(chunk) if frame.data]:
            yield events


def _objects(answer: object) -> Sequence[Json]:
    if not isinstance(answer, list) or not all(isinstance(item, dict) for item in answer):
        raise RhetorError("opencode answered with what is no list of objects", Code.PROTOCOL)
    return answer


def _event(data: bytes) -> Json:
    try:
        event = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise UpstreamError("opencode sent an event that is no JSON", Code.PROTOCOL) from error
    return event if isinstance(event, dict) else {}


def _refusal(status: int, data: bytes, call: str) -> Refused:
    code = Code.NOT_FOUND if status == 404 else Code.UPSTREAM_ERROR
    try:
        message = str(orjson.loads(data)["data"]["message"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        message = data[:200].decode(errors="replace")
    return Refused(f"opencode answered {status} to {call}: {message}", code)


def _plain(path: str) -> str:
    return path.partition("?")[0]
