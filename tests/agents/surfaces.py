"""Everything that a session can be seen on, each following one from its beginning to its end.

They read on by themselves when the gateway was away. What they were told they keep as the plain list of
events would tell it, so that all of them can be compared with that.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import aiohttp
import orjson
from playwright.async_api import Page, WebSocket, expect

from rhetor.tasks import Tasks
from rhetor.testing.waiting import Changes
from rhetor.wire.sse import SseSplitter
from tekton_llm_client.sessions import SessionsClient
from tests.agents.house import WITHIN_S, Json, ends_turn
from tests.agents.terminal import Seat

AGAIN_S = 0.05  # between two tries to reach a gateway that is away
GONE = (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, ConnectionError)


class Surface:
    """Whoever hears of a session's events."""

    def __init__(self, url: str, id: str) -> None:
        self.url = url
        self.id = id
        self.heard: list[Json] = []
        self.ended = False
        """The surface itself has found out that nothing follows."""
        self._changes = Changes()

    def on_event(self, event: Json) -> None:
        self.heard.append(event)
        self._changes.tell()

    def on_end(self) -> None:
        self.ended = True
        self._changes.tell()

    async def until(self, holds: Callable[[Json], bool], after: int = 0) -> Json:
        """The first event with a greater number of which this is true, once it was told."""

        def found() -> list[Json]:
            return [event for event in self.heard if event["seq"] > after and holds(event)]

        what = f"{type(self).__name__} is told something; {[it['type'] for it in self.heard[-5:]]}"
        await self._changes.until(lambda: bool(found()), WITHIN_S, what)
        return found()[0]

    async def to_the_end(self) -> list[Json]:
        what = f"{type(self).__name__} ends; {[it['type'] for it in self.heard[-5:]]}"
        await self._changes.until(lambda: self.ended, WITHIN_S, what)
        return self.heard


class Lines(Surface):
    """Server-sent events, by whoever can read HTTP."""

    async def follow(self) -> None:
        async with aiohttp.ClientSession() as session:
            while not self.ended:
                try:
                    await self._once(session)
                except GONE:
                    await asyncio.sleep(AGAIN_S)

    async def _once(self, session: aiohttp.ClientSession) -> None:
        last = self.heard[-1]["seq"] if self.heard else 0
        headers = {"accept": "text/event-stream", "last-event-id": str(last)}
        async with session.get(f"{self.url}/v1/sessions/{self.id}/events", headers=headers) as reply:
            if reply.status == 204:
                self.on_end()
                return
            assert reply.status == 200, await reply.text()
            splitter = SseSplitter()
            async for data in reply.content.iter_any():
                for frame in splitter.feed(data):
                    if frame.data:
                        event = orjson.loads(frame.data)
                        assert frame.event == event["type"]
                        assert f"id: {event['seq']}\n".encode() in frame.raw
                        self.on_event(event)


class Cable(Surface):
    """A WebSocket, on which things are said as well."""

    def __init__(self, url: str, id: str) -> None:
        super().__init__(url, id)
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self.replies: list[Json] = []

    async def follow(self) -> None:
        async with aiohttp.ClientSession() as session:
            while not self.ended:
                try:
                    await self._once(session)
                except GONE:
                    await asyncio.sleep(AGAIN_S)

    async def _once(self, session: aiohttp.ClientSession) -> None:
        last = self.heard[-1]["seq"] if self.heard else 0
        path = f"/v1/sessions/{self.id}/events?after={last}"
        async with session.ws_connect(self.url + path) as self._socket:
            async for message in self._socket:
                said = orjson.loads(message.data)
                if said["type"] == "event":
                    self.on_event(said["event"])
                else:
                    self.replies.append(said)
                    self._changes.tell()
        if self._socket.close_code == aiohttp.WSCloseCode.OK:
            self.on_end()

    async def do(self, command: str, **more: Any) -> Json:
        """What is answered to it."""
        assert self._socket is not None
        ref = f"{command} {len(self.replies)}"
        await self._socket.send_json({"type": command, "ref": ref, **more})

        def found() -> list[Json]:
            return [reply for reply in self.replies if reply.get("ref") == ref]

        await self._changes.until(lambda: bool(found()), WITHIN_S, f"a reply to {command}")
        (reply,) = found()
        assert reply["type"] == "reply", reply
        return reply


