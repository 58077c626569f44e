"""The offline provider: asked like any other, through the real languages."""

from __future__ import annotations

import asyncio
import base64
import json
import math
import struct
from typing import Any

import pytest

from rhetor.core.call import Call
from rhetor.core.capability import Capability
from rhetor.core.content import Image, Text, Url
from rhetor.core.errors import Code
from rhetor.core.events import Event, FinishReason, Folded, Grammar, TextDelta, fold
from rhetor.core.request import Chat, Embed, Message, Request, Role, Tool
from rhetor.providers.discovery import list_models
from rhetor.providers.echo import HONESTY
from rhetor.providers.estimate import estimate_chat
from rhetor.providers.offline import DIMENSIONS, OFFLINE_ROW, OFFLINE_WIRE, OfflineTransport
from rhetor.providers.provider import Provider
from rhetor.transport.base import Phase, Progress
from rhetor.wire.anthropic import ANTHROPIC
from rhetor.wire.openai import OPENAI

WEATHER = Tool("get_weather", schema={"required": ["city"], "properties": {"city": {"type": "string"}}})


TOO_LONG = Embed(inputs=("a",), dimensions=9999)


@pytest.fixture
def offline() -> Provider:
    return Provider(OFFLINE_ROW, OFFLINE_WIRE, OfflineTransport(), None)


def said(text: str, **fields: Any) -> Chat:
    return Chat(messages=(Message(Role.USER, (Text(text),)),), **fields)


def request(input: Chat | Embed, capability: Capability = Capability.CHAT, stream: bool = False) -> Request:
    return Request(id="r1", capability=capability, model="m", input=input, stream=stream)


async def events_of(provider: Provider, asked: Request, model: str) -> list[Event]:
    """What the trip would see: the provider's bytes, decoded, whatever lane the request takes."""
    prepared = provider.prepare(asked, model)
    response = await provider.transport.open(prepared.call, Progress())
    assert response.status == 200, await response.read(10_000)
    decoder, grammar, events = prepared.decoder(), Grammar(), []
    async for data in response.chunks():
        assert data
        events += decoder.feed(data).events
    events += decoder.close().events
    for event in events:
        grammar.see(event)
    return events


async def ask(provider: Provider, asked: Request, model: str = "echo") -> Folded:
    return fold(await events_of(provider, asked, model))


@pytest.mark.parametrize("stream", [False, True])
async def test_a_chat_comes_back(offline: Provider, stream: bool) -> None:
    reply = await ask(offline, request(said("hello there"), stream=stream))
    assert reply.text == f"{HONESTY} You said: hello there"
    assert reply.finish is FinishReason.STOP
    assert reply.usage is not None
    assert reply.usage.output_tokens == 13
    assert reply.usage.input_tokens == estimate_chat(said("hello there"))


async def test_a_stream_comes_word_by_word(offline: Provider) -> None:
    events = await events_of(offline, request(said("hello there"), stream=True), "echo")
    assert len([event for event in events if isinstance(event, TextDelta) and event.text]) == 13


@pytest.mark.parametrize("stream", [False, True])
async def test_a_tool_is_called(offline: Provider, stream: bool) -> None:
    reply = await ask(offline, request(said("get_weather", tools=(WEATHER,)), stream=stream))
    [call] = reply.tool_uses
    assert (call.name, json.loads(call.arguments)) == ("get_weather", {"city": ""})
    assert reply.finish is FinishReason.TOOL_USE


@pytest.mark.parametrize("stream", [False, True])
async def test_the_limit_holds(offline: Provider, stream: bool) -> None:
    reply = await ask(offline, request(said("hi", max_tokens=3), stream=stream))
    assert (reply.text, reply.finish) == ("This is Rhetor's", FinishReason.LENGTH)


async def test_the_verbatim_lane_leads_there_too(offline: Provider) -> None:
    """A caller of the same language: their own body goes out, and the frames that come back are theirs."""
    body = {"model": "offline/echo", "stream": True, "messages": [{"role": "user", "content": "hi"}]}
    asked = OPENAI.doors[Capability.CHAT].parse(json.dumps(body).encode(), {})
    prepared = offline.prepare(asked, "echo")
    assert prepared.verbatim

    response = await offline.transport.open(prepared.call, Progress())
    raw = await response.read(100_000)

    assert response.headers["content-type"].startswith("text/event-stream")
    assert raw.endswith(b"data: [DONE]\n\n")
    assert b'"echo"' in raw


@pytest.mark.parametrize("encoding", ["float", "base64"])
async def test_texts_become_unit_vectors(offline: Provider, encoding: Any) -> None:
    embed = Embed(inputs=("one", "two", "one", (1, 2)), encoding=encoding)
    reply = await ask(offline, request(embed, Capability.EMBEDDINGS), "embedding")

    vectors = [floats(reply.vectors[index]) for index in range(4)]
    assert [len(vector) for vector in vectors] == [DIMENSIONS] * 4
    assert all(math.isclose(math.hypot(*vector), 1, rel_tol=1e-6) for vector in vectors)
    assert vectors[0] == vectors[2]
    assert vectors[0] != vectors[1]
    assert reply.usage is not None
    assert reply.usage.input_tokens > 0


