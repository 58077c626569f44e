"""A client in the words of adapters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from tekton_llm_client.adapters.base import BaseAdapter
from tekton_llm_client.asking import Messages
from tekton_llm_client.client import TektonLLMClient
from tekton_llm_client.models import AvailableProviders, CompletionResponse
from tekton_llm_client.stream import ChunkStream


class RhetorAdapter(BaseAdapter):
    """The way to the gateway."""

    adapter_id = "rhetor"

    def __init__(self, base_url: str, auth_token: str | None = None, timeout: float | None = None) -> None:
        self._client = TektonLLMClient(self.adapter_id, base_url, timeout=timeout, auth_token=auth_token)

    @classmethod
    def of(cls, client: TektonLLMClient) -> Self:
        """The way that this client goes."""
        adapter = cls.__new__(cls)
        adapter._client = client
        return adapter

    @property
    def base_url(self) -> str:
        return self._client.rhetor_url

    @property
    def timeout(self) -> float:
        return self._client.timeout

    async def initialize(self) -> bool:
        """Whether the gateway is there and lets us in."""
        return await self._client.initialize()

    async def shutdown(self) -> None:
        await self._client.shutdown()

    async def get_providers(self) -> AvailableProviders:
        return await self._client.get_providers()

    async def complete_chat(
        self, messages: Messages, system_prompt: str | None = None, options: Mapping[str, Any] | None = None
    ) -> CompletionResponse:
        return await self._client.generate_chat(messages, system_prompt, options=options)

    def stream_chat(
        self, messages: Messages, system_prompt: str | None = None, options: Mapping[str, Any] | None = None
    ) -> ChunkStream:
        return self._client.generate_chat(messages, system_prompt, streaming=True, options=options)
