"""Programs that several providers share, and that outlive a configuration: one ends with its last lease."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

from rhetor.core.call import Call
from rhetor.core.errors import Code, UpstreamError
from rhetor.transport.base import Progress, Response, Transport

T = TypeVar("T", bound=Transport)


class _Shared(Generic[T]):
    def __init__(self, transport: T) -> None:
        self.transport = transport
        self.leases = 0


class Lease(Generic[T]):
    """Implements `transport.base.Transport`. It is nobody's before it is taken, and costs nothing."""

    def __init__(self, leases: Leases[T], key: str, make: Callable[[], T]) -> None:
        self._leases = leases
        self._key = key
        self._make = make
        self._shared: _Shared[T] | None = None
        self._closed = False

    def take(self) -> T:
        """It is needed from now on. Idempotent."""
        if self._shared is None:
            self._shared = self._leases.take(self._key, self._make)
        return self._shared.transport

    async def open(self, call: Call, progress: Progress) -> Response:
        if self._closed:
            raise UpstreamError("the program was replaced, or removed", Code.UNAVAILABLE)
        return await self.take().open(call, progress)

    async def close(self) -> None:
        self._closed = True
        shared, self._shared = self._shared, None
        if shared is not None:
            await self._leases.give_back(self._key, shared)


class Leases(Generic[T]):
    """What is shared now, by what it is."""

    def __init__(self, on_end: Callable[[], None] = lambda: None) -> None:
        """
        Args:
            on_end: is told whenever one has ended because nobody needs it any more.
        """
        self._shared: dict[str, _Shared[T]] = {}
        self._on_end = on_end

    def __len__(self) -> int:
        return len(self._shared)

    def lease(self, key: str, make: Callable[[], T]) -> Lease[T]:
        return Lease(self, key, make)

    def take(self, key: str, make: Callable[[], T]) -> _Shared[T]:
        if (shared := self._shared.get(key)) is None:
            shared = self._shared[key] = _Shared(make())
        shared.leases += 1
        return shared

    async def give_back(self, key: str, shared: _Shared[T]) -> None:
        shared.leases -= 1
        if shared.leases == 0:
            if self._shared.get(key) is shared:
                del self._shared[key]
            await shared.transport.close()
            self._on_end()

    async def close(self) -> None:
        """End all of them, whoever has a lease."""
        all, self._shared = list(self._shared.values()), {}
        await asyncio.gather(*(shared.transport.close() for shared in all))
