"""The Tekton door over WebSocket: many requests at the same time on one connection."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from aiohttp import WSMsgType, web

from rhetor import tasks
from rhetor.core.errors import BadRequest, Code, RhetorError
from rhetor.http.house import HOUSE, PRINCIPAL, House
from rhetor.http.reply import reply_info
from rhetor.wire.base import ReplyInfo
from rhetor.wire.tekton.ask import context_of
from rhetor.wire.tekton.frames import (
    BadFrame,
    Cancel,
    ClientFrame,
    Generate,
    Ping,
    Pong,
    Register,
    parse_frame,
)
from rhetor.wire.tekton.socket import Responder, Streamer, error_frame, pong, register_ack

log = logging.getLogger(__name__)

NAME = "tekton-ws"
HEARTBEAT_S = 30.0  # a peer that vanished without a word is noticed after one and a half of these
MOST_REQUESTS = 256  # at the same time on one connection


async def websocket(http: web.Request) -> web.StreamResponse:
    """Generate over WebSocket: REGISTER, GENERATE, STREAM, CHAT, CHAT_STREAM, CANCEL (Tekton)."""
    house = http.app[HOUSE]
    # aiohttp refuses what is as large as its limit; ours is the largest that passes.
    socket = web.WebSocketResponse(max_msg_size=house.max_frame_bytes + 1, heartbeat=HEARTBEAT_S)
    if not socket.can_prepare(http).ok:
        raise BadRequest("this path takes WebSocket connections: send an upgrade")
    await socket.prepare(http)
    house.websockets.add(socket)
    connection = _Connection(socket, house, http.get(PRINCIPAL))
    try:
        async for message in socket:
            if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                await connection.on_frame(message.data)
    finally:
        house.websockets.discard(socket)
        await connection.close()
    return socket


class _Connection:
    """One client and its requests."""

    def __init__(self, socket: web.WebSocketResponse, house: House, principal: str | None) -> None:
        self._socket = socket
        self._house = house
        self._principal = principal
        self._component: str | None = None
        self._tasks = tasks.Tasks()
        self._requests: dict[str, asyncio.Task[None]] = {}

    async def on_frame(self, data: str | bytes) -> None:
        try:
            frame = parse_frame(data)
            await self._follow(frame)
        except BadFrame as error:
            await self._refuse(error, error.request_id)

    async def close(self) -> None:
        """The client left: so do its requests, and their upstream calls."""
        await self._tasks.close()

    async def _follow(self, frame: ClientFrame) -> None:
        match frame:
            case Register(component_id):
                self._component = component_id or None
                await self._send(register_ack(component_id))
            case Generate(request_id):
                self._start(frame, request_id)
            case Cancel(request_id):
                if (task := self._requests.get(request_id)) is not None:
                    task.cancel()
            case Ping():
                await self._send(pong())
            case Pong():
                pass

    def _start(self, ask: Generate, request_id: str) -> None:
        if self._house.closing:
            raise BadFrame(BadRequest("the gateway is shutting down", Code.SHUTTING_DOWN), request_id)
        if request_id and request_id in self._requests:
            raise BadFrame(BadRequest("this request_id is in use", Code.CONFLICT), request_id)
        if len(self._tasks) >= MOST_REQUESTS:
            raise BadFrame(
                BadRequest(f"{MOST_REQUESTS} requests are under way already", Code.RATE_LIMITED), request_id
            )
        task = self._tasks.spawn(self._answer(ask), f"ws {request_id}")
        if request_id:
            self._requests[request_id] = task
            task.add_done_callback(lambda _: self._requests.pop(request_id, None))

    async def _answer(self, ask: Generate) -> None:
        request = ask.request
        request.principal = self._principal
        request.component = request.component or self._component
        context_id = context_of(request)
        trip = self._house.pipeline.trip(request, NAME)
        try:
            async with trip:
                voice = Streamer if request.stream else Responder
                renderer = voice(ask.request_id, reply_info(trip), context_id)
                async for chunk in trip.chunks():
                    for frame in renderer.frames(chunk.events):
                        await self._socket.send_str(frame)
        except RhetorError as error:
            await self._send(error_frame(error, ask.request_id, reply_info(trip), context_id))
        except ConnectionError:
            pass  # the client left while we wrote; the trip has ended with it
        except Exception:
            log.exception("request failed", extra={"door": NAME, "trip": request.id})
            failure = RhetorError("the gateway failed; its log says why")
            await self._send(error_frame(failure, ask.request_id, reply_info(trip), context_id))

    async def _refuse(self, error: RhetorError, request_id: str) -> None:
        nobody = ReplyInfo(id="", created_s=int(self._house.clock.utc().timestamp()), model="")
        await self._send(error_frame(error, request_id, nobody))

    async def _send(self, frame: str) -> None:
        with suppress(ConnectionError):  # a client that left needs no answer
            await self._socket.send_str(frame)
