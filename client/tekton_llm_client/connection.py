"""The way to the gateway: pooled connections, retries, and foreign errors turned into ours."""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TypeAlias
from urllib.parse import quote
from weakref import WeakSet

import aiohttp

from tekton_llm_client import exceptions
from tekton_llm_client.addresses import shown
from tekton_llm_client.asking import GENERATIONS_PATH, Call
from tekton_llm_client.patience import patiently
from tekton_llm_client.refusals import refusal
from tekton_llm_client.tasks import Tasks

CONNECT_S = 5.0  # the gateway is near
FAREWELL_S = 2.0  # for the gateway to hear that nobody wants the rest
DONE = frozenset({200, 201, 202})

Refused: TypeAlias = Callable[[int, Mapping[str, str], bytes], exceptions.TektonLLMError]
"""Status, headers with names in lower case, and body → what is raised."""

_inherited: list[object] = []
"""Pools of the process that this one was forked from, which still uses their sockets: never closed here."""


class Connection:
    """A pool of connections to one gateway, opened with the first use, in the loop that uses it.

    Args:
        refused: what an error reply is raised as.
        ends_with_loop: it closes itself when its loop ends, for whoever has nobody to close it.
    """

    def __init__(
        self,
        url: str,
        auth_token: str | None,
        refused: Refused = refusal,
        *,
        ends_with_loop: bool = False,
    ) -> None:
        self._url = url
        self._refused = refused
        self._ends_with_loop = ends_with_loop
        self._guard: AsyncGenerator[None, None] | None = None
        self._shown = shown(url)
        self._headers = {"accept": "application/json", "content-type": "application/json"}
        if auth_token is not None:
            self._headers["authorization"] = f"Bearer {auth_token}"
        self._session: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._process = os.getpid()
        self._farewells = Tasks()
        self.underway: set[str] = set()
        """Generations that are read here, by id: they end with the pool."""
        self.followed: WeakSet[aiohttp.ClientResponse] = WeakSet()
        """Replies that go on for ever: their readers are told of the pool's end, which aiohttp forgets."""

    @property
    def session(self) -> aiohttp.ClientSession | None:
        """None before the first use, and after `close`."""
        return self._session

    async def get(self, path: str, silence_s: float) -> bytes:
        """A small reply, asked for once."""
        async with await self.send("GET", path, None, silence_s) as response:
            return await self.read(response, silence_s)

    async def ask(self, call: Call) -> tuple[bytes, Mapping[str, str]]:
        """A whole reply, and its headers."""
        async with await self.open(call) as response:
            return await self.read(response, call.silence_s), response.headers

    async def open(self, call: Call) -> aiohttp.ClientResponse:
        """A reply that has begun; the caller reads and closes it.

        Raises:
            TektonLLMError: the gateway refused, or could not be reached, also when tried again.
        """
        return await patiently(
            lambda: self.send("POST", call.path, call.body, call.silence_s, call.headers),
            call.retries,
            call.first_pause_s,
        )

    async def come_back(
        self, generation_id: str, last_id: str | None, silence_s: float
    ) -> aiohttp.ClientResponse:
        """The rest of a reply that was cut off, after this event.

        Raises:
            TektonLLMError: status 404, the gateway does not know it; 204, there is no rest.
        """
        headers = {"last-event-id": last_id} if last_id else {}
        return await self.send("GET", f"{_path(generation_id)}/events", None, silence_s, headers)

    def dismiss(self, generation_id: str) -> asyncio.Task[None]:
        """Tell the gateway that nobody wants the rest. Takes a moment at most, and never fails."""
        self.underway.discard(generation_id)
        return self._farewells.spawn(self._dismiss(generation_id), f"end {generation_id}")

    def drop(self, response: aiohttp.ClientResponse, generation_id: str | None) -> None:
        """The same for who cannot wait, and perhaps is in a foreign thread: a finalizer."""

        def leave() -> None:
            response.close()
            if generation_id is not None and self._session is not None:
                self.dismiss(generation_id)

        with suppress(RuntimeError):  # no loop runs here
            if asyncio.get_running_loop() is self._loop:
                return leave()
        if self._loop is not None:
            with suppress(RuntimeError):  # it is closed, and the connection with it
                self._loop.call_soon_threadsafe(leave)
        return None

    async def close(self) -> None:
        self._leave_to_parent()
        if self._session is not None:
            for generation_id in list(self.underway):
                self.dismiss(generation_id)
        await self._farewells.settle(FAREWELL_S)
        if self._session is not None:
            session, self._session = self._session, None
            for response in list(self.followed):
                response.content.set_exception(aiohttp.ClientConnectionError("the client was shut down"))
            await session.close()
        if self._guard is not None:
            guard, self._guard = self._guard, None
            await guard.aclose()

    async def _dismiss(self, generation_id: str) -> None:
        ends_s = asyncio.get_running_loop().time() + FAREWELL_S
        try:
            await self._end(generation_id, ends_s)
        except asyncio.CancelledError:
            # At its end `asyncio.run` cancels whatever runs, then waits for it: time enough to say it again.
            await self._end(generation_id, ends_s)
            raise

    async def _end(self, generation_id: str, until_s: float) -> None:
        with suppress(exceptions.TektonLLMError, TimeoutError):
            async with asyncio.timeout_at(until_s):
                (await self.send("DELETE", _path(generation_id), None, FAREWELL_S)).close()

    async def send(
        self, method: str, path: str, body: bytes | None, silence_s: float, headers: Mapping[str, str] = {}
    ) -> aiohttp.ClientResponse:
        """A reply that has begun, asked for once; the caller reads and closes it.

        Raises:
            TektonLLMError: the gateway refused, or could not be reached.
        """
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=silence_s)
        # As a file, and another one for each try: aiohttp warns of large bodies that are plain bytes.
        data = None if body is None else io.BytesIO(body)
        with self._our_errors(silence_s):
            response = await self._ready().request(
                method, self._url + path, data=data, timeout=timeout, headers=headers, allow_redirects=False
            )
        if response.status in DONE:
            return response
        async with response:
            named = {name.lower(): value for name, value in response.headers.items()}
            raise self._refused(response.status, named, await self.read(response, silence_s))

    def _ready(self) -> aiohttp.ClientSession:
        self._leave_to_parent()
        loop = asyncio.get_running_loop()
        if self._session is None or self._loop is not loop:
            # Without a limit: a request that waits for another's end would wait without an end of its own.
            connector = aiohttp.TCPConnector(limit=0)
            self._session = aiohttp.ClientSession(headers=self._headers, connector=connector)
            self._loop = loop
            self._guard = _closed_with_loop(self._session) if self._ends_with_loop else None
        return self._session

    def _leave_to_parent(self) -> None:
        """Begin anew after a fork: what was opened before it belongs to the parent."""
        if self._process != os.getpid():
            _inherited.append((self._session, self._loop, self._guard))
            self._session, self._loop, self._guard = None, None, None
            self._farewells, self.underway = Tasks(), set()
            self._process = os.getpid()

    async def read(self, response: aiohttp.ClientResponse, silence_s: float) -> bytes:
        """The whole body of a reply that has begun."""
        with self._our_errors(silence_s):
            return await response.read()

    @contextmanager
    def _our_errors(self, silence_s: float) -> Iterator[None]:
        try:
            yield
        except aiohttp.ConnectionTimeoutError as error:
            raise exceptions.ConnectionError(f"no gateway at {self._shown} within {CONNECT_S:g} s") from error
        except TimeoutError as error:
            raise exceptions.TimeoutError(
                f"the gateway at {self._shown} said nothing for {silence_s:g} s"
            ) from error
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError):
            # Its words have the address, with the password in it.
            raise exceptions.InvalidRequestError(f"no address of a gateway: {self._shown!r}") from None
        except (aiohttp.ClientError, OSError) as error:
            raise exceptions.ConnectionError(
                f"no gateway at {self._shown}: {error or type(error).__name__}"
            ) from error
        except ValueError as error:
            raise exceptions.InvalidRequestError(f"this cannot be sent to {self._shown}: {error}") from error


def _closed_with_loop(session: aiohttp.ClientSession) -> AsyncGenerator[None, None]:
    """Closes it at the end of the running loop, which then sees to it that all its generators end."""

    async def guard() -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            await session.close()

    guarding = guard()
    with suppress(StopIteration):  # begun, and so known to the loop
        guarding.__anext__().send(None)
    return guarding


def _path(generation_id: str) -> str:
    return f"{GENERATIONS_PATH}/{quote(generation_id, safe='')}"
