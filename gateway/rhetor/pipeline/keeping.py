"""A reply that is kept: handed to whoever stores it, before its caller hears that it has ended.

So a caller who asks for what it was just told finds it. Keeping must not cost
the reply: it has a moment, and what goes wrong with it goes into the log.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from types import TracebackType
from typing import Protocol, TypeAlias

from rhetor.core.content import JsonValue
from rhetor.core.errors import RhetorError
from rhetor.core.events import ENDINGS, Folded, Folder
from rhetor.core.request import Request
from rhetor.pipeline.answer import Answer
from rhetor.pipeline.trip import Trip
from rhetor.pipeline.weight import weigh
from rhetor.routing.catalog import Target
from rhetor.wire.base import Chunk

log = logging.getLogger(__name__)

KEEP_S = 2.0  # a store that takes longer is as good as down, and a caller waits meanwhile
LARGEST_BYTES = 16 << 20  # of one reply, while it is collected

HandOver: TypeAlias = Callable[[Folded], Awaitable[None]]
"""Stores a reply that has ended. One that failed, `error` set, comes too: with what was said until then."""


class Wrapping(Protocol):
    """Whoever stores a reply in a way of its own, while it comes."""

    @property
    def early(self) -> bool:
        """Whether callers who stream are told how far it is before anybody has answered."""

    def wrap(self, trip: Trip) -> Kept: ...


Keep: TypeAlias = HandOver | Wrapping
"""How a reply is kept."""


class Kept:
    """A trip that somebody keeps the reply of; to doors and recordings it is the trip.

    A caller who leaves before the ending, or a trip that nobody answers, has no reply to be kept.

    Args:
        within_s: how long keeping may take, in seconds.
    """

    def __init__(self, trip: Trip, keep: HandOver, within_s: float) -> None:
        self._trip = trip
        self._keep = keep
        self._within_s = within_s

    async def __aenter__(self) -> Kept:
        await self._trip.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._trip.__aexit__(kind, error, traceback)

    @property
    def request(self) -> Request:
        return self._trip.request

    @property
    def meta(self) -> dict[str, JsonValue]:
        return self._trip.meta

    @property
    def began_at(self) -> datetime:
        return self._trip.began_at

    @property
    def verbatim(self) -> bool:
        return self._trip.verbatim

    @property
    def answer(self) -> Answer:
        return self._trip.answer

    @property
    def served_by(self) -> Target | None:
        return self._trip.served_by

    async def chunks(self) -> AsyncIterator[Chunk]:
        """The trip's. The one with the ending comes when the reply is kept, or cannot be."""
        folder, size_bytes = Folder(), 0
        async for chunk in self._trip.chunks():
            size_bytes += weigh(chunk.events)
            if size_bytes <= LARGEST_BYTES:
                for event in chunk.events:
                    folder.add(event)
            if chunk.events and isinstance(chunk.events[-1], ENDINGS):
                if size_bytes <= LARGEST_BYTES:
                    await self._hand_over(folder.result())
                else:
                    self._warn(f"larger than {LARGEST_BYTES >> 20} MiB")
            yield chunk

    async def _hand_over(self, folded: Folded) -> None:
        try:
            async with asyncio.timeout(self._within_s):
                await self._keep(folded)
        except TimeoutError:
            self._warn(f"not within {self._within_s:g} s")
        except RhetorError as error:
            self._warn(error.message)
        except Exception as error:  # whatever a store does, the reply is the caller's
            self._warn(type(error).__name__, error)

    def _warn(self, reason: str, error: Exception | None = None) -> None:
        log.warning("reply not kept", extra={"trip": self.request.id, "reason": reason}, exc_info=error)


def kept(trip: Trip, keep: Keep | None) -> Trip | Kept:
    """The trip, kept where somebody wants that."""
    if keep is None:
        return trip
    return Kept(trip, keep, KEEP_S) if callable(keep) else keep.wrap(trip)
