"""A real llama.cpp server spoken to in Responses, by callers of that language and of another."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from openai import AsyncOpenAI

from tests.conftest import MakeGateway, settings
from tests.llamacpp.test_llamacpp import ASK
from tests.sdk.clients import openai_at


@pytest.fixture
async def sdk(make_gateway: MakeGateway, llama_url: str) -> AsyncIterator[AsyncOpenAI]:
    providers = {
        "first": {"wire": "openai", "also": ["responses"], "base_url": f"{llama_url}/v1"},
        "only": {"wire": "responses", "base_url": f"{llama_url}/v1"},
        "never": {"wire": "openai", "base_url": f"{llama_url}/v1"},
    }
    async with openai_at(await make_gateway(settings(providers=providers))) as client:
        yield client


@pytest.mark.parametrize("provider", ["first", "only", "never"])
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_a_response(sdk: AsyncOpenAI, provider: str, streamed: bool) -> None:
    asked: dict[str, Any] = {"model": f"{provider}/gibberish", "input": "hello", "max_output_tokens": 12}
    if streamed:
        events: list[Any] = [event async for event in await sdk.responses.create(**asked, stream=True)]
        reply = events[-1].response
        text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
        assert len(text) == 12
    else:
        reply = await sdk.responses.create(**asked)
        assert len(reply.output_text) == 12
    assert reply.usage.output_tokens == 12
    again = await sdk.responses.create(
        model=f"{provider}/gibberish", input="and?", max_output_tokens=3, previous_response_id=reply.id
    )
    assert again.usage.input_tokens > reply.usage.input_tokens


async def test_a_chat_answered_in_responses(sdk: AsyncOpenAI) -> None:
    stream = await sdk.chat.completions.create(
        model="only/gibberish", messages=ASK, max_completion_tokens=12, stream=True
    )
    chunks = [chunk async for chunk in stream]
    assert len("".join(chunk.choices[0].delta.content or "" for chunk in chunks)) == 12
    assert chunks[-1].choices[0].finish_reason
