"""The transport on aiohttp's client: one session, so one bounded pool, for each provider."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from functools import partial
from io import BytesIO

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import ContentEncodingError, HttpProcessingError
from yarl import URL

from rhetor.core.call import Call
from rhetor.core.errors import Code, UpstreamError
from rhetor.transport.base import Phase, Progress, Response

KEEPALIVE_S = 75.0  # longer than most load balancers keep theirs, so it is they who close
MAX_HEADER_BYTES = 64 * 1024  # some vendors send long content-security-policy headers
DNS_TTL_S = 60
LARGE_BODY_BYTES = 1 << 20  # beyond this aiohttp wants bodies in pieces, so that the loop may turn meanwhile


class HttpTransport:
    """Keeps up to `limit` connections to one provider; further calls wait for a slot.

    Args:
        limit: connections at the same time.
        connect_s: seconds for DNS, TCP and TLS of a new connection.
    """

    def __init__(self, limit: int, connect_s: float) -> None:
        # aiohttp's own queue loses a wake-up when the call it wakes is cancelled: then all others wait on.
        self._slots = asyncio.Semaphore(limit)
        self._connect_s = connect_s
        self._session: aiohttp.ClientSession | None = None
        self._open: set[_HttpResponse] = set()
        self._closed = False

    async def open(self, call: Call, progress: Progress) -> Response:
        await self._slots.acquire()
        try:
            response = await self._send(call, progress)
        except BaseException:
            self._slots.release()
            raise
        opened = _HttpResponse(response, self._on_done)
        self._open.add(opened)
        return opened

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        for response in list(self._open):
            response.close()
        self._slots.release()  # wakes who waits for a slot: each finds the pool closed and wakes the next
        if self._session is not None:
            await self._session.close()

    def _on_done(self, response: _HttpResponse) -> None:
        self._open.discard(response)
        self._slots.release()

    async def _send(self, call: Call, progress: Progress) -> aiohttp.ClientResponse:
        if self._closed:
            raise UpstreamError("the pool of this provider is closed", Code.UNAVAILABLE)
        session = self._session or self._start()
        body = call.body
        try:
            response = await session.request(
                call.method,
                URL(call.url, encoded=True),
                data=BytesIO(body) if body is not None and len(body) > LARGE_BODY_BYTES else body,
                headers=call.headers,
                allow_redirects=False,  # a redirect would carry the key to a stranger
                trace_request_ctx=progress,
            )
        except (aiohttp.ClientError, OSError) as error:
            raise _ours(error, progress) from error
        except ValueError as error:  # an address or a header that cannot be sent
            raise UpstreamError(f"the call cannot be sent: {error}", Code.CONNECT_FAILED) from error
        progress.phase = Phase.READING
        return response

    def _start(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=0,  # ours is counted in slots
            keepalive_timeout=KEEPALIVE_S,
            ttl_dns_cache=DNS_TTL_S,
            socket_factory=_socket,
        )
        connector._factory = partial(_Protocol, loop=asyncio.get_running_loop())  # type: ignore[assignment]  # is one
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, connect=self._connect_s),
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
            max_field_size=MAX_HEADER_BYTES,
            trace_configs=[_progress_trace()],
        )
        return self._session


class _HttpResponse:
    def __init__(self, response: aiohttp.ClientResponse, on_done: Callable[[_HttpResponse], None]) -> None:
        self._response = response
        self._on_done: Callable[[_HttpResponse], None] | None = on_done
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers

    async def chunks(self) -> AsyncIterator[bytes]:
        read = self._response.content.readany
        while True:
            try:
                data = await read()
            except (aiohttp.ClientError, OSError) as error:
                if isinstance(error.__cause__, ContentEncodingError):
                    raise UpstreamError(
                        "the provider's reply was not compressed as it says", Code.PROTOCOL
                    ) from error
                raise UpstreamError(
                    "the connection to the provider was lost in the middle of its reply",
                    Code.CONNECTION_LOST,
                ) from error
            if not data:
                self._give_back()
                return
            yield data

    async def read(self, limit_bytes: int) -> bytes:
        pieces: list[bytes] = []
        size = 0
        async for data in self.chunks():
            pieces.append(data)
            size += len(data)
            if size >= limit_bytes:
                break
        return b"".join(pieces)[:limit_bytes]

    def close(self) -> None:
        content = self._response.content
        if not content.is_eof() and content.exception() is None:
            # aiohttp would wake the reader with an exception that all replies share, whose
            # traceback keeps every frame it ever passed through.
            content.set_exception(UpstreamError("the call was given up before its end", Code.CONNECTION_LOST))
        # A reply that was read to its end has already released its connection; otherwise this aborts it.
        self._response.close()
        self._give_back()

    def _give_back(self) -> None:
        if self._on_done is not None:
            self._on_done(self)
            self._on_done = None


class _Protocol(ResponseHandler):
    """aiohttp's, except that a reader learns at once when the rest of its reply is not HTTP.

    aiohttp 3.14 closes the connection then, and lets the reader wait for ever.
    """

    def set_exception(self, error: BaseException, cause: BaseException | None = None) -> None:
        payload = self._payload
        if payload is not None and not payload.is_eof() and payload.exception() is None:
            if isinstance(error, HttpProcessingError):
                ours = UpstreamError("the rest of the provider's reply was not valid HTTP", Code.PROTOCOL)
            else:
                ours = UpstreamError("the connection to the provider was lost", Code.CONNECTION_LOST)
            payload.set_exception(ours)
        super().set_exception(error, error if cause is None else cause)


def _socket(addr_info: tuple[int, int, int, str, object]) -> socket.socket:
    family, kind, protocol, _, _ = addr_info
    made = socket.socket(family, kind, protocol)
    made.setblocking(False)
    with suppress(OSError):
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def _ours(error: aiohttp.ClientError | OSError, progress: Progress) -> UpstreamError:
    """The most specific of our errors for one of aiohttp's."""
    if isinstance(error, aiohttp.ConnectionTimeoutError | aiohttp.ServerTimeoutError):
        return UpstreamError("the connection was not made in time", Code.CONNECT_TIMEOUT)
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.InvalidURL):
        return UpstreamError(f"cannot connect: {_reason(error)}", Code.CONNECT_FAILED)
    if isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError):
        return UpstreamError("the provider closed the connection before it answered", Code.CONNECTION_LOST)
    if isinstance(error, aiohttp.ClientResponseError):
        return UpstreamError("the provider's answer was not valid HTTP", Code.PROTOCOL)
    lost = progress.phase is Phase.AWAITING_HEADERS
    return UpstreamError(
        f"the call failed while {progress.phase}: {type(error).__name__}",
        Code.CONNECTION_LOST if lost else Code.CONNECT_FAILED,
    )


def _reason(error: Exception) -> str:
    cause = getattr(error, "os_error", None)
    if cause is None:
        return type(error).__name__
    # asyncio puts the address where the system's words were; names that are not found have only theirs.
    return os.strerror(cause.errno) if cause.errno and cause.errno > 0 else str(cause.strerror or cause)


def _progress_trace() -> aiohttp.TraceConfig:
    """Tells the call's `Progress` where aiohttp is."""
    trace = aiohttp.TraceConfig()

    async def connecting(_session: object, context: object, _params: object) -> None:
        _set(context, Phase.CONNECTING)

    async def connected(_session: object, context: object, _params: object) -> None:
        _set(context, Phase.AWAITING_HEADERS)

    trace.on_connection_create_start.append(connecting)
    trace.on_connection_create_end.append(connected)
    trace.on_connection_reuseconn.append(connected)
    return trace


def _set(context: object, phase: Phase) -> None:
    progress = getattr(context, "trace_request_ctx", None)
    if isinstance(progress, Progress):
        progress.phase = phase
