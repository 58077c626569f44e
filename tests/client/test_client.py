"""The Python client against a gateway that follows a script."""

from __future__ import annotations

import asyncio
import json
import socket

import pytest

import tekton_llm_client as tekton
from tekton_llm_client import TektonLLMClient
from tekton_llm_client.models import CompletionResponse, Message, StreamingChunk
from tests.client.scripted import REPLY, ScriptedGateway, frame, golden


def text_of(chunks: list[StreamingChunk]) -> str:
    return "".join(chunk.chunk for chunk in chunks)


async def test_a_reply_has_every_promised_field(scripted: ScriptedGateway, client: TektonLLMClient) -> None:
    scripted.says(200, REPLY)

    reply = await client.generate_text("q")

    assert isinstance(reply, CompletionResponse)
    assert reply.model_dump(exclude={"latency"}) == {
        "content": "Hello",
        "model": "m-def",
        "provider": "anthropic",
        "finish_reason": "stop",
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
        "context_id": "comp",
        "fallback": False,
        "timestamp": "2026-11-20T09:24:59Z",
        "error": None,
    }
    assert reply.success
    assert reply.latency is not None
    assert reply.latency > 0


async def test_the_request_says_what_was_asked_for(
    scripted: ScriptedGateway, client: TektonLLMClient
) -> None:
    scripted.says(200, REPLY)

    await client.generate_text(
        "q", "s", options={"max_tokens": 9, "stop_sequences": ["x"], "top_p": 0, "model": "m"}
    )

    assert scripted.requests[0][0].path == "/api/v1/chat"
    assert scripted.body == {
        "messages": [{"role": "user", "content": "q"}],
        "component_id": "comp",
        "context_id": "comp",
        "model_id": "m",
        "system_prompt": "s",
        "streaming": False,
        "options": {"temperature": 0.7, "max_tokens": 9, "stop": ["x"], "top_p": 0},
    }


async def test_messages_may_be_dicts_or_messages(scripted: ScriptedGateway, client: TektonLLMClient) -> None:
    scripted.says(200, REPLY)

    await client.generate_chat_response(
        [{"role": "System", "content": "s"}, Message(role="user", content="q")]
    )

    assert [message["role"] for message in scripted.body["messages"]] == ["system", "user"]


async def test_anything_else_is_refused_by_name(client: TektonLLMClient) -> None:
    with pytest.raises(tekton.InvalidRequestError, match=r"messages\[1\]: content: Field required"):
        await client.generate_chat_response([{"role": "user", "content": "q"}, {"role": "user"}])


async def test_without_fallback_none_is_asked_for(scripted: ScriptedGateway) -> None:
    scripted.says(200, REPLY)
    options = {"fallback_provider": "openai", "fallback_model": "m2"}
    async with TektonLLMClient("comp", scripted.url, use_fallback=False) as client:
        await client.generate_text("q", options=options)
        assert scripted.body["options"] == {"temperature": 0.7}
    async with TektonLLMClient("comp", scripted.url) as client:
        await client.generate_text("q", options=options)
        assert scripted.body["options"] == {"temperature": 0.7} | options


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


async def test_constructor_beats_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RHETOR_URL", "http://elsewhere")
    monkeypatch.setenv("RHETOR_MAX_RETRIES", "1")
    client = TektonLLMClient("comp", "http://here", max_retries=0)
    assert (client.rhetor_url, client.max_retries) == ("http://here", 0)


async def test_a_stream_can_be_iterated_without_await(
    scripted: ScriptedGateway, client: TektonLLMClient
) -> None:
    scripted.streams(b": ping\n\n", golden("stream.sse"))

    chunks = [chunk async for chunk in client.generate_text("q", streaming=True)]

    assert scripted.requests[0][0].path == "/api/v1/chat/stream"
    assert scripted.body["streaming"] is True
    assert text_of(chunks) == "Hello"
    assert [chunk.done for chunk in chunks] == [False, False, True]
    assert (chunks[-1].finish_reason, chunks[-1].usage) == ("stop", REPLY["usage"])


