"""A streamed reply."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from types import TracebackType
from typing import Any, Self

import aiohttp

from tekton_llm_client.connection import Connection
from tekton_llm_client.models import StreamingChunk
from tekton_llm_client.protocol import Call, ChunkReader

Callback = Callable[[StreamingChunk], None]


class ChunkStream:
    """Chunks as they arrive, the last one with `done` set.

    Works as `async for chunk in stream` and as `async for chunk in await stream`; awaiting it opens the
    reply, and raises if there is none. Who stops before the end may leave it to `async with`, `aclose`
    or the garbage collector to close the connection, which stops the generation.
    """

    def __init__(self, connection: Connection, call: Call, callback: Callback | None) -> None:
        self._connection = connection
        self._call = call
        self._callback = callback
        self._reader = ChunkReader()
        self._ready: deque[StreamingChunk] = deque()
        self._response: aiohttp.ClientResponse | None = None
        self._exhausted = False

    def __await__(self) -> Generator[Any, None, Self]:
        return self._opened().__await__()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> StreamingChunk:
        await self._opened()
        while not self._ready:
            if self._exhausted:
                raise StopAsyncIteration
            self._ready.extend(await self._read())
        chunk = self._ready.popleft()
        if self._callback is not None:
            self._callback(chunk)
        return chunk

    async def aclose(self) -> None:
        """Stop here; the gateway and its provider stop as well."""
        self._close()

    async def __aenter__(self) -> Self:
        return await self._opened()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def __del__(self) -> None:
        self._close()

    async def _opened(self) -> Self:
        if self._response is None and not self._exhausted:
            self._response = await self._connection.open(self._call)
        return self

    async def _read(self) -> list[StreamingChunk]:
        """The next chunks, none of them if they are not complete yet or the reply has ended."""
        assert self._response is not None
        try:
            data = await self._response.content.readany()
        except TimeoutError:
            chunks = self._reader.break_off(f"the gateway said nothing for {self._call.silence_s:g} s")
        except (aiohttp.ClientError, OSError):
            chunks = self._reader.break_off(
                "the connection to the gateway was lost in the middle of its reply"
            )
        else:
            if data:
                return self._reader.feed(data)
            chunks = self._reader.break_off("the gateway closed the connection in the middle of its reply")
        self._close()
        return chunks

    def _close(self) -> None:
        self._exhausted = True
        if self._response is not None:
            self._response.close()  # a reply that was read to its end gave its connection back before
