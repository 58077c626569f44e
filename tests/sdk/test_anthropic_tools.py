"""The official `anthropic` SDK: tools, and the pictures and documents that go with what is said."""

from __future__ import annotations

from typing import Any

import anthropic
import pytest
from anthropic import Anthropic, AsyncAnthropic
from anthropic.types import Message as Reply

from rhetor.core.content import File, Image, Inline, Text, ToolResult, Url
from rhetor.core.request import Message, Role, ToolChoice
from rhetor.testing import Upstream, calls, says
from tests.conftest import Gateway
from tests.sdk.anthropic_door import ASK, INPUTS, TOOLS, ask, calls_of, text_of
from tests.sdk.clients import with_anthropic
from tests.sdk.conversation import (
    ASKED,
    BOTH_WAYS,
    CALLS,
    CITY_SCHEMA,
    EVERY,
    FORECAST,
    HEARD,
    HELLO,
    PICTURE,
    PIXEL,
    WEATHER,
    chat,
)


@EVERY
@BOTH_WAYS
async def test_tools(
    anthropic_sdk: AsyncAnthropic, upstream: Upstream, provider: str, streamed: bool
) -> None:
    """Three calls at once, which grow in turns when streamed; their results; the answer."""
    upstream.next(calls(*ASKED), says(FORECAST))
    model = f"{provider}/small"

    call = await ask(anthropic_sdk, streamed, model=model, tools=TOOLS)
    results = [
        {"type": "tool_result", "tool_use_id": it.id, "content": WEATHER[it.input["city"]]}
        for it in calls_of(call)
    ]
    talk = [*ASK, call.to_param(), {"role": "user", "content": results}]
    answer = await ask(anthropic_sdk, streamed, model=model, tools=TOOLS, messages=talk)

    assert call.stop_reason == "tool_use"
    assert [(it.id, it.name, it.input) for it in calls_of(call)] == [
        (call.id, call.name, given) for call, given in zip(CALLS, INPUTS, strict=True)
    ]
    assert text_of(answer) == FORECAST


@HEARD
async def test_calls_and_results_arrive(
    anthropic_sdk: AsyncAnthropic, upstream: Upstream, provider: str
) -> None:
    upstream.next(calls(*ASKED))
    model = f"{provider}/small"
    call = await ask(anthropic_sdk, False, model=model, tools=TOOLS)
    results = [{"type": "tool_result", "tool_use_id": it.id, "content": "fine"} for it in calls_of(call)]

    await ask(
        anthropic_sdk,
        False,
        model=model,
        messages=[*ASK, call.to_param(), {"role": "user", "content": results}],
        tools=TOOLS,
        tool_choice={"type": "tool", "name": "weather", "disable_parallel_tool_use": True},
    )

    heard = chat(upstream.requests[1])
    assert heard.messages == (
        HELLO,
        Message(Role.ASSISTANT, CALLS),
        Message(Role.TOOL, tuple(ToolResult(it.id, (Text("fine"),)) for it in CALLS)),
    )
    assert [(it.name, it.description, it.schema) for it in heard.tools] == [
        ("weather", "The weather of a city", CITY_SCHEMA)
    ]
    assert heard.tool_choice == ToolChoice("named", "weather")
    assert heard.parallel_tool_calls is False


async def test_calls_and_results_arrive_at_ollama(anthropic_sdk: AsyncAnthropic, upstream: Upstream) -> None:
    upstream.next(calls(*ASKED[:1]))
    call = await ask(anthropic_sdk, False, model="ollama/small", tools=TOOLS)
    result = {"type": "tool_result", "tool_use_id": "call_1", "content": "sunny"}
    talk = [*ASK, call.to_param(), {"role": "user", "content": [result]}]

    await ask(anthropic_sdk, False, model="ollama/small", tools=TOOLS, messages=talk)

    _, called, answered = upstream.requests[1].json["messages"]
    assert called["tool_calls"][0]["function"] == {"name": "weather", "arguments": {"city": "Paris"}}
    assert answered == {"role": "tool", "tool_name": "weather", "tool_call_id": "call_1", "content": "sunny"}


@EVERY
async def test_the_tool_runner(anthropic_sdk: AsyncAnthropic, upstream: Upstream, provider: str) -> None:
    """The SDK's own loop: it calls the functions, and goes on until the model is content."""
    asked = []

    @anthropic.beta_async_tool
    async def weather(city: str) -> str:
        """The weather of a city"""
        asked.append(city)
        return WEATHER[city]

    upstream.next(calls(*ASKED), says(FORECAST))
    runner = anthropic_sdk.beta.messages.tool_runner(
        model=f"{provider}/small", max_tokens=100, messages=ASK, tools=[weather]
    )
    final: Any = await runner.until_done()

    assert final.content[0].text == FORECAST
    assert sorted(asked) == sorted(WEATHER)
    assert len(upstream.requests) == 2


