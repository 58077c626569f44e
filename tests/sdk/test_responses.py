"""The official `openai` SDK asks for responses, whatever language the provider speaks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI
from openai.types.responses import Response

from rhetor.core.content import Image, Inline, Refusal, Text, Thinking, Url
from rhetor.core.errors import Code
from rhetor.core.events import FinishReason
from rhetor.core.request import Role
from rhetor.core.usage import Usage
from rhetor.testing import USAGE, Upstream, calls, error_in_200, fails, hangs, says, slow
from tests.conftest import MakeGateway, settings
from tests.sdk.clients import openai_at
from tests.sdk.conversation import (
    ASKED,
    BOTH_WAYS,
    CITY_SCHEMA,
    FORECAST,
    PARIS,
    PARIS_JSON,
    PICTURE,
    PIXEL,
    WEATHER,
    City,
    chat,
)

EVERY = pytest.mark.parametrize("provider", ["oai", "ant", "ollama", "res"])
TOOLS: list[Any] = [
    {
        "type": "function",
        "name": "weather",
        "description": "The weather of a city",
        "parameters": CITY_SCHEMA,
        "strict": False,
    }
]


@pytest.fixture
async def sdk(make_gateway: MakeGateway, upstream: Upstream) -> AsyncIterator[AsyncOpenAI]:
    """The upstream in four languages."""
    providers = {
        "ollama": {"base_url": upstream.base_url},
        "res": {"wire": "responses", "base_url": f"{upstream.base_url}/v1", "key": "env:TEST_KEY"},
    }
    async with openai_at(await make_gateway(settings(upstream, providers=providers))) as client:
        yield client


async def ask(sdk: AsyncOpenAI, streamed: bool, provider: str, **asked: Any) -> Response:
    """A whole reply, or what the SDK's own streaming helper collects from a streamed one."""
    asked = {"model": f"{provider}/small", "input": "hello", **asked}
    if not streamed:
        return await sdk.responses.create(**asked)  # type: ignore[no-any-return]
    async with sdk.responses.stream(**asked) as stream:
        return await stream.get_final_response()


@EVERY
@BOTH_WAYS
async def test_a_text(sdk: AsyncOpenAI, upstream: Upstream, provider: str, streamed: bool) -> None:
    reply = await ask(sdk, streamed, provider, instructions="Be brief.")

    assert reply.output_text == "hello world"
    assert (reply.object, reply.status, reply.model) == ("response", "completed", "small")
    assert reply.usage is not None
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (USAGE.input_tokens, USAGE.output_tokens)
    assert reply.usage.output_tokens_details.reasoning_tokens == 0
    assert reply.usage.input_tokens_details.cached_tokens == 0
    assert b"Be brief." in upstream.requests[0].body


@EVERY
async def test_every_piece_is_told_as_it_comes(sdk: AsyncOpenAI, upstream: Upstream, provider: str) -> None:
    upstream.says("one two three")
    stream = await sdk.responses.create(model=f"{provider}/small", input="hello", stream=True)
    events = [event async for event in stream]

    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [event.delta for event in events if event.type == "response.output_text.delta"] == [
        "one",
        " two",
        " three",
    ]
    assert events[-1].type == "response.completed"


@EVERY
@BOTH_WAYS
async def test_structured_output(sdk: AsyncOpenAI, upstream: Upstream, provider: str, streamed: bool) -> None:
    upstream.says(PARIS_JSON)
    asked: dict[str, Any] = {"model": f"{provider}/small", "input": "Paris?", "text_format": City}
    if streamed:
        async with sdk.responses.stream(**asked) as stream:
            reply = await stream.get_final_response()
    else:
        reply = await sdk.responses.parse(**asked)
    assert reply.output_parsed == PARIS
    assert b'"degrees"' in upstream.requests[0].body