class Library(Surface):
    """The Python client."""

    def __init__(self, client: SessionsClient, id: str) -> None:
        super().__init__(client.rhetor_url, id)
        self._client = client

    async def follow(self) -> None:
        async for event in self._client.stream(self.id):
            at = event.at.isoformat() if event.at else None
            self.on_event({**asdict(event), "type": str(event.type), "at": at})
        self.on_end()


class Window(Surface):
    """The console's page of sessions, in a browser. What it is told comes over its WebSocket."""

    def __init__(self, url: str, id: str, page: Page) -> None:
        super().__init__(url, id)
        self.page = page
        page.on("websocket", self._on_socket)

    async def follow(self) -> None:
        await self.page.goto(f"{self.url}/console/sessions.html#{self.id}")
        state = self.page.locator("#connection")
        await expect(state).to_have_text("live", timeout=WITHIN_S * 1000)
        await expect(state).to_have_text("ended", timeout=10 * WITHIN_S * 1000)
        self.on_end()

    async def say(self, text: str) -> None:
        await self.page.fill("#message", text)
        await self.page.press("#message", "Enter")

    async def approve(self) -> None:
        await self.page.locator(".ask").get_by_role("button", name="Approve").click(timeout=WITHIN_S * 1000)

    async def shows(self) -> str:
        """The transcript, as somebody reads it; parts that are folded by their headlines."""
        text: str = await self.page.locator("#log").inner_text()
        return text

    def _on_socket(self, socket: WebSocket) -> None:
        socket.on("framereceived", self._on_frame)

    def _on_frame(self, frame: str | bytes) -> None:
        said = orjson.loads(frame)
        if said["type"] == "event":
            self.on_event(said["event"])


class Chair(Surface):
    """`rhetor sessions attach` in a terminal, which shows in words what happens."""

    def __init__(self, folder: Path, url: str, id: str) -> None:
        super().__init__(url, id)
        self._folder = folder
        self.seat: Seat | None = None

    async def follow(self) -> None:
        self.seat = await Seat.at(self._folder, self.url, "sessions", "attach", self.id)
        try:
            self.code = await self.seat.process.wait()
            self.on_end()
        finally:
            await self.seat.close()

    async def shows(self, text: str) -> None:
        """Return once it stands there."""
        async with asyncio.timeout(WITHIN_S):
            while self.seat is None or text not in self.seat.paper.text:
                await asyncio.sleep(0.02)

    def type(self, keys: str) -> None:
        assert self.seat is not None
        self.seat.type(keys)


class Surfaces:
    """All of them, before one session."""

    def __init__(self, folder: Path, client: SessionsClient, id: str, page: Page) -> None:
        self.lines = Lines(client.rhetor_url, id)
        self.cable = Cable(client.rhetor_url, id)
        self.library = Library(client, id)
        self.window = Window(client.rhetor_url, id, page)
        self.chair = Chair(folder, client.rhetor_url, id)
        self.all = (self.lines, self.cable, self.library, self.window, self.chair)
        self._tasks = Tasks()

    async def __aenter__(self) -> Surfaces:
        for surface in self.all:
            self._tasks.spawn(surface.follow(), type(surface).__name__)
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self._tasks.close()

    async def until(self, holds: Callable[[Json], bool], after: int = 0) -> Json:
        """Every surface that tells events was told this."""
        told = [await it.until(holds, after) for it in self.all if not isinstance(it, Chair)]
        return told[0]

    async def turn_ends(self, after: int) -> Json:
        return await self.until(ends_turn, after)


def in_order(shown: str, fragments: Sequence[str]) -> None:
    """Each of them stands there, one after the other."""
    place = 0
    for n, fragment in enumerate(fragments):
        found = re.compile(re.escape(fragment)).search(shown, place)
        assert found, f"{fragment!r} does not follow {fragments[:n][-3:]} in:\n{shown}"
        place = found.end()
