"""A streamed reply, which survives the network."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Generator, Iterator
from types import TracebackType
from typing import Any, Self

import aiohttp

from tekton_llm_client.asking import Call
from tekton_llm_client.callbacks import Callback, tell
from tekton_llm_client.connection import Connection
from tekton_llm_client.exceptions import TektonLLMError
from tekton_llm_client.models import StreamingChunk
from tekton_llm_client.refusals import is_passing
from tekton_llm_client.replies import GENERATION_HEADER, LOST, ChunkReader

RETURN_PAUSES_S = (0.0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2)  # a gateway needs some seconds to start again
GONE = "not_found"
CANCELLED = "cancelled"


class ChunkStream:
    """Chunks as they arrive, the last one with `done` set.

    Works as `async for chunk in stream` and as `async for chunk in await stream`; awaiting it opens the
    reply, and raises if there is none. When the connection drops, it comes back for the rest: no chunk
    is missing, none comes twice. Who stops before the end may leave it to `async with`, `aclose` or the
    garbage collector to end the generation; who is cancelled while it waits for a chunk has left it. One
    that was asked for with `detach_s` goes on.
    """

    def __init__(
        self, connection: Connection, prepare: Callable[[], Awaitable[Call]], callback: Callback | None
    ) -> None:
        self._connection = connection
        self._prepare = prepare
        self._callback = callback
        self._call: Call | None = None
        self._reader = ChunkReader()
        self._ready: deque[StreamingChunk] = deque()
        self._response: aiohttp.ClientResponse | None = None
        self._returns: Iterator[float] = iter(RETURN_PAUSES_S)
        self._begun_anew = False
        self._exhausted = False
        self.generation_id: str | None = None
        """The gateway's name for this reply, once it has begun."""

    def __await__(self) -> Generator[Any, None, Self]:
        return self._opened().__await__()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> StreamingChunk:
        try:
            await self._opened()
            while not self._ready:
                if self._exhausted:
                    raise StopAsyncIteration
                self._ready.extend(await self._more())
            chunk = self._ready.popleft()
            await tell(self._callback, chunk)
            return chunk
        except asyncio.CancelledError:
            # At once: when this stream is collected, its loop may be closed. And to its end, which is near:
            # at its own end a loop waits for whom it cancels, not for what they leave behind.
            farewell = self._leave()
            self._ready.extend(self._reader.break_off("its reader was cancelled", CANCELLED))
            if farewell is not None:
                await asyncio.wait([farewell])
            raise

    async def aclose(self) -> None:
        """Stop here; the gateway and its provider stop as well."""
        if (farewell := self._leave()) is not None:
            await asyncio.wait([farewell])

    async def __aenter__(self) -> Self:
        return await self._opened()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __del__(self) -> None:
        response, self._response = self._response, None
        if response is not None and not self._exhausted:
            self._connection.drop(response, None if self._reader.ended else self._to_end())

    async def _opened(self) -> Self:
        if self._response is None and not self._exhausted:
            self._call = await self._prepare()
            self._begin(await self._connection.open(self._call))
        return self

    def _begin(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.generation_id = response.headers.get(GENERATION_HEADER)
        if (generation_id := self._to_end()) is not None:
            self._connection.underway.add(generation_id)

    async def _more(self) -> list[StreamingChunk]:
        """The next chunks, none of them if they are not complete yet or the reply has ended."""
        assert self._response is not None
        assert self._call is not None
        try:
            data = await self._response.content.readany()
        except TimeoutError:
            silence = f"the gateway said nothing for {self._call.silence_s:g} s"
            return self._break_off(silence, "idle_timeout")
        except (aiohttp.ClientError, OSError):
            data = b""
        if data:
            if chunks := self._reader.feed(data):
                self._returns = iter(RETURN_PAUSES_S)
            if self._reader.ended:
                self._forget()
            return chunks
        if not self._reader.ended:
            return await self._come_back()
        self._finish()
        return []

    async def _come_back(self) -> list[StreamingChunk]:
        """The connection is gone: open another one for the rest; or the last chunk, which says why not."""
        assert self._response is not None
        assert self._call is not None
        self._response.close()
        self._reader.come_back()
        cause = "the connection to the gateway was lost in the middle of its reply"
        if (generation_id := self._recorded_as()) is None:
            return self._break_off(cause)
        reason = "it is lost again and again"
        for pause_s in self._returns:
            await asyncio.sleep(pause_s)
            try:
                self._response = await self._connection.come_back(
                    generation_id, self._reader.last_id, self._call.silence_s
                )
                return []
            except TektonLLMError as error:
                if error.status == 404:
                    return await self._begin_anew()
                if not is_passing(error):
                    return self._break_off(f"{cause}, and did not go on: {error.message}")
                reason = error.message
        return self._break_off(f"{cause}, and could not be had again: {reason}")

    async def _begin_anew(self) -> list[StreamingChunk]:
        """The gateway forgot the generation. As long as nothing was said, another one is as good."""
        assert self._call is not None
        if self._reader.spoke or self._begun_anew:
            gone = (
                "the gateway knows nothing of this reply any more: it was started again in the middle of it"
            )
            return self._break_off(gone, GONE)
        self._begun_anew = True
        self._forget()
        try:
            self._begin(await self._connection.open(self._call))
        except TektonLLMError as error:
            return self._break_off(error.message, error.code or GONE)
        return []

    def _break_off(self, reason: str, code: str = LOST) -> list[StreamingChunk]:
        if code != GONE:
            self._leave()  # it may go on there
        chunks = self._reader.break_off(reason, code)
        self._finish()
        return chunks

    def _leave(self) -> asyncio.Task[None] | None:
        """Close the connection, and have the generation ended if it goes on; the task that sees to that."""
        wanted = self._response is not None and not self._exhausted and not self._reader.ended
        self._finish()
        generation_id = self._to_end()
        return self._connection.dismiss(generation_id) if wanted and generation_id else None

    def _to_end(self) -> str | None:
        """The generation that ends when it is left; None: it does so by itself, or shall go on."""
        return None if self._call is not None and self._call.detached else self._recorded_as()

    def _recorded_as(self) -> str | None:
        """The generation that waits for who was cut off; None: it ends with its connection."""
        return self.generation_id if self._reader.last_id or not self._reader.spoke else None

    def _finish(self) -> None:
        self._exhausted = True
        self._forget()
        if self._response is not None:
            self._response.close()  # a reply that was read to its end gave its connection back before

    def _forget(self) -> None:
        if self.generation_id is not None:
            self._connection.underway.discard(self.generation_id)
