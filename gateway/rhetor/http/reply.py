"""From a request to a reply: the one way that every HTTP door's generations go."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from types import TracebackType

from aiohttp import web

from rhetor import tasks
from rhetor.core.content import JsonValue
from rhetor.core.errors import BadRequest, Code, RhetorError
from rhetor.core.events import ENDINGS, Failed
from rhetor.core.request import Request
from rhetor.http.admission import CLOSING, enter
from rhetor.http.house import HOUSE, PRINCIPAL, SESSION, House
from rhetor.http.recorded import REPLAY_HEADER, begin
from rhetor.http.stream import CallerLeft, EventStream
from rhetor.http.whole import write_whole
from rhetor.pipeline.keeping import Keep
from rhetor.pipeline.recording import Follower, Telling
from rhetor.wire.base import JSON_TYPE, Chunk, Door, Renderer, ReplyInfo, Wire
from rhetor.wire.tekton.ask import COMPONENT_HEADER

PASSED_ON = frozenset(
    {
        "retry-after",
        "retry-after-ms",
        "openai-processing-ms",
        *(
            f"x-ratelimit-{what}-{of}"
            for what in ("limit", "remaining", "reset")
            for of in ("requests", "tokens")
        ),
        *(
            f"anthropic-ratelimit-{of}-{what}"
            for what in ("limit", "remaining", "reset")
            for of in ("requests", "tokens", "input-tokens", "output-tokens")
        ),
    }
)
"""The provider's own headers that callers of the same language act upon."""

NAME_LIMIT = 1_000  # characters; what callers ask for is kept in the books, and repeated in headers and logs
BODY_S = 120.0  # a body of the largest size arrives in time over a line of 2 Mbit/s
MOST_FALLBACKS = 16  # each may take a share of the total time; nobody waits for more
BREAK_OFF_S = 5.0  # for the caller to take the last words of a reply that failed
HEADER_LIMIT = 2_000  # characters; no proxy refuses so much


async def read_body(http: web.Request) -> bytes:
    """The body, or an error in words.

    Raises:
        BadRequest: request_too_large; status 408 when it does not come; not compressed as it says.
    """
    try:
        if http.content.is_eof():  # as nearly always: it came with the headers
            return await http.read()
        async with asyncio.timeout(BODY_S):
            return await http.read()
    except web.HTTPRequestEntityTooLarge:
        limit_mb = http.app[HOUSE].max_body_bytes >> 20
        raise BadRequest(f"the body is larger than {limit_mb} MiB", Code.TOO_LARGE) from None
    except TimeoutError:
        raise BadRequest(f"the body did not arrive within {BODY_S:g} s", status=408) from None
    except web.RequestPayloadError as error:
        raise BadRequest(f"the body cannot be read: {' '.join(str(error).split())}") from error


UNTRIED = frozenset({Code.POOL_FULL, Code.SHUTTING_DOWN})
"""Nobody was asked, or not to the end: the caller may well try again."""


class CallerHeaders(Mapping[str, str]):
    """A request's headers by name, in any case, as text: bytes that are no UTF-8 are replaced."""

    __slots__ = ("_given",)

    def __init__(self, http: web.Request) -> None:
        self._given = http.headers

    def __getitem__(self, name: str) -> str:
        value = self._given[name]
        if value.isascii():
            return value
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")

    def __iter__(self) -> Iterator[str]:
        return (name.lower() for name in self._given)

    def __len__(self) -> int:
        return len(self._given)


async def generate(
    http: web.Request, wire: Wire, door: Door, name: str, stream: bool | None = None
) -> web.StreamResponse:
    """Parse the body, make the trip, and answer in the caller's language, whole or streamed.

    Args:
        stream: set where the path decides, whatever the body says.
    """
    with UnderWay(http) as house:
        request = door.parse(await read_body(http), CallerHeaders(http))
        if stream is not None:
            request.stream = stream
        return await answer(http, house, wire, door, request, name)


class UnderWay:
    """A request that generates: it is counted, and ends with the reason for which it was cancelled.

    Raises:
        RhetorError: on entering, pool_full; on leaving, why it was cancelled, if somebody said so.
    """

    __slots__ = ("_house", "_task")

    def __init__(self, http: web.Request) -> None:
        self._house = http.app[HOUSE]
        self._task = http.task

    def __enter__(self) -> House:
        enter(self._house, self._task)
        return self._house

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._house.requests.discard(self._task)
        if isinstance(error, asyncio.CancelledError):
            raise tasks.survive(error) from None


