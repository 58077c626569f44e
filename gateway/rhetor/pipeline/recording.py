"""One generation written down while it happens, and those who read it.

A recording is chunks of canonical events, as its trip handed them out. They
are never cut or merged afterwards, so everybody who renders them from the
beginning gets the same frames, and a frame's place in them stays its place.
"""

from __future__ import annotations

import asyncio
import copy
import sys
from collections.abc import AsyncIterator, Iterable
from dataclasses import fields, replace
from datetime import datetime
from enum import StrEnum
from types import TracebackType
from typing import Protocol, TypeAlias

from rhetor.core.content import JsonValue, Url
from rhetor.core.errors import Code, RhetorError
from rhetor.core.events import (
    ENDINGS,
    SILENT,
    Event,
    Failed,
    Progress,
    Started,
    UsageReport,
)
from rhetor.core.media import Draw, Make, Rank, Speak, Transcribe
from rhetor.core.request import Chat, Embed, Input, Original, Request
from rhetor.core.usage import Usage
from rhetor.core.value import value
from rhetor.pipeline.keeping import Kept
from rhetor.pipeline.trip import Trip
from rhetor.pipeline.weight import error_bytes, json_bytes, weigh
from rhetor.routing.catalog import Target
from rhetor.wire.base import Chunk

BASE_BYTES = 4096  # a recording without any events: its metadata, task and places in tables
REQUEST_FACTOR = 4  # the body as it came, parsed, in canonical form, and as it was sent on
BREATH = 64  # chunks; a long recording is read in steps, so that others get their turn
RECALLED_FACTOR = 2  # what was said earlier: in canonical form, and as it was sent on
KEPT_FIELD = "context_id"  # the one field of a body that a renderer repeats


@value
class Retention:
    """How long a generation may do without its caller."""

    detach_s: float = 0.0
    """It goes on to its end, and is kept for so long after it; 0: it does not."""
    resume_s: float = 0.0
    """It waits for so long for a caller who was cut off, and is kept for so long after its end."""

    @property
    def wanted(self) -> bool:
        return self.detach_s > 0 or self.resume_s > 0


