"""The official `openai` SDK holds its conversations, whatever language the provider speaks."""

from __future__ import annotations

from typing import Any

import pytest
from openai import AsyncOpenAI, OpenAI

from rhetor.core.content import Refusal, Text, Thinking
from rhetor.core.events import FinishReason
from rhetor.core.request import Message, Role
from rhetor.core.usage import Usage
from rhetor.testing import USAGE, Upstream, fails, hangs, headers, says
from tests.conftest import Gateway
from tests.sdk.clients import with_openai
from tests.sdk.conversation import (
    BOTH_WAYS,
    EVERY,
    HEARD,
    HELLO,
    PARIS,
    PARIS_JSON,
    City,
    chat,
)
from tests.sdk.openai_door import ASK, SYSTEM, ask, message_of

# Text.


@EVERY
@BOTH_WAYS
async def test_chat(openai_sdk: AsyncOpenAI, upstream: Upstream, provider: str, streamed: bool) -> None:
    reply = await ask(openai_sdk, streamed, model=f"{provider}/small", messages=[SYSTEM, *ASK])

    assert reply.object == "chat.completion"
    assert reply.model == "small"
    assert message_of(reply).content == "hello world"
    assert message_of(reply).role == "assistant"
    assert reply.choices[0].finish_reason == "stop"
    assert reply.usage is not None
    assert reply.usage.prompt_tokens == USAGE.input_tokens
    assert reply.usage.completion_tokens == USAGE.output_tokens
    assert reply.usage.total_tokens == USAGE.total_tokens
    assert upstream.requests[0].model == "small"


@HEARD
async def test_what_is_asked_arrives(openai_sdk: AsyncOpenAI, upstream: Upstream, provider: str) -> None:
    said = [SYSTEM, *ASK, {"role": "assistant", "content": "hi"}, {"role": "user", "content": "and?"}]
    await openai_sdk.chat.completions.create(
        model=f"{provider}/small",
        messages=said,
        temperature=0.5,
        max_completion_tokens=50,
        stop=["END"],
        user="anna",
    )

    heard = chat(upstream.requests[0])
    assert heard.messages == (
        Message(Role.SYSTEM, (Text("Be brief."),)),
        HELLO,
        Message(Role.ASSISTANT, (Text("hi"),)),
        Message(Role.USER, (Text("and?"),)),
    )
    assert (heard.temperature, heard.max_tokens, heard.stop, heard.end_user) == (0.5, 50, ("END",), "anna")


async def test_what_is_asked_arrives_at_ollama(openai_sdk: AsyncOpenAI, upstream: Upstream) -> None:
    await openai_sdk.chat.completions.create(
        model="ollama/small", messages=[SYSTEM, *ASK], temperature=0.5, max_tokens=50, stop="END"
    )

    assert upstream.requests[0].path == "/api/chat"
    assert upstream.requests[0].json == {
        "model": "small",
        "messages": [SYSTEM, *ASK],
        "stream": False,
        "options": {"num_predict": 50, "temperature": 0.5, "stop": ["END"]},
    }


async def test_a_provider_of_the_same_language_gets_the_body_as_it_is(
    openai_sdk: AsyncOpenAI, upstream: Upstream
) -> None:
    """Fields that nobody knows survive, and only the model is another one."""
    asked: dict[str, Any] = {"messages": ASK, "logit_bias": {"50256": -100}, "n": 2}
    await openai_sdk.chat.completions.create(model="oai/small", **asked, extra_body={"x_new": {"deep": [1]}})

    assert upstream.requests[0].json == {"model": "small", **asked, "x_new": {"deep": [1]}}


async def test_what_another_language_cannot_say_is_named(openai_sdk: AsyncOpenAI, upstream: Upstream) -> None:
    raw = await openai_sdk.chat.completions.with_raw_response.create(
        model="ant/small", messages=ASK, seed=7, logit_bias={"50256": -100}
    )

    assert message_of(raw.parse()).content == "hello world"
    assert raw.headers["x-rhetor-dropped"] == "logit_bias, seed"
    assert upstream.requests[0].json == {"model": "small", "max_tokens": 4096, "messages": ASK}


@EVERY
async def test_stream(openai_sdk: AsyncOpenAI, upstream: Upstream, provider: str) -> None:
    upstream.says("one two three")

    stream = await openai_sdk.chat.completions.create(model=f"{provider}/small", messages=ASK, stream=True)
    chunks = [chunk async for chunk in stream]

    pieces = [piece for chunk in chunks if (piece := chunk.choices[0].delta.content)]
    assert pieces == ["one", " two", " three"]
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].finish_reason for chunk in chunks][-1] == "stop"
    assert not any(chunk.usage for chunk in chunks), "usage came without being asked for"
    assert len({chunk.id for chunk in chunks}) == 1


