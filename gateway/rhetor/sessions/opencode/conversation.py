"""One conversation with an OpenCode server: events come in, messages and answers go out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from enum import Enum
from typing import TypeAlias

from rhetor.core.content import Json, JsonValue
from rhetor.core.errors import BadRequest, Code, RhetorError
from rhetor.services.supervisor import Service
from rhetor.sessions.backend import Bound, Happening, Said, Setup, Verdict
from rhetor.sessions.opencode import setting
from rhetor.sessions.opencode.reducer import Reducer
from rhetor.sessions.opencode.server import Refused, Server
from rhetor.tasks import Tasks

log = logging.getLogger(__name__)

UNREAD_BATCHES = 64  # of events; then the connection is not read until the log has taken some
LOOK_EVERY_S = 0.25  # while it is idle, but has not said how the turn ended
ABORT_EVERY_S = 1.0  # an abort that comes before the turn has begun is lost
SETTLE_S = 15.0  # after an abort it waits for its tools, which it ends within 5 s
RECONNECTS = 5
RECONNECT_S = 0.2
DEATH_S = 1.0  # between a connection's end and that of the process
DENIED = "The user does not allow this."  # without a word the agent would stop there


class _Sign(Enum):
    CONNECTED = "connected"
    CLOSED = "closed"


_Item: TypeAlias = "Sequence[Json] | _Sign | RhetorError | None"
"""Events; the connection was lost, and is there again; nothing will come; or nothing came for a while."""


class OpenCodeConversation:
    """Implements `sessions.backend.Conversation`."""

    def __init__(
        self, service: Service, server: Server, session: str, reducer: Reducer, setup: Setup
    ) -> None:
        self._service = service
        self._server = server
        self._session = session
        self._reducer = reducer
        self._setup = setup
        self._tasks = Tasks()
        self._inbox: asyncio.Queue[_Item] = asyncio.Queue(UNREAD_BATCHES)
        self._listening: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._idle_since_s: float | None = None
        self._aborted_s = 0.0
        self._closed = False

    async def listen(self) -> None:
        """Hear its events from now on."""
        self._tasks.spawn(self._listen(), f"events of {self._session}")
        await self._listening

    # What `Conversation` promises.

    async def happenings(self) -> AsyncIterator[Happening]:
        yield Bound(self._session)
        while (item := await self._next()) is not _Sign.CLOSED:
            try:
                told = await self._on_item(item)
            except RhetorError as error:
                if self._closed:
                    return
                raise await self._cause(error) from error
            for happening in told:
                if self._closed:
                    return
                yield happening

    async def send(self, said: Said) -> None:
        self._reducer.begin()
        self._aborted_s = 0.0
        body: dict[str, JsonValue] = {
            "agent": setting.agent(self._setup),
            "model": {"providerID": setting.PROVIDER, "modelID": setting.model(self._setup)},
            "parts": [{"type": "text", "text": said.text}],
        }
        if self._setup.system:
            body["system"] = self._setup.system
        try:
            await self._server.prompt(self._session, body)
        except RhetorError as error:
            await self._inbox.put(error)

    async def answer(self, request_id: str, verdict: Verdict) -> None:
        ask = self._reducer.find_ask(request_id)
        if ask is None:
            return  # it was withdrawn just now
        if verdict.decision == "deny":
            body: Json = {"reply": "reject", "message": verdict.message or DENIED}
        elif verdict.input is not None and verdict.input != ask.input:
            message = "opencode cannot change the input of a tool: deny it, and say what you want instead"
            raise BadRequest(message, Code.UNSUPPORTED, param="input")
        else:
            body = {"reply": "always" if verdict.always and ask.always else "once"}
        self._reducer.answered(request_id)
        try:
            await self._server.reply(request_id, body)
        except RhetorError as error:
            if error.code is not Code.NOT_FOUND:  # then it did not wait any more, and goes on
                raise

    async def interrupt(self) -> None:
        if self._reducer.in_turn:
            self._reducer.interrupt()
            await self._abort()

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            while not self._inbox.empty():
                self._inbox.get_nowait()
            self._inbox.put_nowait(_Sign.CLOSED)
        await self._service.stop()
        await self._tasks.close()
        await self._server.close()

    # What comes in.

    async def _next(self) -> _Item:
        """What comes next; None: nothing has come for as long as there is to be waited now."""
        reducer = self._reducer
        if reducer.wants_messages or reducer.holds_asks:
            pause_s: float | None = LOOK_EVERY_S
        else:
            pause_s = ABORT_EVERY_S if reducer.wants_abort else None
        try:
            async with asyncio.timeout(pause_s):
                return await self._inbox.get()
        except TimeoutError:
            return None

    async def _on_item(self, item: _Item) -> Sequence[Happening]:
        reducer = self._reducer
        told: list[Happening] = []
        looked = False
        if isinstance(item, RhetorError):
            return self._on_failure(item)
        if item is _Sign.CONNECTED:
            reducer.on_gap()
        elif item is None:
            told += reducer.release_asks()
        elif not isinstance(item, _Sign):
            told += reducer.on_events(item)
        if reducer.wants_messages:
            told += await self._look(after_gap=item is _Sign.CONNECTED)
            looked = True
        if reducer.wants_abort:
            await self._abort()
        if not (looked and reducer.wants_messages):
            self._idle_since_s = None
        elif self._idle_since_s is None:
            self._idle_since_s = _now_s()
        elif _now_s() - self._idle_since_s > SETTLE_S:
            told += reducer.give_up_waiting()
        return told

    def _on_failure(self, error: RhetorError) -> Sequence[Happening]:
        """A message was not taken, which ends its turn, or the server is gone, which ends everything."""
        if not isinstance(error, Refused):
            raise error
        return self._reducer.refuse(error)

    async def _cause(self, error: RhetorError) -> RhetorError:
        """That the server has died, where that is why."""
        with suppress(TimeoutError):
            async with asyncio.timeout(DEATH_S):
                await self._service.ended()
        return self._service.error or error

    async def _look(self, *, after_gap: bool) -> Sequence[Happening]:
        busy = await self._server.is_busy(self._session)
        pending = await self._server.pending() if after_gap else None
        messages = await self._server.messages_since(self._session, self._reducer.earlier)
        return self._reducer.on_messages(messages, busy=busy, pending=pending)

    async def _abort(self) -> None:
        if _now_s() - self._aborted_s >= ABORT_EVERY_S:
            self._aborted_s = _now_s()
            await self._server.abort(self._session)

    async def _listen(self) -> None:
        """Put events into the inbox for as long as the server runs."""
        error: RhetorError | None = None
        failures = 0
        while failures < RECONNECTS and self._service.port is not None:
            error = await self._hear()
            failures = 0 if error is None else failures + 1
            await asyncio.sleep(RECONNECT_S)
        error = error or self._service.error or _gone()
        if self._listening.done():
            await self._inbox.put(error)
        else:
            self._listening.set_exception(error)

    async def _hear(self) -> RhetorError | None:
        """Listen until the connection ends. None: it was there for a while."""
        heard = False
        try:
            async with self._server.events() as events:
                async for batch in events:
                    if not self._listening.done():
                        self._listening.set_result(None)
                    elif not heard:
                        await self._inbox.put(_Sign.CONNECTED)
                    heard = True
                    await self._inbox.put(batch)
        except RhetorError as error:
            return None if heard else error
        return None if heard else _gone()


def _gone() -> RhetorError:
    return RhetorError("opencode has closed the connection", Code.UNAVAILABLE)


def _now_s() -> float:
    return asyncio.get_running_loop().time()
