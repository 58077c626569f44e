"""Attempts: targets are asked one after the other until one has spoken.

Until the first content event nobody is committed, so a target that fails
before it costs the caller nothing. When a reply breaks off later, `rescue`
asks for the rest of it. Who is asked next, and when, `routing.retry` decides.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

from rhetor import tasks
from rhetor.core import events
from rhetor.core.call import Deadlines
from rhetor.core.clock import Clock
from rhetor.core.errors import Code, Retry, RhetorError, UpstreamError
from rhetor.core.media import Draw, Make, Speak, Transcribe
from rhetor.core.record import AttemptRecord
from rhetor.core.request import Chat, Request
from rhetor.pipeline.answer import Answer, Dismiss, undo
from rhetor.pipeline.continuation import Continuation, Prefilled, Restarted
from rhetor.pipeline.heard import Heard
from rhetor.pipeline.hedge import earliest
from rhetor.pipeline.patience import Patience
from rhetor.pipeline.watch import Watch
from rhetor.pipeline.weight import weigh
from rhetor.providers.provider import Prepared, Provider
from rhetor.providers.registry import Snapshot
from rhetor.routing.breaker import State
from rhetor.routing.catalog import Midstream, Target
from rhetor.routing.health import Health
from rhetor.routing.plan import Candidate, Plan
from rhetor.routing.retry import Step, Tried, next_step
from rhetor.transport.base import Phase, Progress, Response
from rhetor.wire.base import WHOLE_LIMIT_BYTES, Chunk

log = logging.getLogger(__name__)

LAST_WORDS_S = 1.0  # for the caller to take them, when there is no time for anything else

_OUT_OF_TIME = {
    Phase.QUEUED: Code.POOL_FULL,
    Phase.STARTING: Code.POOL_FULL,  # which says nothing against it
    Phase.CONNECTING: Code.CONNECT_TIMEOUT,
}
_UNSENT = frozenset(_OUT_OF_TIME)
_SPEAK_SOON = (Chat, Speak)
"""What is asked for where a stream begins long before it ends: pictures and films come when they are done."""
_PAID_BY_THE_PIECE = (Draw, Speak, Transcribe, Make)
"""What costs so much, also where nobody takes it, that nobody is asked for it twice without need."""
_ANSWER_LOST = frozenset({Code.CONNECTION_LOST, Code.TRUNCATED})
_REFUSES_BEGINNINGS = frozenset({Code.INVALID_REQUEST, Code.UNSUPPORTED})


OnProgress: TypeAlias = Callable[[events.Progress], None]
"""Hears how far a target is that has nothing to show yet, while another one may still take its place."""


Linger: TypeAlias = Callable[[Coroutine[Any, Any, None], str], object]


@dataclass(slots=True)
class Way:
    """One way to ask a target: as the caller did, or for the rest of a reply that broke off."""

    request: Request
    how: str = ""
    """In the attempt's record; empty for the usual way."""
    continuation: Continuation | None = None