class State(StrEnum):
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Recording:
    """What is kept of one generation. Changes only synchronously, by the hand of `Recordings`."""

    def __init__(self, trip: Trip | Kept, retention: Retention) -> None:
        self.id = trip.request.id
        self.request = trip.request
        """While it runs the whole request; afterwards what renderers need of it."""
        self.meta: dict[str, JsonValue] = trip.meta
        self.began_at: datetime = trip.began_at
        self.served_by: Target | None = None
        """Who answered first: renderers name that one from the first frame on."""
        self.detached = retention.detach_s > 0
        """Goes on when nobody listens."""
        self.resume_s = retention.resume_s
        """How long it goes on when nobody listens, and is not detached."""
        self.named = False
        """Whoever began it was told its id, and can come back."""
        self.keep_s = max(retention.detach_s, retention.resume_s)
        """How long it is kept after its end."""
        self.state = State.RUNNING
        self.door = ""
        """Which it was asked for at."""
        self.progress: Progress | None = None
        """How far it was, when that was told last."""
        self.usage: Usage | None = None
        self.error: RhetorError | None = None
        self.heard_content = False
        self.length = 0
        """Chunks so far; they only become more."""
        self.events_bytes = 0
        self.request_bytes = BASE_BYTES + _said_bytes(trip.request) + _words_bytes(trip.request)
        self._chunks: list[list[Event]] = []
        self._opened = False
        self._started = False
        self._early: list[Progress] = []
        """What was told before anybody answered, and comes again in the answer."""
        self._lost: RhetorError | None = None
        self._news = asyncio.Event()
        # What its owner notes of it.
        self.scope: tuple[str | None, str, str] | None = None
        """By which key the same request finds it."""
        self.followers = 0
        self.charged_bytes = 0
        self.task: asyncio.Task[None] | None = None
        self.timer: asyncio.TimerHandle | None = None
        """Until it is ended for want of followers, or forgotten."""
        self.stopped: RhetorError | None = None
        """Why it was ended before its time."""

    @property
    def ended(self) -> bool:
        return self.state is not State.RUNNING

    @property
    def answered(self) -> bool:
        """Somebody answers, or has."""
        return self._opened

    @property
    def held_bytes(self) -> int:
        """About how much memory it fills."""
        return self.request_bytes + self.events_bytes

    def open(self, served_by: Target | None) -> None:
        """Somebody answers."""
        self._opened = True
        self.served_by = served_by
        self._tell()

    def append(self, events: list[Event], size_bytes: int) -> None:
        """One chunk more."""
        events = [Failed(_bare(e.error)) if isinstance(e, Failed) else e for e in events]
        self._chunks.append(events)
        self.length += 1
        self.events_bytes += size_bytes
        for event in events:
            if isinstance(event, UsageReport):
                self.usage = event.usage
            elif isinstance(event, Progress):
                self.progress = event
            elif isinstance(event, Started):
                self._started = True
            elif isinstance(event, ENDINGS):
                self._end(event.error if isinstance(event, Failed) else None)
            elif not isinstance(event, SILENT):
                self.heard_content = True
        self._tell()

    def on_progress(self, progress: Progress) -> None:
        """How far it is, before anybody has answered."""
        self._early.append(progress)

    def news_of(self, events: list[Event]) -> list[Event]:
        """These without what was told before."""
        if not self._early:
            return events
        return [it for it in events if not any(it is told for told in self._early)]

    def fail(self, error: RhetorError) -> None:
        """It cannot go on; who follows is told why."""
        if self._opened:
            start: list[Event] = [] if self._started else [Started("", "")]
            events = [*start, Failed(error)]
            self.append(events, weigh(events))
        else:
            self._end(error)
            self.events_bytes += error_bytes(error)
            self._tell()

    def lose(self, error: RhetorError) -> None:
        """Its events are given up; who still follows is told so instead of missing them silently."""
        self._lost = error
        self._chunks = []
        self._tell()

    def forget_timer(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    async def opened(self) -> None:
        """Wait until somebody answers.

        Raises:
            RhetorError: nobody did.
        """
        while not self._opened:
            if self.error is not None:
                raise _bare(self.error)
            await self._news.wait()

    async def chunks(self) -> AsyncIterator[Chunk]:
        """Everything from the beginning, and then what comes, to the ending."""
        at = 0
        while True:
            while self._lost is None and at < len(self._chunks):
                events = self._chunks[at]
                at += 1
                if (
                    at == self.length and self.error is not None
                ):  # raised by many, it must not keep their frames
                    events = [Failed(_bare(e.error)) if isinstance(e, Failed) else e for e in events]
                yield Chunk(events)
                if not at % BREATH:
                    await asyncio.sleep(0)
            if at == self.length and self.ended:
                return
            if self._lost is not None:
                yield Chunk([Failed(_bare(self._lost))])
                return
            await self._news.wait()

    def _end(self, error: RhetorError | None) -> None:
        self.error = error and _bare(error)
        if error is None:
            self.state = State.FINISHED
        else:
            self.state = State.CANCELLED if error.code is Code.CANCELLED else State.FAILED
        self.request = _light(self.request)
        self.request_bytes = BASE_BYTES + _words_bytes(self.request) + json_bytes(self.meta)

    def _tell(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()


class Followed(Protocol):
    """Who counts the readers of a recording."""

    def on_joined(self, recording: Recording) -> None: ...

    def on_left(self, recording: Recording) -> None: ...


class Follower:
    """Reads a recording as a door reads a trip: entered, somebody answers; iterated, it gives the reply.

    Args:
        request: of the caller who follows; it may not be the one who began.
        replayed: the caller asked for what somebody had asked before, and did not begin it.
        early: it is told how far it is before anybody answers; then only reading raises, when nobody does.

    Raises:
        RhetorError: on entering, when nobody could answer.
    """

    verbatim = False

    def __init__(
        self,
        owner: Followed,
        recording: Recording,
        request: Request,
        replayed: bool = False,
        early: bool = False,
    ) -> None:
        self.request = request
        self.recording = recording
        self.replayed = replayed
        self._early = early
        self._owner = owner

    async def __aenter__(self) -> Follower:
        self._owner.on_joined(self.recording)
        try:
            if not self._early:
                await self.recording.opened()
        except BaseException:
            self._owner.on_left(self.recording)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._owner.on_left(self.recording)

    @property
    def meta(self) -> dict[str, JsonValue]:
        return self.recording.meta

    @property
    def served_by(self) -> Target | None:
        return self.recording.served_by

    @property
    def began_at(self) -> datetime:
        return self.recording.began_at

    async def chunks(self) -> AsyncIterator[Chunk]:
        """The reply, from its first event to its ending; exactly one ending.

        Raises:
            RhetorError: nobody answered, which only shows here to whoever came early.
        """
        async for chunk in self.recording.chunks():
            yield chunk
        await self.recording.opened()


def _said_bytes(request: Request) -> int:
    body_bytes = len(request.original.body) if request.original is not None else 0
    return REQUEST_FACTOR * body_bytes + RECALLED_FACTOR * request.recalled_bytes


def _words_bytes(request: Request) -> int:
    """What a request holds beside its body, or is left with when that is gone."""
    words = [request.id, request.model, request.component, request.task, request.principal]
    words += request.fallbacks
    if request.wanted is not None:
        words += request.wanted.tags
    if (original := request.original) is not None:
        words += original.headers.values()
        words.append(_kept_of(original))
    words += _words_of(request.input)
    return sum(map(sys.getsizeof, words))


def _words_of(input: Input) -> Iterable[str]:
    """The texts of a request that is no conversation, as far as they are not in its body as well."""
    if isinstance(input, Rank):
        yield from input.documents
    if not isinstance(input, Chat | Embed):
        for each in fields(input):
            if isinstance(said := getattr(input, each.name), str):
                yield said


def _light(request: Request) -> Request:
    """What renderers need of a request: how the answer is wanted, and the caller's tags."""
    original = request.original
    if original is not None:
        kept = _kept_of(original)
        original = Original(original.wire, b"", {} if kept is None else {KEPT_FIELD: kept})
    return replace(
        request,
        input=_lightened(request.input),
        original=original,
        unsaid=(),
        fallbacks=(),
        task=None,
        wanted=None,
    )


def _lightened(input: Input) -> Input:
    match input:
        case Chat():
            return Chat(messages=())
        case Embed():
            return replace(input, inputs=(), end_user=None)
        case Draw():
            return Draw(
                prompt="",
                count=input.count,
                size=input.size,
                quality=input.quality,
                background=input.background,
                format=input.format,
            )
        case Speak():
            return replace(input, text="", instructions=None, extra={})
        case Transcribe():
            return replace(input, audio=Url(""), prompt=None, extra={})
        case Rank():
            return replace(input, query="", extra={})  # with the documents, for who wants them back
        case Make():
            return replace(input, prompt="", sources=(), extra={})


def _kept_of(original: Original) -> str | None:
    said = original.fields.get(KEPT_FIELD)
    return said if isinstance(said, str) else None


def _bare(error: RhetorError) -> RhetorError:
    """The same error without where it was raised: that would keep everything alive that was at hand there."""
    return copy.copy(error)


Telling: TypeAlias = Trip | Kept | Follower
"""How a door gets a reply: from the trip itself, or from what is written down of it."""
