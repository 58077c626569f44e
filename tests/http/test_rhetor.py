"""The doors for callers that cannot change: each gets what it reads, also when something goes wrong."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from rhetor.testing import Gate, Upstream, calls, cuts, fails, hangs
from tests.conftest import Gateway, MakeGateway, settings
from tests.http.doors import HELLO, Reply, read, tekton_wrong
from tests.http.old_clients import browser_client, python_client
from tests.http.older_clients import (
    EVERY,
    SOFT,
    Told,
    adapter_body,
    adapter_streamed,
    athena_body,
    completed,
    message_body,
    page_streamed,
    stream_body,
)

JSON = "application/json"
PREFIXES = pytest.mark.parametrize("prefix", ["", "/api/llm"])
LINE_LIMIT = 64 * 1024


@pytest.fixture
async def gateway(make_gateway: MakeGateway, upstream: Upstream) -> Gateway:
    """A gateway that answers who names nobody, and knows a provider that old clients name by themselves."""
    anthropic = {
        "base_url": upstream.base_url,
        "key": "env:TEST_KEY",
        "default_model": "m-def",
        "models": ["m-def"],
    }
    given = settings(upstream, providers={"anthropic": anthropic}, routes={"default": {"targets": ["oai/m"]}})
    return await make_gateway(given)


async def component(gateway: Gateway, path: str, body: Any) -> Reply:
    return await python_client(gateway.url, path, orjson.dumps(body))


async def page(gateway: Gateway, path: str, body: Any) -> Reply:
    return await browser_client(gateway.url, path, orjson.dumps(body))


# RhetorClient, and others of the first Rhetor.


@PREFIXES
async def test_rhetor_client_reads_the_text_under_message(gateway: Gateway, prefix: str) -> None:
    reply = await component(gateway, f"{prefix}/message", message_body())
    assert completed(reply) == "hello world"
    said = reply.json
    assert (said["provider"], said["model"], said["context"]) == ("oai", "m", "terma:default")
    assert (said["finished"], said["fallback"]) == (True, False)
    assert said["timestamp"].endswith("Z")
    assert said["meta"]["generation_id"].startswith("gen_")


@PREFIXES
async def test_rhetor_client_streams_to_done(gateway: Gateway, prefix: str) -> None:
    reply = await component(gateway, f"{prefix}/stream", stream_body())
    assert reply.headers["content-type"] == "text/event-stream"
    assert page_streamed(reply.body) == "hello world"
    assert reply.body.startswith(b"event: message\ndata: {")
    assert reply.body.endswith(b"\n\ndata: [DONE]\n\n")
    chunks = adapter_streamed(reply)
    assert [chunk["done"] for chunk in chunks] == [False, False, True]
    assert {chunk["content"] == chunk["chunk"] for chunk in chunks} == {True}
    assert {chunk["context_id"] for chunk in chunks} == {"terma:default"}


async def test_a_stream_comes_as_it_is_said(gateway: Gateway, upstream: Upstream) -> None:
    gate = Gate()
    upstream.next(hangs(gate, after=1))
    async with gateway.session.post(gateway.url + "/stream", json=stream_body()) as reply:
        first = await reply.content.readuntil(b"\n\n")
        assert orjson.loads(first.partition(b"data: ")[2])["chunk"] == "hello"
        gate.open()
        assert page_streamed(first + await reply.read()) == "hello world"


@pytest.mark.parametrize("path", ["/message", "/chat"])
async def test_the_body_says_whether_to_stream(gateway: Gateway, path: str) -> None:
    said = EVERY[path] | {"streaming": True}
    assert page_streamed((await page(gateway, path, said)).body) == "hello world"
    assert completed(await page(gateway, path, EVERY[path])) == "hello world"


async def test_settings_of_the_first_rhetor(gateway: Gateway, upstream: Upstream) -> None:
    """In `options` stand a model, settings, and the options that its server merged with a task's."""
    options = {
        "provider": "ant",
        "model": "big",
        "max_tokens": 9,
        "temperature": 0.9,
        "options": {"temperature": 0.2, "fallback_provider": "oai", "fallback_model": "spare"},
    }
    upstream.next(fails(503))
    said = (await component(gateway, "/message", message_body(options=options))).json
    first, second = upstream.requests
    assert (first.model, first.json["max_tokens"], first.json["temperature"]) == ("big", 9, 0.2)
    assert (second.model, said["provider"], said["fallback"]) == ("spare", "oai", True)


