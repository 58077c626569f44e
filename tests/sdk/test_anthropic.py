"""The official `anthropic` SDK holds its conversations, whatever language the provider speaks."""

from __future__ import annotations

from typing import Any

import pytest
from anthropic import Anthropic, AsyncAnthropic

from rhetor.core.content import Text, Thinking
from rhetor.core.events import Finished, FinishReason, TextDelta
from rhetor.core.request import Message, Role
from rhetor.core.usage import Usage
from rhetor.testing import USAGE, Upstream, hangs, headers, replies, says
from tests.conftest import Gateway
from tests.sdk.anthropic_door import ASK, ask, text_of
from tests.sdk.clients import with_anthropic
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

# Text.


@EVERY
@BOTH_WAYS
async def test_chat(anthropic_sdk: AsyncAnthropic, upstream: Upstream, provider: str, streamed: bool) -> None:
    reply = await ask(anthropic_sdk, streamed, model=f"{provider}/small", system="Be brief.")

    assert (reply.type, reply.role) == ("message", "assistant")
    assert [block.type for block in reply.content] == ["text"]
    assert text_of(reply) == "hello world"
    assert (reply.stop_reason, reply.stop_sequence) == ("end_turn", None)
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (USAGE.input_tokens, USAGE.output_tokens)
    assert upstream.requests[0].model == "small"


@HEARD
async def test_what_is_asked_arrives(
    anthropic_sdk: AsyncAnthropic, upstream: Upstream, provider: str
) -> None:
    said = [*ASK, {"role": "assistant", "content": "hi"}, {"role": "user", "content": "and?"}]
    await anthropic_sdk.messages.create(
        model=f"{provider}/small",
        system="Be brief.",
        messages=said,
        max_tokens=50,
        stop_sequences=["END"],
        metadata={"user_id": "anna"},
        extra_body={"temperature": 0.5},
    )

    heard = chat(upstream.requests[0])
    assert heard.messages == (
        Message(Role.SYSTEM, (Text("Be brief."),)),
        HELLO,
        Message(Role.ASSISTANT, (Text("hi"),)),
        Message(Role.USER, (Text("and?"),)),
    )
    assert (heard.temperature, heard.max_tokens, heard.stop, heard.end_user) == (0.5, 50, ("END",), "anna")


async def test_what_is_asked_arrives_at_ollama(anthropic_sdk: AsyncAnthropic, upstream: Upstream) -> None:
    await ask(anthropic_sdk, False, model="ollama/small", system="Be brief.", stop_sequences=["END"])

    assert upstream.requests[0].path == "/api/chat"
    assert upstream.requests[0].json == {
        "model": "small",
        "messages": [{"role": "system", "content": "Be brief."}, *ASK],
        "stream": False,
        "options": {"num_predict": 100, "stop": ["END"]},
    }


async def test_a_provider_of_the_same_language_gets_the_body_as_it_is(
    anthropic_sdk: AsyncAnthropic, upstream: Upstream
) -> None:
    """Fields that nobody knows survive, as do the version and the betas that say what they mean."""
    asked: dict[str, Any] = {"max_tokens": 9, "messages": ASK, "service_tier": "auto"}
    await anthropic_sdk.beta.messages.create(
        model="ant/small", **asked, betas=["dreams-2026-10-01"], extra_body={"x_new": {"deep": [1]}}
    )

    seen = upstream.requests[0]
    assert seen.json == {"model": "small", **asked, "x_new": {"deep": [1]}}
    assert seen.headers["anthropic-beta"] == "dreams-2026-10-01"
    assert seen.headers["anthropic-version"] == anthropic_sdk.default_headers["anthropic-version"]


async def test_what_another_language_cannot_say_is_named(
    anthropic_sdk: AsyncAnthropic, upstream: Upstream
) -> None:
    server_tool: Any = {"type": "web_search_20250305", "name": "web_search"}
    raw = await anthropic_sdk.messages.with_raw_response.create(
        model="oai/small", max_tokens=9, messages=ASK, service_tier="auto", tools=[server_tool]
    )

    assert text_of(await raw.parse()) == "hello world"
    assert raw.headers["x-rhetor-dropped"] == "tools[0]: web_search_20250305, service_tier"
    assert upstream.requests[0].json == {"model": "small", "messages": ASK, "max_completion_tokens": 9}


