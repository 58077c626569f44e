"""The way to a provider that is a service: the first call starts it, and its port is found by its name."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Protocol
from urllib.parse import urlsplit

from rhetor.core.call import Call
from rhetor.core.errors import Code, UpstreamError
from rhetor.services.contact import Contact
from rhetor.transport.base import Phase, Progress, Response, Transport

GONE = frozenset({Code.CONNECT_FAILED, Code.CONNECT_TIMEOUT, Code.CONNECTION_LOST})
"""What a server that has died, or is about to, looks like from here."""

SENT = frozenset({Phase.CONNECTING, Phase.AWAITING_HEADERS})
"""Whoever gives up in these has heard nothing."""


class Use(Protocol):
    """Somebody uses a running service, until `close`."""

    origin: str
    contact: Contact

    def doubt(self) -> None: ...

    def close(self, in_vain: bool = False) -> None: ...


class Usable(Protocol):
    """A service that can be used."""

    name: str

    @property
    def is_ready(self) -> bool: ...

    async def use(self) -> Use:
        """
        Raises:
            UpstreamError: unavailable, it cannot be started.
        """


class ServedTransport:
    """Implements `transport.base.Transport`: a call waits until the service is ready, however cold it is.

    The wait counts as waiting in a queue, so whoever gives up meanwhile has learnt nothing against it.

    Args:
        inner: has the connections.
        base_url: where calls lead that are meant for the service; host and port become the real ones.
    """

    def __init__(self, inner: Transport, service: Usable, base_url: str) -> None:
        self._inner = inner
        self._service = service
        self._named = _origin(base_url)

    @property
    def service(self) -> str:
        """Its name."""
        return self._service.name

    @property
    def is_ready(self) -> bool:
        """Whether a call would start nothing."""
        return self._service.is_ready

    async def open(self, call: Call, progress: Progress) -> Response:
        if _origin(call.url) != self._named:  # a reply has led elsewhere
            return await self._inner.open(call, progress)
        progress.phase = Phase.STARTING
        use = await self._service.use()
        try:
            there = replace(call, url=use.origin + call.url[len(self._named) :])
            response = await self._inner.open(there, progress)
        except BaseException as error:
            if isinstance(error, UpstreamError) and error.code in GONE:
                use.doubt()
            use.close(in_vain=progress.phase in SENT)
            raise
        use.contact.heard = True
        return ServedResponse(response, use)

    async def close(self) -> None:
        await self._inner.close()


class ServedResponse:
    """Implements `transport.base.Response`; the service is needed until it is closed."""

    def __init__(self, inner: Response, use: Use) -> None:
        self._inner = inner
        self._use = use
        self.is_over = False
        """Its end was read, or it was closed."""

    @property
    def status(self) -> int:
        return self._inner.status

    @property
    def headers(self) -> Mapping[str, str]:
        return self._inner.headers

    def chunks(self) -> AsyncIterator[bytes]:
        return _Chunks(self, self._inner.chunks(), self._use)

    async def read(self, limit_bytes: int) -> bytes:
        data = await self._inner.read(limit_bytes)
        self.is_over = True
        return data

    def close(self) -> None:
        in_vain = not self.is_over
        self.is_over = True
        self._inner.close()
        self._use.close(in_vain)


class _Chunks:
    """A body; when it breaks off, the service is doubted. No generator: nobody would close it in time."""

    def __init__(self, response: ServedResponse, inner: AsyncIterator[bytes], use: Use) -> None:
        self._response = response
        self._inner = inner
        self._use = use
        self._contact = use.contact

    def __aiter__(self) -> _Chunks:
        return self

    async def __anext__(self) -> bytes:
        try:
            data = await self._inner.__anext__()
        except StopAsyncIteration:
            self._response.is_over = True
            raise
        except UpstreamError as error:
            if error.code in GONE and not self._response.is_over:  # else it was we who broke it off
                self._use.doubt()
            raise
        self._contact.heard = True
        return data


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
