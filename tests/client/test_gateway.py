"""The Python client and the gateway understand each other."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

import tekton_llm_client as tekton
from rhetor.core.content import Thinking
from rhetor.testing import Gate, Upstream, calls, cuts, fails, hangs, says
from tekton_llm_client import TektonLLMClient
from tekton_llm_client.models import Account, Message, StreamingChunk
from tests.client.cable import Cable
from tests.conftest import Gateway, MakeGateway, MakeProcess, settings

WORDS = "one two three four five six seven eight"


class City(BaseModel):
    name: str
    people: int


def client_of(url: str, provider_id: str = "oai", **more: Any) -> TektonLLMClient:
    return TektonLLMClient("comp", url, provider_id, "small", **more)


def text_of(chunks: list[StreamingChunk]) -> str:
    return "".join(chunk.chunk for chunk in chunks)


async def test_the_client_and_the_gateway_understand_each_other(
    gateway_process: MakeProcess, upstream: Upstream
) -> None:
    gateway = await gateway_process(settings(upstream))
    upstream.says("Hello from the upstream.")
    async with client_of(gateway.url, "ant") as client:
        assert await client.initialize()

        reply = await client.generate_text("Hello", "Be brief.")
        assert reply.content == "Hello from the upstream."
        assert (reply.provider, reply.finish_reason) == ("ant", "stop")
        assert reply.usage == {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}

        chunks = [chunk async for chunk in client.generate_text("Hello", streaming=True)]
        assert text_of(chunks) == "Hello from the upstream."
        assert (chunks[-1].done, chunks[-1].usage) == (True, reply.usage)

        upstream.next(fails(400, "the prompt is no good"))
        with pytest.raises(tekton.InvalidRequestError, match="the prompt is no good"):
            await client.generate_text("Hello")

        gateway.process.terminate()
        await asyncio.wait_for(gateway.process.wait(), 20)
        assert not await client.initialize()


async def test_a_wrong_token_is_told(gateway_process: MakeProcess, upstream: Upstream) -> None:
    guarded = settings(upstream, server={"tokens": {"comp": "env:COMP_TOKEN"}})
    gateway = await gateway_process(guarded, {"COMP_TOKEN": "s3cret"})
    for token, lets_in in ((None, False), ("wrong", False), ("s3cret", True)):
        async with client_of(gateway.url, auth_token=token) as client:
            assert await client.initialize() is lets_in
            if not lets_in:
                with pytest.raises(tekton.AuthenticationError):
                    await client.generate_text("Hello")


@pytest.mark.parametrize("streaming", [False, True])
async def test_a_fallback_is_the_gateways_and_visible(
    gateway: Gateway, upstream: Upstream, streaming: bool
) -> None:
    upstream.always(lambda seen: fails(529) if seen.path.startswith("/v1/chat") else says("from the other"))
    options = {"fallback_provider": "ant", "fallback_model": "large"}
    async with client_of(gateway.url) as client:
        told: Account
        if streaming:
            chunks = [chunk async for chunk in client.generate_text("q", streaming=True, options=options)]
            text, told = text_of(chunks), chunks[-1]
            provider = chunks[-1].provider
        else:
            reply = await client.generate_text("q", options=options)
            text, told, provider = reply.content, reply, reply.provider

    assert text == "from the other"
    assert (told.fallback, provider) == (True, "ant")
    assert [attempt.target for attempt in told.attempts][-1] == "ant/large"
    assert {attempt.outcome for attempt in told.attempts} == {"overloaded", "ok"}
    assert told.generation_id


async def test_without_fallback_the_error_says_who_was_asked(gateway: Gateway, upstream: Upstream) -> None:
    upstream.always(fails(529, "too much to do"))
    async with client_of(gateway.url, use_fallback=False) as client:
        with pytest.raises(tekton.ServiceUnavailableError, match="too much to do") as caught:
            await client.generate_text("q", options={"fallback_provider": "ant"})
    assert {attempt.target for attempt in caught.value.attempts} == {"oai/small"}
    assert caught.value.code == "overloaded"
    assert caught.value.request_id


async def test_what_the_environment_names_as_fallback_is_asked(
    gateway: Gateway, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RHETOR_FALLBACK_MODEL", "ant/large")
    upstream.always(lambda seen: fails(529) if seen.path.startswith("/v1/chat") else says("from the other"))
    async with client_of(gateway.url) as client:
        assert (await client.generate_text("q")).provider == "ant"


async def test_a_known_price_is_a_cost_in_dollars(make_gateway: MakeGateway, upstream: Upstream) -> None:
    openai = {"base_url": f"{upstream.base_url}/v1", "key": "env:TEST_KEY"}
    gateway = await make_gateway(settings(upstream, providers={"openai": openai}))
    async with TektonLLMClient("comp", gateway.url, "openai", "gpt-4o-mini") as client:
        async with asyncio.timeout(10):
            while (reply := await client.generate_text("q")).cost is None:  # prices come after the start
                await asyncio.sleep(0)
    assert reply.cost_micros
    assert reply.cost == reply.cost_micros / 1_000_000


async def test_a_tool_is_called_and_its_result_told(gateway: Gateway, upstream: Upstream) -> None:
    def weather(city: str) -> str:
        """The weather in a city."""
        return f"Sunny in {city}."

    upstream.next(calls(("weather", {"city": "Paris"})), says("It is sunny."))
    async with client_of(gateway.url) as client:
        messages: list[Any] = [{"role": "user", "content": "How is the weather in Paris?"}]
        reply = await client.generate_chat_response(messages, tools=[weather])
        assert reply.tool_calls
        call = reply.tool_calls[0]
        messages += [reply.message, Message.result_of(call, weather(**call.parse()))]
        assert (await client.generate_chat_response(messages, tools=[weather])).content == "It is sunny."

    first, second = (request.json for request in upstream.requests)
    assert first["tools"][0]["function"]["name"] == "weather"
    assert [message["role"] for message in second["messages"]] == ["user", "assistant", "tool"]
    assert second["messages"][2]["content"] == "Sunny in Paris."


async def test_a_streamed_reply_tells_tools_and_thoughts(gateway: Gateway, upstream: Upstream) -> None:
    upstream.next(calls(("weather", {"city": "Paris"})), says(Thinking("let me see", "sig"), "yes"))
    async with client_of(gateway.url, "ant") as client:
        tools = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
        *_, last = [chunk async for chunk in client.generate_text("q", streaming=True, tools=tools)]
        assert [call.parse() for call in last.tool_calls or ()] == [{"city": "Paris"}]

        chunks = [chunk async for chunk in client.generate_text("q", streaming=True)]
    assert "".join(chunk.thinking or "" for chunk in chunks) == "let me see"
    assert text_of(chunks) == "yes"


async def test_an_image_reaches_the_provider(gateway: Gateway, upstream: Upstream, tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n")
    async with client_of(gateway.url) as client:
        await client.generate_text("What is this?", images=[path])
    parts = upstream.requests[0].json["messages"][0]["content"]
    assert parts[0] == {"type": "text", "text": "What is this?"}
    assert parts[1]["image_url"]["url"] == "data:image/png;base64,iVBORw0KGgo="


async def test_an_object_is_what_its_model_says(gateway: Gateway, upstream: Upstream) -> None:
    upstream.next(says('{"name": "Paris", "people": 2100000}'))
    async with client_of(gateway.url) as client:
        city = await client.generate_object("The largest city of France?", City)
    assert city == City(name="Paris", people=2_100_000)
    wanted = upstream.requests[0].json["response_format"]["json_schema"]
    assert (wanted["name"], wanted["strict"]) == ("City", True)


async def test_an_object_that_is_none_is_asked_for_once_more(gateway: Gateway, upstream: Upstream) -> None:
    upstream.next(says('{"name": "Paris"}'), says('```json\n{"name": "Paris", "people": 1}\n```'))
    async with client_of(gateway.url) as client:
        assert (await client.generate_object("q", City)).people == 1
        *_, wrong, told = upstream.requests[1].json["messages"]
        assert wrong["content"] == '{"name": "Paris"}'
        assert "people: Field required" in told["content"]

        upstream.next(says("no"), says("never"))
        with pytest.raises(tekton.FormatError, match="the model's reply is no City: "):
            await client.generate_object([{"role": "user", "content": "q"}], City)
    assert len(upstream.requests) == 4


async def test_texts_become_vectors(gateway: Gateway) -> None:
    async with client_of(gateway.url) as client:
        reply = await client.embed(["a", "b"], model="oai/small")
        assert [vector[0] for vector in reply.vectors] == [0.0, 1.0]
        assert (reply.provider, reply.model) == ("oai", "small")
        with pytest.raises(tekton.InvalidRequestError, match="unknown model"):
            await client.embed("a", model="nobody/nothing")


async def test_a_settings_object_may_say_everything(gateway: Gateway, upstream: Upstream) -> None:
    class Flat(BaseModel):
        component_id: str = "comp"
        base_url: str
        provider_id: str = "oai"
        model_id: str = "small"

    class Llm(BaseModel):
        model: str = ""
        max_tokens: int = 0

    flat = Flat(component_id="comp", base_url=gateway.url, provider_id="oai", model_id="small")
    messages = [{"role": "user", "content": "q"}]
    async with TektonLLMClient(settings=flat, llm_settings=Llm(max_tokens=9)) as client:
        reply = await client.generate_chat(messages, system_prompt="s", settings=Llm(model="large"))
        chunks = [chunk async for chunk in client.generate_chat(messages, streaming=True)]
    assert reply.model == "large"
    assert text_of(chunks) == "hello world"
    assert upstream.requests[0].json["max_completion_tokens"] == 9
    assert upstream.requests[0].json["messages"][0] == {"role": "system", "content": "s"}


async def test_what_initialize_learns_is_no_wish(make_gateway: MakeGateway, upstream: Upstream) -> None:
    """The operator's rules decide for who names nobody, before and after."""
    given = settings(upstream, rules={"component": {"comp": "ant/large"}})
    given["providers"]["oai"]["default_model"] = "small"
    gateway = await make_gateway(given)
    async with TektonLLMClient("comp", gateway.url) as client:
        assert await client.initialize()
        assert (client.provider_id, client.model_id) == ("oai", "small")
        assert (await client.generate_text("q")).provider == "ant"

        client.provider_id, client.model_id = "oai", "large"
        assert (await client.generate_text("q")).provider == "oai"


