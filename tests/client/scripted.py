"""A gateway that says, in the Tekton dialect, what a test wants it to say."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

GOLDEN = Path(__file__).parent.parent / "golden" / "tekton"
"""What the gateway's own tests hold it to, to the byte."""


def golden(name: str) -> bytes:
    return (GOLDEN / name).read_bytes()


REPLY = json.loads(golden("chat_reply.json"))

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class ScriptedGateway:
    url: str = ""
    requests: list[tuple[web.Request, Any]] = field(default_factory=list)
    """Every request with its parsed body."""
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a client went away before its reply was complete."""
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a client had its generation ended."""
    _answers: list[Answer] = field(default_factory=list)

    @property
    def body(self) -> Any:
        return self.requests[-1][1]

    def then(self, answer: Answer) -> ScriptedGateway:
        """Gives the next request to this answer; the last one answers all that follow."""
        self._answers.append(answer)
        return self

    def says(self, status: int, body: object, headers: Mapping[str, str] = {}) -> ScriptedGateway:
        async def answer(_request: web.Request) -> web.StreamResponse:
            return web.json_response(body, status=status, headers=headers)

        return self.then(answer)

    def streams(self, *frames: bytes, ending: str = "complete", recorded: bool = False) -> ScriptedGateway:
        """Writes the frames one by one, then ends the body, or cuts the connection, or falls silent."""

        async def answer(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse(headers={"content-type": "text/event-stream"})
            if recorded:
                response.headers["x-rhetor-generation-id"] = "gen_1"
            await response.prepare(request)
            for frame in frames:
                await response.write(frame)
            if ending == "cut":
                assert request.transport is not None
                request.transport.abort()
            elif ending == "silence":
                await asyncio.Event().wait()
            return response

        return self.then(answer)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        text = await request.text()
        self.requests.append((request, json.loads(text) if text else None))
        if request.method == "DELETE":
            self.ended.set()
            return web.json_response({"state": "cancelled"})
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        try:
            return await answer(request)
        except asyncio.CancelledError:
            self.left.set()
            raise


def frame(chunk: str, **more: object) -> bytes:
    said = {"chunk": chunk, "context_id": "comp", "model": "m-def", "provider": "anthropic", "done": False}
    return b"data: " + json.dumps(said | {"timestamp": REPLY["timestamp"]} | more).encode() + b"\n\n"


def event(id: str, chunk: str, **more: object) -> bytes:
    """A frame of a recorded generation."""
    return f"id: {id}\n".encode() + frame(chunk, **more)
