"""LangChain's integrations hold their conversations, whatever language the provider speaks.

Their models are asked in threads, as most programs do; nothing is traced.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import openai
import pytest
import tiktoken
from langchain_anthropic import ChatAnthropic, _client_utils
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_ollama import ChatOllama, OllamaEmbeddings
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

from rhetor.core.content import Image, Text, ToolResult, ToolUse
from rhetor.core.request import Message, Role
from rhetor.testing import USAGE, Upstream, calls, embeds, fails, says
from tests.conftest import Gateway
from tests.sdk.conversation import (
    ASKED,
    CALLS,
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

MakeModel = Callable[[str], BaseChatModel]
BRIEF = SystemMessage("Be brief.")
HI = HumanMessage("hello")
KINDS = ["openai", "responses", "anthropic", "ollama"]


@tool
def weather(city: str) -> str:
    """The weather of a city"""
    return WEATHER[city]


@pytest.fixture(autouse=True)
def untraced(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LANGSMITH_TRACING", "LANGSMITH_TRACING_V2", "LANGCHAIN_TRACING_V2"):
        monkeypatch.setenv(name, "false")


@pytest.fixture
def closing() -> Iterator[ExitStack]:
    """What is closed with the test: LangChain leaves its connections open."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture(params=KINDS)
def model(request: pytest.FixtureRequest, gateway: Gateway, closing: ExitStack) -> MakeModel:
    """A chat model of each integration, by the name of a model here."""

    def make(name: str) -> BaseChatModel:
        return model_at(request.param, gateway, name, closing)

    return make


def model_at(kind: str, gateway: Gateway, name: str, closing: ExitStack, **more: Any) -> BaseChatModel:
    if kind == "anthropic":
        model: Any = ChatAnthropic(model=name, base_url=gateway.url, api_key="any", max_retries=0, **more)
        closing.callback(_client_utils._get_default_httpx_client.cache_clear)  # the port may come again
        closing.callback(model._client.close)
        return model
    if kind == "ollama":
        model = ChatOllama(model=name, base_url=gateway.url, client_kwargs={"verify": False}, **more)
        closing.callback(model._client.close)
        return model
    http = closing.enter_context(openai.DefaultHttpxClient(verify=False))
    return ChatOpenAI(
        model=name,
        base_url=f"{gateway.url}/v1",
        api_key="any",
        http_client=http,
        max_retries=0,
        stream_usage=True,
        use_responses_api=kind == "responses",
        **more,
    )


def told(message: AIMessage) -> tuple[int, int]:
    """Tokens in and out."""
    assert message.usage_metadata is not None
    return message.usage_metadata["input_tokens"], message.usage_metadata["output_tokens"]


@EVERY
async def test_chat(model: MakeModel, upstream: Upstream, provider: str) -> None:
    reply = await asyncio.to_thread(model(f"{provider}/small").invoke, [BRIEF, HI])

    assert reply.text == "hello world"
    assert told(reply) == (USAGE.input_tokens, USAGE.output_tokens)
    assert chat(upstream.requests[0]).messages == (Message(Role.SYSTEM, (Text("Be brief."),)), HELLO)


@EVERY
async def test_stream(model: MakeModel, upstream: Upstream, provider: str) -> None:
    upstream.says("one two three")
    asked = model(f"{provider}/small")
    chunks = await asyncio.to_thread(lambda: list(asked.stream([HI])))

    assert [chunk.text for chunk in chunks if chunk.text] == ["one", " two", " three"]
    whole = sum(chunks[1:], chunks[0])
    assert isinstance(whole, AIMessageChunk)
    assert told(whole) == (USAGE.input_tokens, USAGE.output_tokens)


@EVERY
async def test_stream_without_a_thread(
    gateway: Gateway, upstream: Upstream, closing: ExitStack, provider: str
) -> None:
    upstream.says("one two three")
    asked: Any = model_at("ollama", gateway, f"{provider}/small", closing)
    try:
        assert "".join([chunk.text async for chunk in asked.astream([HI])]) == "one two three"
    finally:
        await asked._async_client.close()


