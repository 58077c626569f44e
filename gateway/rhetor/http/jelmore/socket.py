"""Jelmore's two dialects over WebSocket: its first one only tells, that of its branch v1 takes input too."""

from __future__ import annotations

from aiohttp import web

from rhetor.core.content import Json, JsonValue
from rhetor.core.errors import Code, RhetorError
from rhetor.core.ids import new_id
from rhetor.http.house import HOUSE, PRINCIPAL
from rhetor.http.jelmore.bodies import open_request, read_input, verdict_of
from rhetor.http.jelmore.limits import COUNTING
from rhetor.http.jelmore.shape import directory_of, event, status
from rhetor.http.sessions.socket import NotUnderstood, Said, open_socket
from rhetor.sessions import backend
from rhetor.sessions.event import EventType
from rhetor.sessions.states import State
from rhetor.store.base import LoggedEvent, SessionRow
from rhetor.wire.jelmore import provider_of

UNKNOWN_SESSION = 4004
NOT_FOUND = "Session not found"


async def refuse_unknown(http: web.Request) -> web.StreamResponse:
    """Its callers look for the code with which the connection closes, so there must be one."""
    socket = await open_socket(http)
    await socket.close(code=UNKNOWN_SESSION, message=NOT_FOUND.encode())
    return socket


async def put_in(http: web.Request, row: SessionRow, answer: str) -> bool:
    """Answer what the agent asks. False: it asks nothing."""
    request_id = open_request(row)
    if request_id is None:
        return False
    sessions, owner = http.app[HOUSE].sessions, http.get(PRINCIPAL) or ""
    await sessions.answer(owner, row.id, request_id, verdict_of(answer))
    return True


class Output:
    """Events, as over server-sent events."""

    def __init__(self, http: web.Request, id: str) -> None:
        self._http = http
        self._id = id

    def greeting(self, row: SessionRow) -> Said | None:
        return None

    def told(self, event_: LoggedEvent) -> Said:
        return event(self._id, event_)

    async def obey(self, said: Json) -> Said:
        raise NotUnderstood("this connection only tells: use /ws, or POST to /messages")

    def refusal(self, error: RhetorError, said: Json) -> Said:
        return {
            "event_type": "error",
            "content": error.message,
            "metadata": {"code": error.code.value},
            "timestamp": _now(self._http),
            "session_id": self._id,
        }


class Conversing:
    """The dialect of /ws."""

    def __init__(self, http: web.Request, id: str) -> None:
        self._http = http
        self._id = id
        self._sessions = http.app[HOUSE].sessions
        self._owner = http.get(PRINCIPAL) or ""

    def greeting(self, row: SessionRow) -> Said | None:
        return self._say("connected", status=row.state, current_directory=directory_of(row))

    def told(self, event_: LoggedEvent) -> Said:
        if event_.type != EventType.STATUS_CHANGE:
            return {"type": "output", **event(self._id, event_)}
        change = event_.data
        ended = change.get("to") == State.TERMINATED
        return {
            "type": "session_ended" if ended else "status_update",
            "session_id": self._id,
            "status": change.get("to"),
            "previous_status": change.get("from"),
            "reason": change.get("reason"),
            "timestamp": event_.at.isoformat(),
            "seq": event_.seq,
        }

    async def obey(self, said: Json) -> Said:
        match said.get("type"):
            case "ping":
                return self._say("pong")
            case "get_status":
                row = await self._sessions.get(self._owner, self._id)
                return {**status(row), **self._say("status_response")}
            case "input":
                await self._take(read_input(said))
                return self._say("input_received")
            case _:
                raise NotUnderstood("type: expected one of input, ping, get_status", param="type")

    def refusal(self, error: RhetorError, said: Json) -> Said:
        told: dict[str, JsonValue] = {"message": error.message, "code": error.code.value}
        if error.origin is not None:
            told["provider"] = provider_of(error.origin)
        if error.retry_after_s is not None:
            told["retry_after"] = error.retry_after_s
        return self._say("error", **told)

    async def _take(self, text: str) -> None:
        """An answer, where the agent asks; else the next message, which wakes the session."""
        self._http[COUNTING].ensure_input(self._http)
        row = await self._sessions.get(self._owner, self._id)
        if not await put_in(self._http, row, text):
            if not text.strip():
                raise NotUnderstood("content is missing: expected some text", Code.INVALID_REQUEST)
            message = backend.Said(text, new_id("msg"))
            await self._sessions.send(self._owner, self._id, message, resume=True)

    def _say(self, type: str, **told: JsonValue) -> Said:
        return {"type": type, "session_id": self._id, **told, "timestamp": _now(self._http)}


def _now(http: web.Request) -> str:
    return http.app[HOUSE].clock.utc().isoformat()
