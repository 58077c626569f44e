"""The Tekton door over WebSocket: many requests at the same time on one connection."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from aiohttp import WSMsgType, web

from rhetor import tasks
from rhetor.core.errors import BadRequest, Code, RhetorError
from rhetor.core.events import ENDINGS
from rhetor.http.admission import CLOSING, admit_again, enter
from rhetor.http.house import HOUSE, PRINCIPAL
from rhetor.http.recorded import retention_of
from rhetor.http.reply import reply_info
from rhetor.http.tickets import PROTOCOL
from rhetor.pipeline.recording import Follower, Recording, Telling
from rhetor.wire.base import ReplyInfo
from rhetor.wire.places import BEGINNING, Place, Places, parse_place
from rhetor.wire.tekton.ask import context_of
from rhetor.wire.tekton.frames import (
    BadFrame,
    Cancel,
    ClientFrame,
    Generate,
    Ping,
    Pong,
    Register,
    Resume,
    parse_frame,
)
from rhetor.wire.tekton.socket import Responder, Streamer, error_frame, pong, register_ack, with_id

log = logging.getLogger(__name__)

NAME = "tekton-ws"
LANGUAGE = "tekton-ws"  # its frames are others than those of Tekton's event stream
MOST_REQUESTS = 256  # at the same time on one connection


async def websocket(http: web.Request) -> web.StreamResponse:
    """Generate over WebSocket: REGISTER, GENERATE, STREAM, CHAT, CHAT_STREAM, RESUME, CANCEL (Tekton)."""
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

    request_id: str
    task: asyncio.Task[None] | None = None
    recording: Recording | None = None


class _Connection:
    """One client and its requests."""

    def __init__(self, socket: web.WebSocketResponse, http: web.Request) -> None:
        self._socket = socket
        self._http = http
        self._house = http.app[HOUSE]
        self._admitted_by = self._house.gatekeeping
        """The rules by which this client was let in."""
        self._component: str | None = None
        self._tasks = tasks.Tasks()
        self._underway: dict[str, _Underway] = {}

    async def on_frame(self, data: str | bytes) -> None:
        try:
            frame = parse_frame(data)
            await self._follow(frame)
        except BadFrame as error:
            await self._refuse(error, error.request_id)

    async def close(self) -> None:
        """The client left: so do its requests, and their upstream calls unless they were detached."""
        await self._tasks.close()

    async def _follow(self, frame: ClientFrame) -> None:
        match frame:
            case Register(component_id):
                self._component = component_id or None
                await self._send(register_ack(component_id))
            case Generate() | Resume():
                try:
                    self._start(frame)
                except BadRequest as error:
                    raise BadFrame(error, frame.request_id) from error
            case Cancel(request_id):
                if (underway := self._underway.get(request_id)) is not None:
                    await self._cancel(underway)
            case Ping():
                await self._send(pong())
            case Pong():
                pass

    def _start(self, ask: Generate | Resume) -> None:
        if self._house.closing:
            raise BadRequest(CLOSING, Code.SHUTTING_DOWN)
        if (rules := self._house.gatekeeping) is not self._admitted_by:
            admit_again(self._http, self._house)  # a reload may have taken the token back
            self._admitted_by = rules
        if ask.request_id and ask.request_id in self._underway:
            raise BadRequest("this request_id is in use", Code.CONFLICT)
        if len(self._tasks) >= MOST_REQUESTS:
            raise BadRequest(f"{MOST_REQUESTS} requests are under way already", Code.RATE_LIMITED)
        underway = _Underway(ask.request_id)
        work = self._answer(ask, underway) if isinstance(ask, Generate) else self._resume(ask, underway)
        underway.task = self._tasks.spawn(work, f"ws {ask.request_id}")
        if ask.request_id:
            self._underway[ask.request_id] = underway
        underway.task.add_done_callback(lambda _: self._on_answered(underway))

    def _on_answered(self, underway: _Underway) -> None:
        """The last frame is out: the id is free."""
        if self._underway.get(underway.request_id) is underway:
            del self._underway[underway.request_id]

    async def _cancel(self, underway: _Underway) -> None:
        assert underway.task is not None
        underway.task.cancel()  # first: the client waits for no answer any more
        if underway.recording is not None and not underway.recording.ended:
            await self._house.recordings.cancel(underway.recording)

    async def _answer(self, ask: Generate, underway: _Underway) -> None:
        house, request = self._house, ask.request
        request.principal = self._http.get(PRINCIPAL)
        request.component = request.component or self._component
        trip: Telling | None = None
        task: asyncio.Task[Any] | None = None
        try:
            task = asyncio.current_task()
            assert task is not None
            enter(house, task)
            if (retention := retention_of(house, request)).wanted:
                trip = house.recordings.begin(request, NAME, retention)
                underway.recording = trip.recording
            else:
                trip = house.pipeline.trip(request, NAME)
            await self._tell(trip, underway, BEGINNING)
        except RhetorError as error:
            await self._fail(error, underway, trip)
        finally:
            if task is not None:
                house.requests.discard(task)

    async def _resume(self, ask: Resume, underway: _Underway) -> None:
        recordings = self._house.recordings
        trip: Follower | None = None
        try:
            recording = recordings.find(ask.generation_id, self._http.get(PRINCIPAL))
            after = parse_place(ask.last_event_id, LANGUAGE, "last_event_id")
            if after.chunk > recording.length:
                raise BadRequest("this event did not happen yet", param="last_event_id")
            underway.recording = recording
            trip = recordings.follow(recording, recording.request)
            await self._tell(trip, underway, after)
        except RhetorError as error:
            await self._fail(error, underway, trip)

    async def _tell(self, trip: Telling, underway: _Underway, after: Place) -> None:
        """The reply, frame by frame; of a recorded one each frame after this place, with its id."""
        places = Places(LANGUAGE, after) if isinstance(trip, Follower) else None
        context_id = context_of(trip.request)
        try:
            async with trip:
                voice = Streamer if trip.request.stream else Responder
                renderer = voice(underway.request_id, reply_info(trip), context_id)
                async for chunk in trip.chunks():
                    frames = renderer.frames(chunk.events)
                    if places is not None:
                        frames = [with_id(frame, trip.request.id, id) for id, frame in places.of(frames)]
                    for frame in frames:
                        await self._socket.send_str(frame)
                    if chunk.events and isinstance(chunk.events[-1], ENDINGS):
                        self._on_answered(underway)  # its provider may take its time to close the stream
        except ConnectionError:
            pass  # the client left while we wrote; the trip has ended with it
        except asyncio.CancelledError as cancelled:
            raise tasks.survive(cancelled) from None
        except RhetorError:
            raise
        except Exception:
            log.exception("request failed", extra={"door": NAME, "trip": trip.request.id})
            raise RhetorError("the gateway failed; its log says why") from None

    async def _fail(self, error: RhetorError, underway: _Underway, trip: Telling | None) -> None:
        self._on_answered(underway)
        if trip is None:
            await self._refuse(error, underway.request_id)
        else:
            info, context_id = reply_info(trip), context_of(trip.request)
            await self._send(error_frame(error, underway.request_id, info, context_id))

    async def _refuse(self, error: RhetorError, request_id: str) -> None:
        nobody = ReplyInfo(id="", created_s=int(self._house.clock.utc().timestamp()), model="")
        await self._send(error_frame(error, request_id, nobody))

    async def _send(self, frame: str) -> None:
        with suppress(ConnectionError):  # a client that left needs no answer
            await self._socket.send_str(frame)
