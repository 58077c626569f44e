"""The Tekton door over HTTP, as strictly as its published clients read it.

They answer every slip of a server with text of their own invention, so each
rule of the dialect is a promise here.
"""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from rhetor.core.errors import Code
from rhetor.core.usage import Usage
from rhetor.testing import (
    Upstream,
    calls,
    cuts,
    error_in_200,
    fails,
    garbage,
    hangs,
    raw_frames,
    resets,
    says,
    slow,
)
from tests.conftest import Gateway, MakeGateway, settings
from tests.http.doors import ERROR_AFTER_A_WORD, HELLO, Reply, tekton_wrong
from tests.http.old_clients import BROWSER_BODY, PYTHON_BODY, browser_client, python_client
from tests.wire.tekton.stock import AvailableProviders, CompletionResponse, StreamingChunk, chunks_of

PREFIXES = pytest.mark.parametrize("prefix", ["", "/api/llm"])
LINE_LIMIT = 64 * 1024
UPSTREAMS = pytest.mark.parametrize("provider", ["oai", "ant"])


@pytest.fixture
async def gateway(make_gateway: MakeGateway, upstream: Upstream) -> Gateway:
    """A gateway that knows the provider and the model that the old clients name by themselves."""
    anthropic = {
        "base_url": upstream.base_url,
        "key": "env:TEST_KEY",
        "default_model": "m-def",
        "models": ["m-def"],
    }
    return await make_gateway(settings(upstream, providers={"anthropic": anthropic}))


def body(provider: str = "oai", **changes: Any) -> bytes:
    return orjson.dumps(
        {"messages": HELLO, "context_id": "comp", "provider_id": provider, "model_id": "m", **changes}
    )


def whole(reply: Reply) -> dict[str, Any]:
    """A reply as the Python client reads it."""
    assert reply.status == 200, reply.body
    assert reply.headers["content-type"] == "application/json"
    said: dict[str, Any] = orjson.loads(reply.body)
    CompletionResponse.model_validate(said)
    return said


def streamed(reply: Reply) -> list[dict[str, Any]]:
    """The chunks of a stream as both clients read them."""
    assert reply.status == 200, reply.body
    assert reply.headers["content-type"] == "text/event-stream"
    assert reply.body.endswith(b"\n\ndata: [DONE]\n\n")
    assert b"\r" not in reply.body
    assert all(len(line) <= LINE_LIMIT for line in reply.body.split(b"\n"))
    chunks = chunks_of(reply.body)
    for chunk in chunks:
        StreamingChunk.model_validate(chunk)
        assert None not in [chunk.get(key, "") for key in ("chunk", "context_id", "model", "provider")]
    return chunks


def text(chunks: list[dict[str, Any]]) -> str:
    return "".join(chunk["chunk"] for chunk in chunks)


@PREFIXES
@pytest.mark.parametrize(
    "path",
    [
        *("/api/v1/health", "/health", "/v1/models", "/v1/models/offline/echo", "/v1/plugins"),
        *("/v1/providers/health?provider=offline", "/api/v1/routes/explain?model=auto"),
    ],
)
async def test_what_callers_look_up_before_they_ask(gateway: Gateway, prefix: str, path: str) -> None:
    reply = await python_client(gateway.url, f"{prefix}{path}")
    assert reply.status == 200, reply.body


