"""Pictures, speech, transcripts and jobs meet the faults that text meets, and the same happens to them.

Whoever asks gets the whole medium, from whomever, or is told that there is none: never a part of one that
looks whole. Time passes faster here, for everybody alike (`tests.faults.pace`).
"""

from __future__ import annotations

import asyncio
from base64 import b64decode
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any, TypeAlias

import aiohttp
import pytest

from rhetor.testing import PNG, SENTENCE, WAV, Step, Upstream, cuts, fails, hangs, raw_frames
from tests.faults.callers import Callers
from tests.faults.house import KEYS, books, gateway, provider
from tests.faults.pace import LoopClock, run
from tests.faults.test_outcomes import log_of
from tests.http.media.recordings import MEDIA, form

PACE = 4.0
SLOW_S = 5.0  # how long a target may stay silent where another one could answer
HELLO = [{"role": "user", "content": "hi"}]
PAGE = raw_frames([b"<html><h1>Welcome to nginx!</h1></html>"], content_type="text/html")

Ask: TypeAlias = Callable[[aiohttp.ClientSession, str, str], Awaitable[object]]
"""Asks a gateway for a model; gives what came, or None where the reply broke off."""


async def _picture(session: aiohttp.ClientSession, url: str, model: str) -> object:
    body = {"model": model, "prompt": "a cat"}
    async with session.post(f"{url}/v1/images/generations", json=body) as reply:
        return b64decode((await reply.json())["data"][0]["b64_json"])


async def _speech(session: aiohttp.ClientSession, url: str, model: str) -> object:
    body = {"model": model, "input": "hi", "voice": "alloy"}
    async with session.post(f"{url}/v1/audio/speech", json=body) as reply:
        return await _read(reply)


async def _transcript(session: aiohttp.ClientSession, url: str, model: str) -> object:
    async with session.post(f"{url}/v1/audio/transcriptions", data=form(model=model)) as reply:
        return (await reply.json())["text"]


async def _job(session: aiohttp.ClientSession, url: str, model: str) -> object:
    body = {"capability": "text-to-image", "model": model, "input": "a cat"}
    async with session.post(f"{url}/v1/jobs", json=body) as reply:
        job = await reply.json()
    async with session.get(f"{url}/v1/jobs/{job['id']}/events") as events:
        await events.read()  # to its end
    async with session.get(f"{url}/v1/jobs/{job['id']}/download") as reply:
        return await _read(reply)


async def _text(session: aiohttp.ClientSession, url: str, model: str) -> object:
    body = {"model": model, "messages": HELLO}
    async with session.post(f"{url}/v1/chat/completions", json=body) as reply:
        return (await reply.json())["choices"][0]["message"]["content"]


async def _stream(session: aiohttp.ClientSession, url: str, model: str) -> object:
    body = {"model": model, "messages": HELLO, "stream": True}
    async with session.post(f"{url}/v1/chat/completions", json=body) as reply:
        return (await _read(reply) or b"").endswith(b"data: [DONE]\n\n") or None


async def _read(reply: aiohttp.ClientResponse) -> bytes | None:
    try:
        return await reply.read()
    except aiohttp.ClientPayloadError:
        return None


KINDS: Mapping[str, tuple[Ask, object]] = {
    "image": (_picture, PNG),
    "transcript": (_transcript, SENTENCE),
    "job": (_job, PNG),
    "text": (_text, "hello world"),
    "speech": (_speech, WAV),
    "stream": (_stream, True),
}
"""How each is asked for, and all of it."""
TWINS = {"image": "text", "transcript": "text", "job": "text", "speech": "stream"}
"""The text that comes in the same way: in one piece, or as it is made."""

FAULTS: Mapping[str, Sequence[Step]] = {
    "503": [fails(503)] * 9,
    "429 with Retry-After: 2, once": [fails(429, headers={"retry-after": "2"})],
    "cut before anything came": [cuts(after="headers")] * 9,
    "cut in the middle": [cuts(after="half")] * 9,
    "silent after the headers": [hangs(after="headers")] * 9,
    "a page instead of it": [PAGE] * 9,
}
BROKEN_OFF = {("cut in the middle", "speech"), ("cut in the middle", "stream")}
"""Something of it was heard, and this route lets nobody go on: the caller sees that it broke off."""
LOST = {"cut before anything came", "cut in the middle"}
"""It may have been made, and is paid for by the piece: unlike text it is not asked for there once more."""


@pytest.mark.parametrize("fault", FAULTS)
def test_media_fare_like_text(fault: str) -> None:
    heard, logs = run(play(FAULTS[fault]), PACE)
    for kind, (_, whole) in KINDS.items():
        assert heard[kind] == (None if (fault, kind) in BROKEN_OFF else whole), kind
    for kind, twin in TWINS.items():
        usual = list(dict.fromkeys(logs[twin])) if fault in LOST else logs[twin]
        assert logs[kind] == usual, f"{kind} is not treated as {twin}: {logs}"
        assert len(logs[kind]) > 1 or (fault, kind) in BROKEN_OFF, logs


async def play(fault: Sequence[Step]) -> tuple[Mapping[str, object], Mapping[str, Any]]:
    """What came of each kind, and the attempts, where the first target has this fault."""
    async with AsyncExitStack() as stack:
        given: dict[str, Any] = {
            "server": {"port": 0, "shutdown_grace_s": 1},
            "discovery": {"enabled": False, "local": False},
            "logs": {"level": "error"},
            "store": {"folder": ":memory:"},
            "providers": {},
            "routes": {},
        }
        for kind in KINDS:
            names = f"{kind}-primary", f"{kind}-fallback"
            for name, plays in zip(names, (fault, ()), strict=True):
                upstream = await stack.enter_async_context(Upstream())
                upstream.next(*plays)
                row = provider(upstream.base_url, "openai", next(iter(KEYS)))
                given["providers"][name] = {**row, "capabilities": MEDIA}
            given["routes"][kind] = {
                "targets": [f"{name}/m" for name in names],
                "midstream": "error",
                "timeouts": {"first_event_s": SLOW_S, "whole_s": SLOW_S},
            }
        app = await stack.enter_async_context(gateway(given, LoopClock()))
        callers = await stack.enter_async_context(Callers())
        asked = [ask(callers.session, app.url, kind) for kind, (ask, _) in KINDS.items()]
        heard = dict(zip(KINDS, await asyncio.gather(*asked), strict=True))
        return heard, {trip["model"]: log_of(trip) for trip in await books(app, callers, len(KINDS))}
