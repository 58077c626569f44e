"""Attempts: targets are asked one after the other until one has spoken.

Until the first content event nobody is committed, so a target that fails
before it costs the caller nothing. What happens after that event is the
reply's affair.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

from rhetor.core.call import Deadlines
from rhetor.core.clock import Clock
from rhetor.core.errors import Code, Retry, RhetorError, UpstreamError
from rhetor.core.events import SILENT, Event, Failed
from rhetor.core.record import AttemptRecord
from rhetor.core.request import Request
from rhetor.pipeline.patience import Patience
from rhetor.pipeline.watch import Watch
from rhetor.providers.provider import Prepared, Provider
from rhetor.providers.registry import Snapshot
from rhetor.routing.catalog import Target
from rhetor.routing.plan import Plan
from rhetor.transport.base import Phase, Progress, Response
from rhetor.wire.base import Chunk, Decoder

ERROR_BODY_BYTES = 64 * 1024  # an error page longer than this says nothing more

_OUT_OF_TIME = {
    Phase.QUEUED: Code.POOL_FULL,
    Phase.CONNECTING: Code.CONNECT_TIMEOUT,
}


@dataclass(slots=True)
class Answer:
    """A target that has spoken: what it said so far, and how to hear the rest."""

    target: Target
    provider: Provider
    prepared: Prepared
    response: Response
    decoder: Decoder
    reader: AsyncIterator[bytes]
    said: list[Chunk] = field(default_factory=list)
    complete: bool = False
    """The upstream has ended; there is no rest."""

    def hear(self, chunk: Chunk) -> bool:
        """Keep what was said; whether it commits the gateway to this target.

        Raises:
            RhetorError: the target failed before it said anything.
        """
        if chunk.events or chunk.raw:
            self.said.append(chunk)
        return _spoken(chunk.events)


class Attempts:
    """The attempts of one trip, and their log."""

    def __init__(self, request: Request, plan: Plan, snapshot: Snapshot, clock: Clock) -> None:
        self._request = request
        self._plan = plan
        self._snapshot = snapshot
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self.deadlines = _deadlines(plan.route.deadlines, request.timeout_s)
        self.log: list[AttemptRecord] = []

    async def open(self) -> Answer:
        """The first target that speaks. The caller closes `answer.response`.

        Raises:
            RhetorError: nobody spoke: the first failure, or the one that shows the request itself
                to be at fault; its message names all.
        """
        deadlines = self.deadlines
        ends_s = self._clock.monotonic_s() + deadlines.total_s
        failures: list[RhetorError] = []
        targets = self._plan.targets
        for n, target in enumerate(targets):
            left_s = ends_s - self._clock.monotonic_s()
            if left_s <= 0:
                failures.append(UpstreamError("no time is left", Code.TOTAL_TIMEOUT))
                break
            began_s = self._clock.monotonic_s()
            try:
                answer = await self._ask(target, self._patience_s(left_s, len(targets) - n))
            except RhetorError as error:
                if isinstance(error, UpstreamError):
                    error.origin = error.origin or target.provider
                failures.append(error)
                self._record(target, error.code, began_s)
                if error.retry is Retry.NEVER:
                    failures = [error]
                    break
            except BaseException as error:
                cancelled = isinstance(error, asyncio.CancelledError)
                self._record(target, Code.CANCELLED if cancelled else Code.INTERNAL, began_s)
                raise
            else:
                self._record(target, "ok", began_s)
                return answer
        raise _final(failures, self.log)

    def watch(self, answer: Answer, passed_s: float) -> Watch:
        """The clock over the rest of an answer, when so much of the trip's time has passed."""
        left_s = self.deadlines.total_s - passed_s
        return Watch(self._loop, answer.response, self.deadlines.idle_s, left_s)

    def settle(self, outcome: str) -> None:
        """Correct the last attempt's outcome: it had spoken, and then failed."""
        last = self.log[-1]
        self.log[-1] = AttemptRecord(last.target, outcome, last.ms)

    def _patience_s(self, left_s: float, targets_left: int) -> float:
        """How long one target may stay silent: a share of the rest, less where a first event is due."""
        share_s = left_s / targets_left
        if self._request.stream and targets_left > 1:
            return min(self.deadlines.first_event_s, share_s)
        return share_s

    async def _ask(self, target: Target, patience_s: float) -> Answer:
        progress = Progress()
        try:
            with Patience(self._loop, patience_s):
                return await self._until_spoken(target, progress)
        except TimeoutError as error:
            code = _OUT_OF_TIME.get(progress.phase, Code.FIRST_EVENT_TIMEOUT)
            raise UpstreamError(
                f"{target.name} said nothing in {patience_s:.3g} s ({progress.phase})", code
            ) from error

    async def _until_spoken(self, target: Target, progress: Progress) -> Answer:
        provider = self._snapshot.provider_of(target)
        prepared = provider.prepare(self._request, target.model)
        response = await provider.transport.open(prepared.call, progress)
        try:
            if not 200 <= response.status < 300:
                raise await _refusal(provider, response)
            answer = Answer(target, provider, prepared, response, prepared.decoder(), response.chunks())
            async for data in answer.reader:
                if answer.hear(answer.decoder.feed(data)):
                    return answer
            chunk = answer.decoder.close()
            _raise_failure(chunk.events)
            answer.hear(chunk)
            answer.complete = True
            return answer
        except BaseException:
            response.close()
            raise

    def _record(self, target: Target, outcome: str, began_s: float) -> None:
        ms = round((self._clock.monotonic_s() - began_s) * 1000)
        self.log.append(AttemptRecord(target.name, outcome, ms))


def _deadlines(configured: Deadlines, wanted_s: float | None) -> Deadlines:
    """The route's deadlines, the total shortened where the caller wants less."""
    if wanted_s is None or wanted_s >= configured.total_s:
        return configured
    return replace(configured, total_s=wanted_s)


def _spoken(events: list[Event]) -> bool:
    """Whether these events commit the gateway to this target; a failure before that is raised."""
    for event in events:
        if isinstance(event, Failed):
            raise event.error
        if not isinstance(event, SILENT):
            return True
    return False


def _raise_failure(events: list[Event]) -> None:
    """A reply that came in one piece has said nothing to anybody yet, whatever is in it."""
    for event in events:
        if isinstance(event, Failed):
            raise event.error


async def _refusal(provider: Provider, response: Response) -> RhetorError:
    """What a reply means that is not a success; its status says much even when its body breaks off."""
    try:
        body = await response.read(ERROR_BODY_BYTES)
    except UpstreamError:
        body = b""
    headers = {name.lower(): value for name, value in response.headers.items()}
    return provider.refusal(response.status, headers, body)


def _final(failures: list[RhetorError], log: list[AttemptRecord]) -> RhetorError:
    """The first cause, with every attempt named."""
    first = failures[0]
    if len(log) > 1:
        tried = ", ".join(f"{a.target}: {a.outcome}" for a in log)
        first.message = f"{first.message} (tried {tried})"
    elif log and _is_nameless(first, log[0].target):
        first.message = f"{log[0].target}: {first.message}"
    return first


def _is_nameless(error: RhetorError, target: str) -> bool:
    """Whether the message is ours and leaves open who failed; a provider's own words stay as they are."""
    return isinstance(error, UpstreamError) and error.original is None and target not in error.message