def floats(values: list[float] | str) -> list[float]:
    if isinstance(values, list):
        return values
    data = base64.b64decode(values)
    return list(struct.unpack(f"<{len(data) // 4}f", data))


async def test_vectors_have_the_length_that_was_asked_for(offline: Provider) -> None:
    embed = Embed(inputs=("one",), dimensions=7)
    reply = await ask(offline, request(embed, Capability.EMBEDDINGS), "embedding")
    assert len(floats(reply.vectors[0])) == 7


async def test_tokens_are_estimated(offline: Provider) -> None:
    chat = Chat(
        messages=(Message(Role.USER, (Text("what is this?"), Image(Url("https://example.org/a.png")))),),
        tools=(WEATHER,),
    )
    reply = await ask(offline, request(chat, Capability.COUNT_TOKENS), "estimate")
    assert reply.usage is not None
    assert reply.usage.input_tokens >= 1600


async def test_tokens_are_estimated_for_callers_of_anthropics_language(offline: Provider) -> None:
    body = {"model": "any", "system": "Be kind.", "messages": [{"role": "user", "content": "hi"}]}
    asked = ANTHROPIC.doors[Capability.COUNT_TOKENS].parse(json.dumps(body).encode(), {})
    reply = await ask(offline, asked, "estimate")
    assert isinstance(asked.input, Chat)
    assert reply.usage is not None
    assert reply.usage.input_tokens == estimate_chat(asked.input)


@pytest.mark.parametrize(
    ("input", "capability", "model", "status", "code"),
    [
        (said("hi"), Capability.CHAT, "gpt-9", 404, Code.MODEL_NOT_FOUND),
        (said("hi"), Capability.CHAT, "embedding", 404, Code.MODEL_NOT_FOUND),
        (Embed(inputs=("a",)), Capability.EMBEDDINGS, "echo", 404, Code.MODEL_NOT_FOUND),
        (
            Embed(inputs=("a",), dimensions=9999),
            Capability.EMBEDDINGS,
            "embedding",
            400,
            Code.INVALID_REQUEST,
        ),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_refusals_are_those_of_the_language(
    offline: Provider, input: Any, capability: Capability, model: str, status: int, code: Code, stream: bool
) -> None:
    prepared = offline.prepare(request(input, capability, stream), model)
    response = await offline.transport.open(prepared.call, Progress())
    error = offline.refusal(response.status, response.headers, await response.read(10_000))
    assert (response.status, error.code, error.origin) == (status, code, "offline")


async def test_a_body_that_is_none_is_refused(offline: Provider) -> None:
    for path, status in (("/chat/completions", 400), ("/nowhere", 404)):
        response = await offline.transport.open(Call("POST", f"offline:{path}", {}, b"{"), Progress())
        assert response.status == status
        assert b'"error"' in await response.read(10_000)


async def test_its_models_are_listed(offline: Provider) -> None:
    assert [entry.id for entry in await list_models(offline) or ()] == ["echo", "embedding", "estimate"]


async def test_closing_stops_the_making(offline: Provider) -> None:
    prepared = offline.prepare(request(said("word " * 1000), stream=True), "echo")
    response = await offline.transport.open(prepared.call, Progress())
    heard = 0
    async for _ in response.chunks():
        heard += 1
        if heard == 3:
            response.close()
            response.close()
    assert heard == 3
    assert [piece async for piece in response.chunks()] == []


async def test_reading_with_a_limit_gives_no_more(offline: Provider) -> None:
    prepared = offline.prepare(request(said("word " * 1000), stream=True), "echo")
    response = await offline.transport.open(prepared.call, Progress())
    assert len(await response.read(1000)) == 1000


async def test_others_have_their_turn_between_two_words(offline: Provider) -> None:
    """A long echo can be cancelled, and does not keep the loop to itself."""
    prepared = offline.prepare(request(said("word " * 1000), stream=True), "echo")
    response = await offline.transport.open(prepared.call, Progress())
    turns = []
    asyncio.get_running_loop().call_soon(turns.append, "another")
    chunks = response.chunks()
    await anext(chunks)
    await anext(chunks)
    assert turns == ["another"]
    await chunks.aclose()  # type: ignore[attr-defined]


async def test_it_can_speak_at_a_walking_pace() -> None:
    slept = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    provider = Provider(OFFLINE_ROW, OFFLINE_WIRE, OfflineTransport(words_per_s=4, sleep=sleep), None)
    await ask(provider, request(said("hi"), stream=True))
    assert set(slept) == {0.25}
    assert len(slept) >= 11


async def test_the_progress_says_how_far_a_call_came(offline: Provider) -> None:
    progress = Progress()
    await offline.transport.open(offline.prepare(request(said("hi")), "echo").call, progress)
    assert progress.phase is Phase.READING


async def test_the_same_request_gets_the_same_bytes_but_for_the_date(offline: Provider) -> None:
    bodies = set()
    for _ in range(2):
        call = offline.prepare(request(said("hi")), "echo").call
        reply = json.loads(await (await offline.transport.open(call, Progress())).read(10_000))
        reply.pop("created")
        bodies.add(json.dumps(reply))
    assert len(bodies) == 1