@PREFIXES
async def test_what_the_python_client_sends(gateway: Gateway, upstream: Upstream, prefix: str) -> None:
    said = whole(await python_client(gateway.url, f"{prefix}/api/v1/chat", PYTHON_BODY))
    assert (said["content"], said["provider"], said["model"]) == ("hello world", "anthropic", "m-def")
    assert (said["context_id"], said["finish_reason"]) == ("comp", "stop")
    assert said["usage"] == {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
    assert said.get("error") is None
    seen = upstream.requests[0].json
    assert (seen["model"], seen["system"], seen["max_tokens"]) == ("m-def", "s", 9)
    assert (seen["stop_sequences"], seen["top_k"]) == (["x"], 40)


@PREFIXES
async def test_what_the_python_client_sends_to_stream(gateway: Gateway, prefix: str) -> None:
    """It says `streaming: true` and asks for JSON all the same."""
    asked = PYTHON_BODY.replace(b'"streaming": false', b'"streaming": true')
    chunks = streamed(await python_client(gateway.url, f"{prefix}/api/v1/chat/stream", asked))
    assert text(chunks) == "hello world"
    assert [chunk["done"] for chunk in chunks] == [False, False, True]
    assert {chunk["model"] for chunk in chunks} == {"m-def"}
    assert {chunk["context_id"] for chunk in chunks} == {"comp"}


@PREFIXES
async def test_what_the_browser_client_sends(gateway: Gateway, prefix: str) -> None:
    chunks = streamed(await browser_client(gateway.url, f"{prefix}/api/v1/chat/stream", BROWSER_BODY))
    assert text(chunks) == "hello world"
    assert {chunk["context_id"] for chunk in chunks} == {"browser-client"}
    said = whole(await browser_client(gateway.url, f"{prefix}/api/v1/chat", BROWSER_BODY))
    assert said["content"] == "hello world"
    assert set(said["usage"]) == {"prompt_tokens", "completion_tokens", "total_tokens"}


async def test_the_path_decides_whether_to_stream(gateway: Gateway) -> None:
    whole(await python_client(gateway.url, "/api/v1/chat", body(streaming=True)))
    streamed(await python_client(gateway.url, "/api/v1/chat/stream", body(streaming=False)))


@UPSTREAMS
@pytest.mark.parametrize(
    "usage",
    [
        Usage(3, 4, cache_read_tokens=2, cache_write_tokens=1, reasoning_tokens=2),
        Usage(0, 0),
        None,
    ],
    ids=["details", "zero", "none"],
)
async def test_usage_is_whole_numbers(
    gateway: Gateway, upstream: Upstream, provider: str, usage: Usage | None
) -> None:
    """Flat, without nulls, floats or details, whatever the provider reports."""
    upstream.says("hello world", usage=usage)
    said = whole(await python_client(gateway.url, "/api/v1/chat", body(provider)))
    last = streamed(await python_client(gateway.url, "/api/v1/chat/stream", body(provider)))[-1]
    for told in (said, last):
        assert all(type(count) is int for count in told.get("usage", {}).values())
        if usage is not None and usage.total_tokens:
            assert told["usage"]["total_tokens"] == 7


@UPSTREAMS
async def test_a_long_text_is_split_into_short_lines(
    gateway: Gateway, upstream: Upstream, provider: str
) -> None:
    """Lines stay under 64 KiB, in one word of 300,000 characters that all have to be escaped."""
    word = "\x01é🙂" * 100_000
    upstream.says(word)
    assert text(streamed(await python_client(gateway.url, "/api/v1/chat/stream", body(provider)))) == word
    assert whole(await python_client(gateway.url, "/api/v1/chat", body(provider)))["content"] == word


async def test_a_long_tool_call_is_split_too(gateway: Gateway, upstream: Upstream) -> None:
    upstream.next(calls(("write", {"text": "x" * 200_000})))
    chunks = streamed(await python_client(gateway.url, "/api/v1/chat/stream", body()))
    arguments = "".join(
        call["function"].get("arguments", "") for chunk in chunks for call in chunk.get("tool_calls", ())
    )
    assert orjson.loads(arguments) == {"text": "x" * 200_000}


@UPSTREAMS
@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (cuts(after=1), Code.CONNECTION_LOST),
        (cuts(after=1, clean=True), Code.TRUNCATED),
        (ERROR_AFTER_A_WORD, None),
    ],
    ids=["cut", "ended too early", "error"],
)
async def test_a_failure_in_the_middle(
    gateway: Gateway, upstream: Upstream, provider: str, fault: Any, code: Code | None
) -> None:
    """What was said stays, the error is a string in the last chunk, and the stream ends in order.

    A connection that is broken off makes the stock client go on with text of its own.
    """
    upstream.next(fault)
    chunks = streamed(await python_client(gateway.url, "/api/v1/chat/stream", body(provider)))
    assert text(chunks) == "hello"
    assert chunks[-1]["error"]
    assert chunks[-1]["chunk"] == ""
    if code is not None:
        assert chunks[-1]["code"] == code
    assert [trip["outcome"] for trip in await gateway.booked()] == [chunks[-1]["code"]]