async def test_the_books_know_who_asked_and_the_rules_what_for(
    make_gateway: MakeGateway, upstream: Upstream
) -> None:
    rules = {"component_task": {"terma/code": "ant/coder"}}
    gateway = await make_gateway(settings(upstream, rules=rules))
    await component(gateway, "/message", message_body(task_type="code"))
    (trip,) = await gateway.booked()
    assert (trip["component"], trip["door"], trip["served_by"]) == ("terma", "rhetor", "ant/coder")


async def test_what_is_lost_is_named(gateway: Gateway) -> None:
    said = (await component(gateway, "/message", message_body(prompt_id="p1"))).json
    assert said["meta"]["dropped"] == ["prompt_id"]


async def test_tool_calls_come_along(gateway: Gateway, upstream: Upstream) -> None:
    upstream.always(calls(("look", {"a": 1})))
    whole = (await component(gateway, "/message", message_body())).json
    *_, last = adapter_streamed(await component(gateway, "/stream", stream_body()))
    for said in (whole, last):
        assert said["tool_calls"][0]["function"] == {"name": "look", "arguments": '{"a":1}'}


@pytest.mark.parametrize("path", ["/message", "/chat"])
async def test_rhetor_client_hears_of_a_failure_and_does_not_repeat(
    gateway: Gateway, upstream: Upstream, path: str
) -> None:
    """It would ask three times for any status but 200, and know no reason in the end."""
    upstream.next(fails(400))
    reply = await component(gateway, path, EVERY[path])
    with pytest.raises(Told, match="400"):
        completed(reply)
    said = reply.json
    assert reply.headers["content-type"] == "application/json"
    assert said["code"] == "invalid_request"
    assert said["context"] == EVERY[path].get("context_id", "default")
    assert said["timestamp"].endswith("Z")
    assert said["request_id"] == reply.headers["x-request-id"]
    assert [trip["outcome"] for trip in await gateway.booked()] == ["invalid_request"]


@pytest.mark.parametrize("fault", [fails(503), fails(429), fails(400)])
async def test_a_page_that_streams_hears_of_a_failure(
    gateway: Gateway, upstream: Upstream, fault: Any
) -> None:
    """It looks at no status: without an event it would wait for ever."""
    upstream.always(fault)
    reply = await page(gateway, "/stream", stream_body())
    assert (reply.status, reply.headers["content-type"]) == (200, "text/event-stream")
    with pytest.raises(Told):
        page_streamed(reply.body)
    (chunk,) = adapter_streamed(reply)
    assert (chunk["chunk"], chunk["done"], chunk["context"]) == ("", True, "terma:default")
    assert all(isinstance(chunk[key], str) for key in ("model", "provider", "timestamp", "error"))


async def test_a_failure_in_the_middle_of_a_stream(gateway: Gateway, upstream: Upstream) -> None:
    upstream.always(cuts(after=1))
    reply = await page(gateway, "/stream", stream_body())
    chunks = adapter_streamed(reply)
    assert chunks[-1]["done"]
    assert isinstance(chunks[-1]["error"], str)
    with pytest.raises(Told):
        page_streamed(reply.body)


async def test_an_unknown_model_is_told_too(gateway: Gateway) -> None:
    asked = message_body(options={"provider": "nobody", "model": "m"})
    with pytest.raises(Told, match="unknown model 'nobody/m'"):
        completed(await component(gateway, "/message", asked))


@pytest.mark.parametrize("path", SOFT)
@pytest.mark.parametrize(
    ("header", "value", "message"),
    [
        ("x-rhetor-detach", "-1", "expected 0 to"),
        ("x-rhetor-resume", "soon", "expected a number"),
        ("Idempotency-Key", "k" * 300, "at most 256"),
    ],
)
async def test_a_request_that_cannot_be_met_is_told_too(
    gateway: Gateway, path: str, header: str, value: str, message: str
) -> None:
    """It was understood: so no status sends the client to ask again, and a page hears of it."""
    async with gateway.session.post(gateway.url + path, json=EVERY[path], headers={header: value}) as http:
        reply = await read(http)
    with pytest.raises(Told, match=message):
        page_streamed(reply.body) if path == "/stream" else completed(reply)
    assert reply.headers["content-type"] == ("text/event-stream" if path == "/stream" else JSON)


