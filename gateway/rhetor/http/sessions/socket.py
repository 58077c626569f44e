"""A session over a WebSocket: its events come, and commands go, neither waiting for the other.

Whoever wants one command done before the next waits for its reply. What is
common to all dialects is here, and our own one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing, suppress
from typing import Any, Protocol

import orjson
from aiohttp import WSCloseCode, WSMsgType, web

from rhetor import tasks
from rhetor.core.content import Json, JsonValue
from rhetor.core.errors import BadRequest, Code, RhetorError
from rhetor.http.admission import admit_again
from rhetor.http.house import HOUSE, PRINCIPAL, House
from rhetor.http.sessions.bodies import ID_CHARS, only, read_resuming, read_sending, read_verdict, words
from rhetor.http.sessions.stream import SLOW_S, news
from rhetor.http.stream import abort
from rhetor.http.tickets import PROTOCOL
from rhetor.sessions.shape import describe, describe_event
from rhetor.store.base import LoggedEvent, SessionRow
from rhetor.wire import fields

log = logging.getLogger(__name__)

MOST_COMMANDS = 16  # at the same time: whoever has more under way does not read what we say
MOST_BAD = 20  # frames in a row that nobody understands
GOODBYE_S = 2.0  # for the caller to answer ours
REPLIES_S = 5.0  # for the replies to a session's last commands

Said = dict[str, JsonValue]


class Dialect(Protocol):
    """How one kind of caller speaks of a session."""

    def greeting(self, row: SessionRow) -> Said | None:
        """What is said first."""

    def told(self, event: LoggedEvent) -> Said: ...

    async def obey(self, said: Json) -> Said:
        """Do what a frame wants; the reply.

        Raises:
            NotUnderstood: nothing was done.
            RhetorError: it cannot be done.
        """

    def refusal(self, error: RhetorError, said: Json) -> Said:
        """What is said instead of a reply; the frame is empty where it was none."""


class NotUnderstood(BadRequest):
    """The frame is none of this dialect."""


class NotNow(BadRequest):
    """A conflict, with the state of the session."""

    def __init__(self, error: BadRequest, state: str) -> None:
        super().__init__(error.message, error.code, param=error.param, origin=error.origin)
        self.state = state


def wants_socket(http: web.Request) -> bool:
    return http.method == "GET" and http.headers.get("Upgrade", "").lower() == "websocket"


async def converse(http: web.Request, row: SessionRow, after: int, dialect: Dialect) -> web.StreamResponse:
    """Tell what is in the log after this number, and what comes, and do what is asked, until one leaves."""
    house = http.app[HOUSE]
    socket = await open_socket(http)
    line = _Line(socket, http, row.id, dialect)
    house.websockets.add(socket)
    try:
        if (greeting := dialect.greeting(row)) is not None:
            await line.send(greeting)
        line.begin(after)
        async for message in socket:
            if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                await line.on_frame(message.data)
    finally:
        house.websockets.discard(socket)
        await line.close()
    return socket


async def open_socket(http: web.Request) -> web.WebSocketResponse:
    """
    Raises:
        BadRequest: this is no upgrade.
    """
    house = http.app[HOUSE]
    socket = web.WebSocketResponse(
        max_msg_size=house.max_frame_bytes + 1, heartbeat=house.keepalive_s, protocols=(PROTOCOL,)
    )
    if not socket.can_prepare(http).ok:
        raise BadRequest("this is no upgrade to a WebSocket that can be understood")
    await socket.prepare(http)
    return socket


class _Line:
    """One caller on the line."""

    def __init__(self, socket: web.WebSocketResponse, http: web.Request, id: str, dialect: Dialect) -> None:
        self._socket = socket
        self._http = http
        self._house: House = http.app[HOUSE]
        self._id = id
        self._dialect = dialect
        self._admitted_by = self._house.gatekeeping
        self._bad = 0
        self._goodbye: asyncio.Task[Any] | None = None
        """Whoever of us hangs up: it waits for the caller's goodbye."""
        self._reader = tasks.Tasks()
        self._commands: set[asyncio.Task[None]] = set()

    def begin(self, after: int) -> None:
        self._reader.spawn(self._tell(after), f"session socket {self._id}")

    async def close(self) -> None:
        """Nobody listens any more. What was asked of the session is done all the same."""
        if self._goodbye is not None:
            await asyncio.wait([self._goodbye], timeout=GOODBYE_S)
        await self._reader.close()
        commands = list(self._commands)
        for command in commands:
            command.cancel()
        await asyncio.gather(*commands, return_exceptions=True)

    async def on_frame(self, data: str | bytes) -> None:
        said: Said = {}
        try:
            try:
                said = fields.parse_object(data if isinstance(data, bytes) else data.encode())
            except UnicodeEncodeError:
                raise NotUnderstood("the frame is no text") from None
            except BadRequest as error:
                raise NotUnderstood(error.message.replace("the body", "the frame")) from error
            self._admit_again()
            if len(self._commands) >= MOST_COMMANDS:
                message = f"{MOST_COMMANDS} commands are under way already: wait for their replies"
                raise BadRequest(message, Code.RATE_LIMITED)
        except RhetorError as error:
            await self._refuse(error, said)
            return
        command = tasks.spawn(self._obey(said), f"session command {self._id}")
        self._commands.add(command)
        command.add_done_callback(self._commands.discard)

    async def send(self, said: Said) -> None:
        """Say something; whoever takes nothing for long is left."""
        try:
            async with asyncio.timeout(SLOW_S):
                await self._socket.send_str(orjson.dumps(said).decode())
        except TimeoutError:
            abort(self._http)
        except ConnectionError:
            pass  # the caller left

    def _admit_again(self) -> None:
        """A reload may have taken the token back."""
        if (rules := self._house.gatekeeping) is not self._admitted_by:
            admit_again(self._http, self._house)
            self._admitted_by = rules

    async def _tell(self, after: int) -> None:
        code, why = WSCloseCode.OK, "the session has ended"
        try:
            async with aclosing(news(self._http, self._id, after)) as told:
                async for events in told:
                    for event in events:
                        await self.send(self._dialect.told(event))
            if self._commands:
                await asyncio.wait(self._commands, timeout=REPLIES_S)
        except RhetorError as error:
            await self.send(self._dialect.refusal(error, {}))
            code, why = _code_of(error), error.message
        except Exception:
            log.exception("session not told", extra={"session": self._id})
            code, why = WSCloseCode.INTERNAL_ERROR, "the gateway failed; its log says why"
        await self._hang_up(code, why)

    async def _obey(self, said: Said) -> None:
        try:
            reply = await self._dialect.obey(said)
        except RhetorError as error:
            await self._refuse(error, said)
        except Exception:
            log.exception("session command failed", extra={"session": self._id})
            failure = RhetorError("the gateway failed; its log says why")
            await self.send(self._dialect.refusal(failure, said))
        else:
            self._bad = 0
            await self.send(reply)

    async def _refuse(self, error: RhetorError, said: Said) -> None:
        await self.send(self._dialect.refusal(error, said))
        self._bad = self._bad + 1 if isinstance(error, NotUnderstood) else 0
        if self._bad >= MOST_BAD:
            await self._hang_up(WSCloseCode.POLICY_VIOLATION, "nothing of what you say is understood")

    async def _hang_up(self, code: int, why: str) -> None:
        self._goodbye = asyncio.current_task()
        with suppress(ConnectionError):
            await self._socket.close(code=code, message=why.encode()[:120])


