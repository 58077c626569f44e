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
from rhetor.providers.provider import Prepared, Provider
from rhetor.providers.registry import Snapshot
from rhetor.routing.catalog import Target
from rhetor.routing.plan import Plan
from rhetor.transport.base import Phase, Progress, Response
from rhetor.wire.base import Chunk, Decoder

ERROR_BODY_BYTES = 64 * 1024  # an error page longer than this says nothing more

_OUT_OF_TIME = {
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


class Attempts:
    """The attempts of one trip, and their log."""

    def __init__(self, request: Request, plan: Plan, snapshot: Snapshot, clock: Clock) -> None:
        self._request = request
        self._plan = plan
        self._snapshot = snapshot
        self._clock = clock
        self.deadlines = _deadlines(plan.route.deadlines, request.timeout_s)
        self.log: list[AttemptRecord] = []

    async def open(self) -> Answer:
        """The first target that speaks. The caller closes `answer.response`.

        Raises:
            RhetorError: the first failure, when every target failed; its message names all.
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
                error.origin = error.origin or target.provider
                failures.append(error)
                self._record(target, error.code, began_s)
                if error.retry is Retry.NEVER:
                    break
            except asyncio.CancelledError:
                self._record(target, Code.CANCELLED, began_s)
                raise
            else:
                self._record(target, "ok", began_s)
                return answer
        raise _final(failures, self.log)

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
            async with asyncio.timeout(patience_s):
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
                body = await response.read(ERROR_BODY_BYTES)
                raise provider.refusal(
                    response.status, {k.lower(): v for k, v in response.headers.items()}, body
                )
            answer = Answer(target, provider, prepared, response, prepared.decoder(), response.chunks())
            async for data in answer.reader:
                answer.said.append(answer.decoder.feed(data))
                if _spoken(answer.said[-1].events):
                    return answer
            answer.said.append(answer.decoder.close())
            answer.complete = True
            _spoken(answer.said[-1].events)
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


def _final(failures: list[RhetorError], log: list[AttemptRecord]) -> RhetorError:
    """The first cause, with every attempt named."""
    first = failures[0]
    if len(failures) > 1:
        tried = ", ".join(f"{a.target}: {a.outcome}" for a in log)
        first.message = f"{first.message} (tried {tried})"
    return first