@EVERY
@BOTH_WAYS
async def test_tools_asked_for_run_and_answered(
    sdk: AsyncOpenAI, upstream: Upstream, provider: str, streamed: bool
) -> None:
    upstream.next(calls(*ASKED), says(FORECAST))
    said: list[Any] = [{"role": "user", "content": "How is the weather?"}]
    reply = await ask(sdk, streamed, provider, input=said, tools=TOOLS)

    uses: list[Any] = [item for item in reply.output if item.type == "function_call"]
    assert [(use.name, use.arguments) for use in uses] == [
        ("weather", f'{{"city":"{city}"}}') for city in WEATHER
    ]
    said += [item.to_dict() for item in reply.output]
    said += [
        {"type": "function_call_output", "call_id": use.call_id, "output": WEATHER[city]}
        for use, city in zip(uses, WEATHER, strict=True)
    ]
    reply = await ask(sdk, streamed, provider, input=said, tools=TOOLS)

    assert reply.output_text == FORECAST
    for weather in WEATHER.values():
        assert weather.encode() in upstream.requests[1].body


@EVERY
async def test_a_conversation_by_its_last_response(
    sdk: AsyncOpenAI, upstream: Upstream, provider: str
) -> None:
    upstream.next(calls(*ASKED), says(FORECAST), says("You are welcome."))
    first = await ask(sdk, True, provider, input="How is the weather?", tools=TOOLS)
    results: list[Any] = [
        {"type": "function_call_output", "call_id": item.call_id, "output": "fine"}
        for item in first.output
        if item.type == "function_call"
    ]
    second = await ask(sdk, False, provider, input=results, tools=TOOLS, previous_response_id=first.id)
    third = await ask(sdk, True, provider, input="Thanks", previous_response_id=second.id)

    assert (second.output_text, third.output_text) == (FORECAST, "You are welcome.")
    body = upstream.requests[2].body
    places = [body.index(text) for text in (b"How is the weather", b"fine", FORECAST.encode(), b"Thanks")]
    assert places == sorted(places)


@pytest.mark.parametrize(("provider", "proof"), [("ant", "claude's"), ("res", "responses:openai's")])
@BOTH_WAYS
async def test_thoughts_come_with_their_proof_and_go_back_with_it(
    sdk: AsyncOpenAI, upstream: Upstream, provider: str, proof: str, streamed: bool
) -> None:
    upstream.says(Thinking("let me see", proof), "forty two")
    reply = await ask(sdk, streamed, provider, reasoning={"effort": "low"})
    thought: Any = reply.output[0]
    assert (thought.type, thought.summary[0].text) == ("reasoning", "let me see")

    said: list[Any] = [*(item.to_dict() for item in reply.output), {"role": "user", "content": "and?"}]
    await ask(sdk, streamed, provider, input="and?", previous_response_id=reply.id)
    await ask(sdk, streamed, provider, input=said)
    for seen in upstream.requests[1:]:
        parts = [part for message in chat(seen).messages for part in message.parts]
        assert Thinking("let me see", proof) in parts


async def test_a_proof_is_shown_to_nobody_who_did_not_give_it(sdk: AsyncOpenAI, upstream: Upstream) -> None:
    """A provider of this language answers 400 to it."""
    upstream.says(Thinking("let me see", "claude's"), "forty two")
    reply = await ask(sdk, False, "ant")
    await ask(sdk, False, "res", input="and?", previous_response_id=reply.id)
    assert b"claude's" not in upstream.requests[1].body


@pytest.mark.parametrize("provider", ["oai", "ant", "res"])
async def test_images(sdk: AsyncOpenAI, upstream: Upstream, provider: str) -> None:
    content = [
        {"type": "input_text", "text": "What is this?"},
        {"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}", "detail": "auto"},
        {"type": "input_image", "image_url": PICTURE, "detail": "auto"},
    ]
    await ask(sdk, False, provider, input=[{"role": "user", "content": content}])
    (message,) = chat(upstream.requests[0]).messages
    sources = [part.source for part in message.parts if isinstance(part, Image)]
    assert sources == [Inline("image/png", PIXEL), Url(PICTURE)]