@HEARD
async def test_system_prompt_in_cached_blocks(
    anthropic_sdk: AsyncAnthropic, upstream: Upstream, provider: str
) -> None:
    """Marks reach who takes them; elsewhere the text does, and the loss is named."""
    system: Any = [
        {"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        {"type": "text", "text": "Be kind."},
    ]
    raw = await anthropic_sdk.messages.with_raw_response.create(
        model=f"{provider}/small", max_tokens=9, messages=ASK, system=system
    )

    system_heard = chat(upstream.requests[0]).messages[0]
    if provider == "ant":
        assert system_heard.parts == (Text("Be brief.", cache="1h"), Text("Be kind."))
    else:
        assert system_heard.parts == (Text("Be brief.\n\nBe kind."),)
        assert raw.headers["x-rhetor-dropped"] == "cache_control"


@EVERY
async def test_raw_stream(anthropic_sdk: AsyncAnthropic, provider: str) -> None:
    stream = await anthropic_sdk.messages.create(
        model=f"{provider}/small", max_tokens=9, messages=ASK, stream=True
    )
    kinds = [event.type async for event in stream]

    assert kinds == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]


@EVERY
async def test_text_stream(anthropic_sdk: AsyncAnthropic, upstream: Upstream, provider: str) -> None:
    upstream.says("one two three")

    async with anthropic_sdk.messages.stream(model=f"{provider}/small", max_tokens=9, messages=ASK) as stream:
        pieces = [piece async for piece in stream.text_stream]
        final = await stream.get_final_text()

    assert pieces == ["one", " two", " three"]
    assert final == "one two three"


@EVERY
async def test_who_leaves_a_stream_stops_the_provider(
    anthropic_sdk: AsyncAnthropic, upstream: Upstream, provider: str
) -> None:
    upstream.next(hangs(after=1))

    async with anthropic_sdk.messages.stream(model=f"{provider}/small", max_tokens=9, messages=ASK) as stream:
        async for _ in stream.text_stream:
            break

    await upstream.requests[0].aborted()


# Structured output.


@EVERY
async def test_structured_output(anthropic_sdk: AsyncAnthropic, upstream: Upstream, provider: str) -> None:
    upstream.says(PARIS_JSON)

    reply = await anthropic_sdk.messages.parse(
        model=f"{provider}/small", max_tokens=100, messages=ASK, output_format=City
    )

    assert reply.parsed_output == PARIS


@EVERY
async def test_structured_output_streamed(
    anthropic_sdk: AsyncAnthropic, upstream: Upstream, provider: str
) -> None:
    upstream.says(PARIS_JSON)

    async with anthropic_sdk.messages.stream(
        model=f"{provider}/small", max_tokens=100, messages=ASK, output_format=City
    ) as stream:
        reply = await stream.get_final_message()

    assert reply.parsed_output == PARIS


@EVERY
async def test_the_schema_arrives(anthropic_sdk: AsyncAnthropic, upstream: Upstream, provider: str) -> None:
    upstream.says(PARIS_JSON)

    await anthropic_sdk.messages.parse(
        model=f"{provider}/small", max_tokens=100, messages=ASK, output_format=City
    )

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


@pytest.mark.parametrize(("provider", "signature"), [("oai", ""), ("ant", "signed"), ("ollama", "")])
@BOTH_WAYS
async def test_thinking(
    anthropic_sdk: AsyncAnthropic, upstream: Upstream, provider: str, signature: str, streamed: bool
) -> None:
    """Thoughts come first, with their signature where the provider signs them."""
    upstream.says(Thinking("well then", "signed"), "the answer")

    reply: Any = await ask(
        anthropic_sdk,
        streamed,
        model=f"{provider}/small",
        max_tokens=4000,
        thinking={"type": "enabled", "budget_tokens": 2048},
    )

    thought, text = reply.content
    assert (thought.type, text.type) == ("thinking", "text")
    assert (thought.thinking, thought.signature) == ("well then", signature)
    assert text_of(reply) == "the answer"


async def test_thoughts_stream_before_their_signature(
    anthropic_sdk: AsyncAnthropic, upstream: Upstream
) -> None:
    upstream.says(Thinking("well then", "signed"), "the answer")

    async with anthropic_sdk.messages.stream(model="ant/small", max_tokens=9, messages=ASK) as stream:
        kinds = [event.type async for event in stream if event.type in ("thinking", "signature", "text")]

    assert kinds == ["thinking", "thinking", "signature", "text", "text"]


@pytest.mark.parametrize(
    ("provider", "dropped"), [("oai", "messages[1].content[0]: thinking"), ("ant", None)]
)
async def test_thoughts_sent_back(
    anthropic_sdk: AsyncAnthropic, upstream: Upstream, provider: str, dropped: str | None
) -> None:
    """Signed they go back to who signed them; elsewhere they are left out and named."""
    upstream.next(says(Thinking("well then", "signed"), "the answer"))
    first = await ask(anthropic_sdk, False, model="ant/small")

    raw = await anthropic_sdk.messages.with_raw_response.create(
        model=f"{provider}/small",
        max_tokens=9,
        messages=[*ASK, first.to_param(), {"role": "user", "content": "and?"}],
    )

    assert raw.headers.get("x-rhetor-dropped") == dropped
    answered = chat(upstream.requests[1]).messages[1].parts
    thought = () if dropped else (Thinking("well then", "signed"),)
    assert answered == (*thought, Text("the answer"))