def _code_of(error: RhetorError) -> WSCloseCode:
    if error.code is Code.SHUTTING_DOWN:
        return WSCloseCode.GOING_AWAY
    return WSCloseCode.POLICY_VIOLATION if isinstance(error, BadRequest) else WSCloseCode.INTERNAL_ERROR


def error_object(error: RhetorError) -> Said:
    """An error as our own dialect's frames carry it."""
    told: Said = {"message": error.message, "code": error.code.value}
    beside = {"param": error.param, "provider": error.origin, "retry_after_s": error.retry_after_s}
    return told | {name: known for name, known in beside.items() if known is not None}


class Ours:
    """Our own dialect, see docs/sessions.md."""

    def __init__(self, http: web.Request, id: str) -> None:
        self._sessions = http.app[HOUSE].sessions
        self._owner = http.get(PRINCIPAL) or ""
        self._id = id
        self._commands: Mapping[str, Callable[[Json], Awaitable[Json]]] = {
            "message": self._message,
            "approve": self._approve,
            "interrupt": self._interrupt,
            "suspend": self._suspend,
            "resume": self._resume,
            "terminate": self._terminate,
        }

    def greeting(self, row: SessionRow) -> Said | None:
        return None

    def told(self, event: LoggedEvent) -> Said:
        return {"type": "event", "event": describe_event(self._id, event)}

    async def obey(self, said: Json) -> Said:
        wanted = said.get("type")
        if wanted == "ping":
            return {"type": "pong", **_ref(said)}
        if not isinstance(wanted, str) or (command := self._commands.get(wanted)) is None:
            known = ", ".join((*self._commands, "ping"))
            raise NotUnderstood(f"type: expected one of {known}", param="type")
        given = {key: value for key, value in said.items() if key not in ("type", "ref")}
        try:
            return {"type": "reply", **_ref(said), "to": wanted, **await command(given)}
        except BadRequest as error:
            if error.code is not Code.CONFLICT:
                raise
            row = await self._sessions.get(self._owner, self._id)
            raise NotNow(error, row.state) from error

    def refusal(self, error: RhetorError, said: Json) -> Said:
        told = error_object(error)
        if isinstance(error, NotNow):
            told["state"] = error.state
        return {"type": "error", **_ref(said), "error": told}

    async def _message(self, said: Json) -> Json:
        only(said, ("message", "message_id", "resume", "environment"))
        asked = read_sending(said)
        taken = await self._sessions.send(
            self._owner, self._id, asked.said, resume=asked.resume, environment=asked.environment
        )
        return {
            "session": describe(taken.row),
            "message_id": asked.said.message_id,
            "seq": taken.seq,
            "again": taken.again,
        }

    async def _approve(self, said: Json) -> Json:
        if (request_id := words(said, "request_id", ID_CHARS)) is None:
            raise fields.missing("request_id", "that of the request")
        verdict = read_verdict({key: value for key, value in said.items() if key != "request_id"})
        return _session(await self._sessions.answer(self._owner, self._id, request_id, verdict))

    async def _interrupt(self, said: Json) -> Json:
        only(said, ())
        return _session(await self._sessions.interrupt(self._owner, self._id))

    async def _suspend(self, said: Json) -> Json:
        only(said, ())
        return {"state": await self._sessions.suspend(self._owner, self._id)}

    async def _resume(self, said: Json) -> Json:
        asked = read_resuming(said)
        return _session(await self._sessions.resume(self._owner, self._id, asked.state, asked.environment))

    async def _terminate(self, said: Json) -> Json:
        only(said, ("reason",))
        reason = words(said, "reason", ID_CHARS) or "terminated"
        return _session(await self._sessions.terminate(self._owner, self._id, reason))


def _session(row: SessionRow) -> Json:
    return {"session": describe(row)}


def _ref(said: Json) -> Said:
    """What the caller knows its command by: it is told again with the reply."""
    ref = said.get("ref")
    return {"ref": ref} if isinstance(ref, str | int) and len(str(ref)) <= ID_CHARS else {}