@pytest.mark.parametrize("provider", ["oai", "ant", "res"])
@BOTH_WAYS
async def test_a_reply_that_was_cut_short(
    sdk: AsyncOpenAI, upstream: Upstream, provider: str, streamed: bool
) -> None:
    upstream.says("cut sh", finish=FinishReason.LENGTH)
    asked: dict[str, Any] = {"model": f"{provider}/small", "input": "hello", "max_output_tokens": 2}
    if streamed:
        events: list[Any] = [event async for event in await sdk.responses.create(**asked, stream=True)]
        assert events[-1].type == "response.incomplete"
        reply = events[-1].response
    else:
        reply = await sdk.responses.create(**asked)
    assert (reply.status, reply.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    assert reply.output_text == "cut sh"


@pytest.mark.parametrize("provider", ["oai", "res"])
@BOTH_WAYS
async def test_a_refusal(sdk: AsyncOpenAI, upstream: Upstream, provider: str, streamed: bool) -> None:
    upstream.says(Refusal("I cannot."))
    reply: Any = await ask(sdk, streamed, provider)
    assert [(part.type, part.refusal) for part in reply.output[0].content] == [("refusal", "I cannot.")]


@EVERY
async def test_usage_in_detail(sdk: AsyncOpenAI, upstream: Upstream, provider: str) -> None:
    upstream.says("hi", usage=Usage(100, 20, cache_read_tokens=80))
    reply = await ask(sdk, False, provider)
    assert reply.usage is not None
    cached = 0 if provider == "ollama" else 80  # it does not tell
    assert (reply.usage.total_tokens, reply.usage.input_tokens_details.cached_tokens) == (120, cached)


@EVERY
async def test_who_leaves_a_stream_stops_the_provider(
    sdk: AsyncOpenAI, upstream: Upstream, provider: str
) -> None:
    upstream.next(hangs(after=1))
    stream = await sdk.responses.create(model=f"{provider}/small", input="hello", stream=True)
    async with stream:
        async for event in stream:
            if event.type == "response.output_text.delta":
                break
    await upstream.requests[0].aborted()


@EVERY
@BOTH_WAYS
async def test_errors_are_of_the_right_kind(
    sdk: AsyncOpenAI, upstream: Upstream, provider: str, streamed: bool
) -> None:
    upstream.always(fails(404, "there is no such model"))
    with pytest.raises(openai.NotFoundError) as caught:
        await ask(sdk, streamed, provider)
    assert caught.value.code == "model_not_found"
    upstream.always(fails(400, "that is wrong"))
    with pytest.raises(openai.BadRequestError, match="that is wrong"):
        await ask(sdk, streamed, provider)


async def test_a_stream_that_fails_raises_what_the_provider_said(
    sdk: AsyncOpenAI, upstream: Upstream
) -> None:
    upstream.always(error_in_200(Code.OVERLOADED, "too much", after=1).but(slow(gap_s=0.05)))
    stream = await sdk.responses.create(model="oai/small", input="hello", stream=True)
    with pytest.raises(openai.APIError, match="too much"):
        _ = [event async for event in stream]


async def test_a_response_is_come_back_to(sdk: AsyncOpenAI) -> None:
    reply = await ask(sdk, False, "oai", input="one")
    assert await sdk.responses.retrieve(reply.id) == reply
    items: list[Any] = [item async for item in sdk.responses.input_items.list(reply.id)]
    assert [(item.role, item.content[0].text) for item in items] == [("user", "one")]
    await sdk.responses.delete(reply.id)
    with pytest.raises(openai.NotFoundError, match="Response with id"):
        await sdk.responses.retrieve(reply.id)
    with pytest.raises(openai.BadRequestError) as caught:
        await ask(sdk, False, "oai", previous_response_id=reply.id)
    assert caught.value.code == "previous_response_not_found"


async def test_system_and_developer_are_heard_alike(sdk: AsyncOpenAI, upstream: Upstream) -> None:
    said = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": "hello"},
    ]
    await ask(sdk, False, "ant", input=said)
    assert [message.role for message in chat(upstream.requests[0]).messages] == [Role.SYSTEM, Role.USER]
    assert chat(upstream.requests[0]).messages[0].parts == (Text("Be brief."),)
