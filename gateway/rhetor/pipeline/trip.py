"""One request's way through the gateway, on one page.

plan ─ attempts ─ reply: chunk by chunk, observed ─ the books
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import replace
from types import TracebackType

from rhetor.core.capability import Capability
from rhetor.core.clock import Clock
from rhetor.core.content import JsonValue, Part, Refusal, Text, Thinking, ToolResult, ToolUse
from rhetor.core.errors import Code, RhetorError, UpstreamError
from rhetor.core.events import (
    Event,
    Failed,
    Finished,
    RefusalDelta,
    TextDelta,
    ThinkingDelta,
    ToolUseDelta,
    UsageReport,
)
from rhetor.core.ids import new_id
from rhetor.core.record import TripRecord
from rhetor.core.request import Chat, Embed, Request
from rhetor.core.usage import Usage, estimate_tokens
from rhetor.pipeline.attempts import Answer, Attempts
from rhetor.pipeline.ledger import LedgerQueue
from rhetor.pipeline.watch import Watch
from rhetor.providers.registry import Registry, Snapshot
from rhetor.routing.catalog import LONGEST_NAME, Target
from rhetor.routing.plan import Plan, plan
from rhetor.wire.base import Chunk

LINGER_S = 1.0  # how long a finished upstream may take to close its stream before we do


class Pipeline:
    """Everything a trip needs; doors ask it for trips."""

    def __init__(self, registry: Registry, ledger: LedgerQueue, clock: Clock) -> None:
        self.registry = registry
        self.ledger = ledger
        self.clock = clock
        self._under_way: Counter[Snapshot] = Counter()

    def trip(self, request: Request, door: str) -> Trip:
        """A trip for this request, which gets its id here if it has none."""
        request.id = request.id or new_id("gen")
        return Trip(self, request, door)

    @property
    def in_flight(self) -> int:
        """Trips under way."""
        return self._under_way.total()

    def under_way(self, snapshot: Snapshot) -> int:
        """Trips under way that started with this snapshot."""
        return self._under_way[snapshot]

    def on_began(self, snapshot: Snapshot) -> None:
        self._under_way[snapshot] += 1

    def on_ended(self, snapshot: Snapshot) -> None:
        self._under_way[snapshot] -= 1
        if not self._under_way[snapshot]:
            del self._under_way[snapshot]

    def explain(self, request: Request) -> Plan:
        """What would be tried for this request, without trying it."""
        return plan(request, self.registry.snapshot.catalog)


class Trip:
    """One request on its way: entered, it has found who answers; iterated, it gives the reply's chunks.

        async with pipeline.trip(request, "openai") as trip:
            async for chunk in trip.chunks(): …

    Leaving it early aborts the upstream call. `meta` is true at any moment and
    complete before the last chunk is handed out.

    Raises:
        RhetorError: on entering, when nobody could answer.
    """

    def __init__(self, pipeline: Pipeline, request: Request, door: str) -> None:
        self.request = request
        self.began_at = pipeline.clock.utc()
        self.meta: dict[str, JsonValue] = {
            "generation_id": request.id,
            "model": request.model,
            "served_by": None,
            "attempts": [],
            "fallback": False,
            "cached": False,
        }
        self._pipeline = pipeline
        self._door = door
        self._began_s = pipeline.clock.monotonic_s()
        self._snapshot: Snapshot = pipeline.registry.snapshot
        self._attempts: Attempts | None = None
        self._answer: Answer | None = None
        self._watch: Watch | None = None
        self._outcome: str | None = None
        self._first_event_s: float | None = None
        self._usage: Usage | None = None
        self._chars_out = 0

    async def __aenter__(self) -> Trip:
        self._pipeline.on_began(self._snapshot)
        try:
            planned = plan(self.request, self._snapshot.catalog)
            self._attempts = Attempts(self.request, planned, self._snapshot, self._pipeline.clock)
            self._answer = await self._attempts.open()
            self._first_event_s = self._pipeline.clock.monotonic_s()
            self._describe(planned)
            if not self._answer.complete:
                self._watch = self._attempts.watch(self._answer, self._first_event_s - self._began_s)
        except BaseException as error:
            self._close(error)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._close(error)

    @property
    def answer(self) -> Answer:
        """Who answers; there is one as soon as the trip is entered."""
        assert self._answer is not None
        return self._answer

    @property
    def served_by(self) -> Target | None:
        return self._answer.target if self._answer is not None else None

    @property
    def verbatim(self) -> bool:
        """Whether the reply's frames may pass to the caller untouched."""
        return self.answer.prepared.verbatim

    async def chunks(self) -> AsyncIterator[Chunk]:
        """The reply, from its first event to its ending; exactly one ending."""
        answer = self.answer
        for chunk in answer.said:
            self._observe(chunk.events)
            yield chunk
        while not answer.complete:
            assert self._watch is not None
            try:
                chunk = await self._next(answer, self._watch)
            except UpstreamError as error:
                answer.complete = True
                if self._outcome is not None:
                    return  # it had ended; how the connection ends after that concerns nobody
                error.origin = error.origin or answer.target.provider
                chunk = Chunk([Failed(error)])
            if chunk.events or chunk.raw:
                self._observe(chunk.events)
                yield chunk

    async def _next(self, answer: Answer, watch: Watch) -> Chunk:
        """What the next read becomes; `answer.complete` when it was the last."""
        watch.start()
        try:
            data = await anext(answer.reader, b"")
        except UpstreamError as error:
            if watch.expired is not None:
                raise watch.expired from error
            raise
        finally:
            watch.stop()
        if data:
            return answer.decoder.feed(data)
        answer.complete = True
        return answer.decoder.close()

    def _observe(self, events: list[Event]) -> None:
        for event in events:
            kind = type(event)
            if kind is TextDelta or kind is ThinkingDelta or kind is RefusalDelta:
                self._chars_out += len(event.text)  # type: ignore[union-attr]  # narrowed by identity, for speed
            elif kind is ToolUseDelta:
                self._chars_out += len(event.arguments)  # type: ignore[union-attr]
            elif kind is UsageReport:
                self._usage = event.usage  # type: ignore[union-attr]
            elif kind is Finished:
                self._end("ok")
            elif kind is Failed:
                self._end(event.error.code)  # type: ignore[union-attr]

    def _end(self, outcome: str) -> None:
        self._outcome = outcome
        if self._watch is not None:
            self._watch.end_within(LINGER_S)
        if outcome != "ok" and self._answer is not None and self._attempts is not None:
            self._attempts.settle(outcome)
        self._describe_end()

    def _describe(self, planned: Plan) -> None:
        assert self._attempts is not None
        answer = self.answer
        self.meta["served_by"] = answer.target.name
        self.meta["provider"] = answer.target.provider
        self.meta["fallback"] = answer.target != planned.targets[0]
        self.meta["attempts"] = _attempts_json(self._attempts)
        dropped = answer.prepared.outgoing.dropped
        if dropped:
            self.meta["dropped"] = list(dropped)

    def _describe_end(self) -> None:
        if self._attempts is not None:
            self.meta["attempts"] = _attempts_json(self._attempts)
        self.meta["usage_source"] = self._usage_or_estimate().source
        self.meta["cost_micros"] = self._cost_micros(self._consumed())

    def _consumed(self) -> Usage:
        """What the books keep. A count of tokens is an answer: it consumes none."""
        if self.request.capability is Capability.COUNT_TOKENS:
            return Usage()
        return self._usage_or_estimate()

    def _usage_or_estimate(self) -> Usage:
        """What the provider reported; where it could not, what we heard of it."""
        reported = self._usage
        if reported is not None and self.answer.provider.quirks.usage_estimated:
            reported = replace(reported, source="estimated")
        if self._answer is None or (reported is not None and self._outcome == "ok"):
            return reported or Usage()
        heard = -(-self._chars_out // 4)
        if reported is None:
            return Usage(_estimate_input(self.request), heard, source="estimated")
        if reported.output_tokens < heard:  # told at the start of a reply that never came to its end
            return replace(reported, output_tokens=heard, source="estimated")
        return reported

    def _cost_micros(self, usage: Usage) -> int | None:
        if self._answer is None:
            return 0
        offer = self._snapshot.catalog.offers.get(self._answer.target.name)
        return offer.price.cost_micros(usage) if offer is not None and offer.price is not None else None

    def _close(self, error: BaseException | None) -> None:
        """Give everything back and write the books. Synchronous: nothing can interrupt it."""
        pipeline = self._pipeline
        pipeline.on_ended(self._snapshot)
        if self._watch is not None:
            self._watch.close()
        if self._answer is not None:
            self._answer.response.close()
        if self._outcome is None:
            self._end(_outcome_of(error))
        pipeline.ledger.put(self._record(pipeline.clock.monotonic_s()))

    def _record(self, now_s: float) -> TripRecord:
        usage = self._consumed()
        served_by = self.served_by.name if self.served_by is not None else None
        first_s = self._first_event_s
        return TripRecord(
            id=self.request.id,
            at=self.began_at,
            door=self._door,
            capability=self.request.capability,
            requested_model=self.request.model[:LONGEST_NAME],
            served_by=served_by,
            model_known=served_by in self._snapshot.catalog.offers,
            outcome=self._outcome or Code.INTERNAL,
            stream=self.request.stream,
            fallback=self.meta["fallback"] is True,
            attempts=tuple(self._attempts.log) if self._attempts is not None else (),
            usage=usage,
            cost_micros=self._cost_micros(usage),
            first_event_ms=None if first_s is None else round((first_s - self._began_s) * 1000),
            total_ms=round((now_s - self._began_s) * 1000),
            component=self.request.component and self.request.component[:LONGEST_NAME],
            principal=self.request.principal,
        )


def _outcome_of(error: BaseException | None) -> str:
    """How a trip ended that gave no ending of its own."""
    if isinstance(error, RhetorError):
        return error.code
    if error is None or isinstance(error, asyncio.CancelledError | ConnectionError | GeneratorExit):
        return Code.CANCELLED
    return Code.INTERNAL


def _attempts_json(attempts: Attempts) -> list[JsonValue]:
    return [{"target": a.target, "outcome": a.outcome, "ms": a.ms} for a in attempts.log]


def _estimate_input(request: Request) -> int:
    match request.input:
        case Chat(messages=messages):
            return sum(estimate_tokens(text) for message in messages for text in _texts(message.parts))
        case Embed(inputs=inputs):
            return sum(estimate_tokens(it) if isinstance(it, str) else len(it) for it in inputs)


def _texts(parts: Iterable[Part]) -> Iterator[str]:
    for part in parts:
        match part:
            case Text(text) | Thinking(text) | Refusal(text):
                yield text
            case ToolUse(arguments=arguments):
                yield arguments
            case ToolResult(parts=inner):
                yield from _texts(inner)
