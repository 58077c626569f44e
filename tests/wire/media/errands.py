"""Vendors that take their time: a row of the built-in table on a whole trip, and what the vendor says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from rhetor.core import events
from rhetor.core.capability import Capability
from rhetor.core.content import Inline
from rhetor.core.errors import RhetorError
from rhetor.core.events import Event, Failed, Folded, Grammar, Medium, fold
from rhetor.core.media import Bytes, Draw
from rhetor.core.request import Input, Request
from rhetor.providers.builtin import load_builtin
from rhetor.providers.provider import Provider
from rhetor.testing import Seen, Step, Upstream, fails, raw_frames
from rhetor.transport.pool import HttpPool
from rhetor.wire.languages import WIRES
from tests.pipeline.house import House

KEY = "sk-canary-errand-0123456789"
ROWS = load_builtin()
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(64))
MP4 = b"\x00\x00\x00\x18ftypmp42" + bytes(range(64))
PICTURE = Bytes("image/png", PNG, "cat.png")
INLINE = Inline("image/png", "iVBORw==")

Play = Callable[[Seen], Step]


@dataclass
class Heard:
    """What came of a request."""

    events: list[Event] = field(default_factory=list)
    refused: RhetorError | None = None
    progress: list[events.Progress] = field(default_factory=list)
    requests: list[Seen] = field(default_factory=list)
    meta: Mapping[str, Any] = field(default_factory=dict)

    @property
    def folded(self) -> Folded:
        return fold(self.events)

    @property
    def media(self) -> list[tuple[str, bytes]]:
        """Type and bytes of each."""
        return [(it.media_type, it.data) for it in self.folded.media.values() if isinstance(it, Medium)]

    @property
    def error(self) -> RhetorError:
        """Why it failed, before or after it had begun."""
        if self.refused is not None:
            return self.refused
        ending = self.events[-1]
        assert isinstance(ending, Failed), self.events
        return ending.error

    @property
    def asked(self) -> list[str]:
        """Method and path of each call."""
        return [f"{seen.method} {seen.path}" for seen in self.requests]


def made(row: str, upstream: Upstream, id: str = "", key: str = KEY, **said: Any) -> Provider:
    """The row's provider with the upstream in the vendor's place."""
    base_url = upstream.base_url + said.pop("path", "")
    changed = ROWS[row].model_copy(update={"base_url": base_url, "id": id or row, **said})
    return Provider(changed, WIRES[changed.wire], HttpPool(limit=4, connect_s=5.0), key)


def asked(model: str, input: Input, capability: Capability, **said: Any) -> Request:
    return Request(id="", capability=capability, model=model, input=input, **said)


async def run(row: str, model: str, input: Input, capability: Capability, play: Play, **said: Any) -> Heard:
    """A whole trip to a vendor who says this."""
    async with Upstream(anything=True) as upstream, House({}) as house:
        upstream.always(play)
        await house.replace(made(row, upstream, **said))
        heard = await listen(house, asked(f"{row}/{model}", input, capability))
        heard.requests = upstream.requests
        return heard


async def listen(house: House, request: Request) -> Heard:
    """A trip as a door makes it, with its grammar checked."""
    heard = Heard()
    trip = house.pipeline.trip(request, "test", heard.progress.append)
    heard.meta = trip.meta
    grammar = Grammar()
    try:
        async with trip:
            async for chunk in trip.chunks():
                for event in chunk.events:
                    grammar.see(event)
                    heard.events.append(event)
        assert grammar.ended
    except RhetorError as error:
        heard.refused = error
    return heard


def said(body: Any, status: int = 200) -> Step:
    """JSON."""
    return raw_frames([orjson.dumps(body)], status=status, content_type="application/json")


def medium(data: bytes = PNG, content_type: str = "image/png") -> Step:
    half = len(data) // 2
    return raw_frames([data[:half], data[half:]], content_type=content_type)


def by_path(table: Mapping[str, Step | Iterable[Step]]) -> Play:
    """What each path says, by method and path's end; of several steps each in turn, the last for ever."""
    left = {key: [step] if isinstance(step, Step) else list(step) for key, step in table.items()}

    def play(seen: Seen) -> Step:
        for key, steps in left.items():
            method, _, end = key.partition(" ")
            if seen.method == method and seen.path.endswith(end):
                return steps.pop(0) if len(steps) > 1 else steps[0]
        return fails(404, body=b'{"detail": "nothing here"}')

    return play


async def live(row: str, model: str, key: str) -> str:
    """The media type of a small picture by the vendor itself."""
    async with House({}) as house:
        house.hurry(first_event_s=120.0, idle_s=60.0, total_s=120.0)
        provider = Provider(ROWS[row], WIRES[ROWS[row].wire], HttpPool(limit=2, connect_s=10.0), key)
        await house.replace(provider)
        request = asked(f"{row}/{model}", Draw(prompt="a red circle"), Capability.TEXT_TO_IMAGE)
        heard = await listen(house, request)
        assert heard.refused is None, heard.refused
        (media_type, data), *_ = heard.media
        assert len(data) > 100
        return media_type
