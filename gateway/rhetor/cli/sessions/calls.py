"""What the subcommands ask of a running gateway about sessions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from rhetor.cli.remote import Remote
from rhetor.core.content import Json, JsonValue
from rhetor.core.errors import BadRequest, Code, RhetorError
from rhetor.core.ids import new_id
from rhetor.transport.base import Response
from rhetor.wire import fields
from rhetor.wire.sse import SseSplitter

ROOT = "/v1/sessions"
ID_CHARS = len("ses_") + 24
LOOKED_AT = 1_000  # of the newest sessions, when only the beginning of an id is given
EVENTS_AT_ONCE = 1_000
SILENCE_S = 60.0  # the gateway says every few seconds that it is there
PAUSES_S = (0.0, 0.1, 0.2, 0.5, 1.0, 2.0)
SEND_TRIES = 3
PASSING = frozenset(
    {
        Code.CONNECT_FAILED,
        Code.CONNECT_TIMEOUT,
        Code.CONNECTION_LOST,
        Code.UNAVAILABLE,
        Code.SHUTTING_DOWN,
        Code.OVERLOADED,
        Code.POOL_FULL,
        Code.RATE_LIMITED,
    }
)
"""What a gateway that is started again, or very busy, makes its callers see."""
PROXY_ERRORS = frozenset({502, 503, 504})


@dataclass(frozen=True, slots=True)
class Told:
    """An event of a session."""

    seq: int
    type: str
    content: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    turn: int = 0


IN_TURN = frozenset({"initializing", "active", "waiting_input"})


def ends_turn(event: Told) -> bool:
    change = event.data
    return event.type == "status_change" and change.get("from") in IN_TURN and change.get("to") not in IN_TURN


def is_passing(error: RhetorError) -> bool:
    return error.code in PASSING or error.status in PROXY_ERRORS


class Calls:
    """A gateway's sessions, by the ids that people type."""

    def __init__(self, remote: Remote) -> None:
        self.remote = remote

    async def resolve(self, typed: str | None) -> str:
        """The session that is meant: by the beginning of its id, or the one that was changed last.

        Raises:
            RhetorError: there is none, or there are several.
        """
        if typed is not None and len(typed) == ID_CHARS:
            return typed
        rows = (await self.sessions(limit=1 if typed is None else LOOKED_AT))["data"]
        ids = [str(row["id"]) for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []
        if typed is not None:
            ids = [id for id in ids if id.startswith((typed, f"ses_{typed}"))]
        if not ids:
            what = "there is no session yet" if typed is None else f"no session's id begins with {typed!r}"
            raise BadRequest(what, Code.NOT_FOUND)
        if len(ids) > 1:
            raise BadRequest(f"{len(ids)} sessions' ids begin with {typed!r}: type more of it")
        return ids[0]

    async def create(self, wanted: Json) -> Json:
        return await self.remote.ask("POST", ROOT, wanted, {"idempotency-key": new_id("key")})

    async def sessions(
        self, states: str | None = None, backend: str | None = None, limit: int = 50, offset: int = 0
    ) -> Json:
        query = {"state": states, "backend": backend, "limit": limit, "offset": offset}
        return await self.remote.get(f"{ROOT}?{_query(query)}")

    async def backends(self) -> Json:
        return await self.remote.get(f"{ROOT}/backends")

    async def get(self, id: str) -> Json:
        return await self.remote.get(_path(id))

    async def send(self, id: str, text: str, resume: bool = False) -> Json:
        """Begin a turn; the message is taken once, however often it is tried."""
        said: dict[str, JsonValue] = {"message": text, "message_id": new_id("msg")}
        if resume:
            said["resume"] = True
        for pause_s in PAUSES_S[1:SEND_TRIES]:
            try:
                return await self.remote.ask("POST", _path(id, "messages"), said)
            except RhetorError as error:
                if not is_passing(error):
                    raise
            await asyncio.sleep(pause_s)
        return await self.remote.ask("POST", _path(id, "messages"), said)

    async def answer(self, id: str, request_id: str, verdict: Json) -> Json:
        return await self.remote.ask("POST", _path(id, f"approvals/{quote(request_id, safe='')}"), verdict)

    async def interrupt(self, id: str) -> Json:
        return await self.remote.ask("POST", _path(id, "interrupt"))

    async def suspend(self, id: str) -> Json:
        return await self.remote.ask("POST", _path(id, "suspend"))

    async def resume(self, id: str, state: Json | None = None) -> Json:
        return await self.remote.ask("POST", _path(id, "resume"), {} if state is None else {"state": state})

    async def terminate(self, id: str) -> Json:
        return await self.remote.ask("DELETE", _path(id))

    async def forget(self, id: str) -> Json:
        return await self.remote.ask("DELETE", f"{_path(id)}?forget=true")

    async def export(self, id: str, format: str) -> bytes:
        return await self.remote.read("GET", f"{_path(id, 'export')}?{_query({'format': format})}")

    async def log(self, id: str) -> list[Told]:
        """What happened so far."""
        found: list[Told] = []
        while True:
            after = found[-1].seq if found else 0
            query = _query({"after": after, "limit": EVENTS_AT_ONCE, "follow": "false"})
            page = await self.remote.get(f"{_path(id, 'events')}?{query}")
            rows = page["data"]
            told = (
                [read_event(row) for row in rows if isinstance(row, Mapping)]
                if isinstance(rows, list)
                else []
            )
            found += told
            if len(told) < EVENTS_AT_ONCE:
                return found

    async def follow(
        self,
        id: str,
        after: int,
        *,
        away_s: float | None = None,
        on_lost: Callable[[bool], None] = lambda lost: None,
    ) -> AsyncIterator[Told]:
        """What follows the event with this number, across all connections it takes, to the session's end.

        Args:
            away_s: how long to try when the gateway is away; None: for ever.
            on_lost: told True when the connection is lost, and False when there is one again.

        Raises:
            RhetorError: there is no such session, or the gateway stayed away.
        """
        clock = asyncio.get_running_loop().time
        tries, lost_s = 0, clock()
        while True:
            await asyncio.sleep(PAUSES_S[min(tries, len(PAUSES_S) - 1)])
            tries += 1
            try:
                async with aclosing(self._follow_once(id, after)) as events:
                    async for event in events:
                        if event is None:  # it is there
                            tries, lost_s = 0, clock()
                            on_lost(False)
                        elif event.seq > after:
                            after, tries, lost_s = event.seq, 0, clock()
                            yield event
            except Ended:
                return
            except RhetorError as error:
                if not is_passing(error) or (away_s is not None and clock() - lost_s > away_s):
                    raise
            on_lost(True)

    async def _follow_once(self, id: str, after: int) -> AsyncGenerator[Told | None, None]:
        """Over one connection; None whenever it turns out to be there.

        Raises:
            Ended: nothing follows.
        """
        headers = {"accept": "text/event-stream", "last-event-id": str(after)}
        response = await self.remote.open("GET", f"{_path(id, 'events')}?after={after}", headers=headers)
        try:
            if response.status == 204:
                raise Ended
            yield None
            splitter = SseSplitter()
            async with aclosing(_patient(response)) as chunks:
                async for data in chunks:
                    frames = splitter.feed(data)
                    told = (read_event(fields.parse_object(frame.data)) for frame in frames if frame.data)
                    for event in told:
                        if event.seq > after + 1:
                            return  # something was left out: ask again
                        after = max(after, event.seq)
                        yield event
                    if not frames:
                        yield None
        finally:
            response.close()


class Ended(Exception):
    """The session is terminated, and all was told."""


async def _patient(response: Response) -> AsyncGenerator[bytes, None]:
    """The chunks; a connection that is silent for too long is lost.

    Raises:
        RhetorError: it is.
    """
    chunks = response.chunks()
    while True:
        try:
            async with asyncio.timeout(SILENCE_S):
                data = await anext(chunks)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise RhetorError("the gateway says nothing any more", Code.CONNECTION_LOST) from None
        yield data


def read_event(said: Json) -> Told:
    """
    Raises:
        BadRequest: this is no event.
    """
    data = said.get("data")
    return Told(
        seq=fields.optional_integer(said, "seq") or 0,
        type=fields.optional_text(said, "type") or "",
        content=fields.optional_text(said, "content") or "",
        data=data if isinstance(data, Mapping) else {},
        turn=fields.optional_integer(said, "turn") or 0,
    )


def _path(id: str, action: str = "") -> str:
    path = f"{ROOT}/{quote(id, safe='')}"
    return f"{path}/{action}" if action else path


def _query(said: Mapping[str, object]) -> str:
    return urlencode({name: value for name, value in said.items() if value is not None})