@pytest.mark.parametrize("path", SOFT)
async def test_a_context_that_cannot_be_read_is_told_too(
    gateway: Gateway, upstream: Upstream, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: Any) -> None:
        raise TimeoutError

    monkeypatch.setattr(gateway.app.house.transcripts, "read", fails)
    reply = await component(gateway, path, EVERY[path] | {"context_id": "c", "options": {"history": True}})
    with pytest.raises(Told, match="context could not be read"):
        page_streamed(reply.body) if path == "/stream" else completed(reply)
    assert upstream.requests == []


@pytest.mark.parametrize("path", SOFT)
async def test_a_stop_is_a_status_with_words(gateway: Gateway, upstream: Upstream, path: str) -> None:
    """Who asks again may reach the next gateway; a page, which looks at no status, hears of it."""
    gateway.app.house.closing = True
    reply = await component(gateway, path, EVERY[path])
    assert (reply.status, upstream.requests) == (503, [])
    if path == "/stream":
        assert reply.headers["content-type"] == "text/event-stream"
        with pytest.raises(Told, match="shutting down"):
            page_streamed(reply.body)
    else:
        assert reply.json["code"] == "shutting_down"


@PREFIXES
async def test_rhetor_client_lists_providers(gateway: Gateway, prefix: str) -> None:
    reply = await python_client(gateway.url, f"{prefix}/providers")
    assert reply.status == 200
    said = reply.json
    assert (said["default_provider"], said["default_model"]) == ("rhetor", "default")
    anthropic = said["providers"]["anthropic"]
    assert (anthropic["available"], anthropic["models"][0]["id"]) == (True, "m-def")


async def test_rhetor_client_connects(gateway: Gateway) -> None:
    """It asks for `/health` first, and for nothing but the status 200; Athena wants `healthy`."""
    reply = await python_client(gateway.url, "/health")
    assert (reply.status, reply.json["status"]) == (200, "healthy")


async def test_a_context_goes_on_for_who_asks_for_it(gateway: Gateway, upstream: Upstream) -> None:
    """As on Tekton's paths, though the servers before this one only wrote contexts down."""
    asked = message_body(context_id="c1", options={"history": True})
    for path in ("/message", "/stream"):
        await component(gateway, path, asked)
    await component(gateway, "/message", message_body(context_id="c1"))
    assert [len(seen.json["messages"]) for seen in upstream.requests] == [1, 3, 1]


# Who wants to choose for everybody.


async def test_nobody_changes_the_default_of_the_others(gateway: Gateway) -> None:
    """`set_provider` returns False, and what it would have changed is as it was."""
    wanted = {"provider_id": "anthropic", "model_id": "m-def"}
    reply = await component(gateway, "/provider", wanted)
    assert reply.status == 200
    assert reply.json["success"] is False
    assert (reply.json["provider"], reply.json["model"]) == ("rhetor", "default")
    assert "name provider and model" in reply.json["error"]
    assert (await component(gateway, "/message", message_body())).json["provider"] == "oai"


async def test_what_is_the_default_already_is_a_success(gateway: Gateway) -> None:
    wanted = {"provider_id": "rhetor", "model_id": "default"}
    for path in ("/provider", "/api/llm/provider", "/api/provider"):
        reply = await component(gateway, path, wanted)
        assert reply.status == 200
        assert reply.json == {"success": True, "provider": "rhetor", "model": "default"}


async def test_terma_asks_its_own_server_instead(gateway: Gateway) -> None:
    """Its page takes any good status for done, and else tells the server that it belongs to."""
    reply = await page(gateway, "/api/provider", {"provider_id": "anthropic", "model_id": "m-def"})
    assert (reply.status, reply.json["success"]) == (409, False)


