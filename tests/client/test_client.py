"""The Python client against a gateway that follows a script."""

from __future__ import annotations

import asyncio
import json
import socket

import pytest

import tekton_llm_client as tekton
from tekton_llm_client import TektonLLMClient
from tekton_llm_client.models import CompletionResponse
from tests.client.scripted import REPLY, ScriptedGateway, golden


async def test_a_reply_has_every_promised_field(scripted: ScriptedGateway, client: TektonLLMClient) -> None:
    scripted.says(200, REPLY)

    reply = await client.generate_text("q")

    assert isinstance(reply, CompletionResponse)
    assert reply.model_dump(exclude={"latency", "meta"}, exclude_none=True) == {
        "content": "Hello",
        "model": "m-def",
        "provider": "anthropic",
        "finish_reason": "stop",
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
        "context_id": "comp",
        "fallback": False,
        "timestamp": "2026-11-20T09:24:59Z",
    }
    assert reply.success
    assert reply.latency is not None
    assert reply.latency > 0


async def test_the_environment_gives_the_defaults(
    scripted: ScriptedGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted.says(200, REPLY)
    monkeypatch.setenv("RHETOR_URL", scripted.url + "/prefix/")
    monkeypatch.setenv("RHETOR_DEFAULT_PROVIDER", "p")
    monkeypatch.setenv("RHETOR_DEFAULT_MODEL", "m")
    monkeypatch.setenv("RHETOR_AUTH_TOKEN", "s3cret")
    monkeypatch.setenv("RHETOR_TIMEOUT", "7")
    monkeypatch.setenv("RHETOR_MAX_RETRIES", "1")

    async with TektonLLMClient("comp") as client:
        await client.generate_text("q")

    request, body = scripted.requests[0]
    assert request.path == "/prefix/api/v1/chat"
    assert request.headers["authorization"] == "Bearer s3cret"
    assert (body["provider_id"], body["model_id"]) == ("p", "m")
    assert (client.timeout, client.max_retries) == (7, 1)


REFUSALS = [
    (400, tekton.InvalidRequestError),
    (401, tekton.AuthenticationError),
    (404, tekton.InvalidRequestError),
    (429, tekton.RateLimitError),
    (500, tekton.AdapterError),
    (502, tekton.AdapterError),
    (503, tekton.ServiceUnavailableError),
    (504, tekton.TimeoutError),
    (529, tekton.AdapterError),
]


@pytest.mark.parametrize(("status", "kind"), REFUSALS)
@pytest.mark.parametrize("streaming", [False, True])
async def test_a_refusal_is_the_right_error_with_the_gateways_words(
    scripted: ScriptedGateway,
    client: TektonLLMClient,
    status: int,
    kind: type[tekton.TektonLLMError],
    streaming: bool,
) -> None:
    headers = {"x-request-id": "r1", "x-should-retry": "false"}
    scripted.says(status, {"error": "no, because", "code": "some_code"}, headers)

    reply = client.generate_text("q", streaming=True) if streaming else client.generate_text("q")
    with pytest.raises(kind, match="no, because") as caught:
        await reply

    error = caught.value
    assert (error.status, error.code, error.request_id) == (status, "some_code", "r1")


async def test_a_gateway_that_is_not_there_is_a_connection_error() -> None:
    async with TektonLLMClient("comp", free_url(), max_retries=0) as client:
        with pytest.raises(tekton.ConnectionError, match="no gateway at"):
            await client.generate_text("q")


@pytest.mark.parametrize("url", ["localhost:8003", "ftp://localhost", "http://", "nonsense"])
async def test_an_address_that_is_none_is_told(url: str) -> None:
    async with TektonLLMClient("comp", url, max_retries=0) as client:
        assert await client.initialize() is False
        with pytest.raises(tekton.TektonLLMError, match="no address of a gateway"):
            await client.generate_text("q")


async def test_a_client_may_go_from_loop_to_loop(scripted: ScriptedGateway) -> None:
    """As in a program that calls `asyncio.run` for each thing it does."""
    scripted.says(200, REPLY)
    client = TektonLLMClient("comp", scripted.url)

    async def once() -> str:
        try:
            return (await client.generate_text("q")).content
        finally:
            await client.shutdown()

    for _ in range(2):
        assert await asyncio.to_thread(asyncio.run, once()) == "Hello"


async def test_a_silent_gateway_is_a_timeout(scripted: ScriptedGateway, client: TektonLLMClient) -> None:
    scripted.streams(ending="silence")
    with pytest.raises(tekton.TimeoutError, match=r"said nothing for 0\.2 s"):
        await client.generate_text("q", options={"timeout": 0.2})


async def test_an_answer_that_is_no_reply_is_an_error_never_an_invention(
    scripted: ScriptedGateway, client: TektonLLMClient
) -> None:
    scripted.says(200, REPLY | {"model": None})
    with pytest.raises(tekton.AdapterError, match="no CompletionResponse: model"):
        await client.generate_text("q")


async def test_a_passing_refusal_is_tried_again(scripted: ScriptedGateway, client: TektonLLMClient) -> None:
    scripted.says(503, {"error": "starting"}, {"retry-after": "0"}).says(200, REPLY)
    reply = await client.generate_text("q")
    assert reply.content == "Hello"
    assert len(scripted.requests) == 2


async def test_retries_are_counted(scripted: ScriptedGateway, client: TektonLLMClient) -> None:
    scripted.says(429, {"error": "slow down"}, {"retry-after-ms": "1"})
    with pytest.raises(tekton.RateLimitError):
        await client.generate_text("q", options={"retry_count": 2})
    assert len(scripted.requests) == 3


async def test_initialize_learns_the_default_model(
    scripted: ScriptedGateway, client: TektonLLMClient
) -> None:
    scripted.says(200, {"status": "healthy"}).says(200, json.loads(golden("providers.json")))
    assert await client.initialize() is True
    assert (client.provider_id, client.model_id) == ("anthropic", "m-def")
    assert [request.path for request, _ in scripted.requests] == ["/api/v1/health", "/api/v1/providers"]


async def test_initialize_tells_when_the_gateway_is_down() -> None:
    async with TektonLLMClient("comp", free_url()) as client:
        assert await client.initialize() is False


async def test_initialize_tells_when_the_token_is_wrong(
    scripted: ScriptedGateway, client: TektonLLMClient
) -> None:
    scripted.says(200, {"status": "healthy"}).says(401, {"error": "wrong token"})
    assert await client.initialize() is False


async def test_get_providers_tells_who_can_be_asked(
    scripted: ScriptedGateway, client: TektonLLMClient
) -> None:
    scripted.says(200, json.loads(golden("providers.json")))
    offered = await client.get_providers()
    assert offered.default_model == "m-def"
    assert offered.providers["anthropic"].models[0].pricing == {
        "input": 3.0,
        "output": 15.0,
        "cache_read": 0.3,
    }
    assert not offered.providers["groq"].available


async def test_a_client_can_be_used_again_after_shutdown(
    scripted: ScriptedGateway, client: TektonLLMClient
) -> None:
    scripted.says(200, REPLY)
    await client.generate_text("q")
    await client.shutdown()
    assert (await client.generate_text("q")).content == "Hello"


def free_url() -> str:
    """Where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"
