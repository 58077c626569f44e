"""The official `ollama` package holds its conversations, whatever language the provider speaks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

import pytest
from ollama import AsyncClient, Client, ResponseError

from rhetor.core.content import Image, Inline, Text, Thinking, ToolResult, ToolUse
from rhetor.core.events import FinishReason
from rhetor.core.request import Message, Reasoning, Role
from rhetor.testing import USAGE, Upstream, calls, cuts, embeds, fails, hangs, says, slow
from tests.conftest import Gateway, MakeGateway, settings
from tests.http.doors import ERROR_AFTER_A_WORD
from tests.sdk.conversation import (
    ASKED,
    BOTH_WAYS,
    EVERY,
    FORECAST,
    HELLO,
    PARIS,
    PARIS_JSON,
    PIXEL,
    WEATHER,
    City,
    chat,
)

T = TypeVar("T")
ASK: list[Any] = [{"role": "user", "content": "hello"}]
SYSTEM: Any = {"role": "system", "content": "Be brief."}


def weather(city: str) -> str:
    """The weather of a city.

    Args:
        city: which one
    """
    return WEATHER[city]


@pytest.fixture
async def sdk(gateway: Gateway) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(gateway.url, verify=False) as client:
        yield client


async def with_ollama(gateway: Gateway, work: Callable[[Client], T]) -> T:
    """What the synchronous client gets, in a thread: it would block the gateway's loop."""

    def run() -> T:
        with Client(gateway.url, verify=False) as client:
            return work(client)

    return await asyncio.to_thread(run)


async def ask(sdk: AsyncClient, streamed: bool, **asked: Any) -> Any:
    """The whole reply, or what the pieces of a streamed one make."""
    asked = {"messages": ASK, **asked}
    if not streamed:
        return await sdk.chat(**asked)
    parts = [part async for part in await sdk.chat(**asked, stream=True)]
    last = parts[-1]
    last.message.content = "".join(part.message.content or "" for part in parts)
    last.message.thinking = "".join(part.message.thinking or "" for part in parts) or None
    last.message.tool_calls = [call for part in parts for call in part.message.tool_calls or ()] or None
    return last


# Chats.


@EVERY
@BOTH_WAYS
async def test_chat(sdk: AsyncClient, upstream: Upstream, provider: str, streamed: bool) -> None:
    reply = await ask(sdk, streamed, model=f"{provider}/small", messages=[SYSTEM, *ASK])

    assert (reply.model, reply.message.role, reply.message.content) == ("small", "assistant", "hello world")
    assert (reply.done, reply.done_reason) == (True, "stop")
    assert (reply.prompt_eval_count, reply.eval_count) == (USAGE.input_tokens, USAGE.output_tokens)
    assert reply.total_duration > 0
    assert upstream.requests[0].model == "small"


@EVERY
async def test_what_is_asked_arrives(sdk: AsyncClient, upstream: Upstream, provider: str) -> None:
    said = [SYSTEM, *ASK, {"role": "assistant", "content": "hi"}, {"role": "user", "content": "and?"}]
    options = {"temperature": 0.5, "num_predict": 50, "stop": ["END"]}
    await sdk.chat(f"{provider}/small", said, options=options)

    heard = chat(upstream.requests[0])
    assert heard.messages == (
        Message(Role.SYSTEM, (Text("Be brief."),)),
        HELLO,
        Message(Role.ASSISTANT, (Text("hi"),)),
        Message(Role.USER, (Text("and?"),)),
    )
    assert (heard.temperature, heard.max_tokens, heard.stop) == (0.5, 50, ("END",))


@EVERY
async def test_stream(sdk: AsyncClient, upstream: Upstream, provider: str) -> None:
    upstream.says("one two three")
    parts = [part async for part in await sdk.chat(f"{provider}/small", ASK, stream=True)]

    assert [part.message.content for part in parts if part.message.content] == ["one", " two", " three"]
    assert [part.done for part in parts] == [False] * (len(parts) - 1) + [True]


