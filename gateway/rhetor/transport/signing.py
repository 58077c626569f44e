"""Calls that carry no key are signed on their way out: with whatever the vendor's own tools would sign with.

Credentials come from files, from the machine or over the network, which takes a library and time: both
belong to a thread, never to the loop.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from copy import copy
from importlib.util import find_spec
from typing import Generic, Protocol, TypeVar
from urllib.parse import urlsplit

from rhetor.core.call import Call
from rhetor.core.errors import UpstreamError
from rhetor.transport.base import Phase, Progress, Response, Transport

Value = TypeVar("Value")

EARLY_S = 300.0  # before its end a token is replaced while it still does
LEAST_S = 15.0  # what it must be good for, so that it does not end on the way
AGAIN_S = 10.0  # until the next try, when it could not be replaced early
FAILED_S = 5.0  # until the next try, when there is none: whoever asks meanwhile hears why it failed last

EXTRAS: Mapping[str, tuple[str, str]] = {"aws": ("botocore", "bedrock"), "google": ("google.auth", "vertex")}
"""The library of each scheme, and the extra that installs it."""


class Signer(Protocol):
    async def sign(self, call: Call) -> Call:
        """The call, with proof of who sends it.

        Raises:
            UpstreamError: no_key, there is nothing to sign with.
        """


class Signed:
    """A transport whose calls are signed, where they have no key and lead to the provider itself.

    Args:
        base_url: where the provider is; whoever else a reply leads to gets no proof of ours.
    """

    def __init__(self, inner: Transport, signer: Signer, base_url: str) -> None:
        self._inner = inner
        self._signer = signer
        self._origin = _origin(base_url)

    async def open(self, call: Call, progress: Progress) -> Response:
        if "authorization" not in call.headers and _origin(call.url) == self._origin:
            progress.phase = Phase.CONNECTING
            call = await self._signer.sign(call)
        return await self._inner.open(call, progress)

    async def close(self) -> None:
        await self._inner.close()


class Kept(Generic[Value]):
    """Something that is good for a while: fetched in a thread, once for all who wait, and early enough.

    Args:
        fetch: blocks; gives it, and for how many seconds it is good. Zero and less means: for this time only.
        clock: monotonic seconds.
    """

    def __init__(
        self, fetch: Callable[[], tuple[Value, float]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._fetch = fetch
        self._clock = clock
        self._value: Value | None = None
        self._until_s = 0.0
        self._not_before_s = 0.0
        self._failure: UpstreamError | None = None
        self._failed_until_s = 0.0
        self._fetching: asyncio.Future[tuple[Value, float]] | None = None

    async def get(self) -> Value:
        """The value; whoever comes while it is still good does not wait.

        Raises:
            Whatever fetching it raises, or has raised lately.
        """
        now_s = self._clock()
        if self._value is not None and now_s < self._until_s - LEAST_S:
            if now_s > self._until_s - EARLY_S and now_s >= self._not_before_s:
                self._begin()
            return self._value
        if self._failure is not None and now_s < self._failed_until_s:
            raise copy(self._failure) from self._failure  # whoever gets an error may write into it
        try:
            value, _ = await asyncio.shield(self._begin())
        except UpstreamError as error:
            raise copy(error) from error
        return value

    def _begin(self) -> asyncio.Future[tuple[Value, float]]:
        if self._fetching is None:
            loop = asyncio.get_running_loop()
            self._fetching = loop.run_in_executor(None, self._fetch)
            self._fetching.add_done_callback(self._on_fetched)
        return self._fetching

    def _on_fetched(self, fetched: asyncio.Future[tuple[Value, float]]) -> None:
        self._fetching = None
        now_s = self._clock()
        self._not_before_s = now_s + AGAIN_S
        # Asking for the failure is what keeps asyncio from reporting it where nobody waits any more.
        if fetched.cancelled():
            return
        if (error := fetched.exception()) is not None:
            self._failure = error if isinstance(error, UpstreamError) else None
            self._failed_until_s = now_s + FAILED_S
            return
        self._value, good_s = fetched.result()
        self._failure = None
        self._until_s = now_s + good_s


def lacking(scheme: str) -> str | None:
    """What has to be installed before calls can be signed so; None when it is there."""
    library, extra = EXTRAS[scheme]
    try:
        found = find_spec(library)
    except ModuleNotFoundError:
        found = None
    return None if found is not None else f"{library} is not installed: pip install 'rhetor[{extra}]'"


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme.lower(), parts.netloc.lower()
