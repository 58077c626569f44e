"""The client: one object for each component, one pool of connections to the gateway."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Awaitable, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, Self, overload

from tekton_llm_client import protocol
from tekton_llm_client.connection import Connection
from tekton_llm_client.exceptions import TektonLLMError
from tekton_llm_client.models import AvailableProviders, CompletionResponse, Message
from tekton_llm_client.stream import Callback, ChunkStream

log = logging.getLogger(__name__)

DEFAULT_URL = "http://localhost:8003"
DEFAULT_SILENCE_S = 120.0  # a long answer in one piece is silent until it is complete
DEFAULT_RETRIES = 3

Messages = Sequence[Message | Mapping[str, Any]]
Options = Mapping[str, Any]


class TektonLLMClient:
    """Talks to models through the gateway.

        async with TektonLLMClient("my-component") as client:
            reply = await client.generate_text("Why is the sky blue?")
            async for chunk in client.generate_text("And at sunset?", streaming=True):
                print(chunk.chunk, end="")

    Args:
        component_id: who asks; a name for the gateway's books, and the default `context_id`.
        rhetor_url: where the gateway is, a path prefix included; else RHETOR_URL, else http://localhost:8003.
        provider_id, model_id: who shall answer; else RHETOR_DEFAULT_PROVIDER and RHETOR_DEFAULT_MODEL,
            else the gateway's own choice.
        timeout: seconds of silence after which the gateway counts as stuck; else RHETOR_TIMEOUT, else 120.
            A streamed reply may take as long as it keeps coming.
        max_retries: further tries when the gateway is away, busy or limiting, as long as it said nothing of
            its reply; else RHETOR_MAX_RETRIES, else 3.
        use_fallback: whether the options `fallback_provider` and `fallback_model` are passed on.
        auth_token: for a gateway that wants one; else RHETOR_AUTH_TOKEN.
    """

    def __init__(
        self,
        component_id: str,
        rhetor_url: str | None = None,
        provider_id: str | None = None,
        model_id: str | None = None,
        timeout: float | None = None,
        max_retries: int | None = None,
        use_fallback: bool = True,
        auth_token: str | None = None,
    ) -> None:
        env = os.environ.get
        self.component_id = component_id
        self.rhetor_url = (rhetor_url or env("RHETOR_URL") or DEFAULT_URL).rstrip("/")
        self.provider_id = provider_id or env("RHETOR_DEFAULT_PROVIDER") or None
        self.model_id = model_id or env("RHETOR_DEFAULT_MODEL") or None
        self.timeout = float(env("RHETOR_TIMEOUT") or DEFAULT_SILENCE_S) if timeout is None else timeout
        self.max_retries = (
            int(env("RHETOR_MAX_RETRIES") or DEFAULT_RETRIES) if max_retries is None else max_retries
        )
        self.use_fallback = use_fallback
        self.auth_token = auth_token or env("RHETOR_AUTH_TOKEN") or None
        self._connection = Connection(self.rhetor_url, self.auth_token)

    async def initialize(self) -> bool:
        """Whether the gateway is there and lets us in. Learns its default model if none was named."""
        try:
            await self._connection.get(protocol.HEALTH_PATH, self.timeout)
            offered = await self.get_providers()
        except TektonLLMError as error:
            log.warning("gateway not usable", extra={"url": self.rhetor_url, "reason": error.message})
            return False
        if self.model_id is None:
            self.provider_id = self.provider_id or offered.default_provider
            ours = offered.providers.get(self.provider_id)
            self.model_id = (ours.default_model or None) if ours else None
        return True

    async def shutdown(self) -> None:
        """Close the connections; the client may be used again afterwards."""
        await self._connection.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.shutdown()

    @overload
    def generate_text(
        self,
        prompt: str,
        system_prompt: str | None = None,
        streaming: Literal[False] = False,
        callback: Callback | None = None,
        context_id: str | None = None,
        options: Options | None = None,
    ) -> Awaitable[CompletionResponse]: ...
    @overload
    def generate_text(
        self,
        prompt: str,
        system_prompt: str | None = None,
        *,
        streaming: Literal[True],
        callback: Callback | None = None,
        context_id: str | None = None,
        options: Options | None = None,
    ) -> ChunkStream: ...
    def generate_text(
        self,
        prompt: str,
        system_prompt: str | None = None,
        streaming: bool = False,
        callback: Callback | None = None,
        context_id: str | None = None,
        options: Options | None = None,
    ) -> Awaitable[CompletionResponse] | ChunkStream:
        """A reply to one prompt: await it whole, or iterate its chunks with `streaming=True`.

        A stream may be awaited first or not. `callback` is called with each chunk as the stream is
        iterated. What goes wrong before the first chunk is raised; after it, the last chunk says so in
        `error`.

        Raises:
            TektonLLMError: see `exceptions` for the kinds.
        """
        messages = [{"role": "user", "content": prompt}]
        call = self._call(messages, system_prompt, streaming, context_id, options)
        return ChunkStream(self._connection, call, callback) if streaming else self._complete(call)

    @overload
    def generate_chat_response(
        self,
        messages: Messages,
        streaming: Literal[False] = False,
        callback: Callback | None = None,
        context_id: str | None = None,
        options: Options | None = None,
    ) -> Awaitable[CompletionResponse]: ...
    @overload
    def generate_chat_response(
        self,
        messages: Messages,
        *,
        streaming: Literal[True],
        callback: Callback | None = None,
        context_id: str | None = None,
        options: Options | None = None,
    ) -> ChunkStream: ...
    def generate_chat_response(
        self,
        messages: Messages,
        streaming: bool = False,
        callback: Callback | None = None,
        context_id: str | None = None,
        options: Options | None = None,
    ) -> Awaitable[CompletionResponse] | ChunkStream:
        """The next turn of a conversation; see `generate_text`."""
        call = self._call(messages, None, streaming, context_id, options)
        return ChunkStream(self._connection, call, callback) if streaming else self._complete(call)

    async def get_providers(self) -> AvailableProviders:
        """Who can be asked for what, as the gateway sees it now."""
        return protocol.read_providers(await self._connection.get(protocol.PROVIDERS_PATH, self.timeout))

    def _call(
        self,
        messages: Messages,
        system_prompt: str | None,
        streaming: bool,
        context_id: str | None,
        options: Options | None,
    ) -> protocol.Call:
        caller = protocol.Caller(
            self.component_id,
            self.provider_id,
            self.model_id,
            self.use_fallback,
            silence_s=self.timeout,
            retries=self.max_retries,
        )
        return protocol.chat_call(
            caller,
            messages,
            system_prompt=system_prompt,
            streaming=streaming,
            context_id=context_id,
            options=options,
        )

    async def _complete(self, call: protocol.Call) -> CompletionResponse:
        started_s = time.monotonic()
        reply = protocol.read_reply(await self._connection.ask(call))
        reply.latency = time.monotonic() - started_s
        return reply
