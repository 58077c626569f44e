"""The official `openai` SDK: tools, and the pictures that go with what is said."""

from __future__ import annotations

from typing import Any

import openai
import orjson
import pytest
from openai import AsyncOpenAI, OpenAI

from rhetor.core.content import Image, Inline, Text, ToolResult, Url
from rhetor.core.request import Message, Role, ToolChoice
from rhetor.testing import Upstream, calls, says
from tests.conftest import Gateway
from tests.sdk.clients import with_openai
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
from tests.sdk.openai_door import ASK, TOOLS, ask, message_of


def city_of(call: Any) -> str:
    return str(orjson.loads(call.function.arguments)["city"])


@EVERY
@BOTH_WAYS
async def test_tools(openai_sdk: AsyncOpenAI, upstream: Upstream, provider: str, streamed: bool) -> None:
    """Three calls at once, which grow in turns when streamed; their results; the answer."""
    upstream.next(calls(*ASKED), says(FORECAST))
    model = f"{provider}/small"

    call = await ask(openai_sdk, streamed, model=model, tools=TOOLS)
    results = [
        {
            "role": "tool",
            "tool_call_id": it.id,
            "content": WEATHER[orjson.loads(it.function.arguments)["city"]],
        }
        for it in message_of(call).tool_calls
    ]
    talk = [*ASK, message_of(call), *results]
    answer = await ask(openai_sdk, streamed, model=model, tools=TOOLS, messages=talk)

    assert call.choices[0].finish_reason == "tool_calls"
    said = [(it.id, it.function.name, it.function.arguments) for it in message_of(call).tool_calls]
    assert said == [(it.id, it.name, it.arguments) for it in CALLS]
    assert message_of(answer).content == FORECAST


@HEARD
async def test_calls_and_results_arrive(openai_sdk: AsyncOpenAI, upstream: Upstream, provider: str) -> None:
    upstream.next(calls(*ASKED))
    model = f"{provider}/small"
    call = message_of(await ask(openai_sdk, False, model=model, tools=TOOLS))
    results = [{"role": "tool", "tool_call_id": it.id, "content": "fine"} for it in call.tool_calls]

    await ask(
        openai_sdk,
        False,
        model=model,
        messages=[*ASK, call, *results],
        tools=TOOLS,
        tool_choice={"type": "function", "function": {"name": "weather"}},
        parallel_tool_calls=False,
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


async def test_calls_and_results_arrive_at_ollama(openai_sdk: AsyncOpenAI, upstream: Upstream) -> None:
    upstream.next(calls(*ASKED[:1]))
    call = message_of(await ask(openai_sdk, False, model="ollama/small", tools=TOOLS))
    result = {"role": "tool", "tool_call_id": "call_1", "content": "sunny"}

    await ask(openai_sdk, False, model="ollama/small", tools=TOOLS, messages=[*ASK, call, result])

    _, called, answered = upstream.requests[1].json["messages"]
    assert called["tool_calls"][0]["function"] == {"name": "weather", "arguments": {"city": "Paris"}}
    assert answered == {"role": "tool", "tool_name": "weather", "tool_call_id": "call_1", "content": "sunny"}


@HEARD
async def test_calls_that_grow_in_turns_stay_apart(
    openai_sdk: AsyncOpenAI, upstream: Upstream, provider: str
) -> None:
    """The raw deltas: every call has its index, and names come once."""
    upstream.next(calls(*ASKED))

    stream = await openai_sdk.chat.completions.create(
        model=f"{provider}/small", messages=ASK, tools=TOOLS, stream=True
    )
    deltas = [it async for chunk in stream for it in chunk.choices[0].delta.tool_calls or ()]

    arguments = ["", "", ""]
    for delta in deltas:
        assert delta.function is not None
        arguments[delta.index] += delta.function.arguments or ""
    assert arguments == [call.arguments for call in CALLS]
    assert [delta.id for delta in deltas if delta.id] == ["call_1", "call_2", "call_3"]


# Pictures.


def picture(url: str, **more: str) -> list[Any]:
    content = [{"type": "text", "text": "hello"}, {"type": "image_url", "image_url": {"url": url, **more}}]
    return [{"role": "user", "content": content}]


@HEARD
async def test_images(openai_sdk: AsyncOpenAI, upstream: Upstream, provider: str) -> None:
    for url in (PICTURE, f"data:image/png;base64,{PIXEL}"):
        await ask(openai_sdk, False, model=f"{provider}/small", messages=picture(url))

    heard = [chat(seen).messages for seen in upstream.requests]
    assert heard == [
        (Message(Role.USER, (Text("hello"), Image(Url(PICTURE)))),),
        (Message(Role.USER, (Text("hello"), Image(Inline("image/png", PIXEL)))),),
    ]


async def test_images_as_the_other_language_has_them(openai_sdk: AsyncOpenAI, upstream: Upstream) -> None:
    raw = await openai_sdk.chat.completions.with_raw_response.create(
        model="ant/small", messages=picture(f"data:image/png;base64,{PIXEL}", detail="low")
    )

    assert upstream.requests[0].json["messages"][0]["content"][1] == {
        "type": "image",
        "source": {"type": "base64", "media_type": "image/png", "data": PIXEL},
    }
    assert raw.headers["x-rhetor-dropped"] == "messages[0].content[1].detail"


async def test_images_for_ollama(openai_sdk: AsyncOpenAI, upstream: Upstream) -> None:
    """It takes them inline only."""
    inline = picture(f"data:image/png;base64,{PIXEL}")
    await ask(openai_sdk, False, model="ollama/small", messages=inline)
    with pytest.raises(openai.BadRequestError, match="inline") as caught:
        await ask(openai_sdk, False, model="ollama/small", messages=picture(PICTURE))

    assert upstream.requests[0].json["messages"][0]["images"] == [PIXEL]
    assert caught.value.param == "messages[0].content[1]"


@EVERY
async def test_sync_tools_with_the_streaming_helper(
    gateway: Gateway, upstream: Upstream, provider: str
) -> None:
    upstream.next(calls(*ASKED))

    def work(sdk: OpenAI) -> Any:
        with sdk.chat.completions.stream(model=f"{provider}/small", messages=ASK, tools=TOOLS) as stream:
            return message_of(stream.get_final_completion())

    message = await with_openai(gateway, work)
    assert [it.function.arguments for it in message.tool_calls] == [call.arguments for call in CALLS]
