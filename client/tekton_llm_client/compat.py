"""The client under the name of `Client`, for components written for a chat client in OpenAI's shape.

Everything goes through the same gateway and fails with the same errors; only
the words differ. Results can be read by attribute and by key.
"""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self, overload

from tekton_llm_client.asking import Messages
from tekton_llm_client.caller import explicit
from tekton_llm_client.client import TektonLLMClient
from tekton_llm_client.mapping import AsMapping
from tekton_llm_client.models import CompletionOptions, CompletionResponse, StreamingChunk, ToolCall
from tekton_llm_client.refusals import broken_off
from tekton_llm_client.stream import ChunkStream

UNNAMED = "tekton-llm-client"
"""Who asks, where a component does not say."""
ANY_PROVIDER = "auto"  # a model is then looked for at all of them
ANY_MODEL = "default"
ROUTES = "rhetor"  # as a provider: the gateway itself, with its routes as models
_NOT_SENT = ("messages", "stream", "system_message")


@dataclass(frozen=True)
class Usage(AsMapping):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int

    def _asdict(self) -> dict[str, int]:
        return dict(self.items())


@dataclass(frozen=True)
class Said(AsMapping):
    """A message of the model, or a piece of it."""

    content: str | None
    role: str = "assistant"
    tool_calls: list[ToolCall] | None = None


@dataclass(frozen=True)
class Choice(AsMapping):
    message: Said
    finish_reason: str | None = None
    index: int = 0


@dataclass(frozen=True)
class ChunkChoice(AsMapping):
    delta: Said
    finish_reason: str | None = None
    index: int = 0


@dataclass(frozen=True)
class ChatCompletion(AsMapping):
    id: str
    model: str
    provider: str
    choices: list[Choice]
    usage: Usage | None
    created: int = field(default_factory=lambda: int(time.time()))
    object: str = "chat.completion"


@dataclass(frozen=True)
class ChatCompletionChunk(AsMapping):
    id: str
    model: str
    provider: str
    choices: list[ChunkChoice]
    usage: Usage | None
    created: int = field(default_factory=lambda: int(time.time()))
    object: str = "chat.completion.chunk"


@dataclass(frozen=True)
class ListedModel(AsMapping):
    id: str
    """What `model=` takes."""
    name: str
    provider: str


class ChatCompletionStream:
    """Chunks as they arrive; awaiting it first is possible, and opens it.

    Raises:
        TektonLLMError: from the iteration, where the reply breaks off.
    """

    def __init__(self, chunks: ChunkStream) -> None:
        self._chunks = chunks

    def __await__(self) -> Generator[Any, None, Self]:
        yield from self._chunks.__await__()
        return self

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ChatCompletionChunk:
        chunk = await anext(self._chunks)
        if chunk.error is not None:
            raise broken_off(chunk.error, chunk)
        return _as_chunk(chunk)

    async def aclose(self) -> None:
        """Stop here; the gateway and its provider stop as well."""
        await self._chunks.aclose()


