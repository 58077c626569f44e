"""The Ollama door as its clients see it; what all doors have in common is tested with them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import orjson
import pytest

from rhetor.core.content import Thinking
from rhetor.http.ollama import known_as
from rhetor.testing import Gate, Upstream, calls, cuts, embeds, fails, hangs, raw_frames, says
from tests.conftest import Gateway, MakeGateway, settings
from tests.http.doors import ERROR_AFTER_A_WORD, HELLO, OLLAMA_CHAT, knock

EVERY = pytest.mark.parametrize("provider", ["oai", "ant", "ollama"])
OTHERS = pytest.mark.parametrize("provider", ["oai", "ant"])
LINES = "application/x-ndjson"


@pytest.fixture
async def gateway(make_gateway: MakeGateway, upstream: Upstream) -> Gateway:
    """The upstream in three languages, a route, an alias, and names with tags."""
    ollama = {"base_url": upstream.base_url, "models": ["small", "llama3.2:latest", "qwen3:4b"]}
    routes = {
        "fast": {"targets": ["oai/small", "ollama/small"]},
        "near": {"targets": ["ollama/small", "oai/small"]},
    }
    aliases = {"quick": "fast"}
    return await make_gateway(
        settings(upstream, providers={"ollama": ollama}, routes=routes, aliases=aliases)
    )


async def lines(gateway: Gateway, path: str, **body: Any) -> list[dict[str, Any]]:
    """The objects of a stream."""
    async with gateway.session.post(gateway.url + path, json=body) as reply:
        assert reply.status == 200
        assert reply.content_type == LINES
        return [orjson.loads(line) for line in (await reply.read()).splitlines()]


@asynccontextmanager
async def listening(gateway: Gateway, path: str, **body: Any) -> AsyncIterator[aiohttp.StreamReader]:
    async with gateway.session.post(gateway.url + path, json=body) as reply:
        assert reply.status == 200
        assert reply.content_type == LINES
        yield reply.content


# Chats and prompts.


@EVERY
async def test_a_chat_is_a_stream_of_lines(gateway: Gateway, upstream: Upstream, provider: str) -> None:
    upstream.says(Thinking("hm"), "one two")
    said = await lines(gateway, "/api/chat", model=f"{provider}/small", messages=HELLO)
    assert "".join(line["message"].get("thinking", "") for line in said) == "hm"
    assert "".join(line["message"]["content"] for line in said) == "one two"
    assert [line["done"] for line in said] == [False] * (len(said) - 1) + [True]
    assert said[-1]["done_reason"] == "stop"
    assert said[-1]["prompt_eval_count"] > 0
    assert said[-1]["eval_count"] > 0
    assert all(said[-1][name] > 0 for name in ("total_duration", "eval_duration"))


@EVERY
async def test_a_prompt_is_answered_in_lines(gateway: Gateway, upstream: Upstream, provider: str) -> None:
    upstream.says("one two")
    said = await lines(gateway, "/api/generate", model=f"{provider}/small", prompt="hi", system="Be brief.")
    assert "".join(line["response"] for line in said) == "one two"
    assert said[-1]["done"] is True
    assert b"Be brief." in upstream.requests[0].body


@EVERY
@pytest.mark.parametrize("path", ["/api/chat", "/api/generate"])
async def test_a_reply_in_one_piece(gateway: Gateway, upstream: Upstream, path: str, provider: str) -> None:
    body = {"messages": HELLO} if path == "/api/chat" else {"prompt": "hi"}
    status, said = await gateway.post(path, {"model": f"{provider}/small", "stream": False, **body})
    assert status == 200
    text = said["message"]["content"] if path == "/api/chat" else said["response"]
    assert (text, said["done"], said["done_reason"]) == ("hello world", True, "stop")


@EVERY
async def test_a_call_of_a_tool_comes_whole(gateway: Gateway, upstream: Upstream, provider: str) -> None:
    upstream.next(calls(("weather", {"city": "Paris"})))
    said = await lines(gateway, "/api/chat", model=f"{provider}/small", messages=HELLO)
    (asked,) = [call for line in said for call in line["message"].get("tool_calls", ())]
    assert asked["function"]["name"] == "weather"
    assert asked["function"]["arguments"] == {"city": "Paris"}
    assert asked["id"]


async def test_an_ollama_gets_a_chat_as_it_is(gateway: Gateway, upstream: Upstream) -> None:
    """Fields that nobody knows survive, and its own lines pass through."""
    asked = {"messages": HELLO, "keep_alive": "1h", "options": {"num_ctx": 64}, "x_new": {"deep": [1]}}
    async with gateway.session.post(
        f"{gateway.url}/api/chat", json={"model": "ollama/small", **asked}
    ) as reply:
        assert "x-rhetor-dropped" not in reply.headers
        own = [line async for line in reply.content]
    assert upstream.requests[0].path == "/api/chat"
    assert upstream.requests[0].json == {"model": "small", **asked}
    assert orjson.loads(own[-1])["total_duration"] == 1_000_000, "what the upstream says of itself"


async def test_an_ollama_gets_a_prompt_as_it_is(gateway: Gateway, upstream: Upstream) -> None:
    asked = {"prompt": "def f(", "suffix": "return x", "raw": True, "context": [1], "stream": False}
    status, said = await gateway.post("/api/generate", {"model": "ollama/small", **asked})
    assert (status, said["response"]) == (200, "hello world")
    assert upstream.requests[0].path == "/api/generate"
    assert upstream.requests[0].json == {"model": "small", **asked}


@OTHERS
async def test_what_only_an_ollama_understands_is_named(
    gateway: Gateway, upstream: Upstream, provider: str
) -> None:
    asked = {"prompt": "def f(", "suffix": "return x", "raw": True, "options": {"num_ctx": 64}}
    body = {"model": f"{provider}/small", **asked, "keep_alive": "5m", "stream": False}
    async with gateway.session.post(f"{gateway.url}/api/generate", json=body) as reply:
        assert reply.headers["x-rhetor-dropped"] == "suffix, raw, options.num_ctx"
    assert b"return x" not in upstream.requests[0].body


@pytest.mark.parametrize("route", ["fast", "near"])
async def test_a_stream_that_breaks_off_is_continued_by_another(
    gateway: Gateway, upstream: Upstream, route: str
) -> None:
    """In the caller's lines, whoever speaks."""
    upstream.says("one two three four")
    upstream.next(cuts(after=2))
    said = await lines(gateway, "/api/chat", model=route, messages=HELLO)
    assert "".join(line["message"]["content"] for line in said) == "one two three four"
    assert [line["done"] for line in said] == [False] * (len(said) - 1) + [True]
    assert {seen.path for seen in upstream.requests} == {"/v1/chat/completions", "/api/chat"}


