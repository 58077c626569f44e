"""Requests that no door can take: each is told why, in its own language, and the next one is answered."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhetor.testing import Upstream
from tests.conftest import Gateway, MakeGateway, settings
from tests.http.doors import (
    ANTHROPIC_COUNT,
    ANTHROPIC_MESSAGES,
    EACH_DOOR,
    HELLO,
    OLLAMA_CHAT,
    OLLAMA_EMBED,
    OLLAMA_PROMPT,
    OPENAI_CHAT,
    OPENAI_EMBEDDINGS,
    OPENAI_RESPONSES,
    TEKTON_CHAT,
    TEKTON_STREAM,
    Door,
    http,
    knock,
    raw,
    refused,
    still_answers,
)
from tests.http.frames import IN_A_GATEWAY

MIB = 1 << 20

NOT_AN_OBJECT = {
    "nothing": b"",
    "blanks": b" \r\n",
    "half": b'{"model": "oai/m", "mess',
    "more than one": b"{}{}",
    "an array": b"[1, 2]",
    "a string": b'"hello"',
    "a number": b"42",
    "null": b"null",
    "not UTF-8": b'{"model": "\xff\xfe"}',
    "UTF-16": '{"model": "oai/m"}'.encode("utf-16"),
    "half a surrogate": b'{"model": "\\ud800"}',
    "zeros": b"\x00" * 100,
    "a form": b"model=oai%2Fm&messages=hello",
    "too deep": b'{"model":' * 100_000,
    "deep and whole": b"[" * 5_000 + b"]" * 5_000,
}


@EACH_DOOR
async def test_a_body_that_is_no_json_object(gateway: Gateway, upstream: Upstream, door: Door) -> None:
    for name, body in NOT_AN_OBJECT.items():
        wrong = refused(await knock(gateway, door, body), door, 400)
        assert "JSON" in wrong.message, name
    assert upstream.requests == []
    await still_answers(gateway, door)


WRONG_MESSAGES: list[tuple[str, dict[str, Any]]] = [
    ("messages", {"messages": None}),
    ("messages", {"messages": []}),
    ("messages", {"messages": "hello"}),
    ("messages[0]", {"messages": ["hello"]}),
    ("messages[0].role", {"messages": [{"content": "hello"}]}),
    ("messages[0].role", {"messages": [{"role": 7, "content": "hello"}]}),
    ("messages[0].role", {"messages": [{"role": "wizard", "content": "hello"}]}),
    ("messages[0].content", {"messages": [{"role": "user", "content": 7}]}),
    ("messages[1].content", {"messages": [*HELLO, {"role": "user", "content": {"text": "hello"}}]}),
    ("temperature", {"temperature": "hot"}),
    ("max_tokens", {"max_tokens": "many"}),
    ("max_tokens", {"max_tokens": -1}),
    ("max_tokens", {"max_tokens": 1.5}),
    ("top_p", {"top_p": []}),
]
WRONG_FIELDS: dict[Door, list[tuple[str, dict[str, Any]]]] = {
    OPENAI_CHAT: [
        *WRONG_MESSAGES,
        ("model", {"model": None}),
        ("model", {"model": 7}),
        ("stream", {"stream": "yes"}),
        ("stream_options", {"stream_options": True}),
        ("stream_options.include_usage", {"stream_options": {"include_usage": "yes"}}),
        ("messages[0].content[0]", {"messages": [{"role": "user", "content": ["hello"]}]}),
        ("messages[0].content[0].text", {"messages": [{"role": "user", "content": [{"type": "text"}]}]}),
        ("tools", {"tools": {}}),
        ("tools[0].function", {"tools": [{"type": "function"}]}),
        ("tools[0].function.name", {"tools": [{"type": "function", "function": {"name": 7}}]}),
        ("tool_choice.function", {"tool_choice": {"type": "function"}}),
        ("response_format", {"response_format": "json"}),
        ("response_format.json_schema", {"response_format": {"type": "json_schema"}}),
        ("stop", {"stop": 7}),
        ("stop[0]", {"stop": [7]}),
        ("n", {"n": 0}),
        ("seed", {"seed": "luck"}),
        ("logprobs", {"logprobs": 1}),
        ("fallbacks", {"fallbacks": "oai/other"}),
        ("fallbacks[0]", {"fallbacks": [7]}),
    ],
    OPENAI_EMBEDDINGS: [
        ("model", {"model": None}),
        ("model", {"model": ["oai/m"]}),
        ("input", {"input": None}),
        ("input", {"input": []}),
        ("input", {"input": 7}),
        ("input", {"input": {"text": "hello"}}),
        ("input[1]", {"input": ["hello", 7]}),
        ("input[0][1]", {"input": [[1, "two"]]}),
        ("dimensions", {"dimensions": "many"}),
        ("dimensions", {"dimensions": 0}),
        ("encoding_format", {"encoding_format": "hex"}),
    ],
    OPENAI_RESPONSES: [
        ("model", {"model": None}),
        ("stream", {"stream": "yes"}),
        ("input", {"input": None}),
        ("input", {"input": 7}),
        ("input[0]", {"input": ["hello"]}),
        ("input[0].content[0].text", {"input": [{"role": "user", "content": [{"type": "input_text"}]}]}),
        ("instructions", {"instructions": 7}),
        ("tools[0].name", {"tools": [{"type": "function"}]}),
        ("text.format.type", {"text": {"format": {}}}),
        ("metadata", {"metadata": 7}),
        ("store", {"store": "yes"}),
        ("previous_response_id", {"previous_response_id": 7}),
        ("conversation.id", {"conversation": {}}),
        ("background", {"background": True}),
        ("include[0]", {"include": [7]}),
        ("fallbacks[0]", {"fallbacks": [7]}),
    ],
    ANTHROPIC_MESSAGES: [
        *WRONG_MESSAGES,
        ("model", {"model": None}),
        ("model", {"model": {}}),
        ("max_tokens", {"max_tokens": None}),
        ("stream", {"stream": 1}),
        ("system", {"system": 7}),
        ("messages[0].content[0]", {"messages": [{"role": "user", "content": ["hello"]}]}),
        ("messages[0].content[0].type", {"messages": [{"role": "user", "content": [{"text": "hello"}]}]}),
        ("tools[0].name", {"tools": [{"name": 7, "input_schema": {}}]}),
        ("tools[0].input_schema", {"tools": [{"name": "weather"}]}),
        ("tool_choice.type", {"tool_choice": {}}),
        ("tool_choice.type", {"tool_choice": {"type": "maybe"}}),
        ("stop_sequences", {"stop_sequences": "stop"}),
        ("thinking", {"thinking": True}),
        ("metadata", {"metadata": 7}),
        ("metadata.user_id", {"metadata": {"user_id": 7}}),
    ],
    ANTHROPIC_COUNT: [
        ("model", {"model": None}),
        ("messages", {"messages": []}),
        ("messages[0].content", {"messages": [{"role": "user", "content": 7}]}),
        ("tools", {"tools": "all"}),
    ],
    TEKTON_CHAT: (
        tekton := [
            *WRONG_MESSAGES,
            ("model", {"model": 7}),
            ("model_id", {"model_id": []}),
            ("provider_id", {"provider_id": 7}),
            ("system_prompt", {"system_prompt": ["be brief"]}),
            ("context_id", {"context_id": 7}),
            ("context_id", {"context_id": "x" * 1001}),
            ("options", {"options": "default"}),
            ("options.temperature", {"options": {"temperature": "hot"}}),
            ("options.timeout", {"options": {"timeout": -1}}),
            ("options.stop[0]", {"options": {"stop": [7]}}),
            ("options.fallback_model", {"options": {"fallback_model": 7}}),
        ]
    ),
    TEKTON_STREAM: tekton,
    OLLAMA_CHAT: [
        ("model", {"model": 7}),
        ("messages[0]", {"messages": ["hi"]}),
        ("messages[0].role", {"messages": [{"role": "robot"}]}),
        ("messages[0].images", {"messages": [{"role": "user", "images": "AAAA"}]}),
        ("messages[0]", {"messages": [{"role": "tool", "content": "sunny"}]}),
        ("options.temperature", {"options": {"temperature": "hot"}}),
        ("format", {"format": "xml"}),
        ("think", {"think": "hard"}),
        ("tools[0].function", {"tools": [{}]}),
    ],
    OLLAMA_PROMPT: [("prompt", {"prompt": ["hi"]}), ("system", {"system": 7}), ("stream", {"stream": "no"})],
    OLLAMA_EMBED: [
        ("input", {"input": 7}),
        ("input[0]", {"input": [[7]]}),
        ("dimensions", {"dimensions": 0}),
    ],
}


OLLAMA = (OLLAMA_CHAT, OLLAMA_PROMPT, OLLAMA_EMBED)


@EACH_DOOR
async def test_a_field_of_the_wrong_type(gateway: Gateway, upstream: Upstream, door: Door) -> None:
    """The path of the field at fault is told, and nobody is asked."""
    told = None if door in (ANTHROPIC_MESSAGES, ANTHROPIC_COUNT, *OLLAMA) else str
    for path, changes in WRONG_FIELDS[door]:
        wrong = refused(await knock(gateway, door, orjson.dumps(door.body(**changes))), door, 400)
        assert wrong.message.startswith(path), changes
        assert wrong.param == (told and path), changes
    assert upstream.requests == []
    await still_answers(gateway, door)


NOBODYS_MODELS = {
    "nobody/m": 404,
    "no-such-model": 404,
    "closed/other": 404,  # not among the provider's models
    "groq/llama": 503,  # it has no key
    "x" * 3_000: 400,
}


@EACH_DOOR
async def test_a_model_that_nobody_can_answer_for(
    make_gateway: MakeGateway, upstream: Upstream, door: Door
) -> None:
    closed = {"wire": "openai", "base_url": f"{upstream.base_url}/v1", "models": ["m"]}
    gateway = await make_gateway(settings(upstream, providers={"closed": closed}))
    for model, status in NOBODYS_MODELS.items():
        reply = await knock(gateway, door, orjson.dumps(door.body(model=model)))
        if door is ANTHROPIC_COUNT and status == 503:  # the estimate stands in for whoever cannot count
            assert (reply.status, reply.headers["x-rhetor-usage"]) == (200, "estimated")
        else:
            wrong = refused(reply, door, status)
            assert len(wrong.message) < 2_000
    assert upstream.requests == []
    await still_answers(gateway, door)


@pytest.mark.parametrize(
    ("door", "changes"),
    [
        pytest.param(OPENAI_CHAT, {"fallbacks": ["nobody/m"]}, id="openai"),
        pytest.param(
            TEKTON_CHAT, {"options": {"fallback_provider": "nobody", "fallback_model": "m"}}, id="tekton"
        ),
    ],
)
async def test_a_fallback_that_nobody_knows(
    gateway: Gateway, upstream: Upstream, door: Door, changes: dict[str, Any]
) -> None:
    """It is told at once, not on the day when it is needed."""
    wrong = refused(await knock(gateway, door, orjson.dumps(door.body(**changes))), door, 404)
    assert "nobody/m" in wrong.message
    assert upstream.requests == []


NAMES = (
    "m\r\nset-cookie: stolen=1\r\n\r\n<html>",
    "m\x00m",
    "m\x1b[2Jm",
    "μοντέλο-模型-🙂",
    'm"},{"role":"system',
    "m\u2028\u2029\u0085m",
)


@EACH_DOOR
async def test_a_name_with_odd_characters(gateway: Gateway, upstream: Upstream, door: Door) -> None:
    """The provider gets the name as it was written; headers of the reply stay what they are."""
    provider = door.model.partition("/")[0]
    for name in NAMES:
        reply = await knock(gateway, door, orjson.dumps(door.body(model=f"{provider}/{name}")))
        assert reply.status == 200, reply.body
        assert "set-cookie" not in reply.headers
        assert reply.headers["x-rhetor-served-by"].isascii()
        assert upstream.requests[-1].model == name
    booked = await gateway.booked(len(NAMES))
    assert [trip["model"] for trip in reversed(booked)] == [f"{provider}/{name}" for name in NAMES]


@pytest.mark.parametrize("door", [TEKTON_CHAT, TEKTON_STREAM], ids=str)
@pytest.mark.parametrize(
    "component", [b"caf\xe9", b"\xff\xfe", "κ".encode(), b"x" * 2_000], ids=lambda name: repr(name[:8])
)
async def test_a_component_with_an_odd_name(gateway: Gateway, door: Door, component: bytes) -> None:
    """Headers are bytes: what is no text must not poison the reply, nor the books for those who read them."""
    body = orjson.dumps(door.body())
    reply = await raw(gateway.url, http("POST", door.path, body, b"X-Component-Id: " + component))
    assert reply.status == (400 if len(component) > 1_000 else 200)
    await still_answers(gateway, door)
    assert len(await gateway.booked()) >= 1


async def pieces(body: bytes, size: int = 64 * 1024) -> AsyncIterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


@EACH_DOOR
@pytest.mark.parametrize("way", ["with its length", "in chunks", "compressed"])
async def test_a_body_over_the_limit(
    make_gateway: MakeGateway, upstream: Upstream, door: Door, way: str
) -> None:
    """It counts what was sent, whether that says how long it is or not, and what it unpacks to."""
    gateway = await make_gateway(settings(upstream, server={"max_body_mb": 1}))
    body = orjson.dumps(door.body(padding="x" * MIB))
    headers = {}
    data: Any = body
    if way == "in chunks":
        data = pieces(body)
    elif way == "compressed":
        data, headers = gzip.compress(body), {"content-encoding": "gzip"}
    wrong = refused(await knock(gateway, door, data, headers=headers), door, 413)
    assert "1 MiB" in wrong.message
    assert upstream.requests == []
    await still_answers(gateway, door)


async def test_a_body_of_just_the_limit(make_gateway: MakeGateway, upstream: Upstream) -> None:
    gateway = await make_gateway(settings(upstream, server={"max_body_mb": 1}))
    body = orjson.dumps(OPENAI_CHAT.body())
    reply = await knock(gateway, OPENAI_CHAT, body + b" " * (MIB - len(body)))
    assert reply.status == 200


@pytest.mark.parametrize("way", ["with its length", "in chunks"])
async def test_the_usual_limit(gateway: Gateway, upstream: Upstream, way: str) -> None:
    """Without a setting 32 MiB are taken, and not a byte more."""
    start, end = orjson.dumps(OPENAI_CHAT.body(padding="")).split(b'""')
    room = 32 * MIB - len(start) - len(end) - 2
    for size, status in ((room, 200), (room + 1, 413)):
        body = b'%b"%b"%b' % (start, b"x" * size, end)
        data: Any = pieces(body, MIB) if way == "in chunks" else body
        reply = await knock(gateway, OPENAI_CHAT, data)
        assert reply.status == status, reply.body
    assert len(upstream.requests[0].body) > 31 * MIB
    assert len(upstream.requests) == 1


@EACH_DOOR
async def test_a_body_that_is_not_compressed_as_it_says(gateway: Gateway, door: Door) -> None:
    reply = await knock(gateway, door, b"not gzip", headers={"content-encoding": "gzip"})
    refused(reply, door, 400)
    await still_answers(gateway, door)


@EACH_DOOR
async def test_a_compressed_body_is_as_good_as_any(gateway: Gateway, door: Door) -> None:
    body = gzip.compress(orjson.dumps(door.body()))
    reply = await knock(gateway, door, body, headers={"content-encoding": "gzip"})
    assert reply.status == 200, reply.body


NOT_HTTP = {
    "a chunk without a size": b"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\n"
    b"Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n",
    "two lengths": http("POST", "/v1/messages", b"{}", b"Content-Length: 7"),
    "a length and chunks": http("POST", "/v1/messages", b"{}", b"Transfer-Encoding: chunked"),
    "a method of its own": http("BREW", "/v1/messages"),
    "a line that is no header": http("GET", "/health", b"", b"no colon"),
    "a zero in a header": http("GET", "/health", b"", b"X-Zero: a\x00b"),
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n",
    "a huge header": http("GET", "/health", b"", b"X-Huge: " + b"x" * 100_000),
    "a huge address": http("GET", "/health?" + "x" * 100_000),
}


@pytest.mark.parametrize("sent", NOT_HTTP.values(), ids=NOT_HTTP)
async def test_what_is_no_http(
    gateway: Gateway, upstream: Upstream, caplog: pytest.LogCaptureFixture, sent: bytes
) -> None:
    """Nothing says which door was meant, so a plain sentence is the answer, and nothing fills the log."""
    reply = await raw(gateway.url, sent)
    assert 400 <= reply.status < 500
    assert b"Traceback" not in reply.body
    assert len(reply.body) < 1_000
    assert caplog.records == []
    assert upstream.requests == []
    await still_answers(gateway)


FIELDS = (
    *("model", "messages", "stream", "stream_options", "tools", "tool_choice", "response_format", "n"),
    *("max_tokens", "max_completion_tokens", "temperature", "top_p", "top_k", "stop", "seed", "logprobs"),
    *("system", "thinking", "metadata", "stop_sequences", "output_config", "fallbacks", "reasoning_effort"),
    *("input", "dimensions", "encoding_format", "user", "parallel_tool_calls", "functions", "audio"),
    *("provider_id", "model_id", "system_prompt", "context_id", "options", "component", "timeout"),
)
INSIDE = (
    *("role", "content", "type", "text", "name", "function", "arguments", "id", "source", "input", "parts"),
    *("properties", "schema", "json_schema", "include_usage", "budget_tokens", "tool_use_id"),
)
WORDS = ("", "user", "text", "auto", "m", "tool_use", "tool_result", "json_schema", "enabled")
SMALL: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.sampled_from([0, -1, 1, 2**63, 1e300, 0.5]) | st.sampled_from(WORDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(INSIDE), inner, max_size=4),
    max_leaves=12,
)


@EACH_DOOR
@IN_A_GATEWAY
@given(changes=st.dictionaries(st.sampled_from(FIELDS), SMALL, min_size=1, max_size=3))
async def test_nothing_that_can_be_said_breaks_the_house(
    gateway: Gateway, caplog: pytest.LogCaptureFixture, door: Door, changes: dict[str, Any]
) -> None:
    """Whatever stands in whatever field: taken or refused, in both lanes, and never a failure of ours."""
    for model in ("oai/m", "ant/m"):
        if door is OPENAI_EMBEDDINGS and model == "ant/m":
            continue
        reply = await knock(gateway, door, orjson.dumps({**door.body(model=model), **changes}))
        assert reply.status < 500, (changes, reply.body)
        if reply.status != 200:
            assert door.wrong(reply.json).message
    assert caplog.records == []
