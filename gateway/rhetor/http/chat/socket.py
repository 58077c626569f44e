"""The chat platform over WebSocket: auth, chat, ping; several chats at the same time on one connection."""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing, suppress

import orjson
from aiohttp import WSMsgType, web

from rhetor import tasks
from rhetor.core.content import Json
from rhetor.core.errors import BadRequest, Code, RhetorError
from rhetor.core.ids import new_id
from rhetor.http.chat.asked import read_message
from rhetor.http.chat.callers import Caller, caller_of, caller_with
from rhetor.http.chat.following import leave, turn_of
from rhetor.http.chat.limits import Limits
from rhetor.http.chat.messages import begun
from rhetor.http.chat.refusals import too_many
from rhetor.http.chat.told import Frame, Turn, error_frame
from rhetor.http.house import HOUSE
from rhetor.http.served import Handler
from rhetor.wire import fields

log = logging.getLogger(__name__)

AUTH_S = 30.0  # for a client to say who it is
MOST_CHATS = 16  # at the same time on one connection
POLICY = 1008  # the code with which a connection is closed that is not allowed


def websocket(limits: Limits) -> Handler:
    async def handle(http: web.Request) -> web.StreamResponse:
        """Chat over WebSocket: auth, chat, ping (the chat platform)."""
        house = http.app[HOUSE]
        # aiohttp refuses what is as large as its limit; ours is the largest that passes.
        socket = web.WebSocketResponse(max_msg_size=house.max_frame_bytes + 1, heartbeat=house.keepalive_s)
        if not socket.can_prepare(http).ok:
            raise BadRequest("this path takes WebSocket connections: send an upgrade")
        connection = _Connection(socket, http, limits)
        await socket.prepare(http)
        house.websockets.add(socket)
        try:
            await connection.talk()
        finally:
            house.websockets.discard(socket)
            await connection.close()
        return socket

    return handle


class _Connection:
    def __init__(self, socket: web.WebSocketResponse, http: web.Request, limits: Limits) -> None:
        self._socket = socket
        self._http = http
        self._house = http.app[HOUSE]
        self._limits = limits
        self._correlation_id = new_id("req")
        self._token: str | None = None
        """What the client has shown in a frame."""
        self._known = False
        self._tasks = tasks.Tasks()

    async def talk(self) -> None:
        await self._send(
            {
                "type": "connected",
                "message": "WebSocket connection established",
                "correlationId": self._correlation_id,
            }
        )
        with suppress(BadRequest):  # then it says who it is in a frame
            await self._caller()
            self._known = True
        try:
            async with asyncio.timeout(None if self._known else AUTH_S) as patience:
                async for received in self._socket:
                    if received.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                        await self._on_frame(received.data)
                    if self._known:
                        patience.reschedule(None)
        except TimeoutError:
            message = f"nobody has said who this is within {AUTH_S:g} s"
            await self._socket.close(code=POLICY, message=message.encode())

    async def close(self) -> None:
        """The client left: so do its chats."""
        await self._tasks.close()

    async def _on_frame(self, data: str | bytes) -> None:
        try:
            said = _object(data)
        except BadRequest:
            await self._send({"type": "error", "message": "Invalid message format", "retryable": False})
            return
        match said.get("type"):
            case "auth":
                await self._sign_in(said)
            case "ping":
                await self._send({"type": "pong"})
            case "chat" if self._known:
                await self._chat(said)
            case _:
                message = "Invalid message type or not authenticated"
                await self._send({"type": "error", "message": message, "retryable": False})

    async def _sign_in(self, said: Json) -> None:
        token = said.get("token")
        self._token = token if isinstance(token, str) and token else None
        try:
            await self._caller()
        except RhetorError as error:
            self._known = False
            told: Frame = {"type": "auth_error", "message": "Invalid token", "code": error.code.value}
            await self._send(told)
            await self._socket.close(code=POLICY, message=b"Invalid token")
            return
        self._known = True
        await self._send({"type": "auth_success", "correlationId": self._correlation_id})

    async def _caller(self) -> Caller:
        """Who this is, asked anew each time: a token ends, or is taken back."""
        if self._token is not None:
            return await caller_with(self._house, self._token)
        return await caller_of(self._http)

    async def _chat(self, said: Json) -> None:
        id = said.get("sessionId")
        session_id = id if isinstance(id, str) else None
        try:
            caller = await self._caller()
            if len(self._tasks) >= MOST_CHATS:
                raise BadRequest(f"{MOST_CHATS} messages are under way already", Code.RATE_LIMITED)
            allowance = self._limits.chat(self._house.clock, caller, self._http.remote)
            if allowance.retry_after_s is not None:
                raise too_many(allowance)
            sent = read_message(said)
        except RhetorError as error:
            await self._refuse(error, session_id)
            return
        self._tasks.spawn(self._answer(caller, sent.session_id, said), f"chat {sent.session_id}")

    async def _answer(self, caller: Caller, session_id: str, said: Json) -> None:
        house = self._house
        try:
            accepted = await begun(house, caller.owner, read_message(said))
            try:
                async with aclosing(turn_of(house, caller.owner, accepted, Turn(), self._caller)) as told:
                    async for frames in told:
                        for frame in frames:
                            await self._socket.send_str(_text({**frame, "sessionId": session_id}))
            except (asyncio.CancelledError, ConnectionError):
                leave(house, caller.owner, accepted)
                raise
        except RhetorError as error:
            await self._refuse(error, session_id)
        except ConnectionError:
            pass  # the client left while we wrote
        except Exception:
            log.exception("chat failed", extra={"session": session_id})
            await self._refuse(RhetorError("the gateway failed; its log says why"), session_id)

    async def _refuse(self, error: RhetorError, session_id: str | None) -> None:
        place: Frame = {} if session_id is None else {"sessionId": session_id}
        await self._send(error_frame(error) | place)

    async def _send(self, frame: Frame) -> None:
        with suppress(ConnectionError):  # a client that left needs no answer
            await self._socket.send_str(_text(frame))


def _text(frame: Frame) -> str:
    return orjson.dumps(frame).decode()


def _object(data: str | bytes) -> Json:
    return fields.parse_object(data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data)