async def test_a_route_of_two_languages_falls_back(gateway: Gateway, upstream: Upstream) -> None:
    upstream.next(fails(503))
    reply = await knock(gateway, OLLAMA_CHAT, orjson.dumps(OLLAMA_CHAT.body(model="fast")))
    assert reply.json["message"]["content"] == "hello world"
    assert reply.headers["x-rhetor-fallback"] == "true"
    assert reply.json["load_duration"] >= 0


@EVERY
async def test_a_failure_in_a_stream_is_its_last_line(
    gateway: Gateway, upstream: Upstream, provider: str
) -> None:
    upstream.always(ERROR_AFTER_A_WORD)
    said = await lines(gateway, "/api/chat", model=f"{provider}/small", messages=HELLO)
    assert said[0]["message"]["content"] == "hello"
    assert isinstance(said[-1]["error"], str)
    assert not any(line.get("done") for line in said)


async def test_a_failure_before_it_is_a_status(gateway: Gateway, upstream: Upstream) -> None:
    upstream.always(fails(400, "no such thing"))
    status, said = await gateway.post("/api/chat", {"model": "oai/small", "messages": HELLO})
    assert status == 400
    assert said.keys() == {"error"}
    assert "no such thing" in said["error"]


async def test_silence_is_kept_alive_with_white_space(make_gateway: MakeGateway, upstream: Upstream) -> None:
    """Before the first word and between two, so that each line is still one object."""
    gateway = await make_gateway(settings(upstream, server={"keepalive_s": 0.02}))
    first, second = Gate(), Gate()
    upstream.next(says("one two").but(hangs(first, after=0), hangs(second, after=1)))
    async with listening(gateway, "/api/chat", model="oai/small", messages=HELLO) as content:
        async with asyncio.timeout(5):
            assert await content.readexactly(2) == b"  "
            first.open()
            line = await content.readline()
            assert orjson.loads(line)["message"]["content"] == "one"
            assert await content.readexactly(2) == b"  "
            second.open()
            assert orjson.loads(await content.readline())["message"]["content"] == " two"
            assert orjson.loads(await content.readline())["done"] is True


