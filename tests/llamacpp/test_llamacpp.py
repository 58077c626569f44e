"""A real llama.cpp server as a provider: every promise about framing, usage and endings, none about words.

Its model says one letter a token, so that the length of a text is the number
of its tokens, and goes on until something ends it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anthropic
import openai
import orjson
import pytest
from anthropic import AsyncAnthropic
from openai import AsyncOpenAI

from rhetor.tasks import spawn, stop
from rhetor.wire.sse import SseSplitter
from tests.conftest import Gateway
from tests.llamacpp.conftest import Llama

EVERY = pytest.mark.parametrize("model", ["llamacpp/gibberish", "anthropic-cpp/gibberish"])
ASK: list[Any] = [{"role": "user", "content": "hello"}]
PROMPT_TOKENS = 25  # `user: hello\nassistant: ` in letters, with the beginning of the text
END_TOKEN = "2"
WHOLE_CONTEXT_TOKENS = 32_000  # what an endless reply comes near to


# OpenAI's door.


@EVERY
async def test_openai_chat(openai_sdk: AsyncOpenAI, model: str) -> None:
    reply = await openai_sdk.chat.completions.create(model=model, messages=ASK, max_completion_tokens=12)

    assert reply.model == "gibberish"
    assert len(reply.choices[0].message.content or "") == 12
    assert reply.choices[0].finish_reason == "length"
    assert reply.usage is not None
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (PROMPT_TOKENS, 12)
    assert reply.usage.total_tokens == PROMPT_TOKENS + 12


@EVERY
async def test_openai_stream(openai_sdk: AsyncOpenAI, model: str) -> None:
    stream = await openai_sdk.chat.completions.create(
        model=model,
        messages=ASK,
        max_completion_tokens=12,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = [chunk async for chunk in stream]

    said = [piece for chunk in chunks if chunk.choices and (piece := chunk.choices[0].delta.content)]
    assert len(said) > 1
    assert len("".join(said)) == 12
    assert [it.choices[0].finish_reason for it in chunks if it.choices][-1] == "length"
    assert chunks[-1].usage is not None
    assert (chunks[-1].usage.prompt_tokens, chunks[-1].usage.completion_tokens) == (PROMPT_TOKENS, 12)


@EVERY
async def test_openai_stream_without_asking_for_usage(
    gateway: Gateway, openai_sdk: AsyncOpenAI, model: str
) -> None:
    """The caller sees none; the books have the provider's count all the same."""
    stream = await openai_sdk.chat.completions.create(
        model=model, messages=ASK, max_completion_tokens=12, stream=True
    )
    chunks = [chunk async for chunk in stream]

    assert not any(chunk.usage for chunk in chunks)
    [trip] = await gateway.booked()
    assert (trip["usage_source"], trip["outcome"]) == ("provider", "ok")


async def test_openai_reply_that_ends_by_itself(openai_sdk: AsyncOpenAI) -> None:
    reply = await openai_sdk.chat.completions.create(
        model="llamacpp/gibberish", messages=ASK, logit_bias={END_TOKEN: 1000}
    )

    assert reply.choices[0].finish_reason == "stop"
    assert reply.usage is not None
    assert reply.usage.completion_tokens == 1


@EVERY
async def test_openai_reply_that_a_sequence_ends(openai_sdk: AsyncOpenAI, model: str) -> None:
    reply = await openai_sdk.chat.completions.create(
        model=model, messages=ASK, stop=["p", "k"], max_completion_tokens=500
    )

    assert reply.choices[0].finish_reason == "stop"
    assert not {"p", "k"} & set(reply.choices[0].message.content or "")


# Anthropic's door.


@EVERY
async def test_anthropic_message(anthropic_sdk: AsyncAnthropic, model: str) -> None:
    reply = await anthropic_sdk.messages.create(model=model, messages=ASK, max_tokens=12)

    [block] = reply.content
    assert block.type == "text"
    assert len(block.text) == 12
    assert reply.stop_reason == "max_tokens"
    usage = reply.usage
    assert usage.input_tokens + (usage.cache_read_input_tokens or 0) == PROMPT_TOKENS
    assert usage.output_tokens == 12


@EVERY
async def test_anthropic_stream(anthropic_sdk: AsyncAnthropic, model: str) -> None:
    async with anthropic_sdk.messages.stream(model=model, messages=ASK, max_tokens=12) as stream:
        pieces = [piece async for piece in stream.text_stream]
        reply = await stream.get_final_message()

    assert len(pieces) > 1
    assert len("".join(pieces)) == 12
    assert reply.stop_reason == "max_tokens"
    usage = reply.usage
    assert usage.input_tokens + (usage.cache_read_input_tokens or 0) == PROMPT_TOKENS
    assert usage.output_tokens == 12


async def test_anthropic_reply_that_a_sequence_ends(anthropic_sdk: AsyncAnthropic) -> None:
    """The sequence is told; this server calls the ending `end_turn` all the same."""
    reply = await anthropic_sdk.messages.create(
        model="anthropic-cpp/gibberish", messages=ASK, max_tokens=500, stop_sequences=["p"]
    )

    assert (reply.stop_reason, reply.stop_sequence) == ("end_turn", "p")


@pytest.mark.parametrize(
    ("model", "usage"), [("llamacpp/gibberish", "estimated"), ("anthropic-cpp/gibberish", None)]
)
async def test_counting_tokens(anthropic_sdk: AsyncAnthropic, model: str, usage: str | None) -> None:
    raw = await anthropic_sdk.messages.with_raw_response.count_tokens(model=model, messages=ASK)

    assert raw.headers.get("x-rhetor-usage") == usage
    if usage is None:
        assert (await raw.parse()).input_tokens == PROMPT_TOKENS


