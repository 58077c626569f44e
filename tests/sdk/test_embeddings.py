"""The official `openai` SDK gets vectors, in every way in which it and what is built on it ask."""

from __future__ import annotations

import array
import base64
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from rhetor.core.request import Embed
from rhetor.testing import Seen, Upstream, embeds
from tests.conftest import Gateway
from tests.sdk.clients import with_openai

ONE, TWO = [0.25, 0.5, -0.75], [1.0, -2.0, 0.125]  # exact as float32, so base64 changes nothing
EVERY = pytest.mark.parametrize("provider", ["oai", "ollama"])


def asked(seen: Seen) -> Embed:
    assert seen.heard is not None
    assert isinstance(seen.heard.input, Embed)
    return seen.heard.input


@EVERY
async def test_as_the_sdk_asks_by_default(openai_sdk: AsyncOpenAI, upstream: Upstream, provider: str) -> None:
    """In base64, which it decodes by itself; a provider that knows only numbers is translated."""
    upstream.next(embeds(ONE, TWO))

    reply = await openai_sdk.embeddings.create(model=f"{provider}/small", input=["a", "b"])

    assert [(it.index, it.embedding) for it in reply.data] == [(0, ONE), (1, TWO)]
    assert (reply.usage.prompt_tokens, reply.usage.total_tokens) == (11, 11)
    assert upstream.requests[0].json["input"] == ["a", "b"]


@EVERY
async def test_as_numbers(openai_sdk: AsyncOpenAI, upstream: Upstream, provider: str) -> None:
    upstream.next(embeds(ONE))

    reply = await openai_sdk.embeddings.create(
        model=f"{provider}/small", input="a", encoding_format="float", dimensions=3
    )

    assert reply.data[0].embedding == ONE
    assert upstream.requests[0].json["dimensions"] == 3


@EVERY
async def test_as_text(openai_sdk: AsyncOpenAI, upstream: Upstream, provider: str) -> None:
    """Who asks for base64 by name gets it as it came."""
    upstream.next(embeds(ONE))

    reply: Any = await openai_sdk.embeddings.create(
        model=f"{provider}/small", input="a", encoding_format="base64"
    )

    numbers = array.array("f", base64.b64decode(reply.data[0].embedding))
    assert list(numbers) == ONE


@pytest.mark.parametrize(
    ("given", "heard"),
    [([15339, 1917], ((15339, 1917),)), ([[15339, 1917], [2]], ((15339, 1917), (2,)))],
    ids=["one", "several"],
)
async def test_token_arrays(openai_sdk: AsyncOpenAI, upstream: Upstream, given: Any, heard: Any) -> None:
    """What LangChain sends."""
    upstream.next(embeds(ONE, TWO))

    await openai_sdk.embeddings.create(model="oai/small", input=given)

    assert asked(upstream.requests[0]).inputs == heard


async def test_who_cannot(openai_sdk: AsyncOpenAI, upstream: Upstream) -> None:
    """Ollama takes texts only, and Anthropic's language has no embeddings."""
    with pytest.raises(openai.BadRequestError, match="token ids"):
        await openai_sdk.embeddings.create(model="ollama/small", input=[[1, 2]])
    with pytest.raises(openai.BadRequestError, match="does not offer embeddings"):
        await openai_sdk.embeddings.create(model="ant/small", input="a")
    assert upstream.requests == []


@EVERY
async def test_sync(gateway: Gateway, upstream: Upstream, provider: str) -> None:
    upstream.next(embeds(ONE))

    def work(sdk: OpenAI) -> list[float]:
        return sdk.embeddings.create(model=f"{provider}/small", input="a").data[0].embedding

    assert await with_openai(gateway, work) == ONE