@EVERY
async def test_calls_stream_as_partial_json(
    anthropic_sdk: AsyncAnthropic, upstream: Upstream, provider: str
) -> None:
    """Blocks come one after the other, however the provider's calls grew."""
    upstream.next(calls(*ASKED))

    async with anthropic_sdk.messages.stream(
        model=f"{provider}/small", max_tokens=9, messages=ASK, tools=TOOLS
    ) as stream:
        events = [event async for event in stream]

    opened = [event.index for event in events if event.type == "content_block_start"]
    whole = [event.content_block for event in events if event.type == "content_block_stop"]
    assert opened == [0, 1, 2]
    assert [block.input for block in whole if block.type == "tool_use"] == INPUTS
    assert any(event.type == "input_json" for event in events)


@HEARD
async def test_results_with_pictures_and_errors(
    anthropic_sdk: AsyncAnthropic, upstream: Upstream, provider: str
) -> None:
    """A tool's picture reaches a model whose language lets tools only say text."""
    use = {"type": "tool_use", "id": "call_1", "name": "camera", "input": {}}
    source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
    seen = [{"type": "text", "text": "look"}, {"type": "image", "source": source}]
    result = {"type": "tool_result", "tool_use_id": "call_1", "content": seen, "is_error": True}
    talk: list[Any] = [
        *ASK,
        {"role": "assistant", "content": [use]},
        {"role": "user", "content": [result]},
    ]

    raw = await anthropic_sdk.messages.with_raw_response.create(
        model=f"{provider}/small", max_tokens=9, messages=talk
    )

    heard = chat(upstream.requests[0]).messages[2:]
    image = Image(Inline("image/png", PIXEL))
    if provider == "ant":
        assert heard == (Message(Role.TOOL, (ToolResult("call_1", (Text("look"), image), is_error=True),)),)
    else:
        assert heard == (
            Message(Role.TOOL, (ToolResult("call_1", (Text("look"),)),)),
            Message(Role.USER, (image,)),
        )
        assert "is_error" in raw.headers["x-rhetor-dropped"]


# Pictures and documents.


def content(*blocks: dict[str, Any]) -> list[Any]:
    return [{"role": "user", "content": [{"type": "text", "text": "hello"}, *blocks]}]


INLINE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
LINKED = {"type": "image", "source": {"type": "url", "url": PICTURE}}


@HEARD
async def test_images(anthropic_sdk: AsyncAnthropic, upstream: Upstream, provider: str) -> None:
    await ask(anthropic_sdk, False, model=f"{provider}/small", messages=content(INLINE, LINKED))

    assert chat(upstream.requests[0]).messages == (
        Message(Role.USER, (Text("hello"), Image(Inline("image/png", PIXEL)), Image(Url(PICTURE)))),
    )


async def test_images_as_the_other_language_has_them(
    anthropic_sdk: AsyncAnthropic, upstream: Upstream
) -> None:
    await ask(anthropic_sdk, False, model="oai/small", messages=content(INLINE, LINKED))

    assert upstream.requests[0].json["messages"][0]["content"][1:] == [
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
        {"type": "image_url", "image_url": {"url": PICTURE}},
    ]


async def test_images_for_ollama(anthropic_sdk: AsyncAnthropic, upstream: Upstream) -> None:
    """It takes them inline only."""
    await ask(anthropic_sdk, False, model="ollama/small", messages=content(INLINE))
    with pytest.raises(anthropic.BadRequestError, match="inline"):
        await ask(anthropic_sdk, False, model="ollama/small", messages=content(LINKED))

    assert upstream.requests[0].json["messages"][0]["images"] == [PIXEL]


@HEARD
async def test_documents(anthropic_sdk: AsyncAnthropic, upstream: Upstream, provider: str) -> None:
    source = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}
    document = {"type": "document", "source": source, "title": "a.pdf"}
    await ask(anthropic_sdk, False, model=f"{provider}/small", messages=content(document))

    [message] = chat(upstream.requests[0]).messages
    assert message.parts == (Text("hello"), File(Inline("application/pdf", "JVBERi0="), "a.pdf"))


@EVERY
async def test_sync_tools_with_the_streaming_helper(
    gateway: Gateway, upstream: Upstream, provider: str
) -> None:
    upstream.next(calls(*ASKED))

    def work(sdk: Anthropic) -> Reply:
        with sdk.messages.stream(
            model=f"{provider}/small", max_tokens=9, messages=ASK, tools=TOOLS
        ) as stream:
            return stream.get_final_message()

    reply = await with_anthropic(gateway, work)
    assert [block.input for block in calls_of(reply)] == INPUTS
