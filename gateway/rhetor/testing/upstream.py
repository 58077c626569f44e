"""A real provider for tests: a server on loopback that speaks every language and does as it is told.

    async with Upstream() as upstream:
        upstream.says("hello world")                     # the answer to every chat from now on
        upstream.next(fails(503), cuts(after=1))         # what the next two requests get instead
        ...                                              # point a gateway or an SDK at upstream.base_url
        seen = await upstream.request()                  # the first request, once it is there
        await seen.aborted()                             # its caller left before the reply ended

The steps are in `rhetor.testing.steps`, the paths in `rhetor.testing.endpoints`.
Every connection is a real socket; nothing sleeps unless a step asks for real
seconds.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeAlias

import orjson

from rhetor.core.capability import Capability
from rhetor.core.content import Part
from rhetor.core.errors import BadRequest
from rhetor.core.events import FinishReason
from rhetor.core.usage import Usage
from rhetor.tasks import Tasks
from rhetor.testing.answers import answer, listing, refusal
from rhetor.testing.connection import Connection
from rhetor.testing.delivery import Delivery, deliver
from rhetor.testing.endpoints import Endpoint, ModelList, endpoints
from rhetor.testing.media import usual
from rhetor.testing.script import Step
from rhetor.testing.seen import Outcome, Seen
from rhetor.testing.steps import USAGE, counts, lists, says
from rhetor.testing.voices import ANY_VOICE, Asked, Rendered
from rhetor.testing.waiting import WITHIN_S, Changes
from rhetor.wire.base import JSON_TYPE

Play: TypeAlias = Step | Callable[[Seen], Step]
"""A step, or how to choose one: `lambda seen: fails(400) if seen.model == "small" else says("yes")`."""

LOOPBACK = "127.0.0.1"


class Connections:
    """The sockets of an upstream, counted."""

    def __init__(self) -> None:
        self.open = 0
        self.total = 0
        self._changes = Changes()

    async def closed(self, within_s: float = WITHIN_S) -> None:
        """Return once none is open."""
        await self._changes.until(lambda: self.open == 0, within_s, f"{self.open} open connections close")

    def on_change(self, by: int) -> None:
        self.open += by
        self.total += max(by, 0)
        self._changes.tell()


@dataclass(slots=True)
class _Exchange:
    """What goes on on one connection."""

    task: asyncio.Task[None]
    seen: Seen | None = None


class Upstream:
    """A provider that can be scripted, listening from `async with` on.

    Args:
        port: 0 takes a free one.
        served: what it serves instead of everything that the house can speak.
        anything: also answers where nothing is served, with the bytes that its script says.
    """

    def __init__(
        self, *, port: int = 0, served: Sequence[Endpoint] | None = None, anything: bool = False
    ) -> None:
        self._anything = anything
        self.requests: list[Seen] = []
        self.connections = Connections()
        self._port = port
        self._endpoints = endpoints() if served is None else served
        self._defaults: dict[Capability, Step] = {
            Capability.CHAT: says("hello world"),
            Capability.COUNT_TOKENS: counts(USAGE.input_tokens),
        }
        self._always: Play = Step()
        self._queue: deque[Play] = deque()
        self._models = lists("small", "large")
        self._exchanges: dict[Connection, _Exchange] = {}
        self._tasks = Tasks()
        self._errors: list[Exception] = []
        self._changes = Changes()
        self._server: asyncio.Server | None = None

    @property
    def base_url(self) -> str:
        return f"http://{LOOPBACK}:{self._port}"

    # The script.

    def says(
        self,
        *parts: str | Part,
        usage: Usage | None = USAGE,
        model: str | None = None,
        finish: FinishReason | None = None,
    ) -> None:
        """From now on every chat is answered with this, see `steps.says`."""
        self._defaults[Capability.CHAT] = says(*parts, usage=usage, model=model, finish=finish)

    def always(self, play: Play) -> None:
        """From now on every request does this, except those of the queue and lists of models."""
        self._always = play

    def next(self, *plays: Play) -> None:
        """The next requests do this, one each, before the default is back; lists of models do not count."""
        self._queue.extend(plays)

    def lists(self, *models: str, but: Step | None = None) -> None:
        """From now on these are the models that are listed; `but` adds a fault, or replaces the list."""
        self._models = lists(*models).but(but or Step())

    # What happened.

    async def request(self, nth: int = 1, within_s: float = WITHIN_S) -> Seen:
        """The request number `nth`, counted from 1, once it has arrived.

        Raises:
            AssertionError: it did not come in time.
        """
        await self._changes.until(lambda: len(self.requests) >= nth, within_s, f"request {nth} arrives")
        return self.requests[nth - 1]

    # The server.

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
        if self._errors and error is None:
            raise self._errors[0]

    async def start(self) -> None:
        """Listen; after `stop` on the same port again."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Connection(self), LOOPBACK, self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Be gone: refuse new connections and reset the open ones, as a killed process would."""
        if self._server is None:
            return
        self._server.close()
        for connection, exchange in list(self._exchanges.items()):
            if exchange.seen is not None:
                exchange.seen.on_end(Outcome.BROKEN)
            connection.reset()
        await self._tasks.close()
        await self.connections.closed()
        await self._server.wait_closed()
        self._server = None

    def on_open(self, connection: Connection) -> None:
        self.connections.on_change(+1)
        task = self._tasks.spawn(self._serve(connection), "upstream connection")
        self._exchanges[connection] = _Exchange(task)

    def on_left(self, connection: Connection) -> None:
        exchange = self._exchanges[connection]
        if exchange.seen is not None:
            exchange.seen.on_end(Outcome.ABORTED)
        exchange.task.cancel()

    def on_closed(self, connection: Connection) -> None:
        del self._exchanges[connection]
        self.connections.on_change(-1)

    async def _serve(self, connection: Connection) -> None:
        """Answer one request after the other; cancelled when the caller leaves."""
        try:
            while await self._exchange(connection):
                pass
            connection.close()
        except Exception as error:
            self._errors.append(error)
            connection.reset()

    async def _exchange(self, connection: Connection) -> bool:
        """Answer the next request; whether there may be another one."""
        request = await connection.request()
        seen = Seen(request, asyncio.get_running_loop().time())
        self._exchanges[connection].seen = seen
        self.requests.append(seen)
        self._changes.tell()
        return await self._deliver(seen).send(connection, seen) and request.keep_alive

    def _deliver(self, seen: Seen) -> Delivery:
        """What this request gets; a mistake of the script becomes a 500, and is raised again at the end."""
        try:
            return self._play(seen)
        except Exception as error:
            self._errors.append(error)
            return deliver(_error(500, f"{type(error).__name__}: {error}"), Step())

    def _play(self, seen: Seen) -> Delivery:
        id = f"reply-{len(self.requests)}"
        speaker = next((endpoint.speaker for endpoint in self._endpoints if endpoint.takes(seen)), None)
        if speaker is None and self._anything:
            speaker = ANY_VOICE
        if speaker is None:
            return deliver(_error(404, f"nothing is served at {seen.method} {seen.path}"), Step())
        if isinstance(speaker, ModelList):
            return deliver(listing(speaker, self._models, id), self._models)
        try:
            # Some languages have the model in their paths, and whether a stream is wanted.
            asked = speaker.hear(seen.body, {":path": seen.target, **seen.headers})
        except BadRequest as error:
            return deliver(refusal(speaker, error, id), Step())
        seen.heard = asked.request
        step = self._step(seen, asked, speaker.capability)
        return deliver(answer(asked, speaker, step, id), step)

    def _step(self, seen: Seen, asked: Asked, capability: Capability) -> Step:
        """What the script says to this request, the default filled in where it says nothing."""
        play = self._queue.popleft() if self._queue else self._always
        step = play if isinstance(play, Step) else play(seen)
        default = self._defaults.get(capability) or usual(capability, asked.request, asked.inputs)
        return default.but(step)


def _error(status: int, message: str) -> Rendered:
    """An error of nobody's language."""
    return Rendered(JSON_TYPE, [orjson.dumps({"error": {"message": message}})], status=status)
