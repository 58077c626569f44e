"""A target that answers: what it said so far, and how to hear the rest, in however many responses."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias
from urllib.parse import urljoin, urlsplit

from rhetor.core.call import Call
from rhetor.core.errors import Code, Retry, RhetorError, UpstreamError
from rhetor.core.events import SILENT, Event, Failed, Finished
from rhetor.pipeline.continuation import Continuation
from rhetor.pipeline.patience import Patience
from rhetor.pipeline.watch import Watch
from rhetor.providers.provider import Prepared, Provider
from rhetor.routing.catalog import Target
from rhetor.routing.plan import Candidate
from rhetor.transport.base import Progress, Response
from rhetor.wire.base import Chunk, Decoder, Follow
from rhetor.wire.refusals import code_of_status, refused, retry_after_s

log = logging.getLogger(__name__)

ERROR_BODY_BYTES = 64 * 1024  # an error page longer than this says nothing more

MOST_REPEATS = 3  # of a call that only asks: what it asks about is under way or done, and paid for
FIRST_PAUSE_S = 0.25  # before the first of them; each further one takes twice as long
LONGEST_PAUSE_S = 30.0  # that a provider may ask for; for that long another target is asked instead
MOST_REDIRECTS = 3  # a result's address leads to its storage; more than that leads in circles
REDIRECTS = frozenset({301, 302, 303, 307, 308})
PASSING = frozenset(
    {
        Code.RATE_LIMITED,
        Code.OVERLOADED,
        Code.UNAVAILABLE,
        Code.UPSTREAM_ERROR,
        Code.CONNECT_FAILED,
        Code.CONNECT_TIMEOUT,
        Code.CONNECTION_LOST,
    }
)
"""Failures of a call that only asks, after which it may be asked again."""

UNDO_S = 30.0  # in which what was begun is answered, and is told to stop; queues do so in a second
MOST_FAREWELLS = 3  # whoever does not hear one of them works on, and bills it
FAREWELL_PAUSE_S = 0.5  # before the second; the third one takes four times as long

Dismiss: TypeAlias = Callable[[Provider, Call], None]
"""Sends a call whose reply nobody needs."""


@dataclass(slots=True)
class Answer:
    """A target that has spoken: what it said so far, and how to hear the rest."""

    candidate: Candidate
    provider: Provider
    prepared: Prepared
    response: Response
    decoder: Decoder
    reader: AsyncIterator[bytes]
    continuation: Continuation | None = None
    """How its reply becomes the rest of another one."""
    said: list[Chunk] = field(default_factory=list)
    complete: bool = False
    """The upstream has ended; there is no rest."""
    left: bool = False
    """Nobody listens any more."""
    entry: int = 0
    """Its place in the log."""
    followed: Follow | None = None
    """What the present response is the answer to; None: the request itself."""
    repeats: int = 0
    """How often that was asked again."""
    heard_bytes: int = 0
    """Of a steady one: what the decoder has of it."""
    known_bytes: int = 0
    """Of a steady one that was asked again: what still comes of that."""
    unheard: bool = False
    """What was asked for is under way, or made, and paid for; and it cannot be heard what became of it."""

    @property
    def target(self) -> Target:
        return self.candidate.target

    def hear(self, chunk: Chunk) -> bool:
        """Keep what was said; whether it commits the gateway to this target.

        Raises:
            RhetorError: the target failed before it said anything.
        """
        if chunk.events or chunk.raw:
            self.said.append(chunk)
        return _spoken(chunk.events)

    async def next(self, watch: Watch) -> Chunk:
        """What the next read becomes; `complete` when it was the last.

        Raises:
            UpstreamError: nothing came in time, or the connection was lost.
        """
        watch.start()
        try:
            data = await (anext(self.reader, b"") if self.followed is None else self.read(watch))
        except UpstreamError as error:
            self.complete = self.followed is None
            # A medium ends with its body and says nothing of it: one that broke off is none.
            if self.decoder.has_frames and _is_whole(last := self.decoder.close()):
                return last  # it had said why it ends; how the connection ends after that concerns nobody
            if watch.expired is not None:
                raise watch.expired from error
            raise
        finally:
            watch.stop()
        if data:
            return self.decoder.feed(data)
        last = self.decoder.close()
        self.complete = last.follow is None
        if last.follow is not None:
            await self._within(self.go_on(last.follow), watch, watch.idle_s + last.follow.after_s)
        return last

    async def read(self, watch: Watch | None = None) -> bytes:
        """The next bytes of the present response; none at its end. What breaks off is asked for again.

        Args:
            watch: the clock over this read; None: somebody has one over everything.

        Raises:
            UpstreamError: the connection was lost, and asking again was of no use.
        """
        while True:
            try:
                data = await anext(self.reader, b"")
            except UpstreamError as error:
                await self._ask_again(error, watch)
                continue
            if self.followed is None or not self.followed.steady:
                return data
            if not data and self.known_bytes:
                message = "what was made is shorter now than when it was begun to be fetched"
                raise UpstreamError(message, Code.PROTOCOL)
            known = min(len(data), self.known_bytes)
            self.known_bytes -= known
            self.heard_bytes += len(data) - known
            if known < len(data) or not data:
                return data[known:]

    async def go_on(self, follow: Follow) -> None:
        """Open the response in which the reply goes on.

        Raises:
            RhetorError: it leads nowhere, or cannot be had.
        """
        self.followed, self.repeats, self.heard_bytes, self.known_bytes = follow, 0, 0, 0
        self.provider.follow(self.prepared, follow)  # an address that nobody may follow is no reason to wait
        if follow.after_s > 0:
            await asyncio.sleep(follow.after_s)
        await self._ask()

    async def begin(self) -> None:
        """Tell the decoder that a response begins.

        Raises:
            RhetorError: it is a refusal.
        """
        response = self.response
        if not 200 <= response.status < 300:
            raise await self._refusal()
        self.decoder.begin(response.status, response.headers)

    def close(self, dismiss: Dismiss) -> None:
        """Nobody waits for it any more: a provider that works on without a connection is told so."""
        self.response.close()
        if self.left:
            return
        self.left = True
        farewell = self.decoder.abandon()
        if farewell is not None:
            with suppress(UpstreamError):  # it leads nowhere, and nobody needs it
                dismiss(self.provider, self.provider.follow(self.prepared, farewell))

    async def _ask_again(self, error: UpstreamError, watch: Watch | None) -> None:
        if watch is None:
            await self._resume(error)
        elif watch.expired is not None:
            raise watch.expired from error
        else:
            watch.stop()
            await self._within(self._resume(error), watch, watch.idle_s)
            watch.start()

    async def _resume(self, error: UpstreamError) -> None:
        await self._pause(error)
        await self._ask()

    async def _within(self, asking: Coroutine[Any, Any, None], watch: Watch, patience_s: float) -> None:
        """Ask, under the clock of a reply that has begun: whatever goes wrong now is told inside it."""
        try:
            with Patience(asyncio.get_running_loop(), patience_s):
                await asking
        except TimeoutError as error:
            self.response.close()
            message = f"the provider was silent for {watch.idle_s:g} s"
            raise UpstreamError(message, Code.IDLE_TIMEOUT) from error
        if watch.expired is not None:
            raise watch.expired

    async def _ask(self) -> None:
        """Open what is followed, more than once where there is sense in it."""
        while True:
            try:
                return await self._open()
            except RhetorError as error:
                self.response.close()
                await self._pause(error)

    async def _open(self) -> None:
        follow = self.followed
        assert follow is not None
        for _ in range(MOST_REDIRECTS + 1):
            call = self.provider.follow(self.prepared, follow)
            self.response = await self.provider.transport.open(call, Progress())
            self.reader = self.response.chunks()
            place = _elsewhere(self.response) if follow.method == "GET" else None
            if place is None:
                break
            self.response.close()
            follow = replace(follow, url=urljoin(call.url, place))
        else:
            raise UpstreamError("one address led to the next, and to the next", Code.PROTOCOL)
        if self.heard_bytes and 200 <= self.response.status < 300:
            self.known_bytes = self.heard_bytes  # the decoder has the beginning of it already
        else:
            await self.begin()

    async def _pause(self, error: RhetorError) -> None:
        """Wait before what is followed is asked again; or there is no sense in that.

        Nobody goes away for a moment's trouble: the work is done already, and another target would be
        paid for it once more.

        Raises:
            RhetorError: the failure.
        """
        follow = self.followed
        if follow is None or follow.method != "GET":
            raise error
        after_s = error.retry_after_s or 0.0
        passes = error.code in PASSING
        if not passes or self.repeats >= MOST_REPEATS or after_s > LONGEST_PAUSE_S:
            self.unheard = True
            raise _given_up(error) if passes else error
        pause_s = FIRST_PAUSE_S * 2**self.repeats
        self.repeats += 1
        await asyncio.sleep(max(pause_s, after_s))

    async def _refusal(self) -> RhetorError:
        """What a response means that is not a success; its status says much even if its body breaks off."""
        response, follow = self.response, self.followed
        headers = {name.lower(): value for name, value in response.headers.items()}
        if follow is not None and not follow.keyed:
            return _not_to_be_had(follow, response.status, retry_after_s(headers), self.provider.id)
        try:
            body = await response.read(ERROR_BODY_BYTES)
        except UpstreamError:
            body = b""
        error = self.provider.refusal(response.status, headers, body, self.prepared.wire)
        if follow is not None and error.code is Code.MODEL_NOT_FOUND:  # the model was found before
            message = f"the provider knows nothing any more of what it began: {error.message}"
            return UpstreamError(message, Code.PROTOCOL, origin=self.provider.id)
        return error


async def undo(
    opening: asyncio.Task[Response], provider: Provider, prepared: Prepared, dismiss: Dismiss
) -> None:
    """Hear what a request has begun whose caller has left meanwhile, and have it stopped."""
    with suppress(RhetorError, TimeoutError):
        async with asyncio.timeout(UNDO_S):
            response = await opening
            try:
                if not 200 <= response.status < 300:
                    return
                decoder = prepared.decoder()
                decoder.begin(response.status, response.headers)
                async for data in response.chunks():
                    decoder.feed(data)
                decoder.close()
            finally:
                response.close()
            farewell = decoder.abandon()
            if farewell is not None:
                dismiss(provider, provider.follow(prepared, farewell))


async def dismissed(provider: Provider, call: Call) -> None:
    """Send a call whose reply nobody needs, and send it again where it met a moment's trouble."""
    pause_s, trouble = FAREWELL_PAUSE_S, "it did not answer"
    with suppress(TimeoutError):
        async with asyncio.timeout(UNDO_S):
            for n in range(1, MOST_FAREWELLS + 1):
                if (error := await _farewell(provider, call)) is None:
                    return
                trouble = error.message
                if n < MOST_FAREWELLS:
                    await asyncio.sleep(max(pause_s, error.retry_after_s or 0.0))
                    pause_s *= 4
    log.warning("provider not told to stop", extra={"provider": provider.id, "reason": trouble})


