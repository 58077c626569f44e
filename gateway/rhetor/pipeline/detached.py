"""Generations that outlive their caller's connection: who runs, who is kept, how much memory they may fill.

A recorded generation runs in a task of its own. Callers follow it, leave it
and come back; an ordinary request knows nothing of all this.

Memory is bounded twice, for one recording and for all of them. When all are
too large together, those that ended first are forgotten first; when none has
ended, whoever wants more fails.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import TypeAlias

from rhetor import tasks
from rhetor.core.errors import BadRequest, Code, RhetorError
from rhetor.core.events import Event, Progress
from rhetor.core.request import Request
from rhetor.core.value import value
from rhetor.pipeline.keeping import Keep, Kept, kept
from rhetor.pipeline.recording import Follower, Recording, Retention, State
from rhetor.pipeline.trip import Pipeline, Trip
from rhetor.pipeline.weight import weigh

REPLAY_S = 600.0  # a caller that repeats a request with its key does so within minutes
MIB = 1 << 20

Scope: TypeAlias = tuple[str | None, str, str]
"""Whose key, for which path, and the key."""


@value
class Repeat:
    """What makes two requests one: the same key in the same scope, and the same body."""

    scope: Scope
    digest: bytes
    """Of the body."""


class Recordings:
    """All recordings of this process.

    Args:
        each_mb: the most that one may fill, in MiB.
        all_mb: the most that all may fill together, in MiB.
    """

    def __init__(self, pipeline: Pipeline, each_mb: int, all_mb: int) -> None:
        self._pipeline = pipeline
        self.limit(each_mb, all_mb)
        self._listed: dict[str, Recording] = {}
        self._repeats: dict[Scope, tuple[bytes, Recording]] = {}
        """Bounded as the recordings are: a key leaves with its recording."""
        self._ended: dict[str, Recording] = {}
        """In the order of their ends; also what is listed no more and still read."""
        self._tasks = tasks.Tasks()
        self.total_bytes = 0
        self.followed = 0
        """Callers that read a recording right now."""

    def limit(self, each_mb: int, all_mb: int) -> None:
        """From now on recordings may fill so much."""
        self._each_bytes = each_mb * MIB
        self._all_bytes = all_mb * MIB

    @property
    def listed(self) -> Mapping[str, Recording]:
        """What can be found, by id."""
        return self._listed

    def begin(
        self,
        request: Request,
        door: str,
        retention: Retention,
        repeat: Repeat | None = None,
        keep: Keep | None = None,
        early: bool = False,
    ) -> Follower:
        """Record a generation, or join the one that this request repeats.

        Args:
            retention: none at all: it goes on only while somebody follows.
            keep: gets the reply, once, however many follow.
            early: whoever follows is told how far it is before anybody has answered.

        Raises:
            BadRequest: conflict, the key was used for another body.
            RhetorError: pool_full, there is no room for another one.
        """
        if repeat is not None and (found := self._repeats.get(repeat.scope)) is not None:
            digest, recording = found
            if digest != repeat.digest:
                message = "this Idempotency-Key was used for another request: choose a new one"
                raise BadRequest(message, Code.CONFLICT)
            request.id = recording.id
            return Follower(self, recording, request, replayed=True, early=early)
        trip = kept(self._pipeline.trip(request, door, lambda it: self._on_progress(recording, it)), keep)
        recording = Recording(trip, retention)
        recording.door = door
        self._charge(recording, recording.request_bytes)
        self._listed[recording.id] = recording
        if repeat is not None:
            recording.scope = repeat.scope
            recording.keep_s = max(recording.keep_s, REPLAY_S)
            self._repeats[repeat.scope] = (repeat.digest, recording)
        recording.task = self._tasks.spawn(self._record(recording, trip), f"recording {recording.id}")
        recording.task.add_done_callback(lambda _: self._on_done(recording))
        return Follower(self, recording, request, early=early)

    def find(self, id: str, principal: str | None) -> Recording:
        """The generation of this id, for whoever began it.

        Raises:
            BadRequest: not_found, also when it is somebody else's.
        """
        recording = self._listed.get(id)
        if recording is None or recording.request.principal != principal:
            message = "no such generation: it was not recorded, or is kept no longer"
            raise BadRequest(message, Code.NOT_FOUND)
        return recording

    def follow(self, recording: Recording, request: Request, early: bool = False) -> Follower:
        """Read it from its beginning; `request` tells how the reply is wanted."""
        return Follower(self, recording, request, early=early)

    async def cancel(self, recording: Recording) -> None:
        """End a generation that runs, and its call to the provider; forget one that has ended."""
        if recording.ended:
            self._unlist(recording)
        elif recording.task is not None:
            self._stop(recording, RhetorError("the generation was cancelled", Code.CANCELLED))
            await asyncio.wait([recording.task])

    async def close(self) -> None:
        """The gateway stops: end what runs. Who follows is told so."""
        for recording in [each for each in self._listed.values() if not each.ended]:
            self._stop(recording, RhetorError("the gateway is shutting down", Code.SHUTTING_DOWN))
        await self._tasks.close()
        for recording in self._listed.values():
            recording.forget_timer()

    def on_joined(self, recording: Recording) -> None:
        recording.followers += 1
        self.followed += 1
        if not recording.ended:
            recording.forget_timer()

    def on_left(self, recording: Recording) -> None:
        recording.followers -= 1
        self.followed -= 1
        if recording.followers:
            return
        if not recording.ended:
            if not recording.detached:
                self._await_return(recording)
        elif recording.id not in self._listed:
            self._drop(recording)

    def _await_return(self, recording: Recording) -> None:
        """Nobody follows: end it, now or when whoever was cut off had the time to come back."""
        left = RhetorError("the caller left", Code.CANCELLED)
        if recording.resume_s <= 0 or not (recording.named or recording.scope):
            self._stop(recording, left)
            return
        loop = asyncio.get_running_loop()
        recording.timer = loop.call_later(recording.resume_s, self._stop, recording, left)

    async def _record(self, recording: Recording, trip: Trip | Kept) -> None:
        """Make the trip and write it down. Its errors are for those who follow."""
        try:
            async with trip:
                recording.open(trip.served_by)
                async for chunk in trip.chunks():
                    self._append(recording, recording.news_of(chunk.events))
        except RhetorError as error:
            recording.stopped = recording.stopped or error

    def _on_progress(self, recording: Recording, progress: Progress) -> None:
        with suppress(RhetorError):  # no room to say so; that is noticed with the next words
            self._append(recording, [progress])
            recording.on_progress(progress)

    def _append(self, recording: Recording, events: list[Event]) -> None:
        """Write down what was said.

        Raises:
            RhetorError: the recording is too large, or there is no room for it.
        """
        if recording.ended or not events:
            return
        more_bytes = weigh(events)
        if recording.events_bytes + more_bytes > self._each_bytes:
            limit = f"the reply fills more than the {self._each_bytes // MIB} MiB that are kept of one"
            message = f"{limit}: ask for it unrecorded, or raise server.detached_each_mb"
            raise RhetorError(message, Code.TOO_LARGE)
        self._charge(recording, more_bytes)
        recording.append(events, more_bytes)
        if recording.ended:
            self._on_ended(recording)

    def _on_done(self, recording: Recording) -> None:
        """The task is over, however it came to that: it may have been cancelled before it began."""
        if not recording.ended:
            recording.fail(recording.stopped or RhetorError("the gateway failed; its log says why"))
            self._on_ended(recording)
        recording.task = None

    def _on_ended(self, recording: Recording) -> None:
        """From now on it is kept for those who come back, as long as that was wanted."""
        self.total_bytes += recording.held_bytes - recording.charged_bytes
        recording.charged_bytes = recording.held_bytes
        self._ended[recording.id] = recording
        if not _repeatable(recording):
            self._forget_key(recording)
        recording.forget_timer()
        if recording.detached or recording.resume_s > 0 or recording.scope is not None:
            loop = asyncio.get_running_loop()
            recording.timer = loop.call_later(recording.keep_s, self._unlist, recording)
        else:
            self._unlist(recording)
        self._make_room(0)  # what is kept of a failure may be more than was charged while it ran

    def _stop(self, recording: Recording, why: RhetorError) -> None:
        recording.stopped = recording.stopped or why
        self._forget_key(recording)  # whoever repeats the request from now on begins anew
        if recording.task is not None:
            tasks.cancel(recording.task, recording.stopped)

    def _charge(self, recording: Recording, more_bytes: int) -> None:
        """Make room.

        Raises:
            RhetorError: pool_full, all that is kept still runs.
        """
        self._make_room(more_bytes)
        if self.total_bytes + more_bytes > self._all_bytes:
            message = "no room to record this reply: try again later, or raise server.detached_mb"
            raise RhetorError(message, Code.POOL_FULL)
        self.total_bytes += more_bytes
        recording.charged_bytes += more_bytes

    def _make_room(self, more_bytes: int) -> None:
        """Forget those that ended first, as far as it takes."""
        while self.total_bytes + more_bytes > self._all_bytes and self._ended:
            self._lose(next(iter(self._ended.values())))

    def _lose(self, recording: Recording) -> None:
        """Give up a recording that has ended, though somebody may still read it."""
        recording.lose(RhetorError("the recording had to make room for newer ones", Code.POOL_FULL))
        self._unlist(recording)
        self._drop(recording)

    def _unlist(self, recording: Recording) -> None:
        """Nobody finds it any more; who follows it may read it to its end."""
        self._listed.pop(recording.id, None)
        self._forget_key(recording)
        recording.forget_timer()
        if not recording.followers:
            self._drop(recording)

    def _drop(self, recording: Recording) -> None:
        if self._ended.pop(recording.id, None) is not None:
            self.total_bytes -= recording.charged_bytes

    def _forget_key(self, recording: Recording) -> None:
        if recording.scope is not None:
            del self._repeats[recording.scope]
            recording.scope = None


def _repeatable(recording: Recording) -> bool:
    """Whether its key leads to the same reply again. What told its caller nothing is tried anew."""
    if recording.state is State.FAILED:
        return recording.request.stream and recording.heard_content
    return recording.state is State.FINISHED
