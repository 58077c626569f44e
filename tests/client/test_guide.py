"""What the migration guide of Tekton's components shows: each of its calls, written as it writes them.

Against a gateway in a process of its own, found through the environment, also
after it was killed in the middle of a reply.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from rhetor.testing import Upstream, fails, hangs, says
from tekton_llm_client import TektonLLMClient, TektonLLMWebSocketClient
from tekton_llm_client.exceptions import (
    AuthenticationError,
    ConnectionError,
    ServiceUnavailableError,
    TektonLLMError,
    TimeoutError,
)
from tekton_llm_client.models import StreamingChunk
from tekton_llm_client.utils import StreamProcessor, count_tokens, optimize_messages_for_token_limit
from tests.client.conftest import Restart, Restartable
from tests.conftest import free_port, settings

logger = logging.getLogger(__name__)

STORY = "Once there was a gateway that kept its word."


@pytest.fixture
async def hub(restartable: Restart, upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> Restartable:
    """The gateway, where the environment says."""
    row = {"base_url": upstream.base_url, "key": "env:TEST_KEY"}
    providers = {
        "anthropic": {**row, "default_model": "claude-3-haiku-20240307"},
        "openai": {**row, "base_url": f"{upstream.base_url}/v1"},
    }
    gateway = await restartable(settings(providers=providers))
    monkeypatch.setenv("RHETOR_URL", gateway.url)
    return gateway


@pytest.fixture
async def client(hub: Restartable) -> AsyncIterator[TektonLLMClient]:
    """Step 3: made with names, and initialised."""
    client = TektonLLMClient(
        component_id="guided-component",
        rhetor_url=os.environ.get("RHETOR_URL", "http://localhost:8003"),
        provider_id="anthropic",
        model_id="claude-3-sonnet-20240229",
    )
    assert await client.initialize()
    yield client
    await client.shutdown()


async def test_step_3_the_client_keeps_what_it_was_told(client: TektonLLMClient, hub: Restartable) -> None:
    assert (client.component_id, client.rhetor_url) == ("guided-component", hub.url)
    assert (client.provider_id, client.model_id) == ("anthropic", "claude-3-sonnet-20240229")


async def test_step_4_text(client: TektonLLMClient, upstream: Upstream) -> None:
    response = await client.generate_text(prompt="Who are you?", system_prompt="You are a hub.")
    assert response.content == "hello world"
    assert upstream.requests[-1].model == "claude-3-sonnet-20240229"
    assert (await client.generate_text("Positional works too.")).content == "hello world"


async def test_step_5_a_conversation(client: TektonLLMClient, upstream: Upstream) -> None:
    messages = [
        {"role": "system", "content": "You are a hub."},
        {"role": "user", "content": "Hello."},
        {"role": "assistant", "content": "Hello!"},
        {"role": "user", "content": "And now?"},
    ]
    response = await client.generate_chat_response(messages=messages)
    assert response.content == "hello world"
    assert [message["role"] for message in upstream.requests[-1].json["messages"]] == [
        "user",
        "assistant",
        "user",
    ]


async def stream_response(
    client: TektonLLMClient, prompt: str, callback: Callable[[str], Awaitable[None]]
) -> None:
    try:
        async for chunk in client.generate_text(prompt=prompt, streaming=True):
            await callback(chunk.chunk)
            if chunk.error:
                await callback(f"[{chunk.error}]")
                break
    except Exception as e:
        logger.error("streaming failed")
        await callback(f"Error: {e!s}")


async def test_step_6_a_stream_without_await(client: TektonLLMClient) -> None:
    heard: list[str] = []

    async def callback(text: str) -> None:
        heard.append(text)

    await stream_response(client, "Tell me.", callback)
    assert "".join(heard) == "hello world"


async def test_step_6_a_stream_through_an_outage(
    client: TektonLLMClient, hub: Restartable, upstream: Upstream
) -> None:
    upstream.next(says(STORY).but(hangs(after=2)))
    heard: list[str] = []

    async def callback(text: str) -> None:
        heard.append(text)
        if heard == ["Once", " there"]:
            await hub.kill()
            await hub.start()

    await stream_response(client, "Tell me.", callback)
    assert heard[:2] == ["Once", " there"]
    assert "knows nothing of this reply any more" in heard[-1]

    heard.clear()
    await stream_response(client, "Tell me again.", callback)
    assert "".join(heard) == "hello world"


async def test_step_6_a_stream_that_was_awaited(client: TektonLLMClient) -> None:
    text = ""
    async for chunk in await client.generate_text("Tell me.", streaming=True):
        text += chunk.chunk
    assert text == "hello world"


async def test_step_7_websocket(hub: Restartable) -> None:
    received: list[dict[str, Any]] = []
    closed: list[str] = []
    chunks: list[StreamingChunk] = []
    done = asyncio.Event()

    def process_chunk(chunk: StreamingChunk) -> None:
        chunks.append(chunk)
        if chunk.done:
            done.set()

    ws_client = TektonLLMWebSocketClient(
        component_id="guided-component",
        on_message=lambda msg: received.append(msg),
        on_error=lambda err: pytest.fail(str(err)),
        on_close=lambda: closed.append("Connection closed"),
    )
    await ws_client.connect()
    request_id = await ws_client.generate(
        prompt="Hello, hub!", callback=lambda chunk: process_chunk(chunk), provider_id="anthropic"
    )
    async with asyncio.timeout(10):
        await done.wait()
    await ws_client.disconnect()

    assert isinstance(request_id, str)
    assert "".join(chunk.chunk for chunk in chunks) == "hello world"
    assert {message["type"] for message in received} == {"REGISTER_ACK", "CHUNK"}
    assert closed == ["Connection closed"]


async def generate_with_error_handling(client: TektonLLMClient, prompt: str, timeout_s: float = 30) -> Any:
    try:
        return await client.generate_text(prompt, options={"timeout": timeout_s, "retry_count": 0})
    except ConnectionError:
        return {"error": "Connection error"}
    except TimeoutError:
        return {"error": "Timeout"}
    except AuthenticationError:
        return {"error": "Authentication"}
    except ServiceUnavailableError:
        return {"error": "Service unavailable"}
    except TektonLLMError as e:
        return {"error": str(e)}


async def test_step_8_each_failure_is_the_right_exception(
    client: TektonLLMClient, hub: Restartable, upstream: Upstream
) -> None:
    upstream.always(fails(529))
    assert await generate_with_error_handling(client, "q") == {"error": "Service unavailable"}
    upstream.always(fails(400, "the prompt is no good"))
    assert "the prompt is no good" in (await generate_with_error_handling(client, "q"))["error"]
    upstream.always(hangs())
    assert await generate_with_error_handling(client, "q", timeout_s=0.5) == {"error": "Timeout"}
    await hub.kill()
    assert await generate_with_error_handling(client, "q") == {"error": "Connection error"}
    assert await client.initialize() is False


async def test_step_8_a_wrong_token(
    restartable: Restart, upstream: Upstream, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text("s3cret")
    guarded = settings(upstream, server={"tokens": {"comp": f"file:{tmp_path / 'token'}"}})
    gateway = await restartable(guarded)
    for token, expected in (("wrong", {"error": "Authentication"}), ("s3cret", "hello world")):
        monkeypatch.setenv("RHETOR_AUTH_TOKEN", token)
        async with TektonLLMClient("comp", gateway.url, "oai", "small") as client:
            said = await generate_with_error_handling(client, "q")
            assert getattr(said, "content", said) == expected


async def test_step_10_the_environment(
    hub: Restartable, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RHETOR_DEFAULT_PROVIDER", "anthropic")
    monkeypatch.setenv("RHETOR_DEFAULT_MODEL", "claude-3-haiku-20240307")
    monkeypatch.setenv("RHETOR_AUTH_TOKEN", "not needed")
    async with TektonLLMClient("guided-component") as client:
        assert (await client.generate_text("q")).model == "claude-3-haiku-20240307"
    assert upstream.requests[-1].model == "claude-3-haiku-20240307"


def test_step_10_without_an_environment() -> None:
    assert TektonLLMClient("guided-component").rhetor_url == "http://localhost:8003"


async def test_pattern_handling_streaming_responses(
    hub: Restartable, upstream: Upstream, capsys: pytest.CaptureFixture[str]
) -> None:
    upstream.says(STORY)
    client = TektonLLMClient(component_id="guided-component")
    await client.initialize()

    processor = StreamProcessor()
    async for chunk in client.generate_text(prompt="Write a story.", streaming=True):
        processor.process_chunk(chunk)
        print(chunk.chunk, end="", flush=True)  # noqa: T201  # as the guide does it
    complete_text = processor.get_result()
    await client.shutdown()

    assert complete_text == capsys.readouterr().out == STORY


async def test_pattern_graceful_degradation(hub: Restartable, upstream: Upstream) -> None:
    upstream.always(
        lambda seen: fails(529) if seen.path == "/v1/messages" else says("the other one's answer")
    )
    client = TektonLLMClient(
        component_id="guided-component",
        use_fallback=True,
        provider_id="anthropic",
        model_id="claude-3-opus-20240229",
    )
    response = await client.generate_text(
        prompt="Something hard.",
        options={"fallback_provider": "openai", "fallback_model": "gpt-4o"},
    )
    await client.shutdown()

    assert (response.content, response.fallback, response.provider) == (
        "the other one's answer",
        True,
        "openai",
    )


async def test_pattern_graceful_degradation_never_invents_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RHETOR_URL", f"http://127.0.0.1:{free_port()}")
    async with TektonLLMClient("guided-component", use_fallback=True, max_retries=0) as client:
        assert not await client.initialize()
        with pytest.raises(ConnectionError):
            await client.generate_text("q")


def test_pattern_token_management() -> None:
    text = "A long document to look at. " * 2_000
    token_count = count_tokens(text, model="claude-3-sonnet-20240229")
    assert token_count > 1_000

    messages = [
        {"role": "system", "content": "You are a hub."},
        {"role": "user", "content": text},
    ]
    optimized = optimize_messages_for_token_limit(
        messages=messages, max_tokens=1_000, model="claude-3-sonnet-20240229", keep_system_prompt=True
    )
    assert [message["role"] for message in optimized] == ["system", "user"]
    said = sum(count_tokens(message["content"], model="claude-3-sonnet-20240229") for message in optimized)
    assert said <= 1_000