class Attempts:
    """The attempts of one trip, and their log.

    Args:
        dismiss: for targets that work on until they are told to stop.
        linger: has work done for which nobody waits.
    """

    def __init__(
        self,
        request: Request,
        plan: Plan,
        snapshot: Snapshot,
        health: Health,
        clock: Clock,
        dismiss: Dismiss,
        linger: Linger,
        on_progress: OnProgress | None = None,
    ) -> None:
        self._dismiss = dismiss
        self._linger = linger
        self._on_progress = on_progress
        self._request = request
        self._plan = plan
        self._snapshot = snapshot
        self._health = health
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._has_others = len(plan.candidates) + len(plan.cooling) > 1
        self._tried: list[Tried] = []
        self._paid: tuple[Target, ...] = ()
        """Those who work for us, or are done, without our hearing of it."""
        self._failures: list[RhetorError] = []
        self.deadlines = _deadlines(plan.route.deadlines, request)
        self._ends_s = clock.monotonic_s() + self.deadlines.total_s
        self.log: list[AttemptRecord] = []

    @property
    def may_rescue(self) -> bool:
        """Whether a reply that breaks off may be finished by somebody else."""
        if not isinstance(self._request.input, Chat):
            return False  # nobody goes on with another one's sounds
        return self._has_others and self._request.stream and self._plan.route.midstream is Midstream.CONTINUE

    async def open(self) -> Answer:
        """The first target that speaks. Whoever called settles the answer and closes its response.

        Raises:
            RhetorError: nobody spoke: the first failure, or the one that shows the request itself
                to be at fault; its message names all.
        """
        if self._plan.route.hedge and len(self._plan.candidates) > 1 and not self._is_paid_by_the_piece:
            answer = await self._hedge(*self._plan.candidates[:2])
            if answer is not None:
                return answer
        return await self._until_spoken(None)

    @property
    def _is_paid_by_the_piece(self) -> bool:
        return isinstance(self._request.input, _PAID_BY_THE_PIECE)

    async def rescue(self, heard: Heard) -> Answer:
        """A target that can say the rest of a reply, of which the caller has heard so much.

        Raises:
            RhetorError: there is none; the first failure.
        """
        return await self._until_spoken(heard)

    def verdict(self, spoken: bool) -> RhetorError:
        """What to tell the caller when nobody is left: the first cause, with every attempt named."""
        return _final(self._failures, self.log, spoken)

    def can_go_on(self) -> bool:
        """Whether there is anybody left to ask."""
        now_s = self._clock.monotonic_s()
        left_s = self._ends_s - now_s
        return left_s > 0 and next_step(self._plan, self._tried, self._health, now_s, left_s) is not None

    def watch(self, answer: Answer) -> Watch:
        """The clock over the rest of an answer."""
        left_s = max(self._ends_s - self._clock.monotonic_s(), LAST_WORDS_S)
        return Watch(self._loop, answer, self.deadlines.idle_s, left_s)

    def settle(self, answer: Answer, error: RhetorError | None, outcome: str) -> None:
        """An answer has ended: whole, with an error, or left by the caller."""
        failed = None if outcome == "ok" else error.code if error is not None else Code.CANCELLED
        after_s = error.retry_after_s if error is not None else None
        self._health.ended(answer.candidate, failed, self._clock.monotonic_s(), after_s)
        if failed is None and self._plan.prefix is not None:
            self._health.served(self._plan.prefix, answer.target)
        if outcome != "ok":
            self.log[answer.entry] = replace(self.log[answer.entry], outcome=outcome)
        if error is not None:
            self._fail(answer.candidate, error, spoke=True)

    async def _until_spoken(self, heard: Heard | None) -> Answer:
        while (step := self._step()) is not None:
            self._count(step.candidate.target, step.again)  # before anybody else decides
            if step.wait_s > 0:
                await asyncio.sleep(step.wait_s)
            ways = [Way(self._request)] if heard is None else self._ways(step.candidate, heard)
            answer = await self._try(step.candidate, ways)
            if answer is not None:
                return answer
        raise self.verdict(spoken=heard is not None)

    def _step(self) -> Step | None:
        now_s = self._clock.monotonic_s()
        left_s = self._ends_s - now_s
        if left_s <= 0:
            self._failures.append(UpstreamError("no time is left", Code.TOTAL_TIMEOUT))
            return None
        step = next_step(self._plan, self._tried, self._health, now_s, left_s)
        if step is None and not self._tried:
            self._failures.append(self._all_cooling(now_s))
        return step

    def _all_cooling(self, now_s: float) -> UpstreamError:
        """Nobody may be asked for longer than a caller should wait."""
        candidates = self._plan.candidates
        wait_s = min(self._health.cooling_s(candidate.domain, now_s) for candidate in candidates)
        names = ", ".join(dict.fromkeys(candidate.target.name for candidate in candidates))
        message = f"rate limited: {names} asked to be left alone, the first of them for {wait_s:.0f} s more"
        return UpstreamError(message, Code.RATE_LIMITED, retry_after_s=wait_s)

    async def _hedge(self, first: Candidate, second: Candidate) -> Answer | None:
        """Whoever of the two speaks first, the second being asked when the first is unusually late."""
        standing = self._health.of(first.target, first.domain, self._clock.monotonic_s())
        late_s = standing.late_s
        if late_s is None:  # nobody knows yet what is late
            return None
        if standing.breaker is not State.CLOSED or standing.cooling_s > 0:
            return None  # whoever is in trouble is asked with care

        def ask_second() -> Coroutine[Any, Any, Answer | None] | None:
            provider = second.target.provider
            if not self._health.may_repeat(provider):
                return None
            self._count(second.target, again=True)
            return self._try(second, [Way(self._request, "hedged")])

        self._count(first.target, again=False)
        asked = self._try(first, [Way(self._request)])
        return await earliest(asked, ask_second, late_s, self._discard)

    def _discard(self, answer: Answer) -> None:
        answer.close(self._dismiss)
        self.settle(answer, None, Code.CANCELLED)

    async def _try(self, candidate: Candidate, ways: Iterable[Way]) -> Answer | None:
        """The candidate's answer, or None and one more failure."""
        for way in ways:
            began_s = self._clock.monotonic_s()
            self._health.began(candidate.target)
            try:
                answer = await self._ask(candidate, way, began_s)
            except RhetorError as error:
                self._end(candidate, error.code, began_s, way, error)
                if isinstance(way.continuation, Prefilled) and error.code in _REFUSES_BEGINNINGS:
                    continue  # it may still answer from the beginning
                self._fail(candidate, error)
                return None
            except BaseException as error:
                cancelled = isinstance(error, asyncio.CancelledError)
                self._end(candidate, Code.CANCELLED if cancelled else Code.INTERNAL, began_s, way)
                raise
            self._health.spoke(candidate.target, self._clock.monotonic_s() - began_s)
            answer.entry = len(self.log)
            self._record(candidate, "ok", began_s, way)
            return answer
        return None

    def _count(self, target: Target, again: bool) -> None:
        """A provider that gets many requests can bear that a few of them come twice."""
        if again:
            self._health.on_repeat(target.provider)
        else:
            self._health.on_request(target.provider)

    def _ways(self, candidate: Candidate, heard: Heard) -> Iterator[Way]:
        """How this candidate may be asked for the rest, best first."""
        text = heard.text
        given = text.rstrip()
        provider = self._snapshot.provider_of(candidate.target)
        if given and (begun := provider.prefilled(self._request, given, candidate.target.model)) is not None:
            yield Way(begun, "continued", Prefilled(text, given))
        yield Way(self._request, "restarted", Restarted(text))

    async def _ask(self, candidate: Candidate, way: Way, began_s: float) -> Answer:
        patience = Patience(self._loop, self._patience_s(candidate.target))
        progress = Progress()
        try:
            with patience:
                answer = await self._first_words(candidate, way, progress, patience)
            if self._plan.route.midstream is Midstream.HOLD and not answer.complete:
                await self._hear_out(answer)
        except TimeoutError as error:
            code = _OUT_OF_TIME.get(progress.phase, Code.FIRST_EVENT_TIMEOUT)
            waited = f"{self._clock.monotonic_s() - began_s:.3g} s ({progress.phase})"
            raise UpstreamError(f"{candidate.target.name} said nothing in {waited}", code) from error
        except UpstreamError as error:
            if error.code in _ANSWER_LOST and progress.phase not in _UNSENT:
                self._on_answer_lost(candidate.target)
            raise
        return answer

    def _on_answer_lost(self, target: Target) -> None:
        """What was asked for may be made all the same. Servers of our own are paid by nobody."""
        if self._is_paid_by_the_piece and not self._snapshot.provider_of(target).row.local:
            self._paid += (target,)

    def _patience_s(self, target: Target) -> float:
        """How long a target may stay silent: all of the rest, or little where another one could answer."""
        left_s = self._ends_s - self._clock.monotonic_s()
        if not self._has_others or not (others := self._others(target)):
            return left_s
        return min(self._usual_s, left_s / (others + 1))

    @property
    def _usual_s(self) -> float:
        soon = self._request.stream and isinstance(self._request.input, _SPEAK_SOON)
        return self.deadlines.first_event_s if soon else self.deadlines.whole_s

    def _others(self, target: Target) -> int:
        """How many could answer instead."""
        asked = {target, *(tried.candidate.target for tried in self._tried)}
        known = (*self._plan.candidates, *self._plan.cooling)
        return sum(candidate.target not in asked for candidate in known)

    def _on_accepted(self, target: Target, patience: Patience, after_s: float, ends_s: float | None) -> float:
        """It works for us, and is paid: as long as it answers it has its share of all the time.

        Args:
            after_s: when it is asked next.
            ends_s: when its share is over; None: it begins now.
        """
        now_s, others = self._clock.monotonic_s(), self._others(target)
        if ends_s is None:
            ends_s = now_s + (self._ends_s - now_s) / (others + 1)
        if others:
            patience.renew(min(self._usual_s + after_s, ends_s - now_s))
        return ends_s

    async def _first_words(
        self, candidate: Candidate, way: Way, progress: Progress, patience: Patience
    ) -> Answer:
        ends_s: float | None = None
        target = candidate.target
        provider = self._snapshot.provider_of(target)
        prepared = provider.prepare(way.request, target.model, target.key)
        response = await self._opened(provider, prepared, progress)
        decoder = prepared.decoder()
        answer = Answer(candidate, provider, prepared, response, decoder, response.chunks(), way.continuation)
        hear = answer.hear if self._on_progress is None else partial(self._hear, answer)
        try:
            await answer.begin()
            while True:
                while data := await (anext(answer.reader, b"") if answer.followed is None else answer.read()):
                    if hear(decoder.feed(data)):
                        return answer
                last = decoder.close()
                spoken = hear(last)
                if last.follow is None:
                    answer.complete = True  # in one piece: nothing of it was said to anybody yet
                    return answer
                if self._is_paid_by_the_piece:
                    ends_s = self._on_accepted(target, patience, last.follow.after_s, ends_s)
                await answer.go_on(last.follow)
                if spoken:
                    return answer
        except BaseException:
            self._give_up(answer)
            raise

    def _give_up(self, answer: Answer) -> None:
        if answer.unheard:
            self._paid += (answer.target,)
        answer.close(self._dismiss)

    async def _opened(self, provider: Provider, prepared: Prepared, progress: Progress) -> Response:
        """The response to a request. What it has begun is stopped, also where nobody waits for the answer."""
        opening = provider.transport.open(prepared.call, progress)
        if not prepared.outgoing.outlives:
            return await opening
        begun = tasks.spawn(opening, f"begin at {provider.id}")
        try:
            return await asyncio.shield(begun)
        except asyncio.CancelledError:
            if progress.phase in _UNSENT:
                begun.cancel()
            self._linger(undo(begun, provider, prepared, self._dismiss), f"undo at {provider.id}")
            raise

    def _hear(self, answer: Answer, chunk: Chunk) -> bool:
        """As `answer.hear`, and how far the reply is gets handed on at once.

        Raises:
            RhetorError: the target failed before it said anything.
        """
        assert self._on_progress is not None
        spoken = answer.hear(chunk)
        for event in chunk.events:
            if isinstance(event, events.Progress):
                self._on_progress(event)
        return spoken

    async def _hear_out(self, answer: Answer) -> None:
        """Let a target say everything before the caller hears of it."""
        watch = self.watch(answer)
        size = 0
        try:
            while not answer.complete:
                chunk = await answer.next(watch)
                answer.hear(chunk)
                size += len(chunk.raw) or weigh(chunk.events)
                if size > WHOLE_LIMIT_BYTES:
                    raise UpstreamError("the reply is larger than any real one", Code.PROTOCOL)
        except BaseException:
            self._give_up(answer)
            raise
        finally:
            watch.close()

    def _end(
        self,
        candidate: Candidate,
        code: Code,
        began_s: float,
        way: Way,
        error: RhetorError | None = None,
    ) -> None:
        """An attempt has failed before it spoke."""
        after_s = error.retry_after_s if error is not None else None
        self._health.ended(candidate, code, self._clock.monotonic_s(), after_s)
        self._record(candidate, code, began_s, way)

    def _record(self, candidate: Candidate, outcome: str, began_s: float, way: Way) -> None:
        ms = round((self._clock.monotonic_s() - began_s) * 1000)
        self.log.append(AttemptRecord(candidate.target.name, outcome, ms, way.how))

    def _fail(self, candidate: Candidate, error: RhetorError, spoke: bool = False) -> None:
        if isinstance(error, UpstreamError):
            error.origin = error.origin or candidate.target.provider
        if error.code is Code.UPSTREAM_AUTH:
            said = {"provider": candidate.target.provider, "key": candidate.target.key, "error": str(error)}
            log.error("key refused", extra={"refusal": said})
        self._failures.append(error)
        paid = candidate.target in self._paid
        self._tried.append(Tried(candidate, error.code, error.retry_after_s, spoke, paid))


def _deadlines(configured: Deadlines, request: Request) -> Deadlines:
    """The route's deadlines, the total longer for a job, and shorter where the caller wants less."""
    total_s = max(configured.total_s, configured.job_s) if request.job else configured.total_s
    if request.timeout_s is not None:
        total_s = min(total_s, request.timeout_s)
    return configured if total_s == configured.total_s else replace(configured, total_s=total_s)


def _final(failures: list[RhetorError], log: list[AttemptRecord], spoken: bool) -> RhetorError:
    """The first cause, with every attempt named; a refusal that every target would repeat says more."""
    last = failures[-1]
    at_fault = not spoken and last.retry is Retry.NEVER and last.code is not Code.TOTAL_TIMEOUT
    first = last if at_fault else failures[0]
    if len(log) > 1:
        tried = ", ".join(f"{a.target}: {a.outcome}" for a in log)
        first.message = f"{first.message} (tried {tried})"
    elif log and _is_nameless(first, log[0].target):
        first.message = f"{log[0].target}: {first.message}"
    return first


def _is_nameless(error: RhetorError, target: str) -> bool:
    """Whether the message is ours and leaves open who failed; a provider's own words stay as they are."""
    return isinstance(error, UpstreamError) and error.original is None and target not in error.message
