"""The client for code without an event loop: its own loop in a thread of its own."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Awaitable, Coroutine, Iterator
from types import TracebackType
from typing import Any, Literal, Self, TypeVar, overload

from tekton_llm_client.asking import Messages
from tekton_llm_client.callbacks import Callback
from tekton_llm_client.client import TektonLLMClient
from tekton_llm_client.loops import Loop, Loops
from tekton_llm_client.models import AvailableProviders, CompletionResponse, Embeddings, StreamingChunk
from tekton_llm_client.objects import Model
from tekton_llm_client.stream import ChunkStream

T = TypeVar("T")


class BlockingClient:
    """Waits where `TektonLLMClient` is awaited; made by `TektonLLMClient.sync`.

    May be used by several threads, also by one whose own loop runs, which then stands still meanwhile;
    and by a process that was forked, which has its own connections. Whoever forgets to shut it down leaves
    that to the garbage collector.
    """

    __slots__ = ("__weakref__", "_client", "_loops")

    def __init__(self, client: TektonLLMClient) -> None:
        self._client = client
        self._loops = Loops(f"{client.component_id} client", client.shutdown)
        # Not at the end of the program, which takes the threads and the sockets with it.
        weakref.finalize(self, self._loops.forget).atexit = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shutdown()

    def initialize(self) -> bool:
        """Whether the gateway is there and lets us in."""
        return self._wait(self._client.initialize())

    def shutdown(self) -> None:
        """Close the connections and end the thread; the client may be used again afterwards."""
        self._loops.close()

    @overload
    def generate_text(
        self, prompt: str, system_prompt: str | None = None, streaming: Literal[False] = False, **more: Any
    ) -> CompletionResponse: ...
    @overload
    def generate_text(
        self, prompt: str, system_prompt: str | None = None, *, streaming: Literal[True], **more: Any
    ) -> BlockingStream: ...
    def generate_text(
        self, prompt: str, system_prompt: str | None = None, streaming: bool = False, **more: Any
    ) -> CompletionResponse | BlockingStream:
        """See `TektonLLMClient.generate_text`; a callback is called in the thread that iterates."""
        callback = more.pop("callback", None)
        reply: Any = self._client.generate_text(prompt, system_prompt, streaming, **more)  # type: ignore[call-overload]
        return self._answer(reply, callback)

    @overload
    def generate_chat_response(
        self, messages: Messages, streaming: Literal[False] = False, **more: Any
    ) -> CompletionResponse: ...
    @overload
    def generate_chat_response(
        self, messages: Messages, streaming: Literal[True], **more: Any
    ) -> BlockingStream: ...
    def generate_chat_response(
        self, messages: Messages, streaming: bool = False, **more: Any
    ) -> CompletionResponse | BlockingStream:
        """See `TektonLLMClient.generate_chat_response`."""
        callback = more.pop("callback", None)
        reply: Any = self._client.generate_chat_response(messages, streaming, **more)  # type: ignore[call-overload]
        return self._answer(reply, callback)

    @overload
    def generate_chat(
        self,
        messages: Messages,
        system_prompt: str | None = None,
        settings: object = None,
        streaming: Literal[False] = False,
        **more: Any,
    ) -> CompletionResponse: ...
    @overload
    def generate_chat(
        self,
        messages: Messages,
        system_prompt: str | None = None,
        settings: object = None,
        *,
        streaming: Literal[True],
        **more: Any,
    ) -> BlockingStream: ...
    def generate_chat(
        self,
        messages: Messages,
        system_prompt: str | None = None,
        settings: object = None,
        streaming: bool = False,
        **more: Any,
    ) -> CompletionResponse | BlockingStream:
        """See `TektonLLMClient.generate_chat`."""
        callback = more.pop("callback", None)
        reply: Any = self._client.generate_chat(messages, system_prompt, settings, streaming, **more)  # type: ignore[call-overload]
        return self._answer(reply, callback)

    def generate_object(self, prompt: str | Messages, model: type[Model], **more: Any) -> Model:
        """See `TektonLLMClient.generate_object`."""
        return self._wait(self._client.generate_object(prompt, model, **more))

    def embed(self, texts: str | list[str], model: str | None = None) -> Embeddings:
        """See `TektonLLMClient.embed`."""
        return self._wait(self._client.embed(texts, model))

    def get_providers(self) -> AvailableProviders:
        """Who can be asked for what."""
        return self._wait(self._client.get_providers())

    def __getattr__(self, name: str) -> Any:
        """The attributes are those of the client: `model_id`, `timeout`, …"""
        if name.startswith("_"):
            raise AttributeError(name)
        value = getattr(self._client, name)
        if callable(value):
            raise AttributeError(f"{name} is only for code with an event loop")
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            object.__setattr__(self, name, value)
        else:
            if callable(getattr(self, name)):  # which raises for names that the client does not have
                raise AttributeError(f"{name} cannot be set")
            setattr(self._client, name, value)

    def _answer(
        self, reply: Awaitable[CompletionResponse] | ChunkStream, callback: Callback | None
    ) -> CompletionResponse | BlockingStream:
        if isinstance(reply, ChunkStream):
            return BlockingStream(self, self._loops.running(), reply, callback)
        return self._wait(_awaited(reply))

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        return self._loops.wait(work)


class BlockingStream:
    """Chunks as they arrive, the last with `done` set. Who stops early closes it, or leaves its `with`."""

    def __init__(
        self, client: BlockingClient, loop: Loop, stream: ChunkStream, callback: Callback | None
    ) -> None:
        self._client = client  # which would end the loop if it were collected
        self._loop = loop
        self._stream = stream
        self._callback = callback

    def __iter__(self) -> Iterator[StreamingChunk]:
        return self

    def __next__(self) -> StreamingChunk:
        chunk = self._loop.wait(_next(self._stream))
        if chunk is None:
            raise StopIteration
        if self._callback is not None and asyncio.iscoroutine(told := self._callback(chunk)):
            self._loop.wait(told)
        return chunk

    def close(self) -> None:
        """Stop here; the gateway and its provider stop as well."""
        self._loop.wait(self._stream.aclose())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


async def _next(stream: ChunkStream) -> StreamingChunk | None:
    return await anext(stream, None)  # StopAsyncIteration cannot pass through a future


async def _awaited(reply: Awaitable[T]) -> T:
    return await reply