@EVERY
async def test_stream_with_usage(openai_sdk: AsyncOpenAI, provider: str) -> None:
    stream = await openai_sdk.chat.completions.create(
        model=f"{provider}/small", messages=ASK, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]

    assert [bool(chunk.usage) for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert chunks[-1].choices == []


@EVERY
async def test_the_streaming_helper_tells_pieces_and_the_whole(
    openai_sdk: AsyncOpenAI, provider: str
) -> None:
    async with openai_sdk.chat.completions.stream(model=f"{provider}/small", messages=ASK) as stream:
        events = [event async for event in stream]

    assert "".join(event.delta for event in events if event.type == "content.delta") == "hello world"
    assert [event.content for event in events if event.type == "content.done"] == ["hello world"]


@EVERY
async def test_who_leaves_a_stream_stops_the_provider(
    openai_sdk: AsyncOpenAI, upstream: Upstream, provider: str
) -> None:
    upstream.next(hangs(after=1))

    stream = await openai_sdk.chat.completions.create(model=f"{provider}/small", messages=ASK, stream=True)
    async with stream:
        async for chunk in stream:
            if chunk.choices[0].delta.content:
                break

    await upstream.requests[0].aborted()


# Structured output.


@EVERY
async def test_structured_output(openai_sdk: AsyncOpenAI, upstream: Upstream, provider: str) -> None:
    upstream.says(PARIS_JSON)

    reply = await openai_sdk.chat.completions.parse(
        model=f"{provider}/small", messages=ASK, response_format=City
    )

    assert reply.choices[0].message.parsed == PARIS


@EVERY
async def test_structured_output_streamed(openai_sdk: AsyncOpenAI, upstream: Upstream, provider: str) -> None:
    upstream.says(PARIS_JSON)

    async with openai_sdk.chat.completions.stream(
        model=f"{provider}/small", messages=ASK, response_format=City
    ) as stream:
        reply = await stream.get_final_completion()

    assert reply.choices[0].message.parsed == PARIS


@EVERY
async def test_the_schema_arrives(openai_sdk: AsyncOpenAI, upstream: Upstream, provider: str) -> None:
    upstream.says(PARIS_JSON)

    await openai_sdk.chat.completions.parse(model=f"{provider}/small", messages=ASK, response_format=City)

    seen = upstream.requests[0]
    if provider == "ollama":
        schema = seen.json["format"]
    else:
        wanted = chat(seen).response_format
        assert wanted is not None
        assert wanted.kind == "json_schema"
        schema = wanted.schema
    assert sorted(schema["properties"]) == ["degrees", "name"]
    assert schema["required"] == ["name", "degrees"]


# Thoughts.


@EVERY
@BOTH_WAYS
async def test_thinking(openai_sdk: AsyncOpenAI, upstream: Upstream, provider: str, streamed: bool) -> None:
    """Thoughts come where most clients look for them: in `reasoning_content`."""
    upstream.says(Thinking("well then", "signed"), "the answer")

    reply = await ask(openai_sdk, streamed, model=f"{provider}/small", reasoning_effort="low")

    assert message_of(reply).reasoning_content == "well then"
    assert message_of(reply).content == "the answer"


async def test_how_much_to_think(openai_sdk: AsyncOpenAI, upstream: Upstream) -> None:
    for provider in ("oai", "ant", "ollama"):
        await ask(openai_sdk, False, model=f"{provider}/small", reasoning_effort="low")

    by_effort, by_budget, by_level = upstream.requests
    assert by_effort.json["reasoning_effort"] == "low"
    assert by_budget.json["thinking"] == {"type": "enabled", "budget_tokens": 2048}
    assert by_level.json["think"] == "low"


@pytest.mark.parametrize(
    ("provider", "dropped"),
    [
        ("oai", None),
        ("ant", "messages[1].content[0]: a thought without its signature"),
        ("ollama", None),
    ],
)
async def test_thoughts_sent_back(
    openai_sdk: AsyncOpenAI, upstream: Upstream, provider: str, dropped: str | None
) -> None:
    """They reach who takes them; who demands a signature, which this language lost, does not get them."""
    thought = {"role": "assistant", "content": "the answer", "reasoning_content": "well then"}
    raw = await openai_sdk.chat.completions.with_raw_response.create(
        model=f"{provider}/small",
        messages=[*ASK, thought, {"role": "user", "content": "and?"}],  # type: ignore[list-item]
    )

    assert raw.headers.get("x-rhetor-dropped") == dropped
    assert (b"well then" in upstream.requests[0].body) == (dropped is None)


# Endings and usage.


@pytest.mark.parametrize(
    ("provider", "finish", "expected"),
    [
        ("oai", FinishReason.LENGTH, "length"),
        ("ant", FinishReason.LENGTH, "length"),
        ("ollama", FinishReason.LENGTH, "length"),
        ("oai", FinishReason.REFUSAL, "content_filter"),
        ("ant", FinishReason.REFUSAL, "content_filter"),
        ("ant", FinishReason.STOP_SEQUENCE, "stop"),
        ("ant", FinishReason.PAUSE, "stop"),
    ],
)
@BOTH_WAYS
async def test_why_it_ended(
    openai_sdk: AsyncOpenAI,
    upstream: Upstream,
    provider: str,
    finish: FinishReason,
    expected: str,
    streamed: bool,
) -> None:
    upstream.says("hello", finish=finish)

    reply = await ask(openai_sdk, streamed, model=f"{provider}/small")

    assert reply.choices[0].finish_reason == expected


@BOTH_WAYS
async def test_a_refusal(openai_sdk: AsyncOpenAI, upstream: Upstream, streamed: bool) -> None:
    upstream.says(Refusal("I would rather not"))

    same = await ask(openai_sdk, streamed, model="oai/small")
    other = await ask(openai_sdk, streamed, model="ant/small")

    assert (message_of(same).refusal, same.choices[0].finish_reason) == ("I would rather not", "stop")
    # Claude's language has no word for it but the ending.
    assert (message_of(other).content, other.choices[0].finish_reason) == (
        "I would rather not",
        "content_filter",
    )


@HEARD
@BOTH_WAYS
async def test_usage(openai_sdk: AsyncOpenAI, upstream: Upstream, provider: str, streamed: bool) -> None:
    """Cached and thought tokens are parts of the totals here, wherever they came from."""
    upstream.says(
        "hello", usage=Usage(100, 40, cache_read_tokens=60, cache_write_tokens=15, reasoning_tokens=30)
    )

    usage: Any = (await ask(openai_sdk, streamed, model=f"{provider}/small")).usage

    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (100, 40, 140)
    assert usage.prompt_tokens_details.cached_tokens == 60
    assert usage.prompt_tokens_details.cache_write_tokens == 15
    assert usage.completion_tokens_details.reasoning_tokens == 30


# What the gateway adds.


async def test_headers_tell_who_answered(openai_sdk: AsyncOpenAI, upstream: Upstream) -> None:
    upstream.next(says("hello").but(headers({"x-ratelimit-remaining-tokens": "4711"})))

    raw = await openai_sdk.chat.completions.with_raw_response.create(model="oai/small", messages=ASK)

    assert raw.headers["x-rhetor-served-by"] == "oai/small"
    assert raw.headers["x-rhetor-attempts"].startswith("oai/small;ok;")
    assert raw.headers["x-rhetor-generation-id"] == raw.request_id
    assert raw.headers["x-ratelimit-remaining-tokens"] == "4711"


@BOTH_WAYS
async def test_fallbacks(openai_sdk: AsyncOpenAI, upstream: Upstream, streamed: bool) -> None:
    """The first model that answers, in whatever language; no provider sees the list."""
    upstream.next(fails(503), fails(429), says("here I am"))

    reply = await ask(
        openai_sdk,
        streamed,
        model="oai/small",
        extra_body={"fallbacks": ["ollama/small", "ant/large"]},
    )

    assert message_of(reply).content == "here I am"
    assert [seen.path for seen in upstream.requests] == ["/v1/chat/completions", "/api/chat", "/v1/messages"]
    assert [seen.model for seen in upstream.requests] == ["small", "small", "large"]
    assert not any("fallbacks" in seen.json for seen in upstream.requests)


# The same from threads.


@EVERY
async def test_sync_chat(gateway: Gateway, provider: str) -> None:
    reply = await with_openai(
        gateway, lambda sdk: sdk.chat.completions.create(model=f"{provider}/small", messages=ASK)
    )

    assert message_of(reply).content == "hello world"


@EVERY
async def test_sync_stream(gateway: Gateway, provider: str) -> None:
    def work(sdk: OpenAI) -> list[str]:
        with sdk.chat.completions.create(model=f"{provider}/small", messages=ASK, stream=True) as stream:
            return [piece for chunk in stream if (piece := chunk.choices[0].delta.content)]

    assert await with_openai(gateway, work) == ["hello", " world"]
