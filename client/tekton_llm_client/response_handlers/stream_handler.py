"""Text out of a stream: as a whole, in segments, or piece by piece with what surrounds it."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Mapping
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any, TypeAlias

from tekton_llm_client.exceptions import TektonLLMError
from tekton_llm_client.models import StreamingChunk
from tekton_llm_client.refusals import broken_off, failure

Stream: TypeAlias = AsyncIterable[Any] | Awaitable[AsyncIterable[Any]]
"""Of chunks, or of plain texts; what has to be awaited first may be given as it is."""
Transform: TypeAlias = Callable[[str], str | Awaitable[str]]
Callback: TypeAlias = Callable[[str], Any]


class StreamHandler:
    """Takes the text out of streams.

    Args:
        callback, callback_fn: the same under two names. Gets each piece of text; may be `async`.
        buffer_size: characters that `buffer_until` holds back at most.
    """

    def __init__(
        self,
        callback: Callback | None = None,
        buffer_size: int = 8192,
        *,
        callback_fn: Callback | None = None,
    ) -> None:
        if callback is not None and callback_fn is not None:
            raise TypeError("callback and callback_fn are the same thing: give one of them")
        self.callback = callback or callback_fn
        self.buffer_size = buffer_size
        self.done = False
        self.error: str | None = None
        self._failure: TektonLLMError | None = None
        self._pieces: list[str] = []

    @property
    def buffer(self) -> str:
        """The text of the last stream, as far as it came."""
        return "".join(self._pieces)

    async def process_stream(self, stream: Stream, transform: Transform | None = None) -> str:
        """The whole text.

        Raises:
            TektonLLMError: the stream ended in an error; `buffer` has what came before.
        """
        async with aclosing(self._texts(stream, transform)) as texts:
            async for _ in texts:
                pass
        self._complain()
        return self.buffer

    async def process_stream_with_context(
        self, stream: Stream, transform: Transform | None = None, context: Mapping[str, Any] | None = None
    ) -> AsyncGenerator[dict[str, Any], None]:
        """Each piece as a dict with `content`, `done`, `error`, `timestamp` and what the context says; the
        last one has the `complete_text`. Errors are told in it, and not raised."""
        about = dict(context or {})
        async with aclosing(self._texts(stream, transform)) as texts:
            async for text in texts:
                yield self._told(text, about)
        yield self._told("", about) | {"done": True, "error": self.error, "complete_text": self.buffer}

    async def collect_stream_segments(
        self, stream: Stream, delimiter: str, include_delimiter: bool = False
    ) -> AsyncGenerator[str, None]:
        """What stands between the delimiters, each as soon as it is complete; the rest at the end.

        Raises:
            TektonLLMError: the stream ended in an error; the segment that it broke is not given out.
        """
        if not delimiter:
            raise ValueError("delimiter: expected some text, got none")
        rest = ""
        async with aclosing(self._texts(stream)) as texts:
            async for text in texts:
                *complete, rest = (rest + text).split(delimiter)
                for segment in complete:
                    yield segment + delimiter if include_delimiter else segment
        self._complain()
        if rest:
            yield rest

    async def buffer_until(
        self, stream: Stream, condition: Callable[[str], bool], max_buffer_size: int | None = None
    ) -> AsyncGenerator[str, None]:
        """Text that is held back until the condition likes it, or it is too much, or the end.

        Raises:
            TektonLLMError: the stream ended in an error.
        """
        most = max_buffer_size or self.buffer_size
        held = ""
        async with aclosing(self._texts(stream)) as texts:
            async for text in texts:
                held += text
                if condition(held) or len(held) >= most:
                    yield held
                    held = ""
        if held:
            yield held
        self._complain()

    async def _texts(self, stream: Stream, transform: Transform | None = None) -> AsyncGenerator[str, None]:
        """Each piece of text, once the callback knows of it."""
        self._pieces, self.done, self.error, self._failure = [], False, None, None
        chunks = await stream if isinstance(stream, Awaitable) else stream
        async for chunk in chunks:
            text, error = _read(chunk)
            if text:
                text = await _seen_through(transform, text) if transform is not None else text
                self._pieces.append(text)
                await _seen_through(self.callback, text)
                yield text
            if error is not None:
                self.error, self._failure = error, _failure(error, chunk)
                return
        self.done = True

    def _told(self, text: str, context: Mapping[str, Any]) -> dict[str, Any]:
        now = datetime.now(UTC).isoformat()
        return {**context, "content": text, "done": False, "error": None, "timestamp": now}

    def _complain(self) -> None:
        if self._failure is not None:
            raise self._failure


async def collect_stream(stream: Stream) -> str:
    """The whole text of a stream; see `StreamHandler.process_stream`."""
    return await StreamHandler().process_stream(stream)


async def stream_to_string(stream: Stream, callback: Callback | None = None) -> str:
    """The same, with each piece told to the callback first."""
    return await StreamHandler(callback).process_stream(stream)


def _read(chunk: Any) -> tuple[str, str | None]:
    """The text in a chunk, however it is written, and its error."""
    if isinstance(chunk, str):
        return chunk, None
    if isinstance(chunk, Mapping):
        return chunk.get("chunk") or chunk.get("content") or "", chunk.get("error")
    return chunk.chunk, chunk.error


def _failure(error: str, chunk: Any) -> TektonLLMError:
    if isinstance(chunk, StreamingChunk):
        return broken_off(error, chunk)
    code = chunk.get("code") if isinstance(chunk, Mapping) else getattr(chunk, "code", None)
    return failure(error, code if isinstance(code, str) else None)


async def _seen_through(function: Callable[[str], Any] | None, text: str) -> Any:
    """Call it, wait for it, and run it to its end even where a `yield` has made a generator of it."""
    if function is None:
        return None
    result = function(text)
    if inspect.isawaitable(result):
        return await result
    if inspect.isasyncgen(result):
        async for _ in result:
            pass
    return result