SLOW_TO_CLOSE = {
    "oai": raw_frames(
        [
            b'data: {"choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":"stop"}]}\n\n',
            b"data: [DONE]\n\n",
        ],
        content_type="text/event-stream",
    ),
    "ollama": raw_frames(
        [
            b'{"model":"small","message":{"role":"assistant","content":"hi"},"done":false}\n',
            b'{"model":"small","message":{"role":"assistant","content":""},"done":true}\n',
        ],
        content_type=LINES,
    ),
}


@pytest.mark.parametrize("provider", SLOW_TO_CLOSE)
async def test_nothing_follows_the_last_line(
    make_gateway: MakeGateway, upstream: Upstream, provider: str
) -> None:
    """While the provider takes its time to close the stream: clients take white space for a line to come."""
    ollama = {"base_url": upstream.base_url, "models": ["small"]}
    given = settings(upstream, server={"keepalive_s": 0.02}, providers={"ollama": ollama})
    gateway = await make_gateway(given)
    upstream.next(SLOW_TO_CLOSE[provider].but(hangs(after=2, for_s=0.2)))
    async with listening(gateway, "/api/chat", model=f"{provider}/small", messages=HELLO) as content:
        *lines, last = (await content.read()).split(b"\n")
    assert orjson.loads(lines[-1])["done"] is True
    assert last == b""


async def test_a_failure_after_a_keep_alive_is_a_line(make_gateway: MakeGateway, upstream: Upstream) -> None:
    gateway = await make_gateway(settings(upstream, server={"keepalive_s": 0.02}))
    gate = Gate()
    upstream.always(fails(400).but(hangs(gate)))
    async with listening(gateway, "/api/generate", model="oai/small", prompt="hi") as content:
        async with asyncio.timeout(5):
            assert await content.readexactly(1) == b" "
            gate.open()
            assert orjson.loads(await content.readline()).keys() == {"error"}


# Recorded.


async def test_a_stream_that_survives_its_caller_is_read_in_another_language(
    gateway: Gateway, upstream: Upstream
) -> None:
    """Lines of JSON have no ids, so who comes back begins at the beginning."""
    body = {"model": "oai/small", "messages": HELLO}
    detached = {"x-rhetor-detach": "60"}
    async with gateway.session.post(f"{gateway.url}/api/chat", json=body, headers=detached) as reply:
        said = [orjson.loads(line) async for line in reply.content]
        id = reply.headers["x-rhetor-generation-id"]
    assert "".join(line["message"]["content"] for line in said) == "hello world"
    async with gateway.session.get(f"{gateway.url}/v1/generations/{id}/events") as again:
        assert again.content_type == "text/event-stream"
        assert b'"chunk":"hello"' in await again.read()


async def test_no_generation_is_told_in_lines(gateway: Gateway) -> None:
    status, said = await gateway.get("/v1/generations/gen_1/events?dialect=ollama")
    assert status == 400
    assert said["error"].startswith("dialect: expected one of tekton")
    assert said["error"].endswith("got 'ollama'")


async def test_the_same_key_is_the_same_stream(gateway: Gateway, upstream: Upstream) -> None:
    async def ask() -> tuple[bytes, str | None]:
        body = {"model": "oai/small", "messages": HELLO}
        once = {"Idempotency-Key": "once"}
        async with gateway.session.post(f"{gateway.url}/api/chat", json=body, headers=once) as reply:
            return await reply.read(), reply.headers.get("x-rhetor-idempotent-replay")

    (first, replayed), (second, again) = [await ask() for _ in range(2)]
    assert first == second
    assert (replayed, again) == (None, "true")
    assert len(upstream.requests) == 1


# Embeddings.


@pytest.mark.parametrize("provider", ["oai", "ollama"])
async def test_embeddings_of_either_generation(gateway: Gateway, upstream: Upstream, provider: str) -> None:
    upstream.next(embeds([0.5], [1.5]), embeds([2.5]))
    _, said = await gateway.post("/api/embed", {"model": f"{provider}/small", "input": ["a", "b"]})
    assert said["embeddings"] == [[0.5], [1.5]]
    _, said = await gateway.post("/api/embeddings", {"model": f"{provider}/small", "prompt": "a"})
    assert said == {"embedding": [2.5]}


# Nothing to do.


