"""A session's events as they happen, across as many connections as it takes."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from types import TracebackType
from typing import Self

import aiohttp

from tekton_llm_client.connection import Connection
from tekton_llm_client.exceptions import ConnectionError, ServiceUnavailableError, TektonLLMError
from tekton_llm_client.refusals import JITTER, is_passing
from tekton_llm_client.sessions import asking
from tekton_llm_client.sessions.errors import told
from tekton_llm_client.sessions.models import SessionEvent
from tekton_llm_client.sessions.reading import EventReader

EVENT_STREAM = "text/event-stream"
FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 3.0  # so soon it is noticed that a gateway is back
NOTHING_FOLLOWS = 204


class EventStream:
    """Events as they happen, each once and in order, until the session is terminated.

    When the connection drops, or the gateway is started again, it comes back for the rest by itself: no
    event is missing, none comes twice. Who stops before the end leaves it to `async with`, `aclose` or the
    garbage collector to close the connection; the session goes on. Who is cancelled while waiting for an
    event may go on with the same stream.

    Raises:
        SessionError: there is no such session.
        ConnectionError: the gateway was away for too long; iterating again tries anew.
        TektonLLMError: it refused otherwise.
    """

    def __init__(
        self, connection: Connection, session_id: str, after: int, silence_s: float, away_s: float
    ) -> None:
        self._connection = connection
        self._reader = EventReader(after)
        self._response: aiohttp.ClientResponse | None = None
        self._ready: deque[SessionEvent] = deque()
        self._silence_s = silence_s
        self._away_s = away_s
        self._ended = False
        self._last = after
        self._over = False
        self._opened = False
        self._returns = Returns(away_s)
        self._refusal: TektonLLMError | None = None
        self.session_id = session_id

    @property
    def last_seq(self) -> int:
        """The number of the last event that was handed out: where another stream would go on."""
        return self._last

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SessionEvent:
        while not self._ready:
            if self._ended:
                raise StopAsyncIteration
            await self._more()
        event = self._ready.popleft()
        self._last = event.seq
        return event

    async def aclose(self) -> None:
        """Stop here; the session goes on."""
        self._ended = True
        self._ready.clear()
        self._drop()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __del__(self) -> None:
        response, self._response = self._response, None
        if response is not None:
            self._connection.drop(response, None)

    async def _more(self) -> None:
        """Some events, or the end, or neither: a heartbeat."""
        if self._refusal is not None:
            refusal, self._refusal = self._refusal, None
            raise refusal
        if self._response is None:
            await self._connect()
            return
        cut = False
        try:
            data = await self._response.content.readany()
        except (TimeoutError, aiohttp.ClientError, OSError):
            data, cut = b"", True
        self._ready.extend(events := self._reader.feed(data))
        if events:
            self._over = events[-1].ends_session
        if not data or self._reader.refusal is not None:
            self._lose(cut)
        else:
            self._returns = Returns(self._away_s)

    def _lose(self, cut: bool) -> None:
        """The connection is of no more use."""
        self._drop()
        refusal = self._reader.refusal
        self._reader.come_back()
        if refusal is None:
            self._ended = self._over and not cut
        elif not _may_come(refusal) or self._returns.exhausted:
            self._refusal = refusal

    async def _connect(self) -> None:
        """Ask once for what follows; the next time later."""
        await self._returns.pause()
        if self._opened and self._connection.session is None:
            raise ConnectionError("the client was shut down while its events were awaited")
        after = self._reader.last_seq
        try:
            self._response = await self._connection.send(
                "GET",
                asking.events_path(self.session_id, after),
                None,
                self._silence_s,
                {"accept": EVENT_STREAM, "last-event-id": str(after)},
            )
            self._opened = True
            self._connection.followed.add(self._response)
        except TektonLLMError as error:
            if error.status == NOTHING_FOLLOWS:
                self._ended = True
            elif not _may_come(error) or self._returns.exhausted:
                self._returns = Returns(self._away_s)
                raise told(error, self.session_id) from error.__cause__

    def _drop(self) -> None:
        if self._response is not None:
            self._response.close()
            self._response = None


class Returns:
    """How patiently a gateway is asked again: at once, then ever later, for so long in all."""

    def __init__(self, away_s: float) -> None:
        self._away_s = away_s
        self._since_s: float | None = None
        self._pause_s = 0.0

    @property
    def exhausted(self) -> bool:
        return self._since_s is not None and _now_s() - self._since_s >= self._away_s

    async def pause(self) -> None:
        if self._since_s is None:
            self._since_s = _now_s()
            return
        await asyncio.sleep(self._pause_s * random.uniform(1, 1 + JITTER))
        self._pause_s = min(self._pause_s * 2 or FIRST_PAUSE_S, LONGEST_PAUSE_S)


def _may_come(error: TektonLLMError) -> bool:
    """Whether it is worth while to wait; a stream waits for what an agent's program needs as well."""
    return isinstance(error, ServiceUnavailableError) or is_passing(error)


def _now_s() -> float:
    return asyncio.get_running_loop().time()
