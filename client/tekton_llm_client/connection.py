"""The way to the gateway: pooled connections, retries, and foreign errors turned into ours."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp

from tekton_llm_client import exceptions
from tekton_llm_client.protocol import Call, pause_before_retry, refusal

CONNECT_S = 5.0  # the gateway is near
JITTER = 0.15  # so that components that failed together do not come back together


class Connection:
    """A pool of connections to one gateway, opened with the first use, in the loop that uses it."""

    def __init__(self, url: str, auth_token: str | None) -> None:
        self._url = url
        self._headers = {"accept": "application/json", "content-type": "application/json"}
        if auth_token is not None:
            self._headers["authorization"] = f"Bearer {auth_token}"
        self._session: aiohttp.ClientSession | None = None

    async def get(self, path: str, silence_s: float) -> bytes:
        """A small reply, asked for once."""
        async with await self._send("GET", path, None, silence_s) as response:
            return await self._read(response, silence_s)

    async def ask(self, call: Call) -> bytes:
        """A whole reply."""
        async with await self.open(call) as response:
            return await self._read(response, call.silence_s)

    async def open(self, call: Call) -> aiohttp.ClientResponse:
        """A reply that has begun; the caller reads and closes it.

        Raises:
            TektonLLMError: the gateway refused, or could not be reached, also when tried again.
        """
        tried = 0
        while True:
            try:
                return await self._send("POST", call.path, call.body, call.silence_s)
            except exceptions.TektonLLMError as error:
                tried += 1
                pause_s = pause_before_retry(error, tried, call)
                if pause_s is None:
                    raise
            await asyncio.sleep(pause_s * random.uniform(1, 1 + JITTER))

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _send(
        self, method: str, path: str, body: bytes | None, silence_s: float
    ) -> aiohttp.ClientResponse:
        if self._session is None:
            self._session = aiohttp.ClientSession(headers=self._headers)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=silence_s)
        with self._our_errors(silence_s):
            response = await self._session.request(
                method, self._url + path, data=body, timeout=timeout, allow_redirects=False
            )
        if response.status == 200:
            return response
        async with response:
            headers = {name.lower(): value for name, value in response.headers.items()}
            raise refusal(response.status, headers, await self._read(response, silence_s))

    async def _read(self, response: aiohttp.ClientResponse, silence_s: float) -> bytes:
        with self._our_errors(silence_s):
            return await response.read()

    @contextmanager
    def _our_errors(self, silence_s: float) -> Iterator[None]:
        try:
            yield
        except aiohttp.ConnectionTimeoutError as error:
            raise exceptions.ConnectionError(f"no gateway at {self._url} within {CONNECT_S:g} s") from error
        except TimeoutError as error:
            raise exceptions.TimeoutError(
                f"the gateway at {self._url} said nothing for {silence_s:g} s"
            ) from error
        except (aiohttp.ClientError, OSError) as error:
            raise exceptions.ConnectionError(
                f"no gateway at {self._url}: {error or type(error).__name__}"
            ) from error
