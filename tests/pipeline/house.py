"""A house without doors: providers, a catalog, a pipeline and its books."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Self

import orjson

from rhetor.core.call import Deadlines
from rhetor.core.capability import Capability
from rhetor.core.clock import Clock, SystemClock
from rhetor.core.content import JsonValue, Text
from rhetor.core.errors import RhetorError
from rhetor.core.events import Event, Failed, Folded, Grammar, fold
from rhetor.core.record import TripRecord
from rhetor.core.request import Chat, Message, Request, Role
from rhetor.core.usage import Price
from rhetor.pipeline.ledger import LedgerQueue
from rhetor.pipeline.trip import Pipeline, Trip
from rhetor.providers.provider import Provider
from rhetor.providers.registry import Registry, Snapshot
from rhetor.providers.spec import AuthSpec, ProviderRow, Source
from rhetor.routing.catalog import Midstream, Offer, ProviderFacts, Route, Target, build_catalog
from rhetor.routing.health import Health
from rhetor.store.memory import MemoryLedger
from rhetor.tasks import Tasks
from rhetor.testing import Upstream
from rhetor.transport.pool import HttpPool
from rhetor.wire.anthropic import ANTHROPIC
from rhetor.wire.base import Wire
from rhetor.wire.openai import OPENAI

PRICE = Price(input_micros=1_000_000, output_micros=10_000_000)
"""One micro-dollar for a token in, ten for one out."""
CAPABILITIES = frozenset({Capability.CHAT, Capability.EMBEDDINGS})
PLAIN: Mapping[str, Any] = {"retries": 0, "midstream": Midstream.ERROR}
"""Every target once, and no rescue: so that a test sees one thing at a time."""
UNHURRIED = Deadlines(connect_s=5.0, first_event_s=5.0, idle_s=5.0, total_s=10.0)


def provider(
    id: str, base_url: str, *, wire: Wire = OPENAI, limit: int = 4, connect_s: float = 5.0, **row: Any
) -> Provider:
    """A provider of the wire that needs no key."""
    said = {
        "name": id.upper(),
        "capabilities": CAPABILITIES,
        "auth": AuthSpec(required=False),
        "docs": Source(url="https://provider.example", read="2026-01-01"),
        **row,
    }
    base_url = base_url if wire is ANTHROPIC else f"{base_url}/v1"
    made = ProviderRow(id=id, wire=wire.name, base_url=base_url, **said)
    return Provider(made, wire, HttpPool(limit, connect_s), None)


@dataclass
class Heard:
    """What a caller got of a trip."""

    events: list[Event] = field(default_factory=list)
    meta: Mapping[str, JsonValue] = field(default_factory=dict)
    refused: RhetorError | None = None
    """Nobody answered."""

    @property
    def folded(self) -> Folded:
        return fold(self.events)

    @property
    def text(self) -> str:
        return self.folded.text

    @property
    def failed(self) -> RhetorError | None:
        """The ending, when it is a failure."""
        ending = self.events[-1]
        return ending.error if isinstance(ending, Failed) else None


class House:
    """A pipeline over one provider for each upstream; `fast` is a route to `small` of all of them.

    Each one takes longer conversations than the one before.
    """

    def __init__(self, upstreams: Mapping[str, Upstream], clock: Clock | None = None) -> None:
        self.upstreams = upstreams
        self.store = MemoryLedger()
        self.dropped = 0
        self.providers = {id: provider(id, upstream.base_url) for id, upstream in upstreams.items()}
        self.deadlines = UNHURRIED
        self.route: Mapping[str, Any] = PLAIN
        self._queue = LedgerQueue(self.store, lambda record: None, self._on_dropped)
        clock = clock or SystemClock()
        self.pipeline = Pipeline(Registry(self._snapshot()), self._queue, clock, Health(clock))
        self._tasks = Tasks()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._tasks.close()
        await self.pipeline.drains.close()
        await self._stack.aclose()
        for provider in self.providers.values():
            await provider.transport.close()

    def __getitem__(self, id: str) -> Upstream:
        return self.upstreams[id]

    # Changing it.

    def hurry(self, **deadlines: float) -> None:
        """From now on trips have these deadlines."""
        self.deadlines = Deadlines(**{"first_event_s": 5.0, "idle_s": 5.0, "total_s": 10.0, **deadlines})
        self.pipeline.registry.swap(self._snapshot())

    def rule(self, **route: Any) -> None:
        """From now on the route `fast` is an ordinary one, but for this."""
        self.route = route
        self.pipeline.registry.swap(self._snapshot())

    async def replace(self, made: Provider) -> None:
        """Another provider instead of the one of the same name, or besides the others."""
        if old := self.providers.get(made.id):
            await old.transport.close()
        self.providers[made.id] = made
        self.pipeline.registry.swap(self._snapshot())

    def _snapshot(self) -> Snapshot:
        facts = [
            ProviderFacts(
                id=id, name=id, available=True, capabilities=p.row.capabilities, features=frozenset()
            )
            for id, p in self.providers.items()
        ]
        offers = [
            Offer(
                provider=id,
                model="small",
                capabilities=p.row.capabilities,
                price=PRICE,
                context_tokens=1000 * n,
            )
            for n, (id, p) in enumerate(self.providers.items(), 1)
        ]
        targets = tuple(Target(id, "small") for id in self.providers)
        fast = Route(name="fast", targets=targets, deadlines=self.deadlines, **self.route)
        return Snapshot(dict(self.providers), build_catalog(facts, offers, [fast], deadlines=self.deadlines))

    def _on_dropped(self, lost: int) -> None:
        self.dropped += lost

    def forget(self) -> None:
        """Nobody has failed yet."""
        self.pipeline.health = Health(self.pipeline.clock)

    # Asking it.

    async def ask(self, request: Request) -> Heard:
        """A whole trip, as a door would make it, with its grammar checked."""
        heard = Heard()
        trip = self.pipeline.trip(request, "test")
        heard.meta = trip.meta
        grammar = Grammar()
        try:
            async with asyncio.timeout(10), trip:
                async for chunk in trip.chunks():
                    for event in chunk.events:
                        grammar.see(event)
                        heard.events.append(event)
        except RhetorError as error:
            heard.refused = error
        else:
            assert grammar.ended, "a reply without an ending"
        return heard

    def start(self, request: Request, on_chunk: Callable[[], Awaitable[None]] | None = None) -> Asking:
        """A trip in a task of its own, which a caller can leave."""
        asking = Asking(self.pipeline.trip(request, "test"), on_chunk)
        asking.task = self._tasks.spawn(asking.run(), "asking")
        return asking

    async def ended(self) -> None:
        """Return once no trip is under way, also none that only hears a reply out."""
        async with asyncio.timeout(5):
            while self.pipeline.in_flight:
                await asyncio.sleep(0)

    async def booked(self) -> TripRecord:
        """The one trip that is in the books."""
        records = await self.books()
        assert len(records) == 1, f"a trip leaves exactly one record, there are {records}"
        assert self.pipeline.in_flight == 0
        return records[0]

    async def books(self) -> Sequence[TripRecord]:
        await self._queue.flush()
        return await self.store.latest(100)


class Asking:
    """A caller who may leave in the middle."""

    def __init__(self, trip: Trip, on_chunk: Callable[[], Awaitable[None]] | None) -> None:
        self.trip = trip
        self.task: asyncio.Task[None]
        self.heard: list[Event] = []
        self._on_chunk = on_chunk
        self._spoken = asyncio.Event()

    async def run(self) -> None:
        async with self.trip:
            async for chunk in self.trip.chunks():
                self.heard.extend(chunk.events)
                self._spoken.set()
                if self._on_chunk is not None:
                    await self._on_chunk()

    async def spoken(self) -> None:
        """Return once something was heard."""
        async with asyncio.timeout(5):
            await self._spoken.wait()

    async def leave(self) -> None:
        self.task.cancel()
        await asyncio.wait([self.task])
        assert self.task.cancelled(), "a trip that swallows its cancellation holds up whoever cancelled it"


def chat(model: str = "fast", text: str = "hi", *, stream: bool = True, **said: Any) -> Request:
    """A request in no language."""
    input = Chat(messages=(Message(Role.USER, (Text(text),)),))
    return Request(id="", capability=Capability.CHAT, model=model, input=input, stream=stream, **said)


def verbatim(model: str = "fast", text: str = "hi", *, stream: bool = True, **said: Any) -> Request:
    """A request in the providers' own language."""
    body = {"model": model, "messages": [{"role": "user", "content": text}], "stream": stream, **said}
    return OPENAI.doors[Capability.CHAT].parse(orjson.dumps(body), {})
