"""The client: one object for each component, one pool of connections to the gateway."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Sequence
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, Unpack, overload

import aiohttp

from tekton_llm_client import asking, replies
from tekton_llm_client.addresses import shown
from tekton_llm_client.asking import Call, Extras, Messages, Options
from tekton_llm_client.callbacks import Callback
from tekton_llm_client.caller import Caller, caller
from tekton_llm_client.connection import Connection
from tekton_llm_client.exceptions import FormatError, TektonLLMError
from tekton_llm_client.images import with_images
from tekton_llm_client.models import AvailableProviders, CompletionResponse, Embeddings
from tekton_llm_client.objects import Model, once_more, read_object, response_format
from tekton_llm_client.stream import ChunkStream

if TYPE_CHECKING:
    from tekton_llm_client.adapters.fallback import FallbackAdapter
    from tekton_llm_client.adapters.rhetor import RhetorAdapter
    from tekton_llm_client.blocking import BlockingClient

log = logging.getLogger(__name__)


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
        use_fallback: whether the options `fallback_provider` and `fallback_model` are passed on, else
            RHETOR_FALLBACK_PROVIDER and RHETOR_FALLBACK_MODEL. It is the gateway that falls back.
        auth_token: for a gateway that wants one; else RHETOR_AUTH_TOKEN.
        settings, llm_settings: the same as objects, about the client and about the model. Arguments win.
    """

    def __init__(
        self,
        component_id: str | None = None,
        rhetor_url: str | None = None,
        provider_id: str | None = None,
        model_id: str | None = None,
        timeout: float | None = None,
        max_retries: int | None = None,
        use_fallback: bool | None = None,
        auth_token: str | None = None,
        *,
        settings: object = None,
        llm_settings: object = None,
    ) -> None:
        self._caller = caller(
            component_id,
            rhetor_url,
            provider_id,
            model_id,
            timeout,
            max_retries,
            use_fallback,
            auth_token,
            settings,
            llm_settings,
        )
        self.component_id = self._caller.component_id
        self.provider_id = self._caller.provider_id
        self.model_id = self._caller.model_id
        self.timeout = self._caller.silence_s
        self.max_retries = self._caller.retries
        self.use_fallback = self._caller.use_fallback
        self._learned: tuple[str | None, str | None] | None = None
        self._connection = Connection(self.rhetor_url, self.auth_token)

    @classmethod
    def sync(cls, component_id: str | None = None, *args: Any, **kwargs: Any) -> BlockingClient:
        """The same client for code without an event loop; takes the same arguments.

        with TektonLLMClient.sync("my-component") as client:
            print(client.generate_text("Why is the sky blue?").content)
        """
        from tekton_llm_client.blocking import BlockingClient

        return BlockingClient(cls(component_id, *args, **kwargs))

    @property
    def rhetor_url(self) -> str:
        return self._caller.rhetor_url

    @property
    def auth_token(self) -> str | None:
        return self._caller.auth_token

    @property
    def session(self) -> aiohttp.ClientSession | None:
        """The pool of connections; None before the first call, and after `shutdown`."""
        return self._connection.session

    @property
    def primary_adapter(self) -> RhetorAdapter:
        """This client in the words of adapters."""
        from tekton_llm_client.adapters.rhetor import RhetorAdapter

        return RhetorAdapter.of(self)

    @property
    def fallback_adapter(self) -> FallbackAdapter | None:
        """Whom the gateway is to ask when the first one fails; None without fallback."""
        from tekton_llm_client.adapters.fallback import FallbackAdapter

        return FallbackAdapter.of(self._caller.options) if self.use_fallback else None

    async def initialize(self) -> bool:
        """Whether the gateway is there and lets us in. Learns its default model if none was named."""
        try:
            await self._connection.get(asking.HEALTH_PATH, self.timeout)
            offered = await self.get_providers()
        except TektonLLMError as error:
            log.warning("gateway not usable", extra={"url": shown(self.rhetor_url), "reason": error.message})
            return False
        if self.model_id is None:
            provider_id = self.provider_id or offered.default_provider or None
            ours = offered.providers.get(provider_id or "")
            self._learned = (provider_id, (ours.default_model or None) if ours else None)
            self.provider_id, self.model_id = self._learned
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
        **extras: Unpack[Extras],
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
        **extras: Unpack[Extras],
    ) -> ChunkStream: ...
    def generate_text(
        self,
        prompt: str,
        system_prompt: str | None = None,
        streaming: bool = False,
        callback: Callback | None = None,
        context_id: str | None = None,
        options: Options | None = None,
        **extras: Unpack[Extras],
    ) -> Awaitable[CompletionResponse] | ChunkStream:
        """A reply to one prompt: await it whole, or iterate its chunks with `streaming=True`.

        A stream may be awaited first or not. `callback` is called with each chunk as the stream is
        iterated. What goes wrong before the first chunk is raised; after it, the last chunk says so in
        `error`. See `Extras` for tools, images and more.

        Raises:
            TektonLLMError: see `exceptions` for the kinds.
        """
        asked = {"system_prompt": system_prompt, "context_id": context_id, "options": options, **extras}
        return self._generate([{"role": "user", "content": prompt}], streaming, callback, asked)

    @overload
    def generate_chat_response(
        self,
        messages: Messages,
        streaming: Literal[False] = False,
        callback: Callback | None = None,
        context_id: str | None = None,
        options: Options | None = None,
        **extras: Unpack[Extras],
    ) -> Awaitable[CompletionResponse]: ...
    @overload
    def generate_chat_response(
        self,
        messages: Messages,
        streaming: Literal[True],
        callback: Callback | None = None,
        context_id: str | None = None,
        options: Options | None = None,
        **extras: Unpack[Extras],
    ) -> ChunkStream: ...
    def generate_chat_response(
        self,
        messages: Messages,
        streaming: bool = False,
        callback: Callback | None = None,
        context_id: str | None = None,
        options: Options | None = None,
        **extras: Unpack[Extras],
    ) -> Awaitable[CompletionResponse] | ChunkStream:
        """The next turn of a conversation; see `generate_text`."""
        asked = {"context_id": context_id, "options": options, **extras}
        return self._generate(messages, streaming, callback, asked)

    @overload
    def generate_chat(
        self,
        messages: Messages,
        system_prompt: str | None = None,
        settings: object = None,
        streaming: Literal[False] = False,
        **more: Any,
    ) -> Awaitable[CompletionResponse]: ...
    @overload
    def generate_chat(
        self,
        messages: Messages,
        system_prompt: str | None = None,
        settings: object = None,
        *,
        streaming: Literal[True],
        **more: Any,
    ) -> ChunkStream: ...
    def generate_chat(
        self,
        messages: Messages,
        system_prompt: str | None = None,
        settings: object = None,
        streaming: bool = False,
        *,
        callback: Callback | None = None,
        **more: Any,
    ) -> Awaitable[CompletionResponse] | ChunkStream:
        """The same, with the system prompt and the settings of the model beside the conversation."""
        asked = {"system_prompt": system_prompt, "settings": settings, **more}
        return self._generate(messages, streaming, callback, asked)

    async def generate_object(
        self,
        prompt: str | Messages,
        model: type[Model],
        system_prompt: str | None = None,
        context_id: str | None = None,
        options: Options | None = None,
        **extras: Unpack[Extras],
    ) -> Model:
        """A reply as an object of this pydantic model. Who answers with anything else is asked once more.

        Raises:
            FormatError: the second reply was none either.
            TektonLLMError: there was no reply.
        """
        said: Messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
        messages = list(await with_images(said, extras.pop("images", ())))
        asked = {"system_prompt": system_prompt, "context_id": context_id, "options": options, **extras}
        asked["response_format"] = response_format(model)
        reply = await self._whole(messages, asked)
        try:
            return read_object(reply, model)
        except FormatError as error:
            messages = once_more(messages, reply, error)
        return read_object(await self._whole(messages, asked), model)

    async def embed(self, texts: str | Sequence[str], model: str | None = None) -> Embeddings:
        """Texts as vectors. Without a model, as `provider/model`, the gateway chooses.

        Raises:
            TektonLLMError: see `exceptions` for the kinds.
        """
        texts = [texts] if isinstance(texts, str) else texts
        return replies.read_embeddings(
            *await self._connection.ask(asking.embeddings_call(self._asking(), texts, model))
        )

    async def get_providers(self) -> AvailableProviders:
        """Who can be asked for what, as the gateway sees it now."""
        return replies.read_providers(await self._connection.get(asking.PROVIDERS_PATH, self.timeout))

    def _generate(
        self, messages: Messages, streaming: bool, callback: Callback | None, asked: dict[str, Any]
    ) -> Awaitable[CompletionResponse] | ChunkStream:
        if not streaming:
            return self._whole(messages, asked)
        said = asking.conversation(messages)  # as they are now, whenever the stream is opened
        return ChunkStream(self._connection, lambda: self._call(said, True, asked), callback)

    async def _whole(self, messages: Messages, asked: dict[str, Any]) -> CompletionResponse:
        started_s = time.monotonic()
        body, _ = await self._connection.ask(await self._call(messages, False, asked))
        reply = replies.read_reply(body)
        reply.latency = time.monotonic() - started_s
        return reply

    async def _call(self, messages: Messages, streaming: bool, asked: dict[str, Any]) -> Call:
        messages = await with_images(messages, asked.get("images") or ())
        return asking.chat_call(self._asking(), messages, streaming=streaming, **asked)

    def _asking(self) -> Caller:
        """Who asks now: the attributes may have changed, and what `initialize` learned is not a wish."""
        provider_id, model_id = self.provider_id, self.model_id
        if (provider_id, model_id) == self._learned:
            provider_id, model_id = self._caller.provider_id, self._caller.model_id
        return replace(
            self._caller,
            component_id=self.component_id,
            provider_id=provider_id,
            model_id=model_id,
            silence_s=self.timeout,
            retries=self.max_retries,
            use_fallback=self.use_fallback,
        )