# Tekton's door.


@EVERY
async def test_tekton_chat(gateway: Gateway, model: str) -> None:
    provider, _, name = model.partition("/")
    body = {"messages": ASK, "provider_id": provider, "model_id": name, "options": {"max_tokens": 12}}

    status, reply = await gateway.post("/api/v1/chat", body)

    assert status == 200
    assert len(reply["content"]) == 12
    assert reply["usage"]["prompt_tokens"] == PROMPT_TOKENS
    assert reply["usage"]["completion_tokens"] == 12


@EVERY
async def test_tekton_stream(gateway: Gateway, model: str) -> None:
    provider, _, name = model.partition("/")
    body = {"messages": ASK, "provider_id": provider, "model_id": name, "options": {"max_tokens": 12}}

    async with gateway.session.post(f"{gateway.url}/api/v1/chat/stream", json=body) as reply:
        frames = SseSplitter().feed(await reply.read())

    *chunks, last = [frame.data for frame in frames]
    assert last == b"[DONE]"
    said = [orjson.loads(chunk) for chunk in chunks]
    assert len("".join(chunk["chunk"] for chunk in said)) == 12
    assert [chunk["done"] for chunk in said] == [False] * (len(said) - 1) + [True]


# Structured output: the server's grammar leaves the model no choice but to keep to the schema.

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"sunny": {"type": "boolean"}},
    "required": ["sunny"],
    "additionalProperties": False,
}


async def test_openai_structured_output(openai_sdk: AsyncOpenAI, discovered: Gateway) -> None:
    reply = await openai_sdk.chat.completions.create(
        model="llamacpp/gibberish",
        messages=ASK,
        response_format={"type": "json_schema", "json_schema": {"name": "weather", "schema": SCHEMA}},
    )

    assert isinstance(orjson.loads(reply.choices[0].message.content or "")["sunny"], bool)


async def test_anthropic_structured_output(anthropic_sdk: AsyncAnthropic, discovered: Gateway) -> None:
    reply = await anthropic_sdk.messages.create(
        model="llamacpp/gibberish",
        messages=ASK,
        max_tokens=100,
        output_config={"format": {"type": "json_schema", "schema": SCHEMA}},
    )

    [block] = reply.content
    assert block.type == "text"
    assert isinstance(orjson.loads(block.text)["sunny"], bool)


# Models and vectors.


async def test_its_models_are_discovered(discovered: Gateway, openai_sdk: AsyncOpenAI) -> None:
    listed: dict[str, Any] = {model.id: model async for model in await openai_sdk.models.list()}

    assert listed["llamacpp/gibberish"].max_input_tokens == 32_768
    assert "anthropic-cpp/gibberish" in listed


@pytest.mark.parametrize("encoding", ["float", None])
async def test_embeddings(openai_sdk: AsyncOpenAI, discovered: Gateway, encoding: Any) -> None:
    """As numbers, and in base64 as the SDK asks unless it is told; its list calls every model a talker."""
    reply = await openai_sdk.embeddings.create(
        model="llamacpp/gibberish",
        input=["hello", "hello", "world"],
        **({"encoding_format": encoding} if encoding else {}),
    )

    one, same, other = (it.embedding for it in reply.data)
    assert len(one) == 32
    assert one == pytest.approx(same, abs=1e-4)
    assert one != pytest.approx(other, abs=1e-4)
    assert reply.usage.prompt_tokens == reply.usage.total_tokens > 0


@EVERY
async def test_a_conversation_that_is_too_long(
    openai_sdk: AsyncOpenAI, anthropic_sdk: AsyncAnthropic, model: str
) -> None:
    """The server's own refusal, as callers of each language know it."""
    long: list[Any] = [{"role": "user", "content": "a" * 40_000}]

    with pytest.raises(openai.BadRequestError, match="context size") as caught:
        await openai_sdk.chat.completions.create(model=model, messages=long, max_tokens=9)
    assert caught.value.code == "context_length_exceeded"
    with pytest.raises(anthropic.BadRequestError, match="context size"):
        await anthropic_sdk.messages.create(model=model, messages=long, max_tokens=9)


# Who leaves. Streams only: asked for a whole reply, this server does not look whether anybody still waits.


def endless(path: str, **body: Any) -> Callable[[Gateway, str], Awaitable[None]]:
    async def ask(gateway: Gateway, model: str) -> None:
        provider, _, name = model.partition("/")
        named = {"provider_id": provider, "model_id": name} if "/api/" in path else {"model": model}
        asked = {**body, **named, "max_tokens": 40_000, "stream": True}
        async with gateway.session.post(gateway.url + path, json=asked) as reply:
            await reply.read()

    return ask


@EVERY
@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(endless("/v1/chat/completions", messages=ASK), id="openai"),
        pytest.param(endless("/v1/messages", messages=ASK), id="anthropic"),
        pytest.param(endless("/api/v1/chat/stream", messages=ASK), id="tekton"),
    ],
)
async def test_who_leaves_stops_the_generation(gateway: Gateway, llama: Llama, model: str, ask: Any) -> None:
    """The server stops long before the end of its context, which an endless reply would fill."""
    before = await llama.generated_tokens()
    asking = spawn(ask(gateway, model), "endless reply")
    await llama.becomes(busy=True)

    await stop(asking)
    await llama.becomes(busy=False)

    assert await llama.generated_tokens() - before < WHOLE_CONTEXT_TOKENS / 2
    assert [trip["outcome"] for trip in await gateway.booked()] == ["cancelled"]
