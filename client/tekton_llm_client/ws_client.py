"""The client over WebSocket: many requests at the same time on one connection, which is kept."""

from __future__ import annotations

import asyncio
import builtins
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack, overload

from tekton_llm_client import frames
from tekton_llm_client.addresses import shown, socket_url
from tekton_llm_client.asking import (
    FIRST_PAUSE_S,
    RESUME_S,
    Extras,
    Messages,
    Options,
    chat_fields,
    message_fields,
)
from tekton_llm_client.callbacks import Callback
from tekton_llm_client.caller import caller
from tekton_llm_client.exceptions import TimeoutError
from tekton_llm_client.images import with_images
from tekton_llm_client.patience import patiently
from tekton_llm_client.underway import Question, Stream
from tekton_llm_client.ws_connection import WsConnection

DEFAULT_CONTEXT = "default"

T = TypeVar("T")


class TektonLLMWebSocketClient:
    """Talks to models through the gateway, on one connection that is opened again when it drops.

        async with TektonLLMWebSocketClient("my-component") as client:
            reply = await client.generate("Why is the sky blue?")
            await client.stream("And at sunset?", lambda chunk: print(chunk.chunk, end=""))

    Every callback may be `def` or `async def`.

    Args:
        component_id: who asks; a name for the gateway's books.
        rhetor_url: where the gateway is, a path prefix included, as http or ws; else RHETOR_URL, else
            http://localhost:8003. RHETOR_WS_URL wins over all of them.
        on_message: gets every frame of the gateway, as a dict.
        on_error: gets every error of the connection or of a request, as an exception.
        on_close: is called whenever the connection has ended.
        reconnect_interval: the longest pause between two tries to connect again, in milliseconds.
        auth_token: for a gateway that wants one; else RHETOR_AUTH_TOKEN.
    """

    def __init__(
        self,
        component_id: str,
        rhetor_url: str | None = None,
        on_message: Callable[[dict[str, Any]], Any] | None = None,
        on_error: Callable[[Exception], Any] | None = None,
        on_close: Callable[[], Any] | None = None,
        reconnect_interval: int = 5000,
        auth_token: str | None = None,
    ) -> None:
        self._caller = caller(component_id, rhetor_url, auth_token=auth_token)
        self.component_id = component_id
        self.url = socket_url(os.environ.get("RHETOR_WS_URL") or self._caller.rhetor_url)
        self._counter = 0
        self._socket = WsConnection(
            self.url,
            component_id,
            self._caller.auth_token,
            on_message=on_message,
            on_error=on_error,
            on_close=on_close,
            longest_pause_s=reconnect_interval / 1000,
        )

    @property
    def connected(self) -> bool:
        """Registered at the gateway right now."""
        return self._socket.connected

    async def connect(self) -> bool:
        """Whether we are registered. If not, we try again until `disconnect`.

        A token that is wrong from the beginning is not tried again by itself: every request raises the
        gateway's refusal, and another `connect` tries anew.
        """
        return await self._socket.connect()

    async def disconnect(self) -> None:
        """End what is under way, here and at the gateway, and the connection."""
        await self._socket.disconnect()

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.disconnect()

    @overload
    async def generate(
        self,
        prompt: str,
        context_id: str = DEFAULT_CONTEXT,
        system_prompt: str | None = None,
        provider_id: str | None = None,
        model_id: str | None = None,
        options: Options | None = None,
        callback: None = None,
        **extras: Unpack[Extras],
    ) -> dict[str, Any]: ...
    @overload
    async def generate(
        self,
        prompt: str,
        context_id: str = DEFAULT_CONTEXT,
        system_prompt: str | None = None,
        provider_id: str | None = None,
        model_id: str | None = None,
        options: Options | None = None,
        *,
        callback: Callback,
        **extras: Unpack[Extras],
    ) -> str: ...
    async def generate(
        self,
        prompt: str,
        context_id: str = DEFAULT_CONTEXT,
        system_prompt: str | None = None,
        provider_id: str | None = None,
        model_id: str | None = None,
        options: Options | None = None,
        callback: Callback | None = None,
        **extras: Unpack[Extras],
    ) -> dict[str, Any] | str:
        """A reply to one prompt, as the gateway's frame; with a callback it is streamed, see `stream`.

        Tried again as over HTTP, see the options `retry_count` and `retry_delay`: `timeout` is of each try.

        Raises:
            TimeoutError: it took longer than `options["timeout"]` seconds, else RHETOR_TIMEOUT, else 120.
            TektonLLMError: see `exceptions` for the kinds.
        """
        asked = (context_id, system_prompt, provider_id, model_id, options)
        if callback is not None:
            return await self.stream(prompt, callback, *asked, **extras)
        return await self._ask({"prompt": prompt}, *asked, extras)

    async def stream(
        self,
        prompt: str,
        callback: Callback,
        context_id: str = DEFAULT_CONTEXT,
        system_prompt: str | None = None,
        provider_id: str | None = None,
        model_id: str | None = None,
        options: Options | None = None,
        **extras: Unpack[Extras],
    ) -> str:
        """Have the callback called with each chunk, the last with `done` set; returns the request's id.

        When the connection drops, the rest comes over the next one. With `options["timeout"]` a reply that
        says nothing for so many seconds ends in an error.
        """
        asked = (context_id, system_prompt, provider_id, model_id, options)
        return await self._begin(callback, {"prompt": prompt}, *asked, extras)

    async def chat(
        self,
        messages: Messages,
        context_id: str = DEFAULT_CONTEXT,
        system_prompt: str | None = None,
        provider_id: str | None = None,
        model_id: str | None = None,
        options: Options | None = None,
        **extras: Unpack[Extras],
    ) -> dict[str, Any]:
        """The next turn of a conversation; see `generate`."""
        asked = (context_id, system_prompt, provider_id, model_id, options)
        return await self._ask({"messages": messages}, *asked, extras)

    async def chat_stream(
        self,
        messages: Messages,
        callback: Callback,
        context_id: str = DEFAULT_CONTEXT,
        system_prompt: str | None = None,
        provider_id: str | None = None,
        model_id: str | None = None,
        options: Options | None = None,
        **extras: Unpack[Extras],
    ) -> str:
        """The next turn of a conversation, streamed; see `stream`."""
        asked = (context_id, system_prompt, provider_id, model_id, options)
        return await self._begin(callback, {"messages": messages}, *asked, extras)

    async def cancel(self, request_id: str) -> bool:
        """End a request, with its call to the provider; its callback hears nothing more.

        False when there is no such request. While the connection is gone, the gateway hears of it by
        nobody's coming back.
        """
        return await self._socket.cancel(request_id)

    async def _ask(self, conversation: Mapping[str, Any], *asked: Any) -> dict[str, Any]:
        own, fields = await self._fields(conversation, *asked)
        request_id = self._next_id()
        within_s = float(own.get("timeout", self._caller.silence_s))
        frame = frames.request("CHAT" if "messages" in fields else "GENERATE", request_id, fields)

        async def ask() -> dict[str, Any]:
            try:
                async with asyncio.timeout(within_s):
                    return await self._socket.ask(Question(request_id), frame)
            except builtins.TimeoutError as error:
                where = shown(self.url)
                raise TimeoutError(f"the gateway at {where} did not answer within {within_s:g} s") from error

        return await self._patiently(ask, own)

    async def _begin(self, callback: Callback, conversation: Mapping[str, Any], *asked: Any) -> str:
        own, fields = await self._fields(conversation, *asked)
        request_id = self._next_id()
        kind = "CHAT_STREAM" if "messages" in fields else "STREAM"
        frame = frames.request(kind, request_id, {**fields, "resume_s": RESUME_S})
        silence_s = float(own["timeout"]) if "timeout" in own else None
        await self._patiently(lambda: self._socket.begin(Stream(request_id, callback, frame, silence_s)), own)
        return request_id

    async def _patiently(self, work: Callable[[], Awaitable[T]], own: Mapping[str, Any]) -> T:
        retries = int(own.get("retry_count", self._caller.retries))
        first_pause_s = own["retry_delay"] / 1000 if "retry_delay" in own else FIRST_PAUSE_S
        return await patiently(work, retries, first_pause_s)

    async def _fields(
        self,
        conversation: Mapping[str, Any],
        context_id: str,
        system_prompt: str | None,
        provider_id: str | None,
        model_id: str | None,
        options: Options | None,
        extras: Mapping[str, Any],
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        own, fields = chat_fields(self._caller, options, extras)
        if images := extras.get("images"):
            messages = conversation.get("messages") or [{"role": "user", "content": conversation["prompt"]}]
            conversation = {"messages": await with_images(messages, images)}
        if "messages" in conversation:
            fields["messages"] = [message_fields(n, m) for n, m in enumerate(conversation["messages"])]
        else:
            fields["prompt"] = conversation["prompt"]
        named = {"system_prompt": system_prompt, "provider_id": provider_id, "model_id": model_id}
        fields |= {name: value for name, value in named.items() if value is not None}
        return own, fields | {"context_id": context_id}

    def _next_id(self) -> str:
        self._counter += 1
        return f"{self.component_id}_{int(time.time())}_{self._counter}"
