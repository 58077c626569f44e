"""The way to a provider that is a service: the first call starts it, and its port is found by its name."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Protocol
from urllib.parse import urlsplit

from rhetor.core.call import Call
from rhetor.core.errors import Code, UpstreamError
from rhetor.transport.base import Phase, Progress, Response, Transport

GONE = frozenset({Code.CONNECT_FAILED, Code.CONNECT_TIMEOUT, Code.CONNECTION_LOST})
"""What a server that has died, or is about to, looks like from here."""


class Use(Protocol):
    """Somebody uses a running service, until `close`."""

    origin: str

    def doubt(self) -> None: ...

    def close(self) -> None: ...


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
            return ServedResponse(await self._inner.open(there, progress), use)
        except BaseException as error:
            if isinstance(error, UpstreamError) and error.code in GONE:
                use.doubt()
            use.close()
            raise

    async def close(self) -> None:
        await self._inner.close()


class ServedResponse:
    """Implements `transport.base.Response`; the service is needed until it is closed."""

    def __init__(self, inner: Response, use: Use) -> None:
        self._inner = inner
        self._use = use

    @property
    def status(self) -> int:
        return self._inner.status

    @property
    def headers(self) -> Mapping[str, str]:
        return self._inner.headers

    def chunks(self) -> AsyncIterator[bytes]:
        return _Chunks(self._inner.chunks(), self._use)

    async def read(self, limit_bytes: int) -> bytes:
        return await self._inner.read(limit_bytes)

    def close(self) -> None:
        self._inner.close()
        self._use.close()


class _Chunks:
    """A body; when it breaks off, the service is doubted. No generator: nobody would close it in time."""

    def __init__(self, inner: AsyncIterator[bytes], use: Use) -> None:
        self._inner = inner
        self._use = use

    def __aiter__(self) -> _Chunks:
        return self

    async def __anext__(self) -> bytes:
        try:
            return await self._inner.__anext__()
        except UpstreamError as error:
            if error.code in GONE:
                self._use.doubt()
            raise


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
