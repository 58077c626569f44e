"""Vendors' languages in use: a row of the built-in table, its transport, and a server with recorded bytes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from rhetor.core.capability import Capability
from rhetor.core.errors import RhetorError
from rhetor.core.events import Event, Failed, Folded, Grammar, fold
from rhetor.core.media import Draw, Speak, Transcribe
from rhetor.core.request import Input, Request
from rhetor.providers.builtin import load_builtin
from rhetor.providers.discovery import list_models
from rhetor.providers.provider import Provider
from rhetor.testing import Seen, Step, Upstream, raw_frames
from rhetor.transport.base import Progress
from rhetor.transport.pool import HttpPool
from rhetor.wire.base import ModelEntry
from rhetor.wire.languages import WIRES
from rhetor.wire.multipart import FormField, parse_form

KEY = "sk-canary-media-0123456789"
ROWS = load_builtin()


@dataclass
class Heard:
    """What was asked, and what was made of the answer."""

    seen: Seen
    events: list[Event]
    dropped: tuple[str, ...]

    @property
    def folded(self) -> Folded:
        return fold(self.events)

    @property
    def error(self) -> RhetorError:
        assert isinstance(self.events[-1], Failed)
        return self.events[-1].error

    @property
    def form(self) -> list[FormField]:
        return parse_form(self.seen.body, self.seen.headers["content-type"])


@asynccontextmanager
async def provider_of(row: str, upstream: Upstream) -> AsyncIterator[Provider]:
    """The row's provider with the upstream in the vendor's place."""
    made = ROWS[row].model_copy(update={"base_url": upstream.base_url})
    transport = HttpPool(limit=2, connect_s=5.0)
    also = [WIRES[name] for name in made.also]
    try:
        yield Provider(made, WIRES[made.wire], transport, KEY, also=also)
    finally:
        await transport.close()


async def ask(row: str, model: str, input: Input, step: Step) -> Heard:
    """One request of a provider, over real sockets.

    Raises:
        RhetorError: it was refused.
    """
    request = Request(id="r", capability=_capability(input), model=model, input=input)
    async with Upstream(anything=True, served=()) as upstream, provider_of(row, upstream) as provider:
        upstream.always(step)
        prepared = provider.prepare(request, model)
        response = await provider.transport.open(prepared.call, Progress())
        try:
            if response.status != 200:
                headers = {name.lower(): value for name, value in response.headers.items()}
                raise provider.refusal(response.status, headers, await response.read(1 << 16), prepared.wire)
            decoder = prepared.decoder()
            decoder.begin(response.status, response.headers)
            events = [event async for data in response.chunks() for event in decoder.feed(data).events]
            events += decoder.close().events
        finally:
            response.close()
        grammar = Grammar()
        for event in events:
            grammar.see(event)
        assert grammar.ended
        return Heard(await upstream.request(), events, prepared.outgoing.dropped)


async def listed(row: str, body: bytes) -> tuple[Seen, list[ModelEntry]]:
    """What a provider's list is read as."""
    async with Upstream(anything=True, served=()) as upstream, provider_of(row, upstream) as provider:
        upstream.always(raw_frames([body]))
        entries = await list_models(provider)
        assert entries is not None
        return await upstream.request(), list(entries)


def sound(*frames: bytes, content_type: str = "audio/mpeg") -> Step:
    return raw_frames(frames or (b"ID3", b"\xff\xfb\x90", b"\x00"), content_type=content_type)


def said(body: bytes) -> Step:
    return raw_frames([body], content_type="application/json")


def _capability(input: Any) -> Capability:
    if isinstance(input, Draw):
        return Capability.IMAGE_TO_IMAGE if input.images else Capability.TEXT_TO_IMAGE
    return {Speak: Capability.TEXT_TO_AUDIO, Transcribe: Capability.AUDIO_TO_TEXT}[type(input)]
