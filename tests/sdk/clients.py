"""The official SDKs as they come, but for certificates: reading them takes longer than most of the tests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

import anthropic
import openai
from anthropic import Anthropic, AsyncAnthropic
from openai import AsyncOpenAI, OpenAI

from tests.conftest import Gateway

T = TypeVar("T")


def openai_at(gateway: Gateway, key: str = "any") -> AsyncOpenAI:
    http = openai.DefaultAsyncHttpxClient(verify=False)
    return AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=key, http_client=http)


def anthropic_at(gateway: Gateway, key: str | None = "any", bearer: str | None = None) -> AsyncAnthropic:
    http = anthropic.DefaultAsyncHttpxClient(verify=False)
    return AsyncAnthropic(base_url=gateway.url, api_key=key, auth_token=bearer, http_client=http)


async def with_openai(gateway: Gateway, work: Callable[[OpenAI], T]) -> T:
    """What the synchronous client gets, in a thread: it would block the gateway's loop."""

    def run() -> T:
        http = openai.DefaultHttpxClient(verify=False)
        with OpenAI(base_url=f"{gateway.url}/v1", api_key="any", http_client=http) as sdk:
            return work(sdk)

    return await asyncio.to_thread(run)


async def with_anthropic(gateway: Gateway, work: Callable[[Anthropic], T]) -> T:
    def run() -> T:
        http = anthropic.DefaultHttpxClient(verify=False)
        with Anthropic(base_url=gateway.url, api_key="any", http_client=http) as sdk:
            return work(sdk)

    return await asyncio.to_thread(run)
