"""A provider of pictures and speech, and one whose predictions take a while, behind a gateway."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any

import aiohttp
import orjson

from rhetor.testing import Upstream, raw_frames
from rhetor.testing.script import Step
from rhetor.testing.seen import Seen
from tests.conftest import Gateway, settings

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8
CHAT = "/chat/completions"
IMAGES = "/images/generations"
SPEECH = "/audio/speech"
PREDICTIONS = "/predictions"


def studio(upstream: Upstream, **sections: Any) -> dict[str, Any]:
    """A configuration with the upstream as `lab`, which speaks OpenAI, and as `replicate`."""
    providers = {
        "lab": {
            "wire": "openai",
            "base_url": f"{upstream.base_url}/v1",
            "key": "env:TEST_KEY",
            "capabilities": ["text-to-text", "image-to-text", "embeddings", "text-to-image", "text-to-audio"],
            "default_model": "small",
            "default_models": {"text-to-image": "brush", "text-to-audio": "voice"},
        },
        "replicate": {"base_url": upstream.base_url, "key": "env:TEST_KEY"},
    }
    return settings(upstream, **{"providers": providers, **sections})


def picture(*contents: bytes) -> Step:
    """A reply with these pictures, as https://platform.openai.com/docs/api-reference/images/object
    shows it (read 2026-11-21)."""
    data = [{"b64_json": b64encode(content).decode()} for content in contents or (PNG,)]
    body = {"created": 1713833628, "data": data, "output_format": "png"}
    return raw_frames([orjson.dumps(body)], content_type="application/json")


def plays(steps: Mapping[str, Step | Callable[[Seen], Step]]) -> Callable[[Seen], Step]:
    """What is answered, by the end of the path."""

    def play(seen: Seen) -> Step:
        for end, step in steps.items():
            if end in seen.path:
                return step if isinstance(step, Step) else step(seen)
        return Step()

    return play


class Predictions:
    """Predictions as Replicate tells them, https://replicate.com/docs/reference/http (read 2026-11-21).

    There is one, which works until it is `done`, or cancelled.
    """

    def __init__(self, base_url: str, content: bytes = PNG) -> None:
        self._base_url = base_url
        self._content = content
        self.polls = 0
        self.done = False
        self.cancelled = asyncio.Event()

    def __call__(self, seen: Seen) -> Step:
        if seen.path.endswith("/cancel"):
            self.cancelled.set()
            return self._told("canceled")
        if seen.path.endswith("/file.png"):
            return raw_frames([self._content], content_type="image/png")
        if seen.method == "POST":
            return self._told("starting", 201)
        self.polls += 1
        return self._told("succeeded" if self.done else "processing")

    def _told(self, status: str, code: int = 200) -> Step:
        place = f"{self._base_url}/v1/predictions/p1"
        said: dict[str, Any] = {
            "id": "p1",
            "status": status,
            "logs": " 30%|###       | 3/10" if status == "processing" else "",
            "output": [f"{place}/file.png"] if status == "succeeded" else None,
            "urls": {"get": place, "cancel": f"{place}/cancel"},
        }
        return raw_frames([orjson.dumps(said)], code, "application/json")


async def sse(reply: aiohttp.ClientResponse, until: str | None = None) -> list[tuple[str, Any]]:
    """The events of a stream with their names, to the end or to the first of this name."""
    told: list[tuple[str, Any]] = []
    async with asyncio.timeout(10):
        while frame := await reply.content.readuntil(b"\n\n"):
            lines = dict(
                line.split(b": ", 1) for line in frame.strip().split(b"\n") if not line.startswith(b":")
            )
            if b"data" in lines:
                told.append((lines[b"event"].decode(), orjson.loads(lines[b"data"])))
                if told[-1][0] == until:
                    break
    return told


async def fetched(gateway: Gateway, path: str, **options: Any) -> tuple[int, bytes, Mapping[str, str]]:
    """Status, content and headers."""
    async with gateway.session.get(gateway.url + path, **options) as reply:
        return reply.status, await reply.read(), reply.headers