@pytest.mark.parametrize("provider", ["oai", "ant"])
@BOTH_WAYS
async def test_line_ends_of_every_kind(
    sdk: AsyncClient, upstream: Upstream, provider: str, streamed: bool
) -> None:
    """The package cuts lines wherever Unicode sees an end."""
    text = "a\nb\r\nc\x85d\u2028e\u2029f"
    upstream.says(text)
    assert (await ask(sdk, streamed, model=f"{provider}/small")).message.content == text


@EVERY
@BOTH_WAYS
async def test_thoughts(sdk: AsyncClient, upstream: Upstream, provider: str, streamed: bool) -> None:
    upstream.says(Thinking("a hard one"), "forty two")
    reply = await ask(sdk, streamed, model=f"{provider}/small", think=True)
    assert (reply.message.thinking, reply.message.content) == ("a hard one", "forty two")


async def test_how_much_to_think(sdk: AsyncClient, upstream: Upstream) -> None:
    await sdk.chat("oai/small", ASK, think="high")
    assert chat(upstream.requests[0]).reasoning == Reasoning("high")


@EVERY
async def test_why_it_ended(sdk: AsyncClient, upstream: Upstream, provider: str) -> None:
    upstream.says("cut", finish=FinishReason.LENGTH)
    assert (await sdk.chat(f"{provider}/small", ASK)).done_reason == "length"


@EVERY
async def test_a_picture(sdk: AsyncClient, upstream: Upstream, provider: str) -> None:
    await sdk.chat(f"{provider}/small", [{"role": "user", "content": "What is it?", "images": [PIXEL]}])
    (message,) = chat(upstream.requests[0]).messages
    assert message.parts == (Image(Inline("image/png", PIXEL)), Text("What is it?"))


@EVERY
async def test_a_schema(sdk: AsyncClient, upstream: Upstream, provider: str) -> None:
    upstream.says(PARIS_JSON)
    reply = await sdk.chat(f"{provider}/small", ASK, format=City.model_json_schema())
    assert City.model_validate_json(reply.message.content or "") == PARIS
    assert b'"degrees"' in upstream.requests[0].body


# Tools.


@EVERY
@BOTH_WAYS
async def test_a_round_of_tools(sdk: AsyncClient, upstream: Upstream, provider: str, streamed: bool) -> None:
    """The package forgets the ids of calls: the results find their calls all the same."""
    upstream.next(calls(*ASKED), says(FORECAST))
    said = list(ASK)
    reply = await ask(sdk, streamed, model=f"{provider}/small", messages=said, tools=[weather])
    asked = reply.message.tool_calls
    assert [(call.function.name, call.function.arguments) for call in asked] == list(ASKED)

    said.append(reply.message)
    for call in asked:
        result = weather(**call.function.arguments)
        said.append({"role": "tool", "content": result, "tool_name": call.function.name})
    reply = await ask(sdk, streamed, model=f"{provider}/small", messages=said, tools=[weather])

    assert reply.message.content == FORECAST
    *_, uses, results = chat(upstream.requests[1]).messages
    ids = [part.id for part in uses.parts if isinstance(part, ToolUse)]
    assert len(set(ids)) == len(ASKED)
    assert results.parts == tuple(
        ToolResult(id, (Text(told),)) for id, told in zip(ids, WEATHER.values(), strict=True)
    )
    (tool,) = chat(upstream.requests[0]).tools
    assert (tool.name, tool.description) == ("weather", "The weather of a city.")


# Prompts.


@EVERY
@BOTH_WAYS
async def test_generate(sdk: AsyncClient, upstream: Upstream, provider: str, streamed: bool) -> None:
    asked: dict[str, Any] = {"model": f"{provider}/small", "prompt": "hello", "system": "Be brief."}
    if streamed:
        parts = [part async for part in await sdk.generate(**asked, stream=True)]
        text, last = "".join(part.response for part in parts), parts[-1]
    else:
        last = await sdk.generate(**asked)
        text = last.response

    assert text == "hello world"
    assert (last.done_reason, last.eval_count) == ("stop", USAGE.output_tokens)
    assert chat(upstream.requests[0]).messages == (Message(Role.SYSTEM, (Text("Be brief."),)), HELLO)