async def test_how_much_to_think(anthropic_sdk: AsyncAnthropic, upstream: Upstream) -> None:
    for provider in ("oai", "ant", "ollama"):
        await ask(
            anthropic_sdk,
            False,
            model=f"{provider}/small",
            thinking={"type": "adaptive"},
            output_config={"effort": "low"},
        )

    by_effort, as_said, by_level = upstream.requests
    assert by_effort.json["reasoning_effort"] == "low"
    assert as_said.json["thinking"] == {"type": "adaptive"}
    assert as_said.json["output_config"] == {"effort": "low"}
    assert by_level.json["think"] == "low"


# Endings and usage.


@pytest.mark.parametrize(
    ("provider", "finish", "expected"),
    [
        ("oai", FinishReason.LENGTH, "max_tokens"),
        ("ant", FinishReason.LENGTH, "max_tokens"),
        ("ollama", FinishReason.LENGTH, "max_tokens"),
        ("oai", FinishReason.REFUSAL, "refusal"),
        ("ant", FinishReason.REFUSAL, "refusal"),
        ("ant", FinishReason.PAUSE, "pause_turn"),
    ],
)
@BOTH_WAYS
async def test_why_it_ended(
    anthropic_sdk: AsyncAnthropic,
    upstream: Upstream,
    provider: str,
    finish: FinishReason,
    expected: str,
    streamed: bool,
) -> None:
    upstream.says("hello", finish=finish)

    reply = await ask(anthropic_sdk, streamed, model=f"{provider}/small")

    assert reply.stop_reason == expected


@BOTH_WAYS
async def test_which_sequence_ended_it(
    anthropic_sdk: AsyncAnthropic, upstream: Upstream, streamed: bool
) -> None:
    upstream.next(replies([TextDelta("hello"), Finished(FinishReason.STOP_SEQUENCE, "END")]))

    reply = await ask(anthropic_sdk, streamed, model="ant/small", stop_sequences=["END"])

    assert (reply.stop_reason, reply.stop_sequence) == ("stop_sequence", "END")


@HEARD
@BOTH_WAYS
async def test_usage(
    anthropic_sdk: AsyncAnthropic, upstream: Upstream, provider: str, streamed: bool
) -> None:
    """Cached tokens are counted beside the fresh ones here, wherever they came from."""
    upstream.says(
        "hello", usage=Usage(100, 40, cache_read_tokens=60, cache_write_tokens=15, reasoning_tokens=30)
    )

    usage: Any = (await ask(anthropic_sdk, streamed, model=f"{provider}/small")).usage

    assert (usage.input_tokens, usage.output_tokens) == (25, 40)
    assert (usage.cache_read_input_tokens, usage.cache_creation_input_tokens) == (60, 15)
    assert usage.output_tokens_details.thinking_tokens == 30


# What the gateway adds.


async def test_headers_tell_who_answered(anthropic_sdk: AsyncAnthropic, upstream: Upstream) -> None:
    limits = headers({"anthropic-ratelimit-tokens-remaining": "4711"})
    upstream.next(says("hello").but(limits))

    raw = await anthropic_sdk.messages.with_raw_response.create(model="ant/small", max_tokens=9, messages=ASK)

    assert raw.headers["x-rhetor-served-by"] == "ant/small"
    assert raw.headers["x-rhetor-attempts"].startswith("ant/small;ok;")
    assert raw.headers["x-rhetor-generation-id"] == raw.headers["request-id"]
    assert (await raw.parse())._request_id == raw.headers["request-id"]
    assert raw.headers["anthropic-ratelimit-tokens-remaining"] == "4711"


# The same from threads.


@EVERY
async def test_sync_chat(gateway: Gateway, provider: str) -> None:
    reply = await with_anthropic(
        gateway,
        lambda sdk: sdk.messages.create(model=f"{provider}/small", max_tokens=9, messages=ASK),
    )

    assert text_of(reply) == "hello world"


@EVERY
async def test_sync_stream(gateway: Gateway, provider: str) -> None:
    def work(sdk: Anthropic) -> tuple[list[str], str]:
        with sdk.messages.stream(model=f"{provider}/small", max_tokens=9, messages=ASK) as stream:
            return list(stream.text_stream), stream.get_final_text()

    assert await with_anthropic(gateway, work) == (["hello", " world"], "hello world")