@pytest.mark.parametrize(
    ("path", "body", "told"),
    [
        ("/api/chat", {}, {"done": True, "done_reason": "load"}),
        ("/api/chat", {"messages": [], "keep_alive": 0}, {"done": True, "done_reason": "unload"}),
        ("/api/generate", {"keep_alive": -1}, {"response": "", "done_reason": "load"}),
        ("/api/embed", {"input": []}, {"embeddings": []}),
        ("/api/embeddings", {}, {"embedding": []}),
    ],
)
async def test_who_only_loads_a_model_is_told_that_it_is_there(
    gateway: Gateway, upstream: Upstream, path: str, body: Any, told: Any
) -> None:
    status, said = await gateway.post(path, {"model": "oai/small", **body})
    assert status == 200
    assert told.items() <= said.items()
    assert upstream.requests == []


async def test_nobody_loads_a_model_that_is_not_there(gateway: Gateway) -> None:
    status, said = await gateway.post("/api/generate", {"model": "klingon"})
    assert status == 404
    assert said["error"].startswith("unknown model 'klingon'")


# Names.


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("fast", "fast"),
        ("fast:latest", "fast"),
        ("quick:latest", "quick"),
        ("ollama/llama3.2", "ollama/llama3.2:latest"),
        ("ollama/llama3.2:latest", "ollama/llama3.2:latest"),
        ("llama3.2", "llama3.2:latest"),
        ("qwen3:4b", "qwen3:4b"),
        ("oai/unlisted:latest", "oai/unlisted"),
        ("oai/unlisted", "oai/unlisted"),
        ("", ""),
    ],
)
async def test_names_with_and_without_their_usual_tag(gateway: Gateway, asked: str, meant: str) -> None:
    assert known_as(gateway.app.house.catalog, asked) == meant


async def test_a_name_with_a_tag_finds_its_model(gateway: Gateway, upstream: Upstream) -> None:
    await lines(gateway, "/api/chat", model="fast:latest", messages=HELLO)
    await lines(gateway, "/api/chat", model="llama3.2", messages=HELLO)
    assert [seen.model for seen in upstream.requests] == ["small", "llama3.2:latest"]


# Models.


async def test_the_models_on_offer_are_listed(gateway: Gateway) -> None:
    _, said = await gateway.get("/api/tags")
    _, openai = await gateway.get("/v1/models")
    assert [model["name"] for model in said["models"]] == [model["id"] for model in openai["data"]]
    for model in said["models"]:
        assert model["model"] == model["name"]
        assert len(model["digest"]) == 64
        assert model["details"]["families"] == [model["details"]["family"]]
    assert len({model["digest"] for model in said["models"]}) == len(said["models"])


@pytest.mark.parametrize("body", [{"model": "fast"}, {"name": "quick"}, {"model": "fast:latest"}])
async def test_a_model_is_shown(gateway: Gateway, body: dict[str, str]) -> None:
    status, said = await gateway.post("/api/show", body)
    assert status == 200
    assert said["model_info"]["general.basename"] == "fast"
    assert said["details"]["family"] == "rhetor"
    assert "completion" in said["capabilities"]


async def test_what_is_known_of_a_model_is_shown(make_gateway: MakeGateway, upstream: Upstream) -> None:
    openai = {"base_url": f"{upstream.base_url}/v1", "key": "env:TEST_KEY", "models": ["gpt-4o-mini"]}
    gateway = await make_gateway(settings(providers={"openai": openai}))
    async with asyncio.timeout(10):  # what the catalogue knows comes a moment after the start
        while True:
            _, said = await gateway.post("/api/show", {"model": "gpt-4o-mini", "verbose": True})
            if said["model_info"].get("rhetor.context_length") == 128_000:
                break
    assert {"completion", "tools", "vision"} <= set(said["capabilities"])


@pytest.mark.parametrize(
    ("body", "status"), [({"model": "klingon"}, 404), ({}, 400), ({"model": 7}, 400), ([], 400)]
)
async def test_a_model_that_cannot_be_shown(gateway: Gateway, body: Any, status: int) -> None:
    got, said = await gateway.post("/api/show", body)
    assert got == status
    assert said.keys() == {"error"}


async def test_what_clients_ask_before_they_begin(gateway: Gateway) -> None:
    _, said = await gateway.get("/api/version")
    assert [int(part) for part in said["version"].split(".")] >= [0, 6, 4]
    assert await gateway.get("/api/ps") == (200, {"models": []})
    async with gateway.session.head(gateway.url) as reply:
        assert reply.status == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", f"/api/{verb}") for verb in ("push", "create", "copy")] + [("DELETE", "/api/delete")],
)
async def test_models_are_not_kept_here(gateway: Gateway, method: str, path: str) -> None:
    async with gateway.session.request(method, gateway.url + path, json={"model": "llama3.2"}) as reply:
        assert reply.status == 400
        assert "GET /api/tags" in (await reply.json())["error"]