async def test_loading_a_model(sdk: AsyncClient, upstream: Upstream) -> None:
    assert (await sdk.generate("oai/small", keep_alive="1h")).done_reason == "load"
    assert (await sdk.chat("oai/small", [])).done_reason == "load"
    assert upstream.requests == []


# Embeddings.


@pytest.mark.parametrize("provider", ["oai", "ollama"])
async def test_embeddings(sdk: AsyncClient, upstream: Upstream, provider: str) -> None:
    upstream.next(embeds([0.5], [1.5]), embeds([2.5]))
    assert (await sdk.embed(f"{provider}/small", ["a", "b"])).embeddings == [[0.5], [1.5]]
    assert (await sdk.embeddings(f"{provider}/small", "a")).embedding == [2.5]


# Models.


async def test_models(sdk: AsyncClient) -> None:
    names = [model.model for model in (await sdk.list()).models]
    assert "offline/echo" in names
    shown = await sdk.show("offline/echo:latest")
    assert "completion" in (shown.capabilities or ())
    assert shown.modelinfo is not None
    assert (await sdk.ps()).models == []


async def test_models_are_not_kept_here(sdk: AsyncClient) -> None:
    with pytest.raises(ResponseError, match="not kept"):
        await sdk.copy("a", "b")
    with pytest.raises(ResponseError, match="not kept"):
        await sdk.delete("a")


# Failures.


@EVERY
async def test_errors_have_their_status(sdk: AsyncClient, upstream: Upstream, provider: str) -> None:
    upstream.always(fails(400, "no such knob"))
    with pytest.raises(ResponseError, match="no such knob") as caught:
        await sdk.chat(f"{provider}/small", ASK)
    assert caught.value.status_code == 400


async def test_a_model_that_nobody_has(sdk: AsyncClient) -> None:
    with pytest.raises(ResponseError, match="unknown model 'klingon'") as caught:
        await sdk.chat("klingon", ASK)
    assert caught.value.status_code == 404


@EVERY
async def test_a_stream_that_fails_raises(gateway: Gateway, upstream: Upstream, provider: str) -> None:
    """What was said before is heard."""
    upstream.always(ERROR_AFTER_A_WORD)
    heard: list[str] = []

    def work(client: Client) -> None:
        stream = client.chat(f"{provider}/small", ASK, stream=True)
        heard.extend(part.message.content or "" for part in stream)

    with pytest.raises(ResponseError):
        await with_ollama(gateway, work)
    assert heard == ["hello"]


@EVERY
async def test_a_reply_that_broke_off_is_asked_for_again(
    sdk: AsyncClient, upstream: Upstream, provider: str
) -> None:
    upstream.next(cuts())
    assert (await sdk.chat(f"{provider}/small", ASK)).message.content == "hello world"
    assert len(upstream.requests) == 2


@EVERY
async def test_who_leaves_a_stream_stops_the_provider(
    gateway: Gateway, upstream: Upstream, provider: str
) -> None:
    upstream.next(hangs(after=1))

    def work(client: Client) -> None:
        for part in client.chat(f"{provider}/small", ASK, stream=True):
            assert part.message.content == "hello"
            return

    await with_ollama(gateway, work)
    await (await upstream.request()).aborted()


async def test_a_silent_stream_is_kept_alive_unheard(make_gateway: MakeGateway, upstream: Upstream) -> None:
    gateway = await make_gateway(settings(upstream, server={"keepalive_s": 0.02}))
    upstream.next(says("one two").but(slow(first_event_s=0.1, gap_s=0.1)))

    def work(client: Client) -> list[str | None]:
        return [part.message.content for part in client.chat("oai/small", ASK, stream=True)]

    assert await with_ollama(gateway, work) == ["one", " two", ""]


# The synchronous client.


async def test_the_synchronous_client(gateway: Gateway, upstream: Upstream) -> None:
    def work(client: Client) -> tuple[str, str, str]:
        streamed = client.chat("ant/small", ASK, stream=True)
        return (
            client.chat("oai/small", ASK).message.content or "",
            "".join(part.message.content or "" for part in streamed),
            client.generate("ollama/small", "hello").response or "",
        )

    assert await with_ollama(gateway, work) == ("hello world",) * 3