@UPSTREAMS
@pytest.mark.parametrize("path", ["/api/v1/chat", "/api/v1/chat/stream"])
@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (fails(400, "the prompt is no good"), {400}),
        (fails(401, "bad key"), {502}),
        (fails(429, headers={"retry-after": "70"}), {429}),
        (fails(500), {500, 502}),
        (fails(503), {503}),
        (resets(), {502}),
        (error_in_200(Code.RATE_LIMITED), {429}),
    ],
    ids=["400", "401", "429", "500", "503", "reset", "error in 200"],
)
async def test_a_failure_before_the_first_word(
    gateway: Gateway, upstream: Upstream, provider: str, path: str, fault: Any, status: set[int]
) -> None:
    """An HTTP status and `error` as a string: 400, 429 and 503 are those that the clients know."""
    upstream.always(fault)
    reply = await python_client(gateway.url, path, body(provider))
    assert reply.status in status
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["x-should-retry"] == "false"
    wrong = tekton_wrong(orjson.loads(reply.body))
    assert "bad key" not in wrong.message
    if fault.headers:
        assert reply.headers["retry-after"] == "70"


async def test_a_reply_that_breaks_off_is_not_a_reply(gateway: Gateway, upstream: Upstream) -> None:
    upstream.always(cuts())
    reply = await python_client(gateway.url, "/api/v1/chat", body())
    assert reply.status == 502
    tekton_wrong(orjson.loads(reply.body))


async def test_comments_of_the_provider_disturb_nobody(gateway: Gateway, upstream: Upstream) -> None:
    """Keep-alive comments and events without data, between and inside of frames."""
    frames = [
        b": ping\n\n",
        b'data: {"id":"1","model":"m","choices":[{"index":0,"delta":{"content":"a"}}]}\n\n',
        b": OPENROUTER PROCESSING\n\n",
        b': x\ndata: {"id":"1","choices":[{"index":0,"delta":{"content":"b"}}]}\n\n',
        b"event: ping\n\n",
        b'data: {"id":"1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n',
        b": bye\n\n",
    ]
    upstream.next(raw_frames(frames))
    assert text(streamed(await python_client(gateway.url, "/api/v1/chat/stream", body()))) == "ab"


async def test_garbage_of_the_provider_is_told(gateway: Gateway, upstream: Upstream) -> None:
    """A frame that cannot be read is skipped or told; either way the stream ends in order."""
    upstream.next(garbage())
    streamed(await python_client(gateway.url, "/api/v1/chat/stream", body()))


@pytest.mark.parametrize("path", ["/api/v1/chat", "/api/v1/chat/stream"])
async def test_a_fallback_of_the_callers(gateway: Gateway, upstream: Upstream, path: str) -> None:
    """It is visible in `provider` and `model`, which is all that the old clients look at."""
    upstream.next(fails(503))
    options = {"fallback_provider": "ant", "fallback_model": "spare"}
    reply = await python_client(gateway.url, path, body(options=options))
    said = whole(reply) if path.endswith("chat") else streamed(reply)[-1]
    assert (said["provider"], said["model"], said["fallback"]) == ("ant", "spare", True)
    assert [attempt["target"] for attempt in said["meta"]["attempts"]] == ["oai/m", "ant/spare"]
    assert reply.headers["x-rhetor-served-by"] == "ant/spare"
    assert reply.headers["x-rhetor-fallback"] == "true"


async def test_the_callers_timeout(gateway: Gateway, upstream: Upstream) -> None:
    upstream.next(hangs())
    reply = await python_client(gateway.url, "/api/v1/chat", body(options={"timeout": 0.5}))
    assert reply.status == 504
    assert tekton_wrong(orjson.loads(reply.body)).kind == "first_event_timeout"


async def test_context_ids_are_tags(gateway: Gateway, upstream: Upstream) -> None:
    """They come back, and mix nobody's conversation with anybody's."""
    for context_id in ("one", "two", "one", "é🙂", ""):
        said = whole(await python_client(gateway.url, "/api/v1/chat", body(context_id=context_id)))
        assert said["context_id"] == (context_id or "default")
    assert {len(seen.json["messages"]) for seen in upstream.requests} == {1}


