"""An imitation of `opencode serve` that plays recordings, and misbehaves as its environment says.

`IMITATION_PLAYS` names the recordings of its turns, in order; `IMITATION` how it misbehaves. What it
was asked is written to `calls.jsonl` in its working folder.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from base64 import b64encode
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from aiohttp import web

RECORDINGS = Path(__file__).parent / "recordings"
SESSION = "ses_imitated"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Imitation:
    def __init__(self, misbehaves: str, plays: list[str]) -> None:
        self.misbehaves = misbehaves
        self.plays = plays
        self.messages: list[Any] = []
        self.listeners: set[asyncio.Queue[bytes | None]] = set()
        self.pending: dict[str, Any] = {}
        self.busy = False
        self.asked = asyncio.Event()
        self.aborted = asyncio.Event()
        self.work: set[asyncio.Task[None]] = set()

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self.guard])
        session = f"/session/{SESSION}"
        app.add_routes(
            [
                web.post("/session", self.reply({"id": SESSION})),
                web.get(session, self.reply({"id": SESSION})),
                web.get("/session/status", self.status),
                web.get(f"{session}/message", self.listed),
                web.post(f"{session}/prompt_async", self.prompt),
                web.post(f"{session}/abort", self.abort),
                web.get("/permission", self.waiting),
                web.post("/permission/{id}/reply", self.answer),
                web.get("/event", self.events),
            ]
        )
        return app

    @web.middleware
    async def guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        password = f"opencode:{os.environ['OPENCODE_SERVER_PASSWORD']}".encode()
        if request.headers.get("authorization") != f"Basic {b64encode(password).decode()}":
            return web.json_response({}, status=401)
        body = await request.text()
        with open("calls.jsonl", "a") as file:
            file.write(json.dumps([request.method, request.path, json.loads(body or "null")]) + "\n")
        return await handler(request)

    def reply(self, body: Any) -> Handler:
        async def handle(request: web.Request) -> web.Response:
            return web.json_response(body)

        return handle

    async def status(self, request: web.Request) -> web.Response:
        return web.json_response({SESSION: {"type": "busy"}} if self.busy else {})

    async def waiting(self, request: web.Request) -> web.Response:
        return web.json_response(list(self.pending.values()))

    async def listed(self, request: web.Request) -> web.Response:
        if self.misbehaves == "garbled list":
            return web.Response(text="{not json")
        return web.json_response(self.messages[-int(request.query["limit"]) :])

    async def prompt(self, request: web.Request) -> web.Response:
        if self.misbehaves == "refuses" and self.plays:
            self.plays.pop()
            return web.json_response({"name": "E", "data": {"message": "not like this"}}, status=400)
        self.asked.clear()
        self.aborted.clear()
        task = asyncio.get_running_loop().create_task(self.play(self.plays.pop(0)))
        self.work.add(task)
        return web.Response(status=204)

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.set()
        if self.misbehaves == "forgets questions":
            return web.json_response({"name": "NotFound", "data": {"message": "unknown"}}, status=404)
        return web.json_response(True)

    async def abort(self, request: web.Request) -> web.Response:
        self.aborted.set()
        return web.json_response(True)

    async def play(self, name: str) -> None:
        text = (RECORDINGS / f"{name}.json").read_text()
        recorded = json.loads(text.replace(json.loads(text)["session"], SESSION))
        self.busy = True
        for n, event in enumerate(recorded["events"]):
            match event["type"]:
                case "permission.asked":
                    self.pending[event["properties"]["id"]] = event["properties"]
                case "permission.replied":
                    await self.asked.wait()
                    self.asked.clear()
                    del self.pending[event["properties"]["requestID"]]
                case "session.error" if "Aborted" in json.dumps(event):
                    await self.aborted.wait()
                case "message.part.delta" if self.misbehaves == "dies in a turn":
                    os._exit(3)
                case "message.part.delta" if self.misbehaves == "garbled events":
                    self.tell(b"data: {not json\n\n")
                case "message.part.delta" if self.misbehaves == "falls silent":
                    return
                case "message.part.delta" if self.misbehaves == "idles":
                    self.busy = False
                    idle = {"type": "session.idle", "properties": {"sessionID": SESSION}}
                    self.tell(b"data: " + json.dumps(idle).encode() + b"\n\n")
                    return
                case "session.status":
                    self.busy = event["properties"]["status"]["type"] != "idle"
            if self.misbehaves == "cuts" and n % 5 == 4:
                for listener in self.listeners:
                    listener.put_nowait(None)
                self.listeners.clear()
            self.tell(b"data: " + json.dumps(event).encode() + b"\n\n")
            if n % 3 == 0:
                await asyncio.sleep(0)
        self.messages += recorded["messages"]
        if self.misbehaves == "cuts":
            self.busy = False

    def tell(self, frame: bytes) -> None:
        for listener in self.listeners:
            listener.put_nowait(frame)

    async def events(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b'data: {"id": "evt_0", "type": "server.connected", "properties": {}}\n\n')
        frames: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.listeners.add(frames)
        while (frame := await frames.get()) is not None:
            await response.write(frame)
        assert request.transport is not None
        request.transport.abort()
        return response


async def serve(misbehaves: str, plays: list[str]) -> None:
    port = int(sys.argv[sys.argv.index("--port") + 1])
    runner = web.AppRunner(Imitation(misbehaves, plays).app())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    sys.stdout.write(f"opencode server listening on http://127.0.0.1:{port}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


def main() -> None:
    misbehaves = os.environ.get("IMITATION", "")
    if "--version" in sys.argv:
        if misbehaves == "no version":
            sys.exit("no version")
        sys.stdout.write("1.18.33\n")
        return
    if misbehaves == "dies at once":
        sys.exit(f"cannot read {os.environ['OPENCODE_SERVER_PASSWORD']}")
    if misbehaves == "never ready":
        time.sleep(600)
    if misbehaves == "ignores SIGTERM":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if misbehaves == "floods":
        sys.stderr.write("noise\n" * 1_000_000)
    asyncio.run(serve(misbehaves, os.environ.get("IMITATION_PLAYS", "").split()))


if __name__ == "__main__":
    main()
