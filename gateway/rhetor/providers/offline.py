"""The offline provider: a provider like any other, except that its transport ends inside this process.

What goes out is parsed with the language's own door and what comes back is
written with its own renderer, so that a trip to `offline/echo` walks the whole
way that a trip to a vendor walks, in both lanes.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import math
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from itertools import chain

import orjson

from rhetor.core.call import Call
from rhetor.core.capability import Capability, Feature
from rhetor.core.clock import Clock, SystemClock
from rhetor.core.errors import BadRequest, Code, RhetorError, UpstreamError
from rhetor.core.events import Event, Finished, FinishReason, Started, UsageReport, Vector
from rhetor.core.request import Chat, Embed, Request
from rhetor.core.usage import Usage
from rhetor.providers.echo import echo
from rhetor.providers.estimate import estimate_chat, estimate_embed
from rhetor.providers.spec import AuthSpec, ProviderRow, QuirkSpec
from rhetor.transport.base import Phase, Progress
from rhetor.wire.anthropic import ANTHROPIC
from rhetor.wire.anthropic.outgoing import COUNT_PATH
from rhetor.wire.base import JSON_TYPE, Door, ModelEntry, ReplyInfo, Upstream, Wire
from rhetor.wire.openai import OPENAI

SCHEME = "offline:"
ECHO, EMBEDDING, ESTIMATE = "echo", "embedding", "estimate"

OFFLINE_ROW = ProviderRow(
    id="offline",
    name="Offline",
    wire="openai",
    base_url=SCHEME,
    auth=AuthSpec(required=False),
    capabilities=frozenset({Capability.CHAT, Capability.EMBEDDINGS, Capability.COUNT_TOKENS}),
    features=frozenset(
        {
            Feature.STREAMING,
            Feature.TOOLS,
            Feature.IMAGES,
            Feature.AUDIO,
            Feature.DOCUMENTS,
            Feature.JSON_SCHEMA,
        }
    ),
    default_model=ECHO,
    embedding_model=EMBEDDING,
    quirks=QuirkSpec(usage_estimated=True),
)
"""Not in the table of vendors: it is the gateway itself."""

DOORS: Mapping[str, Door] = {
    "/chat/completions": OPENAI.doors[Capability.CHAT],
    "/embeddings": OPENAI.doors[Capability.EMBEDDINGS],
    COUNT_PATH: ANTHROPIC.doors[Capability.COUNT_TOKENS],
}


class OfflineWire:
    """OpenAI's language, and Anthropic's for counting tokens, which OpenAI's has no word for."""

    name = OPENAI.name
    upstream: Mapping[Capability, Upstream] = {
        Capability.CHAT: OPENAI.upstream[Capability.CHAT],
        Capability.EMBEDDINGS: OPENAI.upstream[Capability.EMBEDDINGS],
        Capability.COUNT_TOKENS: ANTHROPIC.upstream[Capability.COUNT_TOKENS],
    }
    doors = OPENAI.doors
    models_path = OPENAI.models_path

    def read_error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        return OPENAI.read_error(status, headers, body)

    def render_error(self, error: RhetorError, request_id: str) -> bytes:
        return OPENAI.render_error(error, request_id)

    def error_status(self, error: RhetorError) -> int:
        return error.status

    def read_models(self, body: bytes) -> Sequence[ModelEntry]:
        return OPENAI.read_models(body)


OFFLINE_WIRE: Wire = OfflineWire()


