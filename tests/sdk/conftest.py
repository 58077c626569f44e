"""The official Python SDKs, pointed at a gateway whose upstream speaks three languages."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from anthropic import AsyncAnthropic
from openai import AsyncOpenAI

from rhetor.testing import Upstream
from tests.conftest import Gateway, MakeGateway, settings
from tests.sdk.clients import anthropic_at, openai_at


@pytest.fixture
async def gateway(make_gateway: MakeGateway, upstream: Upstream) -> Gateway:
    """The upstream as `oai` and `ant`, and as the built-in `ollama`."""
    return await make_gateway(settings(upstream, providers={"ollama": {"base_url": upstream.base_url}}))


@pytest.fixture
async def openai_sdk(gateway: Gateway) -> AsyncIterator[AsyncOpenAI]:
    async with openai_at(gateway) as client:
        yield client


@pytest.fixture
async def anthropic_sdk(gateway: Gateway) -> AsyncIterator[AsyncAnthropic]:
    async with anthropic_at(gateway) as client:
        yield client