class Client(TektonLLMClient):
    """`TektonLLMClient`, made and asked in other words.

    Args:
        component_id: as there; something with `://` in it is the gateway's address.
        base_url: another name for `rhetor_url`; else also TEKTON_LLM_SERVER.
        default_model: as `provider/model`, or a model's id, or a route; "default" leaves it to the gateway.
        adapter: a `FallbackAdapter`, whose fallback and patience count.
    """

    def __init__(
        self,
        component_id: str | None = None,
        rhetor_url: str | None = None,
        provider_id: str | None = None,
        model_id: str | None = None,
        timeout: float | None = None,
        max_retries: int | None = None,
        *args: Any,
        base_url: str | None = None,
        default_model: str | None = None,
        adapter: object = None,
        llm_settings: object = None,
        **kwargs: Any,
    ) -> None:
        if component_id is not None and "://" in component_id:
            component_id, base_url = None, component_id
        if default_model is not None and default_model != ANY_MODEL:
            model_id = model_id or default_model
            provider_id = provider_id or ANY_PROVIDER
        if component_id is None and kwargs.get("settings") is None:
            component_id = UNNAMED
        if not os.environ.get("RHETOR_URL") and kwargs.get("settings") is None:
            base_url = base_url or os.environ.get("TEKTON_LLM_SERVER")
        super().__init__(
            component_id,
            rhetor_url or base_url,
            provider_id,
            model_id,
            getattr(adapter, "timeout", None) if timeout is None else timeout,
            getattr(adapter, "max_retries", None) if max_retries is None else max_retries,
            *args,
            llm_settings=explicit(llm_settings) | getattr(adapter, "options", {}),
            **kwargs,
        )

    async def list_models(self) -> list[ListedModel]:
        """All models that can be talked to now, and the gateway's routes."""
        offered = await self.get_providers()
        return [
            ListedModel(model.id if id == ROUTES else f"{id}/{model.id}", model.name, id)
            for id, provider in offered.providers.items()
            if provider.available
            for model in provider.models
            if model.capabilities is None or "chat" in model.capabilities
        ]

    @overload
    async def chat(
        self, messages: Messages, model: str | None = None, *, stream: Literal[True], **options: Any
    ) -> ChatCompletionStream: ...
    @overload
    async def chat(
        self, messages: Messages, model: str | None = None, *, stream: Literal[False] = False, **options: Any
    ) -> ChatCompletion: ...
    async def chat(
        self, messages: Messages, model: str | None = None, *, stream: bool = False, **options: Any
    ) -> ChatCompletion | ChatCompletionStream:
        """A reply to these messages, whole or piece by piece; options are `temperature`, `max_tokens`, `stop`
        and the like."""
        if stream:
            return await self.stream_chat_completion(messages, options, model=model)
        return await self.chat_completion(messages, options, model=model)

    async def chat_completion(
        self,
        messages: Messages | None = None,
        options: CompletionOptions | Mapping[str, Any] | None = None,
        *,
        model: str | None = None,
    ) -> ChatCompletion:
        """A reply to these messages, or to those in the options."""
        conversation, sent = _asked(messages, options, model)
        return _as_completion(await self.generate_chat_response(conversation, options=sent))

    def stream_chat_completion(
        self,
        messages: Messages | None = None,
        options: CompletionOptions | Mapping[str, Any] | None = None,
        *,
        model: str | None = None,
    ) -> ChatCompletionStream:
        """The same, piece by piece."""
        conversation, sent = _asked(messages, options, model)
        return ChatCompletionStream(self.generate_chat_response(conversation, streaming=True, options=sent))


def _asked(
    messages: Messages | None, options: CompletionOptions | Mapping[str, Any] | None, model: str | None
) -> tuple[Messages, dict[str, Any]]:
    """The conversation, and what goes with it."""
    said = explicit(options)
    conversation = list(messages if messages is not None else said.get("messages") or ())
    prompt = said.get("system_message")
    if prompt and not any(str(_role(message)).lower() == "system" for message in conversation):
        conversation.insert(0, {"role": "system", "content": prompt})
    sent = {name: value for name, value in said.items() if name not in _NOT_SENT}
    model = model or sent.pop("model", None)
    if model and model != ANY_MODEL:
        sent = {"provider": ANY_PROVIDER, **sent, "model": model}
    return conversation, sent


def _role(message: object) -> object:
    return message.get("role") if isinstance(message, Mapping) else getattr(message, "role", None)


def _as_completion(reply: CompletionResponse) -> ChatCompletion:
    said = Said(reply.content, tool_calls=reply.tool_calls)
    return ChatCompletion(
        id=reply.generation_id or "",
        model=reply.model,
        provider=reply.provider,
        choices=[Choice(said, reply.finish_reason)],
        usage=_usage(reply.usage),
    )


def _as_chunk(chunk: StreamingChunk) -> ChatCompletionChunk:
    said = Said(chunk.chunk or None, tool_calls=chunk.tool_calls)
    return ChatCompletionChunk(
        id=chunk.generation_id or "",
        model=chunk.model,
        provider=chunk.provider,
        choices=[ChunkChoice(said, chunk.finish_reason)],
        usage=_usage(chunk.usage),
    )


def _usage(usage: Mapping[str, int] | None) -> Usage | None:
    if usage is None:
        return None
    said = (usage.get(name, 0) for name in ("prompt_tokens", "completion_tokens", "total_tokens"))
    return Usage(*said)