class OfflineTransport:
    """Answers calls itself.

    Args:
        clock: dates the replies.
        words_per_s: how fast the echo speaks; None for as fast as it is listened to.
        sleep: waits that many seconds; 0 gives others their turn.
    """

    def __init__(
        self,
        clock: Clock | None = None,
        *,
        words_per_s: float | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._clock = clock or SystemClock()
        self._pause_s = 1 / words_per_s if words_per_s else 0.0
        self._sleep = sleep

    async def open(self, call: Call, progress: Progress) -> OfflineResponse:
        progress.phase = Phase.AWAITING_HEADERS
        status, content_type, pieces = self._answer(call)
        progress.phase = Phase.READING
        return OfflineResponse(status, content_type, pieces, self._pause)

    async def close(self) -> None:
        """There is nothing to close."""

    async def _pause(self) -> None:
        await self._sleep(self._pause_s)

    def _answer(self, call: Call) -> tuple[int, str, Iterator[bytes]]:
        path = call.url.removeprefix(SCHEME)
        if path == OPENAI.models_path:
            return 200, JSON_TYPE, iter([_models()])
        id = f"offline-{hashlib.blake2b(call.body or b'', digest_size=12).hexdigest()}"
        try:
            door = DOORS.get(path)
            if door is None:
                raise BadRequest(f"the offline provider has no {path}", Code.NOT_FOUND)
            request = door.parse(call.body or b"", call.headers)
            events = _answer(request, id)
            events = chain(
                [next(events)], events
            )  # what is wrong with the request shows now, not in the stream
        except RhetorError as error:
            return error.status, JSON_TYPE, iter([OPENAI.render_error(error, id)])
        created_s = int(self._clock.utc().timestamp())
        renderer = door.renderer(request, ReplyInfo(id, created_s, request.model, served_model=request.model))
        return 200, renderer.content_type, (renderer.render([event]) for event in events)


class OfflineResponse:
    """An answer that is made while it is read: whoever closes it early stops the making."""

    def __init__(
        self, status: int, content_type: str, pieces: Iterator[bytes], pause: Callable[[], Awaitable[None]]
    ) -> None:
        self.status = status
        self.headers: Mapping[str, str] = {"content-type": content_type}
        self._pieces = pieces
        self._pause = pause

    async def chunks(self) -> AsyncIterator[bytes]:
        # Each turn of the loop takes the iterator that `close` may have put in its place meanwhile.
        while (piece := next(self._pieces, None)) is not None:
            if piece:
                yield piece
            await self._pause()

    async def read(self, limit_bytes: int) -> bytes:
        body = bytearray()
        async for piece in self.chunks():
            body += piece
            if len(body) >= limit_bytes:
                self.close()
        return bytes(body[:limit_bytes])

    def close(self) -> None:
        self._pieces = iter(())


def _answer(request: Request, id: str) -> Iterator[Event]:
    match request.input:
        case Embed() as embed:
            _expect(request, EMBEDDING)
            return _vectors(embed, id)
        case Chat() as chat if request.capability is Capability.COUNT_TOKENS:
            return _count(chat, id, request.model)
        case Chat() as chat:
            _expect(request, ECHO)
            return echo(chat, id, request.model)
        case _:
            raise BadRequest(f"the offline provider offers no {request.capability}", Code.UNSUPPORTED)


def _expect(request: Request, model: str) -> None:
    if request.model != model:
        raise BadRequest(
            f"the offline provider has no {request.model!r} for this, but {model!r}",
            Code.MODEL_NOT_FOUND,
            param="model",
        )


def _count(chat: Chat, id: str, model: str) -> Iterator[Event]:
    yield Started(id, model)
    yield UsageReport(Usage(estimate_chat(chat), source="estimated"))
    yield Finished(FinishReason.STOP)


DIMENSIONS = 256
MOST_DIMENSIONS = 4096


def _vectors(embed: Embed, id: str) -> Iterator[Event]:
    dimensions = DIMENSIONS if embed.dimensions is None else embed.dimensions
    if not 1 <= dimensions <= MOST_DIMENSIONS:
        raise BadRequest(f"expected 1 to {MOST_DIMENSIONS}, not {dimensions}", param="dimensions")
    yield Started(id, EMBEDDING)
    for index, text in enumerate(embed.inputs):
        values = unit_vector(text if isinstance(text, str) else repr(text), dimensions)
        yield Vector(index, _base64(values) if embed.encoding == "base64" else values)
    yield UsageReport(Usage(estimate_embed(embed), source="estimated"))
    yield Finished(FinishReason.STOP)


def unit_vector(text: str, dimensions: int) -> list[float]:
    """A vector of length one that a hash of the text chose: without meaning, but the same every time."""
    digest = hashlib.shake_256(text.encode("utf-8", "surrogatepass")).digest(4 * dimensions)
    values = [number / 2**31 for number in struct.unpack(f"<{dimensions}i", digest)]
    length = math.hypot(*values) or 1.0
    return [value / length for value in values]


def _base64(values: Sequence[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(values)}f", *values)).decode()


def _models() -> bytes:
    ids = (ECHO, EMBEDDING, ESTIMATE)
    models = [{"id": id, "object": "model", "created": 0, "owned_by": "rhetor"} for id in ids]
    return orjson.dumps({"object": "list", "data": models})
