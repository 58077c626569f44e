"""The client for code without an event loop: its own loop in a thread of its own."""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from collections.abc import Awaitable, Coroutine, Iterator
from concurrent.futures import CancelledError, Future
from types import TracebackType
from typing import Any, Literal, Self, TypeVar, overload

from tekton_llm_client.asking import Messages
from tekton_llm_client.callbacks import Callback
from tekton_llm_client.client import TektonLLMClient
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

    __slots__ = ("__weakref__", "_client", "_locks", "_loops")

    def __init__(self, client: TektonLLMClient) -> None:
        self._client = client
        # By process: a fork has neither the threads of its parent nor who would release their locks.
        self._loops: dict[int, _Loop] = {}
        self._locks: dict[int, threading.Lock] = {}
        # Not at the end of the program, which takes the threads and the sockets with it.
        weakref.finalize(self, _forget, client, self._loops).atexit = False

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
        with self._lock():
            if (loop := self._loops.pop(os.getpid(), None)) is not None:
                loop.close(self._client.shutdown())

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
            return BlockingStream(self, self._running(), reply, callback)
        return self._wait(_awaited(reply))

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        return self._running().wait(work)

    def _running(self) -> _Loop:
        with self._lock():
            loop = self._loops.get(os.getpid())
            if loop is None:
                loop = self._loops[os.getpid()] = _Loop(f"{self._client.component_id} client")
            return loop

    def _lock(self) -> threading.Lock:
        return self._locks.setdefault(os.getpid(), threading.Lock())


class BlockingStream:
    """Chunks as they arrive, the last with `done` set. Who stops early closes it, or leaves its `with`."""

    def __init__(
        self, client: BlockingClient, loop: _Loop, stream: ChunkStream, callback: Callback | None
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


class _Loop:
    """An event loop that runs in a thread until it is closed."""

    def __init__(self, name: str) -> None:
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._ends = False  # what begins after that would never run
        self._loop = asyncio.new_event_loop()
        # A daemon: who forgets to close it must not hang at the end of the program.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Its result; whoever is interrupted meanwhile stops it."""
        future = self._begin(work)
        try:
            return future.result()
        except CancelledError:
            raise RuntimeError("this client was shut down") from None
        except BaseException:
            future.cancel()
            raise

    def close(self, last: Coroutine[Any, Any, None]) -> None:
        """End it after this, and everything that runs in it."""
        ended = self.begin_end(last)
        try:
            ended.result()
        finally:
            self._thread.join()

    def begin_end(self, last: Coroutine[Any, Any, None]) -> Future[None]:
        """The same without waiting, for who may be in this very thread: a finalizer."""
        ended = self._begin(_end_after(last), ends=True)
        ended.add_done_callback(lambda _: self._loop.call_soon_threadsafe(self._loop.stop))
        return ended

    def _begin(self, work: Coroutine[Any, Any, T], ends: bool = False) -> Future[T]:
        if self._process != os.getpid():
            work.close()
            raise RuntimeError("this stream belongs to the process that began it")
        with self._lock:
            if self._ends:
                work.close()
                raise RuntimeError("this client was shut down")
            self._ends = ends
            return asyncio.run_coroutine_threadsafe(work, self._loop)

    def _run(self) -> None:
        try:
            self._loop.run_forever()
        finally:
            self._loop.close()


def _forget(client: TektonLLMClient, loops: dict[int, _Loop]) -> None:
    """Nobody can ask this client any more."""
    if (loop := loops.pop(os.getpid(), None)) is not None:
        loop.begin_end(client.shutdown())


async def _next(stream: ChunkStream) -> StreamingChunk | None:
    return await anext(stream, None)  # StopAsyncIteration cannot pass through a future


async def _awaited(reply: Awaitable[T]) -> T:
    return await reply


async def _end_after(last: Coroutine[Any, Any, None]) -> None:
    try:
        await last
    finally:
        await _end_all()


async def _end_all() -> None:
    """Calls of other threads end with the client, and what it started goes with it."""
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await asyncio.get_running_loop().shutdown_asyncgens()
    await asyncio.get_running_loop().shutdown_default_executor()
