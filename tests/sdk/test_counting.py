"""The official `anthropic` SDK counts tokens: at the provider that can, else by an estimate that says so."""

from __future__ import annotations

from typing import Any

import pytest
from anthropic import AsyncAnthropic

from rhetor.core.capability import Capability
from rhetor.testing import Upstream, counts
from tests.sdk.conversation import CITY_SCHEMA, HELLO, PIXEL, chat

ASK: list[Any] = [{"role": "user", "content": "hello"}]
TOOLS: list[Any] = [{"name": "weather", "description": "The weather", "input_schema": CITY_SCHEMA}]
IMAGE: Any = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}


async def test_the_provider_counts(anthropic_sdk: AsyncAnthropic, upstream: Upstream) -> None:
    upstream.next(counts(4711))

    raw = await anthropic_sdk.messages.with_raw_response.count_tokens(
        model="ant/small", messages=ASK, tools=TOOLS
    )

    assert (await raw.parse()).input_tokens == 4711
    assert "x-rhetor-usage" not in raw.headers
    [seen] = upstream.requests
    assert seen.path == "/v1/messages/count_tokens"
    assert seen.heard is not None
    assert seen.heard.capability is Capability.COUNT_TOKENS
    assert chat(seen).messages == (HELLO,)
    assert seen.json == {"model": "small", "messages": ASK, "tools": TOOLS}


@pytest.mark.parametrize("provider", ["oai", "ollama"])
async def test_an_estimate_says_so(anthropic_sdk: AsyncAnthropic, upstream: Upstream, provider: str) -> None:
    """Nobody is asked; it counts every kind of block, rather too high than too low."""
    model = f"{provider}/small"
    raw = await anthropic_sdk.messages.with_raw_response.count_tokens(model=model, messages=ASK)
    plain = (await raw.parse()).input_tokens
    with_tools = await anthropic_sdk.messages.count_tokens(model=model, messages=ASK, tools=TOOLS)
    with_image = await anthropic_sdk.messages.count_tokens(
        model=model, messages=[{"role": "user", "content": [IMAGE]}]
    )

    assert raw.headers["x-rhetor-usage"] == "estimated"
    assert 1 < plain < 50
    assert with_tools.input_tokens > plain + 20
    assert with_image.input_tokens > 1000
    assert upstream.requests == []
