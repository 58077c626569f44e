"""The backend's side of a live session: one conversation, opened, told things, and given back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from rhetor import tasks
from rhetor.core.errors import Code, RhetorError, UpstreamError
from rhetor.sessions.backend import Backend, Conversation, Happening, Setup

log = logging.getLogger(__name__)

OPEN_S = 60.0  # a cold agent on a busy machine
TELL_S = 10.0  # for a backend to take what it is told
CANCEL_S = 3.0  # to give back what is half opened
CLOSE_S = 15.0  # its own kill ladder included


@dataclass(slots=True)
class Opened:
    """The conversation is open."""


@dataclass(slots=True)
class Broke:
    """There will be nothing more of it."""

    error: RhetorError


News: TypeAlias = Happening | Opened | Broke


@dataclass(slots=True)
class Heard:
    """News of a conversation; of an earlier one they do not count."""

    epoch: int
    news: News


class Partner:
    """
    Args:
        hear: takes the news, one after the other; awaiting it is the backpressure.
    """

    def __init__(self, backend: Backend, hear: Callable[[Heard], Awaitable[None]]) -> None:
        self.backend = backend
        self.epoch = 0
        self._hear = hear
        self._conversation: Conversation | None = None
        self._pump: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None

    @property
    def there(self) -> bool:
        """Whether anything of it runs."""
        return self._pump is not None

    @property
    def listens(self) -> bool:
        """Whether it can be told anything."""
        return self._conversation is not None

    def open(self, make_setup: Callable[[], Awaitable[Setup]], name: str) -> None:
        """Begin to open the conversation; the news tell when it is open, or why not."""
        assert self._pump is None
        self.epoch += 1
        self._pump = tasks.spawn(self._converse(self.epoch, make_setup), name)

    async def tell(self, what: Callable[[Conversation], Awaitable[None]]) -> None:
        """Nobody is told where no conversation is open.

        Raises:
            RhetorError: it has failed, or takes nothing.
        """
        if self._conversation is None:
            return
        try:
            async with asyncio.timeout(TELL_S):
                await what(self._conversation)
        except TimeoutError:
            raise unavailable(self.backend, f"took nothing for {TELL_S:g} s") from None
        except RhetorError:
            raise
        except Exception as error:
            raise self._failed(error) from error

    async def release(self) -> bool:
        """Give back whatever runs; its news do not count any more. Whether there was anything."""
        self.epoch += 1
        if self._pump is None:
            return False
        if self._ending is None:
            # Of its own, so that it comes to its end also when nobody waits for it any more.
            self._ending = tasks.spawn(self._end(self._pump), f"close {self.backend.name}")
        await asyncio.shield(self._ending)
        return True

    async def _end(self, pump: asyncio.Task[None]) -> None:
        pump.cancel()
        await asyncio.wait([pump], timeout=CANCEL_S)
        conversation, self._conversation = self._conversation, None
        try:
            if conversation is not None:
                async with asyncio.timeout(CLOSE_S):
                    await conversation.close()
        except Exception:  # whatever it is, the session goes on without it
            log.exception("backend not closed", extra={"backend": self.backend.name})
        self._pump = self._ending = None

    async def _converse(self, epoch: int, make_setup: Callable[[], Awaitable[Setup]]) -> None:
        try:
            try:
                async with asyncio.timeout(OPEN_S):
                    conversation = await self.backend.open(await make_setup())
                    self._conversation = conversation
            except TimeoutError:
                raise unavailable(self.backend, f"did not start within {OPEN_S:g} s") from None
            await self._hear(Heard(epoch, Opened()))
            async for happening in conversation.happenings():
                await self._hear(Heard(epoch, happening))
            raise unavailable(self.backend, "ended by itself")
        except RhetorError as error:
            error.origin = error.origin or self.backend.name
            await self._hear(Heard(epoch, Broke(error)))
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            await self._hear(Heard(epoch, Broke(self._failed(error))))  # something of its own was cancelled
        except Exception as error:
            await self._hear(Heard(epoch, Broke(self._failed(error))))

    def _failed(self, error: BaseException) -> RhetorError:
        log.error("backend failed", extra={"backend": self.backend.name}, exc_info=error)
        name = self.backend.name
        return RhetorError(f"{name} failed; the gateway's log says why", origin=name)


def unavailable(backend: Backend, what: str) -> RhetorError:
    """A backend that failed in a way that only we noticed."""
    return UpstreamError(f"{backend.name} {what}", Code.UNAVAILABLE, origin=backend.name)
