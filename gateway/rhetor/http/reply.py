"""From a request to a reply: the one way that every HTTP door's generations go."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping

from aiohttp import web

from rhetor.core.content import JsonValue
from rhetor.core.errors import BadRequest, Code, RhetorError
from rhetor.core.events import Failed
from rhetor.core.request import Request
from rhetor.http.house import HOUSE, PRINCIPAL
from rhetor.pipeline.trip import Trip
from rhetor.wire.base import JSON_TYPE, Chunk, Door, Renderer, ReplyInfo, Wire

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
HEADER_LIMIT = 2_000  # characters; no proxy refuses so much


class CallerLeft(ConnectionError):
    """The caller closed the connection while we wrote."""


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


async def generate(http: web.Request, wire: Wire, door: Door, name: str) -> web.StreamResponse:
    """Parse the body, make the trip, and answer in the caller's language, whole or streamed."""
    request = door.parse(await read_body(http), CallerHeaders(http))
    return await answer(http, wire, door, request, name)


async def answer(
    http: web.Request, wire: Wire, door: Door, request: Request, name: str
) -> web.StreamResponse:
    """Make the trip for a parsed request and answer with its reply."""
    house = http.app[HOUSE]
    if house.closing:
        raise BadRequest("the gateway is shutting down", Code.SHUTTING_DOWN)
    if len(request.model) > NAME_LIMIT:
        raise BadRequest(f"model: at most {NAME_LIMIT} characters, got {len(request.model)}", param="model")
    request.principal = http.get(PRINCIPAL)
    trip = house.pipeline.trip(request, name)
    try:
        async with trip:
            renderer = door.renderer(request, reply_info(trip))
            if request.stream:
                return await _stream(http, trip, renderer)
            return await _whole(trip, renderer)
    except RhetorError as error:
        return refusal(wire, error, request.id, trip.meta)


def reply_info(trip: Trip) -> ReplyInfo:
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


def bytes_of(trip: Trip, renderer: Renderer, chunk: Chunk) -> bytes:
    """A chunk in the caller's language: the provider's own frames where both speak the same."""
    if not trip.verbatim:
        return renderer.render(chunk.events)
    # Without a frame it is a failure that we noticed, or an ending that the provider did not spell out.
    return chunk.raw or renderer.render([event for event in chunk.events if isinstance(event, Failed)])


def refusal(
    wire: Wire, error: RhetorError, request_id: str, meta: Mapping[str, JsonValue] | None = None
) -> web.Response:
    """An error in the caller's language."""
    headers = {"x-request-id": request_id, "request-id": request_id}
    if meta is not None:
        # The gateway has asked every target once: an SDK that repeats would ask them all again.
        headers |= {"x-should-retry": "false", **_meta_headers(meta)}
    if error.retry_after_s is not None:
        headers["retry-after"] = str(max(1, round(error.retry_after_s)))
    if error.code is Code.UNAUTHENTICATED:
        headers["www-authenticate"] = "Bearer"
    body = wire.render_error(error, request_id)
    return web.Response(status=wire.error_status(error), body=body, content_type=JSON_TYPE, headers=headers)


async def _stream(http: web.Request, trip: Trip, renderer: Renderer) -> web.StreamResponse:
    headers = _reply_headers(trip)
    headers["content-type"] = renderer.content_type
    headers["cache-control"] = "no-cache"
    headers["x-accel-buffering"] = "no"
    response = web.StreamResponse(headers=headers)
    try:
        async for chunk in trip.chunks():
            if data := bytes_of(trip, renderer, chunk):
                await _write(http, response, data)
        await _write_eof(http, response)
    except CallerLeft:
        raise
    except Exception:
        # Too late for a status: what was written must not look whole, nor a second reply follow in it.
        if response.prepared and http.transport is not None:
            http.transport.abort()
        raise
    return response


async def _write(http: web.Request, response: web.StreamResponse, data: bytes) -> None:
    try:
        if not response.prepared:
            await response.prepare(http)
        await response.write(data)
    except ConnectionError:
        raise CallerLeft from None


async def _write_eof(http: web.Request, response: web.StreamResponse) -> None:
    try:
        if not response.prepared:
            await response.prepare(http)
        await response.write_eof()
    except ConnectionError:
        raise CallerLeft from None


async def _whole(trip: Trip, renderer: Renderer) -> web.Response:
    pieces = [bytes_of(trip, renderer, chunk) async for chunk in trip.chunks()]
    headers = _reply_headers(trip)
    headers["content-type"] = renderer.content_type
    if trip.meta.get("cost_micros") is not None:
        headers["x-rhetor-cost-micros"] = str(trip.meta["cost_micros"])
    return web.Response(body=b"".join(pieces), headers=headers)


def _reply_headers(trip: Trip) -> dict[str, str]:
    headers = {"x-request-id": trip.request.id, "request-id": trip.request.id, **_meta_headers(trip.meta)}
    if trip.verbatim:
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
    return f"{attempt['target']};{attempt['outcome']};{attempt['ms']}ms"


def header_safe(text: str) -> str:
    """Printable ASCII: a name with a line end must not become a header of its own."""
    text = text[:HEADER_LIMIT]
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if " " <= c <= "~" else "?" for c in text)
