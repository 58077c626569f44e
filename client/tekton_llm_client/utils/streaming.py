"""Chunks of a stream: put together, or handed to several readers."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, AsyncIterable, Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tekton_llm_client.models import StreamingChunk


class StreamProcessor:
    """Puts the text of a stream together.

    Args:
        callback: gets each chunk. Only `process_stream` can wait for one that is `async`.
    """

    def __init__(self, callback: Callable[[StreamingChunk], Any] | None = None) -> None:
        self.callback = callback
        self.chunks: list[StreamingChunk] = []
        self.is_complete = False
        self.error: str | None = None

    @property
    def buffer(self) -> str:
        """The text so far."""
        return "".join(chunk.chunk for chunk in self.chunks)

    @property
    def has_error(self) -> bool:
        return self.error is not None

    def process_chunk(self, chunk: StreamingChunk) -> None:
        """Take the next chunk."""
        if inspect.iscoroutinefunction(self.callback):
            raise TypeError("nobody awaits the callback here: use process_stream, or a plain function")
        self._take(chunk)
        if self.callback is not None:
            self.callback(chunk)

    async def process_stream(self, stream: AsyncIterable[StreamingChunk]) -> str:
        """Take all chunks; the text of them. What went wrong on the way is in `error`."""
        async for chunk in stream:
            self._take(chunk)
            if self.callback is not None and inspect.isawaitable(told := self.callback(chunk)):
                await told
            if self.is_complete:
                break
        return self.buffer

    def get_result(self) -> str:
        """The text so far."""
        return self.buffer

    def get_chunks(self) -> list[StreamingChunk]:
        return list(self.chunks)

    def _take(self, chunk: StreamingChunk) -> None:
        self.chunks.append(chunk)
        self.error = chunk.error or self.error
        self.is_complete = self.is_complete or chunk.done or chunk.error is not None


class StreamBuffer:
    """One stream for any number of readers, each at its own pace and from the chunk that it likes.

    Nothing is lost: whoever comes late finds all chunks.

    Args:
        capacity: how many chunks the slowest reader may be behind before `add_chunk` waits for it. A stream
            that nobody reads is not held up.
    """

    def __init__(self, capacity: int = 100) -> None:
        if capacity < 1:
            raise ValueError(f"capacity: expected at least 1, got {capacity}")
        self.capacity = capacity
        self._chunks: list[StreamingChunk] = []
        self._places: dict[object, int] = {}  # of each reader: which chunk comes next
        self._changed = asyncio.Event()

    async def add_chunk(self, chunk: StreamingChunk) -> None:
        """Add the next chunk; after the last one there are no more."""
        while len(self._chunks) - min(self._places.values(), default=len(self._chunks)) >= self.capacity:
            await self._changed.wait()
        if not self.is_done():
            self._chunks.append(chunk)
            self._tell()

    async def get_chunks(self, start_index: int = 0) -> AsyncGenerator[StreamingChunk, None]:
        """All chunks from this one on, as they come, to the last."""
        reader = object()
        self._places[reader] = start_index
        try:
            while True:
                place = self._places[reader]
                if place < len(self._chunks):
                    self._places[reader] += 1
                    self._tell()
                    yield self._chunks[place]
                elif self.is_done():
                    return
                else:
                    await self._changed.wait()
        finally:
            del self._places[reader]
            self._tell()

    def get_all_chunks(self) -> list[StreamingChunk]:
        return list(self._chunks)

    def get_combined_text(self) -> str:
        """The text so far."""
        return "".join(chunk.chunk for chunk in self._chunks)

    def is_done(self) -> bool:
        return bool(self._chunks) and (self._chunks[-1].done or self.has_error())

    def has_error(self) -> bool:
        return self.get_error() is not None

    def get_error(self) -> str | None:
        return self._chunks[-1].error if self._chunks else None

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()  # whoever waits, waits for the next change
