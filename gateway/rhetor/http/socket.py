"""The door over WebSocket, in every dialect: many requests at the same time on one connection."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass

from aiohttp import WSMsgType, web

from rhetor import __version__, tasks
from rhetor.core.capability import Capability
from rhetor.core.errors import BadRequest, Code, RhetorError
from rhetor.core.events import ENDINGS
from rhetor.http.admission import CLOSING, admit_again, enter
from rhetor.http.house import HOUSE, PRINCIPAL
from rhetor.http.listing import listing
from rhetor.http.recalled import recalled
from rhetor.http.recorded import retention_of, trip_of
from rhetor.http.reply import reply_info
from rhetor.http.tickets import PROTOCOL
from rhetor.pipeline.recording import Follower, Telling
from rhetor.wire.base import ReplyInfo
from rhetor.wire.places import BEGINNING, Place, Places, parse_place
from rhetor.wire.rhetor.dialects import USUAL, dialect_of
from rhetor.wire.socket import (
    PONG,
    Asker,
    Asking,
    BadFrame,
    Cancel,
    ClientFrame,
    Dialect,
    Facts,
    Generate,
    Ping,
    Pong,
    Register,
    Resume,
    Status,
    opened,
    with_id,
)
from rhetor.wire.tekton.ask import DEFAULT_CONTEXT, context_of

log = logging.getLogger(__name__)

MOST_REQUESTS = 256  # at the same time on one connection


async def websocket(http: web.Request) -> web.StreamResponse:
    """Generate over WebSocket: REGISTER, GENERATE, STREAM, CHAT, CHAT_STREAM, RESUME, CANCEL (Tekton).

    Clients of older servers are answered in the dialect of their first frame.
    """
    house = http.app[HOUSE]
    # aiohttp refuses what is as large as its limit; ours is the largest that passes.
    socket = web.WebSocketResponse(
        max_msg_size=house.max_frame_bytes + 1, heartbeat=house.keepalive_s, protocols=(PROTOCOL,)
    )
    if not socket.can_prepare(http).ok:
        raise BadRequest("this path takes WebSocket connections: send an upgrade")
    connection = _Connection(socket, http)
    await socket.prepare(http)
    house.websockets.add(socket)
    try:
        async for message in socket:
            if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                await connection.on_frame(message.data)
    finally:
        house.websockets.discard(socket)
        await connection.close()
    return socket


@dataclass(slots=True, eq=False)
class _Underway:
    """A request that is being answered."""

    ask: Generate | Resume
    dialect: Dialect
    task: asyncio.Task[None] | None = None
    trip: Telling | None = None


class _Connection:
    """One client and its requests."""

    def __init__(self, socket: web.WebSocketResponse, http: web.Request) -> None:
        self._socket = socket
        self._http = http
        self._house = http.app[HOUSE]
        self._admitted_by = self._house.gatekeeping
        """The rules by which this client was let in."""
        self._dialect: Dialect | None = None
        """What the client speaks, from the first frame on with which it asks for something."""
        self._component: str | None = None
        self._tasks = tasks.Tasks()
        self._underway: dict[str, _Underway] = {}

    async def on_frame(self, data: str | bytes) -> None:
        dialect = self._dialect or USUAL
        try:
            said, body = opened(data)
            if self._dialect is None:
                dialect = dialect_of(said) or USUAL
            frame = dialect.parse(said, body, self._now_s)
            if isinstance(frame, Asking):
                self._dialect = dialect
            await self._follow(frame, dialect)
        except BadFrame as error:
            await self._refuse(error, error, dialect, error.context_id)

    async def close(self) -> None:
        """The client left: so do its requests, and their upstream calls unless they were detached."""
        await self._tasks.close()

    @property
    def _now_s(self) -> int:
        return int(self._house.clock.utc().timestamp())

    async def _follow(self, frame: ClientFrame, dialect: Dialect) -> None:
        match frame:
            case Cancel(request_id):
                if (underway := self._underway.get(request_id)) is not None:
                    await self._cancel(underway)
            case Ping():
                await self._send(PONG)
            case Pong():
                pass
            case _:
                try:
                    self._admit_again()
                    await self._serve(frame, dialect)
                except BadRequest as error:
                    raise BadFrame(error, frame.request_id, frame.source, _context_of(frame)) from error

    async def _serve(self, frame: Asking, dialect: Dialect) -> None:
        match frame:
            case Register(component_id, _, answer):
                self._component = component_id or None
                await self._send(answer)
            case Status(answer):
                await self._send(answer(self._facts()))
            case Generate() | Resume():
                self._start(frame, dialect)

    def _admit_again(self) -> None:
        """A reload may have taken the token back."""
        if (rules := self._house.gatekeeping) is not self._admitted_by:
            admit_again(self._http, self._house)
            self._admitted_by = rules

    def _facts(self) -> Facts:
        listed = listing(self._house.catalog)
        return Facts(
            version=__version__,
            providers={provider.id: provider.available for provider in listed.providers},
            default_provider=listed.default_provider,
            default_model=listed.default_model,
        )

    def _start(self, ask: Generate | Resume, dialect: Dialect) -> None:
        if self._house.closing:
            raise BadRequest(CLOSING, Code.SHUTTING_DOWN)
        if ask.request_id and ask.request_id in self._underway:
            raise BadRequest("this request_id is in use", Code.CONFLICT)
        if len(self._tasks) >= MOST_REQUESTS:
            raise BadRequest(f"{MOST_REQUESTS} requests are under way already", Code.RATE_LIMITED)
        underway = _Underway(ask, dialect)
        underway.task = self._tasks.spawn(self._work(underway), f"ws {ask.request_id}")
        if ask.request_id:
            self._underway[ask.request_id] = underway
        underway.task.add_done_callback(lambda _: self._on_answered(underway))

    def _on_answered(self, underway: _Underway) -> None:
        """The last frame is out: the id is free."""
        if self._underway.get(underway.ask.request_id) is underway:
            del self._underway[underway.ask.request_id]

    async def _cancel(self, underway: _Underway) -> None:
        assert underway.task is not None
        underway.task.cancel()  # first: the client waits for no answer any more
        if isinstance(underway.trip, Follower) and not underway.trip.recording.ended:
            await self._house.recordings.cancel(underway.trip.recording)

    async def _work(self, underway: _Underway) -> None:
        """The answer to one request; whatever goes wrong with it, its client hears of it."""
        requests, ask, task = self._house.requests, underway.ask, underway.task
        assert task is not None
        try:
            enter(self._house, task)
            if isinstance(ask, Generate):
                await self._answer(ask, underway)
            else:
                await self._resume(ask, underway)
        except asyncio.CancelledError as cancelled:
            await self._fail(tasks.survive(cancelled), underway)
        except RhetorError as error:
            await self._fail(error, underway)
        except Exception:
            log.exception("request failed", extra={"door": underway.dialect.name, "request": ask.request_id})
            await self._fail(RhetorError("the gateway failed; its log says why"), underway)
        finally:
            requests.discard(task)

    async def _answer(self, ask: Generate, underway: _Underway) -> None:
        house, request = self._house, ask.request
        request.principal = self._http.get(PRINCIPAL)
        request.component = request.component or self._component
        if ask.answer:
            await self._send(ask.answer)
        retention = retention_of(house, request)
        keep = await recalled(house, request, request.principal)
        underway.trip = trip_of(house, request, underway.dialect.name, retention, keep=keep)
        await self._tell(underway.trip, underway, BEGINNING)

    async def _resume(self, ask: Resume, underway: _Underway) -> None:
        recordings = self._house.recordings
        recording = recordings.find(ask.generation_id, self._http.get(PRINCIPAL))
        if (capability := recording.request.capability) is not Capability.CHAT:
            path = f"/v1/generations/{recording.id}/events"
            raise BadRequest(f"{capability} cannot be told over a WebSocket: GET {path}", Code.UNSUPPORTED)
        after = parse_place(ask.last_event_id, underway.dialect.name, "last_event_id")
        if after.chunk > recording.length:
            raise BadRequest("this event did not happen yet", param="last_event_id")
        underway.trip = recordings.follow(recording, recording.request)
        await self._tell(underway.trip, underway, after)

    async def _tell(self, trip: Telling, underway: _Underway, after: Place) -> None:
        """The reply, frame by frame; of a recorded one each frame after this place, with its ids."""
        dialect = underway.dialect
        places = Places(dialect.name, after) if isinstance(trip, Follower) else None
        try:
            async with trip:
                voice = dialect.voice(underway.ask, trip.request, reply_info(trip))
                async for chunk in trip.chunks():
                    frames = voice.frames(chunk.events)
                    if places is not None:
                        frames = [
                            with_id(frame, trip.request.id, id if dialect.resumes else None)
                            for id, frame in places.of(frames)
                        ]
                    for frame in frames:
                        await self._socket.send_str(frame)
                    if frames and isinstance(trip, Follower):
                        trip.recording.named = True
                    if chunk.events and isinstance(chunk.events[-1], ENDINGS):
                        self._on_answered(underway)  # its provider may take its time to close the stream
        except ConnectionError:
            pass  # the client left while we wrote; the trip has ended with it

    async def _fail(self, error: RhetorError, underway: _Underway) -> None:
        self._on_answered(underway)
        ask, dialect, trip = underway.ask, underway.dialect, underway.trip
        if trip is None:
            await self._refuse(error, ask, dialect, _context_of(ask))
        else:
            for frame in dialect.failed(error, ask, reply_info(trip), context_of(trip.request)):
                await self._send(frame)

    async def _refuse(self, error: RhetorError, to: Asker, dialect: Dialect, context_id: str | None) -> None:
        nobody = ReplyInfo(id="", created_s=self._now_s, model="")
        for frame in dialect.failed(error, to, nobody, context_id or DEFAULT_CONTEXT):
            await self._send(frame)

    async def _send(self, frame: str) -> None:
        with suppress(ConnectionError):  # a client that left needs no answer
            await self._socket.send_str(frame)


def _context_of(ask: Asking) -> str | None:
    return context_of(ask.request) if isinstance(ask, Generate) else None