async def test_a_stream_can_be_awaited_first_and_calls_back(
    scripted: ScriptedGateway, client: TektonLLMClient
) -> None:
    scripted.streams(golden("stream.sse"))
    heard: list[StreamingChunk] = []
    messages = [{"role": "user", "content": "q"}]

    stream = await client.generate_chat_response(messages, streaming=True, callback=heard.append)
    chunks = [chunk async for chunk in stream]

    assert heard == chunks
    assert text_of(chunks) == "Hello"


async def test_a_complete_stream_gives_its_connection_back(
    scripted: ScriptedGateway, client: TektonLLMClient
) -> None:
    scripted.streams(golden("stream.sse"))
    for _ in range(2):
        async for _chunk in client.generate_text("q", streaming=True):
            pass
    assert len({request.transport for request, _ in scripted.requests}) == 1


@pytest.mark.parametrize("leave", ["break", "aclose", "async with"])
async def test_who_leaves_a_stream_stops_it_at_the_gateway(
    scripted: ScriptedGateway, client: TektonLLMClient, leave: str
) -> None:
    scripted.streams(frame("Hel"), ending="silence")
    stream = client.generate_text("q", streaming=True)
    if leave == "async with":
        async with stream:
            assert (await anext(stream)).chunk == "Hel"
    else:
        async for chunk in stream:
            assert chunk.chunk == "Hel"
            break
        if leave == "aclose":
            await stream.aclose()
        del stream

    async with asyncio.timeout(5):
        await scripted.left.wait()


async def test_an_error_in_a_stream_is_its_last_chunk(
    scripted: ScriptedGateway, client: TektonLLMClient
) -> None:
    scripted.streams(golden("stream_failed.sse"))
    chunks = [chunk async for chunk in client.generate_text("q", streaming=True)]
    assert [(chunk.chunk, chunk.done, chunk.error) for chunk in chunks] == [
        ("Hel", False, None),
        ("", True, 'the provider hung up: "bye"\n'),
    ]


@pytest.mark.parametrize(
    ("ending", "reason"),
    [("complete", "in the middle"), ("cut", "was lost"), ("silence", "nothing for 0.5 s")],
)
async def test_a_stream_that_breaks_off_is_never_mistaken_for_complete(
    scripted: ScriptedGateway, client: TektonLLMClient, ending: str, reason: str
) -> None:
    scripted.streams(frame("Hel"), ending=ending)
    last = None
    async for chunk in client.generate_text("q", streaming=True, options={"timeout": 0.5}):
        last = chunk
    assert last is not None
    assert last.done
    assert last.provider == "anthropic"
    assert reason in (last.error or "")


REFUSALS = [
    (400, tekton.InvalidRequestError),
    (401, tekton.AuthenticationError),
    (404, tekton.InvalidRequestError),
    (429, tekton.RateLimitError),
    (500, tekton.AdapterError),
    (502, tekton.AdapterError),
    (503, tekton.ServiceUnavailableError),
    (504, tekton.TimeoutError),
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


async def test_a_silent_gateway_is_a_timeout(scripted: ScriptedGateway, client: TektonLLMClient) -> None:
    scripted.streams(ending="silence")
    with pytest.raises(tekton.TimeoutError, match=r"said nothing for 0\.2 s"):
        await client.generate_text("q", options={"timeout": 0.2})


async def test_an_answer_that_is_no_reply_is_an_error_never_an_invention(
    scripted: ScriptedGateway, client: TektonLLMClient
) -> None:
    scripted.says(200, REPLY | {"model": None})
    with pytest.raises(tekton.AdapterError, match="not a CompletionResponse: model"):
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


async def test_a_stream_is_never_tried_again_once_it_spoke(
    scripted: ScriptedGateway, client: TektonLLMClient
) -> None:
    scripted.streams(frame("Hel"), ending="cut")
    async for _chunk in client.generate_text("q", streaming=True):
        pass
    assert len(scripted.requests) == 1


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
