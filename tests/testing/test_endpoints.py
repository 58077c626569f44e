"""The path decides the language: official clients and the house's own wires understand every reply."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from anthropic import APIStatusError as AnthropicStatusError
from anthropic import AsyncAnthropic
from ollama import AsyncClient as Ollama
from ollama import ResponseError
from openai import APIStatusError as OpenAIStatusError
from openai import AsyncOpenAI

from rhetor.core.content import Thinking
from rhetor.testing import USAGE, Upstream, calls, counts, embeds, fails, hangs, says
from rhetor.wire.anthropic import ANTHROPIC
from rhetor.wire.ollama import OLLAMA
from rhetor.wire.openai import OPENAI

pytestmark = pytest.mark.usefixtures("no_leaks")

HI: Any = {"role": "user", "content": "hi"}


@pytest.fixture
async def openai(upstream: Upstream) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{upstream.base_url}/v1", api_key="k", max_retries=0) as client:
        yield client


@pytest.fixture
async def anthropic(upstream: Upstream) -> AsyncIterator[AsyncAnthropic]:
    async with AsyncAnthropic(base_url=upstream.base_url, api_key="k", max_retries=0) as client:
        yield client


@pytest.fixture
async def ollama(upstream: Upstream) -> AsyncIterator[Ollama]:
    async with Ollama(upstream.base_url, verify=False) as client:
        yield client


async def get(upstream: Upstream, path: str, headers: dict[str, str] | None = None) -> bytes:
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.get(upstream.base_url + path) as reply,
    ):
        assert reply.status == 200
        return await reply.read()


async def test_openai_chat(upstream: Upstream, openai: AsyncOpenAI) -> None:
    upstream.says("one two three")
    reply = await openai.chat.completions.create(model="small", messages=[HI])
    assert reply.choices[0].message.content == "one two three"
    assert (reply.model, reply.choices[0].finish_reason) == ("small", "stop")
    assert upstream.requests[0].heard is not None


async def test_openai_chat_stream(upstream: Upstream, openai: AsyncOpenAI) -> None:
    upstream.next(says("one two three"))
    stream = await openai.chat.completions.create(model="small", messages=[HI], stream=True)
    assert [c.choices[0].delta.content async for c in stream if c.choices[0].delta.content] == [
        "one",
        " two",
        " three",
    ]


async def test_openai_tool_calls_interleaved(upstream: Upstream, openai: AsyncOpenAI) -> None:
    upstream.next(calls(("weather", {"city": "Paris"}), ("time", {}), ("weather", {"city": "Rome"})))
    async with openai.chat.completions.stream(model="small", messages=[HI]) as stream:
        reply = await stream.get_final_completion()
    asked = [
        (call.function.name, call.function.arguments) for call in reply.choices[0].message.tool_calls or []
    ]
    assert asked == [("weather", '{"city":"Paris"}'), ("time", "{}"), ("weather", '{"city":"Rome"}')]


async def test_openai_embeddings(upstream: Upstream, openai: AsyncOpenAI) -> None:
    """The client asks for base64; as many vectors as inputs come unless the script says which."""
    reply = await openai.embeddings.create(model="small", input=["a", "b"])
    assert [item.embedding for item in reply.data] == [[0.0, 0.25, 0.5, -0.75], [1.0, 0.25, 0.5, -0.75]]
    upstream.next(embeds([0.5, -1.0]))
    reply = await openai.embeddings.create(model="small", input="a")
    assert reply.data[0].embedding == [0.5, -1.0]


async def test_openai_errors(upstream: Upstream, openai: AsyncOpenAI) -> None:
    upstream.next(fails(429, headers={"retry-after": "2"}))
    with pytest.raises(OpenAIStatusError) as caught:
        await openai.chat.completions.create(model="small", messages=[HI])
    assert caught.value.type == "rate_limit_error"
    assert caught.value.response.headers["retry-after"] == "2"


async def test_openai_models(upstream: Upstream, openai: AsyncOpenAI) -> None:
    upstream.lists("a", "b")
    assert [model.id async for model in openai.models.list()] == ["a", "b"]
    listed = OPENAI.read_models(await get(upstream, "/openai/v1/models"))
    assert [entry.id for entry in listed] == ["a", "b"]


async def test_anthropic_messages(upstream: Upstream, anthropic: AsyncAnthropic) -> None:
    upstream.next(says(Thinking("let me see", "signed"), "forty two"))
    reply = await anthropic.messages.create(model="small", max_tokens=9, messages=[HI])
    assert [block.type for block in reply.content] == ["thinking", "text"]
    assert (reply.model, reply.stop_reason) == ("small", "end_turn")


async def test_anthropic_messages_stream(upstream: Upstream, anthropic: AsyncAnthropic) -> None:
    upstream.next(says("one two three"))
    async with anthropic.messages.stream(model="small", max_tokens=9, messages=[HI]) as stream:
        assert [text async for text in stream.text_stream] == ["one", " two", " three"]


async def test_anthropic_counts_tokens(upstream: Upstream, anthropic: AsyncAnthropic) -> None:
    upstream.next(counts(321))
    assert (await anthropic.messages.count_tokens(model="small", messages=[HI])).input_tokens == 321


async def test_anthropic_errors(upstream: Upstream, anthropic: AsyncAnthropic) -> None:
    upstream.next(fails(529))
    with pytest.raises(AnthropicStatusError) as caught:
        await anthropic.messages.create(model="small", max_tokens=9, messages=[HI])
    assert caught.value.status_code == 529
    assert "overloaded_error" in str(caught.value.body)


async def test_anthropic_models_are_told_apart_by_their_header(
    upstream: Upstream, anthropic: AsyncAnthropic
) -> None:
    upstream.lists("a", "b")
    assert [model.id async for model in anthropic.models.list()] == ["a", "b"]
    upstream.lists()
    assert [model.id async for model in anthropic.models.list()] == []
    upstream.lists("a", "b")
    body = await get(upstream, "/v1/models?limit=1000", {"anthropic-version": "2023-06-01"})
    assert [entry.id for entry in ANTHROPIC.read_models(body)] == ["a", "b"]


async def test_ollama_chat(upstream: Upstream, ollama: Ollama) -> None:
    upstream.says(Thinking("let me see"), "forty two")
    reply = await ollama.chat("small", [HI])
    assert (reply.message.thinking, reply.message.content) == ("let me see", "forty two")
    assert (reply.model, reply.done_reason, reply.eval_count) == ("small", "stop", USAGE.output_tokens)
    assert upstream.requests[0].heard is not None


async def test_ollama_chat_stream(upstream: Upstream, ollama: Ollama) -> None:
    upstream.next(says("one two three"))
    parts = [part async for part in await ollama.chat("small", [HI], stream=True)]
    assert [part.message.content for part in parts] == ["one", " two", " three", ""]
    assert [part.done for part in parts] == [False, False, False, True]


async def test_ollama_calls_tools(upstream: Upstream, ollama: Ollama) -> None:
    upstream.next(calls(("weather", {"city": "Paris"}), ("time", {})))
    reply = await ollama.chat("small", [HI])
    asked = [(call.function.name, call.function.arguments) for call in reply.message.tool_calls or ()]
    assert asked == [("weather", {"city": "Paris"}), ("time", {})]


async def test_ollama_answers_prompts(upstream: Upstream, ollama: Ollama) -> None:
    upstream.says("one two")
    assert (await ollama.generate("small", "hi")).response == "one two"
    parts = [part async for part in await ollama.generate("small", "hi", stream=True)]
    assert [part.response for part in parts] == ["one", " two", ""]


async def test_ollama_embeds(upstream: Upstream, ollama: Ollama) -> None:
    upstream.next(embeds([0.5], [1.5]), embeds([2.5]))
    assert (await ollama.embed("small", ["a", "b"])).embeddings == [[0.5], [1.5]]
    assert (await ollama.embeddings("small", "a")).embedding == [2.5]


async def test_ollama_fails(upstream: Upstream, ollama: Ollama) -> None:
    upstream.next(fails(503))
    with pytest.raises(ResponseError) as caught:
        await ollama.chat("small", [HI])
    assert caught.value.status_code == 503


async def test_ollama_tags(upstream: Upstream, ollama: Ollama) -> None:
    upstream.lists("a", "b")
    assert [entry.id for entry in OLLAMA.read_models(await get(upstream, "/api/tags"))] == ["a", "b"]
    assert [model.model for model in (await ollama.list()).models] == ["a", "b"]


async def test_lists_do_not_take_from_the_queue(upstream: Upstream, openai: AsyncOpenAI) -> None:
    """The gateway looks for models whenever it likes."""
    upstream.next(says("for the chat"))
    await openai.models.list()
    reply = await openai.chat.completions.create(model="small", messages=[HI])
    assert reply.choices[0].message.content == "for the chat"


async def test_lists_misbehave_too(upstream: Upstream, openai: AsyncOpenAI) -> None:
    upstream.lists(but=fails(401))
    with pytest.raises(OpenAIStatusError, match="401"):
        await openai.models.list()
    upstream.lists("a", but=hangs())
    async with aiohttp.ClientSession() as session:
        with pytest.raises(TimeoutError):
            await session.get(f"{upstream.base_url}/v1/models", timeout=aiohttp.ClientTimeout(total=0.05))
    await (await upstream.request(2)).aborted()