async def answer(
    http: web.Request,
    house: House,
    wire: Wire,
    door: Door,
    request: Request,
    name: str,
    keep: Keep | None = None,
) -> web.StreamResponse:
    """Make the trip for a parsed request and answer with its reply.

    Args:
        keep: gets the reply before its caller hears the ending; nothing that it does fails the reply.
    """
    if house.closing and http.get(SESSION) is None:  # a turn that is under way may end
        raise RhetorError(CLOSING, Code.SHUTTING_DOWN)
    of_caller(http, request)
    trip, door = begin(http, house, wire, door, request, name, keep)
    try:
        if request.stream:
            return await _stream(
                http, trip, trip, lambda: door.renderer(request, reply_info(trip)), door.keepalive
            )
        async with trip:
            return await _whole(http, trip, door.renderer(request, reply_info(trip)))
    except (RhetorError, asyncio.CancelledError) as error:
        return refusal(wire, _cause(error), request.id, trip.meta)


def of_caller(http: web.Request, request: Request) -> None:
    """Note whose request it is, as its headers say.

    Raises:
        BadRequest: a name in it is too long, or there are too many.
    """
    if request.component is None and COMPONENT_HEADER in http.headers:
        request.component = CallerHeaders(http)[COMPONENT_HEADER] or None
    _refuse_excess(request)
    request.principal = http.get(PRINCIPAL)
    request.session = http.get(SESSION)


def _refuse_excess(request: Request) -> None:
    if len(request.model) > NAME_LIMIT:
        raise BadRequest(f"model: at most {NAME_LIMIT} characters, got {len(request.model)}", param="model")
    if request.component is not None and len(request.component) > NAME_LIMIT:
        length = len(request.component)
        raise BadRequest(f"component: at most {NAME_LIMIT} characters, got {length}", param=COMPONENT_HEADER)
    if len(request.fallbacks) > MOST_FALLBACKS:
        raise BadRequest(
            f"fallbacks: at most {MOST_FALLBACKS}, got {len(request.fallbacks)}", param="fallbacks"
        )


def _cause(error: RhetorError | asyncio.CancelledError) -> RhetorError:
    """What to tell the caller; whoever is cancelled without a reason tells nothing more."""
    return error if isinstance(error, RhetorError) else tasks.survive(error)


def reply_info(trip: Telling) -> ReplyInfo:
    """What a renderer may tell of a trip; who answers is empty until somebody does."""
    target = trip.served_by
    return ReplyInfo(
        id=trip.request.id,
        created_s=int(trip.began_at.timestamp()),
        model=trip.request.model,
        provider=target.provider if target is not None else "",
        served_model=target.model if target is not None else "",
        meta=trip.meta,
    )


def bytes_of(trip: Telling, renderer: Renderer, chunk: Chunk) -> bytes:
    """A chunk in the caller's language: the provider's own frames where both speak the same."""
    if not trip.verbatim:
        if chunk.before:
            renderer.render(chunk.before)  # in the provider's own frames the caller has it already
        return renderer.render(chunk.events)
    # Without a frame it is a failure that we noticed, or an ending that the provider did not spell out.
    return chunk.raw or renderer.render([event for event in chunk.events if isinstance(event, Failed)])


def refusal(
    wire: Wire, error: RhetorError, request_id: str, meta: Mapping[str, JsonValue] | None = None
) -> web.Response:
    """An error in the caller's language."""
    headers = {"x-request-id": request_id, "request-id": request_id}
    if meta is not None:
        headers |= _meta_headers(meta)
        if error.code not in UNTRIED:
            # The gateway has asked every target: an SDK that repeats would ask them all again.
            headers["x-should-retry"] = "false"
    if error.retry_after_s is not None:
        headers["retry-after"] = str(max(1, round(error.retry_after_s)))
    if error.code is Code.UNAUTHENTICATED:
        headers["www-authenticate"] = "Bearer"
    body = wire.render_error(error, request_id)
    return web.Response(status=wire.error_status(error), body=body, content_type=JSON_TYPE, headers=headers)


async def stream(
    http: web.Request, trip: Telling, renderer: Renderer, keepalive: bytes = b""
) -> web.StreamResponse:
    """The reply of a trip that was entered, as it comes.

    Args:
        keepalive: see `EventStream`.

    Raises:
        RhetorError: before anything was written.
    """
    return await _stream(http, trip, nullcontext(), lambda: renderer, keepalive)