@EVERY
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_a_round_of_tools(model: MakeModel, upstream: Upstream, provider: str, streamed: bool) -> None:
    upstream.next(says(*CALLS), says(FORECAST))
    able = model(f"{provider}/small").bind_tools([weather])

    def ask(messages: list[Any]) -> AIMessage:
        if not streamed:
            return able.invoke(messages)
        first, *rest = able.stream(messages)
        whole = sum(rest, first)
        assert isinstance(whole, AIMessageChunk)
        return whole

    asks = await asyncio.to_thread(ask, [HI])
    assert [(call["name"], call["args"]) for call in asks.tool_calls] == list(ASKED)
    results = [weather.invoke(call) for call in asks.tool_calls]
    assert all(isinstance(result, ToolMessage) for result in results)
    reply = await asyncio.to_thread(ask, [HI, asks, *results])

    assert reply.text == FORECAST
    *_, uses, answers = chat(upstream.requests[1]).messages
    ids = [part.id for part in uses.parts if isinstance(part, ToolUse)]
    assert answers.parts == tuple(
        ToolResult(id, (Text(said),)) for id, said in zip(ids, WEATHER.values(), strict=True)
    )
    assert [tool.name for tool in chat(upstream.requests[0]).tools] == ["weather"]


@EVERY
async def test_structured_output(model: MakeModel, upstream: Upstream, provider: str) -> None:
    """Anthropic's integration has the model call a tool, the others give it a schema."""
    upstream.always(
        lambda seen: calls(("City", PARIS.model_dump())) if chat(seen).tools else says(PARIS_JSON)
    )
    asked = model(f"{provider}/small").with_structured_output(City)
    assert await asyncio.to_thread(asked.invoke, [HI]) == PARIS


@EVERY
async def test_a_picture(model: MakeModel, upstream: Upstream, provider: str) -> None:
    picture = {"type": "image", "base64": PIXEL, "mime_type": "image/png"}
    asked = HumanMessage([{"type": "text", "text": "What is it?"}, picture])
    await asyncio.to_thread(model(f"{provider}/small").invoke, [asked])

    (message,) = chat(upstream.requests[0]).messages
    assert {type(part) for part in message.parts} == {Text, Image}
    assert PIXEL.encode() in upstream.requests[0].body


async def test_an_error_has_the_providers_words(model: MakeModel, upstream: Upstream) -> None:
    upstream.always(fails(400, "no such knob"))
    with pytest.raises(Exception, match="no such knob"):
        await asyncio.to_thread(model("oai/small").invoke, [HI])


async def test_a_local_model_is_found_before_it_is_asked(gateway: Gateway, closing: ExitStack) -> None:
    """`validate_model_on_init` looks for it in the list of models."""
    found = await asyncio.to_thread(
        model_at, "ollama", gateway, "offline/echo", closing, validate_model_on_init=True
    )
    assert (await asyncio.to_thread(found.invoke, [HI])).text.endswith("hello")


# Embeddings.


async def test_embeddings_of_token_ids(
    gateway: Gateway, upstream: Upstream, closing: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That is how `OpenAIEmbeddings` sends texts unless told otherwise."""
    ranks = {bytes([byte]): byte for byte in range(256)}  # the real vocabulary would be downloaded
    letters = tiktoken.Encoding("letters", pat_str=r".", mergeable_ranks=ranks, special_tokens={})
    monkeypatch.setattr(tiktoken, "encoding_for_model", lambda _: letters)
    upstream.next(embeds([0.5], [1.5]))
    http = closing.enter_context(openai.DefaultHttpxClient(verify=False))
    model = OpenAIEmbeddings(
        model="oai/small", base_url=f"{gateway.url}/v1", api_key="any", http_client=http, max_retries=0
    )

    assert await asyncio.to_thread(model.embed_documents, ["ab", "c"]) == [[0.5], [1.5]]
    assert upstream.requests[0].json["input"] == [[97, 98], [99]]


@pytest.mark.parametrize("provider", ["oai", "ollama"])
async def test_embeddings_of_texts(
    gateway: Gateway, upstream: Upstream, closing: ExitStack, provider: str
) -> None:
    upstream.next(embeds([0.5], [1.5]))
    model: Any = OllamaEmbeddings(
        model=f"{provider}/small", base_url=gateway.url, client_kwargs={"verify": False}
    )
    closing.callback(model._client.close)

    assert await asyncio.to_thread(model.embed_documents, ["a", "b"]) == [[0.5], [1.5]]