async def _farewell(provider: Provider, call: Call) -> RhetorError | None:
    """None: it arrived, or there is no sense in sending it again."""
    try:
        response = await provider.transport.open(call, Progress())
    except UpstreamError as error:
        return error if error.code in PASSING else None
    response.close()
    code = code_of_status(response.status)
    if 200 <= response.status < 300 or code not in PASSING:
        return None
    after_s = retry_after_s({name.lower(): value for name, value in response.headers.items()})
    return UpstreamError(f"status {response.status}", code, retry_after_s=after_s)


def _is_whole(last: Chunk) -> bool:
    """Whether a reply that broke off had come to its end all the same, or had ended before."""
    return last.follow is None and (not last.events or isinstance(last.events[-1], Finished))


def _spoken(events: list[Event]) -> bool:
    """Whether these events commit the gateway to this target; a failure among the first is raised."""
    spoken = False
    for event in events:
        if isinstance(event, Failed):
            raise event.error
        spoken = spoken or not isinstance(event, SILENT)
    return spoken


def _elsewhere(response: Response) -> str | None:
    """Where a response sends whoever asked."""
    return response.headers.get("location") if response.status in REDIRECTS else None


def _given_up(error: RhetorError) -> RhetorError:
    """The failure of what was asked often enough: whoever asks the same target anew pays anew."""
    if error.retry is not Retry.SAME:
        return error
    return UpstreamError(error.message, Code.UNAVAILABLE, origin=error.origin)


def _not_to_be_had(follow: Follow, status: int, after_s: float | None, origin: str) -> RhetorError:
    """A result that its own address does not give; it has no language to say why."""
    code = code_of_status(status)
    message = f"fetching the result from {urlsplit(follow.url).hostname}: {refused(status, None)}"
    code = code if code in PASSING else Code.PROTOCOL
    return UpstreamError(message, code, retry_after_s=after_s, origin=origin)