async def _stream(
    http: web.Request,
    trip: Telling,
    entered: AbstractAsyncContextManager[object],
    voice: Callable[[], Renderer],
    keepalive: bytes,
) -> web.StreamResponse:
    renderer: Renderer | None = None

    def head() -> dict[str, str]:
        headers = _reply_headers(trip)
        headers["content-type"] = (renderer or voice()).content_type
        headers["cache-control"] = "no-cache"
        headers["x-accel-buffering"] = "no"
        return headers

    # A recording waits for nobody, so nothing else ends what a caller takes for ever to read.
    out = EventStream(http, head, keepalive, http.app[HOUSE].keepalive_s, isinstance(trip, Follower))
    try:
        async with entered:
            renderer = voice()
            async for chunk in trip.chunks():
                behind = bool(data := bytes_of(trip, renderer, chunk)) and out.send(data)
                if chunk.events and isinstance(chunk.events[-1], ENDINGS):
                    out.close()  # clients of Ollama read a line to come in whatever follows the last one
                if behind:
                    await out.catch_up()
            return await out.end()
    except (RhetorError, asyncio.CancelledError) as error:
        cause = _cause(error)
        if not out.begun:
            raise cause from None
        return await _break_off(out, renderer or voice(), cause)
    except CallerLeft:
        raise
    except Exception:
        # Too late for a status: what was written must not look whole, nor a second reply follow in it.
        out.abort()
        raise
    finally:
        out.close()


async def _break_off(out: EventStream, renderer: Renderer, error: RhetorError) -> web.StreamResponse:
    """Too late for a status: end the stream with the door's own error, if the caller still reads."""
    if out.takes_more and (words := _last_words(renderer, error)):
        out.send(words)
        with suppress(TimeoutError):
            async with asyncio.timeout(BREAK_OFF_S):
                return await out.end()
    out.abort()
    raise CallerLeft


def _last_words(renderer: Renderer, error: RhetorError) -> bytes:
    """How the language says in the middle of a stream that it failed; empty: it has no words for that."""
    with suppress(RhetorError):
        return renderer.render([Failed(error)])
    return b""


async def _whole(http: web.Request, trip: Telling, renderer: Renderer) -> web.StreamResponse:
    pieces = [bytes_of(trip, renderer, chunk) async for chunk in trip.chunks()]
    headers = _reply_headers(trip)
    headers["content-type"] = renderer.content_type
    if trip.meta.get("cost_micros") is not None:
        headers["x-rhetor-cost-micros"] = str(trip.meta["cost_micros"])
    # While the trip goes on: a stop waits for slow callers too.
    return await write_whole(http, headers, b"".join(pieces))


def _reply_headers(trip: Telling) -> dict[str, str]:
    headers = {"x-request-id": trip.request.id, "request-id": trip.request.id, **_meta_headers(trip.meta)}
    if isinstance(trip, Follower):
        trip.recording.named = True
        if trip.replayed:
            headers[REPLAY_HEADER] = "true"
    elif trip.verbatim:
        given = trip.answer.response.headers
        headers |= {name: header_safe(given[name]) for name in given if name in PASSED_ON}
    return headers


def _meta_headers(meta: Mapping[str, JsonValue]) -> dict[str, str]:
    headers = {"x-rhetor-generation-id": str(meta["generation_id"])}
    if meta["served_by"]:
        headers["x-rhetor-served-by"] = header_safe(str(meta["served_by"]))
    if attempts := meta["attempts"]:
        assert isinstance(attempts, list)
        headers["x-rhetor-attempts"] = header_safe(", ".join(map(_attempt_header, attempts)))
    if meta["fallback"]:
        headers["x-rhetor-fallback"] = "true"
    if dropped := meta.get("dropped"):
        assert isinstance(dropped, list)
        headers["x-rhetor-dropped"] = header_safe(", ".join(map(str, dropped)))
    if meta.get("usage_source") == "estimated":
        headers["x-rhetor-usage"] = "estimated"
    return headers


def _attempt_header(attempt: JsonValue) -> str:
    assert isinstance(attempt, Mapping)
    told = f"{attempt['target']};{attempt['outcome']};{attempt['ms']}ms"
    return f"{told};{attempt['how']}" if "how" in attempt else told


def header_safe(text: str) -> str:
    """Printable ASCII: a name with a line end must not become a header of its own."""
    text = text[:HEADER_LIMIT]
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if " " <= c <= "~" else "?" for c in text)