@pytest.mark.parametrize(
    ("said", "param"),
    [
        ({}, "provider_id"),
        ({"provider_id": "anthropic"}, "model_id"),
        ({"provider_id": "nobody", "model_id": "m"}, "provider_id"),
        ({"provider_id": "groq", "model_id": "m"}, "provider_id"),
        ({"provider_id": "anthropic", "model_id": "nothing"}, "model_id"),
        ({"provider_id": ["anthropic"], "model_id": "m"}, "provider_id"),
        ({"provider_id": "x" * 5_000, "model_id": "m"}, "provider_id"),
    ],
)
async def test_a_choice_that_nobody_could_make(gateway: Gateway, said: Any, param: str) -> None:
    for path in ("/provider", "/api/provider"):
        reply = await component(gateway, path, said)
        assert reply.status == 400
        wrong = tekton_wrong(reply.json)
        assert wrong.param == param
        assert len(wrong.message) < 2_000


# LLMAdapterClient, and the second Rhetor.


@PREFIXES
async def test_llm_adapter_client_reads_content(gateway: Gateway, upstream: Upstream, prefix: str) -> None:
    asked = adapter_body(max_tokens=9, stop=["x"])
    reply = await page(gateway, f"{prefix}/api/v1/generate", asked)
    assert reply.status == 200
    said = reply.json
    assert (said["content"], said["model"]) == ("hello world", "m")
    assert said["usage"] == {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
    seen = upstream.requests[0].json
    assert (seen["max_completion_tokens"], seen["stop"], seen["temperature"]) == (9, ["x"], 0.7)


@PREFIXES
async def test_llm_adapter_client_streams_until_done(gateway: Gateway, prefix: str) -> None:
    reply = await page(gateway, f"{prefix}/api/v1/generate_stream", adapter_body())
    chunks = adapter_streamed(reply)
    assert "".join(chunk["content"] for chunk in chunks) == "hello world"
    assert chunks[-1]["done"]


@pytest.mark.parametrize("path", ["/api/v1/generate", "/api/v1/generate_stream"])
async def test_llm_adapter_client_goes_by_the_status(gateway: Gateway, upstream: Upstream, path: str) -> None:
    """A reply with status 200 and an error in it would be an empty success to it."""
    upstream.always(fails(429))
    reply = await page(gateway, path, adapter_body())
    assert reply.status == 429
    assert tekton_wrong(reply.json).kind == "rate_limited"


async def test_llm_adapter_client_gets_an_array_of_models(gateway: Gateway) -> None:
    """Each by a name that it can send back as `model`."""
    for prefix in ("", "/api/llm"):
        listed = (await python_client(gateway.url, f"{prefix}/api/v1/models")).json
        assert isinstance(listed, list)
        by_id = {model["id"]: model for model in listed}
        assert by_id["default"]["provider"] == "rhetor"
        assert by_id["anthropic/m-def"]["provider"] == "anthropic"
        assert not any(model["provider"] == "groq" for model in listed)
    for name in ("default", "anthropic/m-def"):
        assert (await page(gateway, "/api/v1/generate", adapter_body(model=name))).status == 200


async def test_the_second_rhetor_answers_a_prompt_under_response(
    gateway: Gateway, upstream: Upstream
) -> None:
    asked = {
        "prompt": "hello",
        "model": "oai/m",
        "temperature": 0.2,
        "max_tokens": 50,
        "system_prompt": "be brief",
        "component": "apollo",
        "capability": "chat",
    }
    said = (await component(gateway, "/api/v1/generate", asked)).json
    assert (said["response"], said["content"], said["model"]) == ("hello world", "hello world", "m")
    assert said["meta"]["dropped"] == ["capability"]
    assert [m["role"] for m in upstream.requests[0].json["messages"]] == ["system", "user"]


@PREFIXES
async def test_the_second_rhetors_chat_stands_on_tektons_path(gateway: Gateway, prefix: str) -> None:
    """Who names a model at the top level, and no provider, finds the text in every older word for it."""
    asked = {
        "messages": HELLO,
        "model": "oai/m",
        "temperature": 0.2,
        "max_tokens": 50,
        "stream": False,
        "context_id": "nobody knows it",
        "component": "apollo",
        "capability": "chat",
        "request_metadata": {"a": 1},
    }
    said = (await component(gateway, f"{prefix}/api/v1/chat", asked)).json
    assert {said["content"], said["response"], said["message"]} == {"hello world"}
    assert (said["model"], said["context_id"]) == ("m", "nobody knows it")
    assert set(said["meta"]["dropped"]) == {"capability", "request_metadata"}
    tektons = {"messages": HELLO, "provider_id": "oai", "model_id": "m"}
    assert (
        not {"response", "message"} & (await component(gateway, f"{prefix}/api/v1/chat", tektons)).json.keys()
    )


async def test_the_second_rhetors_streams(gateway: Gateway) -> None:
    reply = await component(gateway, "/api/v1/chat/stream", {"messages": HELLO, "model": "oai/m"})
    chunks = adapter_streamed(reply)
    assert "".join(chunk["chunk"] for chunk in chunks) == "hello world"


# Pages of Athena, Rhetor and Terma.


@PREFIXES
async def test_athenas_pages(gateway: Gateway, upstream: Upstream, prefix: str) -> None:
    """They read `content`; what they call a provider is none, so the model's name decides."""
    asked = athena_body(provider="claude", model="m-def")
    for path, said in (("generate", {"prompt": "hello"}), ("chat", {"messages": HELLO})):
        reply = await page(gateway, f"{prefix}/api/{path}", asked | said)
        assert reply.status == 200
        assert (reply.json["content"], reply.json["provider"]) == ("hello world", "anthropic")
    assert [seen.json["max_tokens"] for seen in upstream.requests] == [1000, 1000]
    assert {trip["component"] for trip in await gateway.booked(2)} == {"athena"}


async def test_a_model_that_is_long_gone(make_gateway: MakeGateway, upstream: Upstream) -> None:
    """An alias has another one answer to what these clients name by themselves."""
    gone = "claude-3-sonnet-20240229"
    gateway = await make_gateway(settings(upstream, aliases={gone: "oai/m"}))
    for path, said in (
        ("/api/generate", athena_body(prompt="hello", provider="claude", model=gone)),
        ("/api/v1/generate", adapter_body(model=gone)),
    ):
        assert (await page(gateway, path, said)).json["content"] == "hello world"


async def test_athenas_pages_go_by_the_status(gateway: Gateway, upstream: Upstream) -> None:
    upstream.always(fails(503))
    assert (await page(gateway, "/api/generate", athena_body(prompt="hello"))).status == 503


async def test_rhetors_pages(gateway: Gateway) -> None:
    """Without a selection, provider and model are null; the text is under `response`."""
    health = await python_client(gateway.url, "/api/health")
    assert (health.status, type(health.json["version"])) == (200, str)
    models = (await python_client(gateway.url, "/api/providers/anthropic/models")).json["models"]
    assert [model["id"] for model in models] == ["m-def"]
    for choice in ({"provider": None, "model": None}, {"provider": "anthropic", "model": "m-def"}):
        reply = await page(gateway, "/api/chat", {"message": "hello", **choice})
        assert (reply.status, reply.json["response"]) == (200, "hello world")


async def test_models_of_a_provider_that_is_not_there(gateway: Gateway) -> None:
    reply = await python_client(gateway.url, f"/api/providers/{'x' * 4_000}/models")
    assert reply.status == 404
    assert len(tekton_wrong(reply.json).message) < 200


async def test_termas_pages_find_the_current_model(gateway: Gateway) -> None:
    """They make an entry of each provider's each model, and mark the current one."""
    said = (await python_client(gateway.url, "/api/providers")).json
    entries = [
        (id, model["id"], provider["name"], model["name"])
        for id, provider in said["providers"].items()
        for model in provider["models"]
    ]
    assert all(isinstance(part, str) and part for entry in entries for part in entry)
    assert (said["current_provider"], said["current_model"]) in [entry[:2] for entry in entries]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/api/chat", {"model": "oai/m", "messages": HELLO, "stream": False}),
        ("/api/generate", {"model": "oai/m", "prompt": 'is a "message" here?', "stream": False}),
        ("/api/generate", {"model": "oai/m", "prompt": '"provider"', "system": "", "stream": False}),
    ],
)
async def test_ollamas_callers_are_answered_in_their_own_language(
    gateway: Gateway, path: str, said: Any
) -> None:
    reply = await page(gateway, path, said)
    assert reply.status == 200
    assert reply.json["done"] is True
    assert "content" not in reply.json
