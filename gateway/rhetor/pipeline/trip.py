"""One request's way through the gateway, on one page.

plan ─ attempts ─ reply: chunk by chunk, observed ─ the books
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from types import TracebackType

from rhetor import tasks
from rhetor.core.call import Call
from rhetor.core.capability import Capability
from rhetor.core.clock import Clock
from rhetor.core.content import JsonValue
from rhetor.core.errors import Code, Retry, RhetorError, UpstreamError
from rhetor.core.events import Event, Failed, Finished, UsageReport
from rhetor.core.ids import new_id
from rhetor.core.record import TripRecord
from rhetor.core.request import Chat, Request
from rhetor.core.usage import Usage
from rhetor.pipeline.account import Share, consumed, measured, total_cost_micros, total_usage
from rhetor.pipeline.answer import Answer, dismissed
from rhetor.pipeline.attempts import Attempts, OnProgress
from rhetor.pipeline.heard import Heard
from rhetor.pipeline.ledger import LedgerQueue
from rhetor.pipeline.watch import Watch
from rhetor.providers.provider import Provider
from rhetor.providers.registry import Registry, Snapshot
from rhetor.routing.catalog import LONGEST_NAME, Midstream, Target
from rhetor.routing.health import Health
from rhetor.routing.plan import Plan, plan
from rhetor.tasks import Tasks
from rhetor.wire.base import Chunk

DRAIN_S = 30.0  # how long a reply is heard out that nobody listens to any more
LINGER_S = 1.0  # how long a finished upstream may take to close its stream before we do


class Pipeline:
    """Everything a trip needs; doors ask it for trips."""

    def __init__(self, registry: Registry, ledger: LedgerQueue, clock: Clock, health: Health) -> None:
        self.registry = registry
        self.ledger = ledger
        self.clock = clock
        self.health = health
        self.drains = Tasks()
        """Replies that are heard out after their callers have left."""
        self._under_way: Counter[Snapshot] = Counter()

    def trip(self, request: Request, door: str, on_progress: OnProgress | None = None) -> Trip:
        """A trip for this request, which gets its id here if it has none."""
        request.id = request.id or new_id("gen")
        return Trip(self, request, door, on_progress)

    def dismiss(self, provider: Provider, call: Call) -> None:
        """Send a call whose reply nobody needs."""
        self.drains.spawn(dismissed(provider, call), f"dismiss {provider.id}")

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
        return plan(request, self.registry.snapshot.catalog, self.health, self.clock.monotonic_s())


class Trip:
    """One request on its way: entered, it has found who answers; iterated, it gives the reply's chunks.

        async with pipeline.trip(request, "openai") as trip:
            async for chunk in trip.chunks(): …

    Leaving it early aborts the upstream call. `meta` is true at any moment and
    complete before the last chunk is handed out.

    Raises:
        RhetorError: on entering, when nobody could answer.
    """

    def __init__(
        self, pipeline: Pipeline, request: Request, door: str, on_progress: OnProgress | None = None
    ) -> None:
        self.request = request
        self.began_at = pipeline.clock.utc()
        self.verbatim = False
        """Whether the reply's frames may pass to the caller untouched."""
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
        self._on_progress = on_progress
        self._began_s = pipeline.clock.monotonic_s()
        self._snapshot: Snapshot = pipeline.registry.snapshot
        self._plan: Plan | None = None
        self._attempts: Attempts | None = None
        self._answer: Answer | None = None
        self._watch: Watch | None = None
        self._heard = Heard(keeps=False)
        self._chars_told = 0
        """Heard of earlier answers."""
        self._shares: list[Share] = []
        """What the answers consumed that have ended."""
        self._outcome: str | None = None
        self._first_event_s: float | None = None

    async def __aenter__(self) -> Trip:
        pipeline = self._pipeline
        pipeline.on_began(self._snapshot)
        try:
            self._plan = plan(self.request, self._snapshot.catalog, pipeline.health, self._began_s)
            self._attempts = Attempts(
                self.request,
                self._plan,
                self._snapshot,
                pipeline.health,
                pipeline.clock,
                pipeline.dismiss,
                pipeline.drains.spawn,
                self._on_progress,
            )
            self._on_answer(await self._attempts.open())
            if self._attempts.may_rescue:
                self._heard = Heard()
            self._first_event_s = pipeline.clock.monotonic_s()
            self.verbatim = self.answer.prepared.verbatim and self.answer.decoder.has_frames
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

    async def chunks(self) -> AsyncIterator[Chunk]:
        """The reply, from its first event to its ending; exactly one ending."""
        answer = self.answer
        said = self._said(answer)
        while True:
            chunk = next(said, None)
            if chunk is None:
                if answer.complete:
                    return
                chunk = await self._next(answer)
            events = chunk.events
            if not events or type(events[-1]) is not Failed:
                self._observe(events)
                if events or chunk.raw:
                    yield chunk
                continue
            told, goes_on = self._break_off(chunk, events[-1].error)
            yield told
            if not goes_on:
                return
            if (final := await self._look_for_the_rest()) is not None:
                yield Chunk([Failed(final)])
                return
            answer = self.answer
            said = self._said(answer)

    def _said(self, answer: Answer) -> Iterator[Chunk]:
        """What it has said so far. The clock runs from now on, over the rest and over who does not read."""
        assert self._attempts is not None
        if self.request.stream or not answer.complete:
            if self._watch is not None:
                self._watch.close()
            self._watch = self._attempts.watch(answer)
        if answer.continuation is None:
            return iter(answer.said)
        return (_added(answer, chunk) for chunk in answer.said)

    async def _next(self, answer: Answer) -> Chunk:
        """What one answer adds to what the caller knows; whatever fails is its last event."""
        assert self._watch is not None
        try:
            chunk = await answer.next(self._watch)
        except UpstreamError as error:
            return Chunk([Failed(error)])
        return chunk if answer.continuation is None else _added(answer, chunk)

    async def _look_for_the_rest(self) -> RhetorError | None:
        """Another answer goes on; or there is none, and this is what the caller is told."""
        assert self._attempts is not None
        assert self._watch is not None
        self._watch.close()  # nobody waits for the caller now; attempts have clocks of their own
        try:
            self._on_answer(await self._attempts.rescue(self._heard))
        except RhetorError as error:
            self._watch = self._attempts.watch(self.answer)
            self._end(error.code)
            return error
        return None

    def _observe(self, events: list[Event]) -> None:
        heard = self._heard
        for event in events:
            heard.add(event)
            if type(event) is Finished:
                self._settle("ok")
                self._end("ok")

    def _break_off(self, chunk: Chunk, error: RhetorError) -> tuple[Chunk, bool]:
        """A reply fails in its middle: what the caller is told now, and whether another one may go on."""
        good = chunk.events[:-1]
        before = self._heard.events() if self.verbatim else None
        self._observe(good)
        if self._outcome is not None:
            return Chunk([]), False
        self._settle(error.code, error)
        if not self._may_go_on(error):
            if self.answer.continuation is not None:
                assert self._attempts is not None
                error = self._attempts.verdict(spoken=True)
                chunk = Chunk([*good, Failed(error)])
            self._end(error.code)
            return chunk, False
        # From here on the gateway speaks itself: nobody goes on in this provider's own frames.
        self.verbatim = False
        return Chunk(good, before=before), True

    def _may_go_on(self, error: RhetorError) -> bool:
        assert self._plan is not None
        asked = self.request.input
        return (
            self._plan.route.midstream is Midstream.CONTINUE
            and error.retry is not Retry.NEVER
            and self._heard.can_be_continued
            and (not self.verbatim or self.answer.decoder.in_step)
            and isinstance(asked, Chat)
            and asked.choices == 1  # of several only the first is heard
            and self._attempts is not None
            and self._attempts.can_go_on()
        )

    def _on_answer(self, answer: Answer) -> None:
        assert self._plan is not None
        assert self._attempts is not None
        self._answer = answer
        self._settled = False
        target = answer.target
        self.meta["served_by"] = target.name
        self.meta["provider"] = target.provider
        self.meta["fallback"] = target != self._plan.first
        if not answer.complete:  # else it is said with the end, which comes at once
            self.meta["attempts"] = _attempts_json(self._attempts)
        if dropped := answer.prepared.outgoing.dropped:
            self.meta["dropped"] = list(dropped)

    def _settle(self, outcome: str, error: RhetorError | None = None) -> None:
        """The present answer has ended: note what it consumed, and tell where targets are judged."""
        answer = self._answer
        if answer is None or self._settled:
            return
        assert self._attempts is not None
        self._settled = True
        self._attempts.settle(answer, error, outcome)
        if error is not None:
            answer.close(self._pipeline.dismiss)
        continuation = answer.continuation
        chars = self._heard.chars
        said = chars - self._chars_told + (continuation.skipped_chars if continuation else 0)
        self._chars_told = chars
        reported = continuation.reported if continuation else self._heard.usage
        guessed = answer.provider.quirks.usage_estimated
        usage = consumed(reported, said, self.request, outcome == "ok", guessed)
        if not isinstance(self.request.input, Chat):
            usage = measured(usage, self.request, self._heard.media, self._heard.duration_s)
        self.meta["usage_source"] = usage.source
        if self.request.capability is Capability.COUNT_TOKENS:
            usage = Usage()  # the number is the answer, and consumes nothing
        name = answer.target.name
        offer = self._snapshot.catalog.offers.get(name)
        cost = offer.price.cost_micros(usage) if offer is not None and offer.price is not None else None
        self._shares.append(Share(name, usage, cost))

    def _end(self, outcome: str) -> None:
        self._outcome = outcome
        if self._watch is not None:
            self._watch.end_within(LINGER_S)
        if self._attempts is not None:
            self.meta["attempts"] = _attempts_json(self._attempts)
        if len(self._shares) != 1:
            self.meta["usage_source"] = total_usage(self._shares).source
        self.meta["cost_micros"] = total_cost_micros(self._shares)

    def _close(self, error: BaseException | None) -> None:
        """Give everything back and write the books. Synchronous: nothing can interrupt it."""
        if self._watch is not None and self._is_drained(error):
            self._pipeline.drains.spawn(self._drain(self._watch, error), f"drain {self.request.id}")
        else:
            self._finish(error)

    def _is_drained(self, error: BaseException | None) -> bool:
        """Whether a reply is heard to its end although the caller has left."""
        answer = self._answer
        return (
            answer is not None
            and self._outcome is None
            and not answer.complete
            and answer.provider.row.on_leave == "drain"
            and _outcome_of(error) == Code.CANCELLED
        )

    async def _drain(self, watch: Watch, error: BaseException | None) -> None:
        """Hear the rest for what it tells of usage."""
        answer = self.answer
        try:
            watch.end_within(DRAIN_S)
            while not answer.complete:
                for event in (await answer.next(watch)).events:
                    if isinstance(event, UsageReport):
                        self._heard.add(event)
        except UpstreamError:
            pass  # then it is estimated
        finally:
            self._finish(error)

    def _finish(self, error: BaseException | None) -> None:
        pipeline = self._pipeline
        pipeline.on_ended(self._snapshot)
        if self._watch is not None:
            self._watch.close()
        if self._answer is not None:
            self._answer.close(pipeline.dismiss)
        if self._outcome is None:
            outcome = _outcome_of(error)
            self._settle(outcome)
            self._end(outcome)
        pipeline.ledger.put(self._record(pipeline.clock.monotonic_s()))

    def _record(self, now_s: float) -> TripRecord:
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
            usage=total_usage(self._shares),
            cost_micros=total_cost_micros(self._shares),
            first_event_ms=None if first_s is None else round((first_s - self._began_s) * 1000),
            total_ms=round((now_s - self._began_s) * 1000),
            component=self.request.component and self.request.component[:LONGEST_NAME],
            principal=self.request.principal,
            session=self.request.session,
        )


def _added(answer: Answer, chunk: Chunk) -> Chunk:
    """What is new in a chunk of an answer that goes on with another one's reply."""
    assert answer.continuation is not None
    try:
        return Chunk(answer.continuation.feed(chunk.events))
    except UpstreamError as error:
        answer.complete = True
        return Chunk([Failed(error)])


def _outcome_of(error: BaseException | None) -> str:
    """How a trip ended that gave no ending of its own."""
    if isinstance(error, RhetorError):
        return error.code
    if (reason := tasks.reason_of(error)) is not None:
        return reason.code
    if error is None or isinstance(error, asyncio.CancelledError | ConnectionError | GeneratorExit):
        return Code.CANCELLED
    return Code.INTERNAL


def _attempts_json(attempts: Attempts) -> list[JsonValue]:
    return [attempt.as_json() for attempt in attempts.log]