async def test_many_at_the_same_time(gateway: Gateway, upstream: Upstream) -> None:
    """Fifty streams, each with its own text."""
    upstream.always(lambda seen: says(f"{seen.json['messages'][-1]['content']} said").but(slow(gap_s=0.001)))

    async def ask(name: str) -> str:
        asked = body(messages=[{"role": "user", "content": name}], context_id=name)
        return text(streamed(await python_client(gateway.url, "/api/v1/chat/stream", asked)))

    names = [f"caller-{n}" for n in range(50)]
    assert await asyncio.gather(*map(ask, names)) == [f"{name} said" for name in names]


@PREFIXES
async def test_providers(gateway: Gateway, prefix: str) -> None:
    """Typed as strictly as the client's models; whoever may be named is listed, answering or not."""
    reply = await python_client(gateway.url, f"{prefix}/api/v1/providers")
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
    said = orjson.loads(reply.body)
    listed = AvailableProviders.model_validate(said)
    assert listed.default_provider in listed.providers
    assert listed.default_model
    assert listed.providers["anthropic"].available
    assert listed.providers["anthropic"].default_model == "m-def"
    assert [model.id for model in listed.providers["anthropic"].models] == ["m-def"]
    assert not listed.providers["groq"].available
    assert {"openai", "offline", "oai", "ant"} <= listed.providers.keys()
    assert set(said["available_providers"]) - {"claude", "opencode", "codex", "chat"} == set(
        said["providers"]
    )
    assert set(said["available"]) == {"anthropic", "oai", "ant", "offline"}
    assert set(said["active_providers"]) == {*said["available"], "chat"}  # who converses in sessions, too
    assert said["status"]["groq"]["success"] is False
    assert "GROQ_API_KEY" in said["status"]["groq"]["error"]


async def test_routes_are_models_of_our_own(make_gateway: MakeGateway, upstream: Upstream) -> None:
    """A client that names a provider always can name a route too: as a model of `rhetor`."""
    routes = {"default": {"targets": ["ant/m"]}, "fast": {"targets": ["oai/m", "ant/m"]}}
    gateway = await make_gateway(settings(upstream, routes=routes))
    said = orjson.loads((await python_client(gateway.url, "/api/v1/providers")).body)
    listed = AvailableProviders.model_validate(said)
    assert [model.id for model in listed.providers["rhetor"].models] == ["default", "fast"]
    assert (listed.default_provider, listed.default_model) == ("rhetor", "default")
    for provider, model, target in (
        ("rhetor", "fast", "oai"),
        ("rhetor", None, "ant"),
        ("auto", "fast", "oai"),
    ):
        asked = body(provider, model_id=model)
        assert whole(await python_client(gateway.url, "/api/v1/chat", asked))["provider"] == target


async def test_prices_are_floats(make_gateway: MakeGateway, upstream: Upstream) -> None:
    gateway = await make_gateway(
        settings(upstream), {"GROQ_API_KEY": "sk-groq", "OPENAI_API_KEY": "sk-openai"}
    )
    async with asyncio.timeout(10):
        while True:  # the prices come a moment after the start
            said = orjson.loads((await python_client(gateway.url, "/api/v1/providers")).body)
            AvailableProviders.model_validate(said)
            models = said["providers"]["openai"]["models"]
            if priced := [model for model in models if "pricing" in model]:
                break
            await asyncio.sleep(0)
    assert all(type(price) is float for model in priced for price in model["pricing"].values())


@PREFIXES
async def test_a_token_is_the_bearers(make_gateway: MakeGateway, upstream: Upstream, prefix: str) -> None:
    guarded = settings(upstream, server={"tokens": {"comp": "env:COMP_TOKEN"}})
    gateway = await make_gateway(guarded, {"COMP_TOKEN": "s3cret-token"})
    for path, asked in (("health", None), ("providers", None), ("chat", body()), ("chat/stream", body())):
        where = f"{prefix}/api/v1/{path}"
        assert (await python_client(gateway.url, where, asked, "s3cret-token")).status == 200
        assert (await browser_client(gateway.url, where, asked, "s3cret-token")).status == 200
        for token in (None, "wrong"):
            refused = await python_client(gateway.url, where, asked, token)
            assert refused.status == 401
            assert tekton_wrong(orjson.loads(refused.body)).kind == "unauthenticated"