@pytest.mark.parametrize("prefix", ["", "/api/llm"])
async def test_a_cut_connection_is_not_noticed(
    cable: Cable, upstream: Upstream, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gates = [Gate(), Gate(), Gate()]
    upstream.next(says(WORDS).but(*(hangs(gate, after=2 * n) for n, gate in enumerate(gates, 1))))
    async with client_of(cable.url + prefix) as client:
        chunks: list[StreamingChunk] = []
        async for chunk in client.generate_text("q", streaming=True):
            chunks.append(chunk)
            if gates and len(chunks) % 2 == 0:
                cable.cut()
                gates.pop(0).open()

    assert [chunk.chunk for chunk in chunks[:-1]] == [
        word if not n else f" {word}" for n, word in enumerate(WORDS.split())
    ]
    assert (chunks[-1].done, chunks[-1].error) == (True, None)
    assert len(upstream.requests) == 1
    assert cable.connections >= 4


async def test_who_leaves_early_ends_the_call_to_the_provider(gateway: Gateway, upstream: Upstream) -> None:
    """Though the gateway would wait for who was cut off."""
    upstream.next(says(WORDS).but(hangs(after=1)))
    async with client_of(gateway.url) as client:
        async for chunk in client.generate_text("q", streaming=True):
            assert chunk.chunk == "one"
            break
        await upstream.requests[-1].aborted(within_s=5)


async def test_a_provider_that_breaks_off_is_an_error_chunk(gateway: Gateway, upstream: Upstream) -> None:
    upstream.always(says(WORDS).but(cuts(after=2)))
    async with client_of(gateway.url) as client:
        *_, last = [chunk async for chunk in client.generate_text("q", streaming=True)]
    assert last.error
    assert last.code in ("truncated", "connection_lost", "diverged")
    assert last.attempts


async def test_many_at_once_share_the_client(gateway: Gateway) -> None:
    async with client_of(gateway.url) as client:
        replies = await asyncio.gather(*(client.generate_text(str(n)) for n in range(120)))
    assert {reply.content for reply in replies} == {"hello world"}
    assert len({reply.generation_id for reply in replies}) == 120


async def test_a_large_request_passes_without_a_warning(gateway: Gateway, upstream: Upstream) -> None:
    """Warnings are errors here, as they are for some of our users."""
    photo = b"\x89PNG\r\n\x1a\n" + bytes(1_500_000)  # 2 MB as it travels
    upstream.says("I see.")
    async with client_of(gateway.url) as client:
        assert (await client.generate_text("What is this?", images=photo)).content == "I see."
