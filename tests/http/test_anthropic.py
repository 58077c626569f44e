"""The Anthropic door: verbatim to providers that speak the language, translated to those that do not."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhetor.core.content import Thinking
from rhetor.core.events import FinishReason
from rhetor.core.usage import Usage
from rhetor.testing import Gate, Upstream, calls, cuts, fails, hangs, headers, raw_frames, says
from tests.conftest import KEY, Gateway
from tests.http.doors import ANTHROPIC_COUNT, ANTHROPIC_MESSAGES, ERROR_AFTER_A_WORD, HELLO, knock, refused
from tests.http.frames import IN_A_GATEWAY, anthropic_streams, bodies, pieces
from tests.wire.anthropic.golden import GOLDEN, STREAMS, golden

MODELS = pytest.mark.parametrize("model", ["ant/m", "oai/m"])
Event = tuple[str, dict[str, Any]]


async def ask(gateway: Gateway, **changes: Any) -> bytes:
    """The bytes of a reply."""
    reply = await knock(gateway, ANTHROPIC_MESSAGES, orjson.dumps(ANTHROPIC_MESSAGES.body(**changes)))
    assert reply.status == 200, reply.body
    return reply.body


def events_of(stream: bytes) -> list[Event]:
    """The events of a stream, each with its name in both places."""
    events = []
    for frame in stream.removesuffix(b"\n\n").split(b"\n\n"):
        name, data = frame.split(b"\n")
        said = orjson.loads(data.removeprefix(b"data: "))
        assert name == b"event: " + said["type"].encode()
        events.append((said["type"], said))
    return events


def complete(stream: bytes) -> list[dict[str, Any]]:
    """The content blocks of a stream that keeps the order that every SDK relies on."""
    events = events_of(stream)
    assert events[0][0] == "message_start"
    assert [name for name, _ in events[-2:]] == ["message_delta", "message_stop"]
    blocks: list[dict[str, Any]] = []
    open_at = None
    for name, said in events[1:-2]:
        if name == "content_block_start":
            assert open_at is None
            assert said["index"] == len(blocks)
            open_at = said["index"]
            blocks.append({**said["content_block"], "json": ""})
        elif name == "content_block_delta":
            assert said["index"] == open_at
            _grow(blocks[-1], said["delta"])
        elif name == "content_block_stop":
            assert said["index"] == open_at
            open_at = None
    assert open_at is None
    return blocks


def _grow(block: dict[str, Any], delta: dict[str, Any]) -> None:
    match delta["type"]:
        case "text_delta":
            block["text"] += delta["text"]
        case "thinking_delta":
            block["thinking"] += delta["thinking"]
        case "signature_delta":
            block["signature"] = delta["signature"]
        case "input_json_delta":
            block["json"] += delta["partial_json"]


# Verbatim: the provider's own bytes.


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("size", [1_000_000, 100, 7])
async def test_frames_pass_untouched(gateway: Gateway, upstream: Upstream, name: str, size: int) -> None:
    """However many fields they have that we do not know, and however they are cut."""
    sent = golden(name)
    upstream.always(raw_frames([sent[start : start + size] for start in range(0, len(sent), size)]))
    if name == "overloaded.sse" and size > len(sent):  # noticed before anybody has heard anything: refused
        asked = orjson.dumps(ANTHROPIC_MESSAGES.body(stream=True))
        refused(await knock(gateway, ANTHROPIC_MESSAGES, asked), ANTHROPIC_MESSAGES, 529)
    else:
        assert await ask(gateway, stream=True) == sent


@IN_A_GATEWAY
@given(st.data())
async def test_frames_that_nobody_has_heard_of_pass_untouched(
    gateway: Gateway, upstream: Upstream, data: st.DataObject
) -> None:
    sent = data.draw(anthropic_streams())
    upstream.next(raw_frames(data.draw(pieces(sent))))
    assert await ask(gateway, stream=True) == sent


@IN_A_GATEWAY
@given(st.data())
async def test_whole_replies_pass_untouched(
    gateway: Gateway, upstream: Upstream, data: st.DataObject
) -> None:
    recorded = (GOLDEN / "message.json").read_bytes()
    known = {"type": "message", "role": "assistant", "content": [{"type": "text", "text": "hi"}]}
    sent = data.draw(st.just(recorded) | bodies({**known, "stop_reason": "end_turn"}))
    upstream.next(raw_frames(data.draw(pieces(sent))))
    assert await ask(gateway) == sent


@IN_A_GATEWAY
@given(st.data())
async def test_a_request_passes_with_another_model_only(
    gateway: Gateway, upstream: Upstream, data: st.DataObject
) -> None:
    """Spaces, escapes, order and unknown fields stay, byte by byte."""
    more = data.draw(st.sampled_from([{}, {"stream": True}, {"x_beta": {"model": "another"}}]))
    asked = data.draw(bodies({"messages": HELLO, "max_tokens": 9, **more}))
    await knock(gateway, ANTHROPIC_MESSAGES, asked.replace(b'"MODEL"', b'"ant/m"', 1))
    assert upstream.requests[-1].body == asked.replace(b'"MODEL"', b'"m"', 1)


async def test_what_a_coding_agent_asks_passes_untouched(gateway: Gateway, upstream: Upstream) -> None:
    """Its betas too: they say what the body means."""
    asked = golden("agent_request.json")
    own = {"anthropic-version": "2026-10-21", "anthropic-beta": "context-1m-2025-08-07,x-2030-01-01"}
    asked = asked.replace(b'"claude-opus-4-8"', b'"ant/claude-opus-4-8"', 1)
    await knock(gateway, ANTHROPIC_MESSAGES, asked, headers=own)
    seen = upstream.requests[0]
    assert seen.body == golden("agent_request.json")
    assert {name: seen.headers[name] for name in own} == own


async def test_the_callers_credentials_stay_here(gateway: Gateway, upstream: Upstream) -> None:
    """The provider gets the gateway's key, and of the caller's headers only those that say what it means."""
    own = {"x-api-key": "sk-ant-of-the-caller", "authorization": "Bearer of-the-caller", "cookie": "a=b"}
    await knock(gateway, ANTHROPIC_MESSAGES, orjson.dumps(ANTHROPIC_MESSAGES.body()), headers=own)
    seen = upstream.requests[0].headers
    assert seen["x-api-key"] == KEY
    assert not {"authorization", "cookie"} & seen.keys()
    assert "of-the-caller" not in str(dict(seen))


async def test_an_error_of_the_provider_keeps_its_fields(gateway: Gateway, upstream: Upstream) -> None:
    said = {
        "type": "error",
        "error": {"type": "overloaded_error", "message": "Overloaded", "details": {"x": 1}},
        "request_id": "req_of_the_provider",
    }
    upstream.always(fails(529, body=orjson.dumps(said)))
    reply = await knock(gateway, ANTHROPIC_MESSAGES, orjson.dumps(ANTHROPIC_MESSAGES.body()))
    assert (reply.status, reply.json) == (529, said)
    assert reply.headers["x-should-retry"] == "false"


async def test_how_often_one_may_ask_is_passed_on(gateway: Gateway, upstream: Upstream) -> None:
    said = {
        "anthropic-ratelimit-requests-remaining": "59",
        "anthropic-ratelimit-tokens-reset": "2026-11-20T12:00:00Z",
        "cf-ray": "secret",
    }
    upstream.next(says("hi").but(headers(said)))
    reply = await knock(gateway, ANTHROPIC_MESSAGES, orjson.dumps(ANTHROPIC_MESSAGES.body()))
    assert {name for name in said if name in reply.headers} == set(list(said)[:2])


# Streaming.


@MODELS
async def test_a_stream_comes_as_it_is_said(gateway: Gateway, upstream: Upstream, model: str) -> None:
    """The first words are here while the provider still thinks about the next."""
    gate = Gate()
    upstream.next(hangs(gate, after=1))
    body = ANTHROPIC_MESSAGES.body(model=model, stream=True)
    async with gateway.session.post(gateway.url + ANTHROPIC_MESSAGES.path, json=body) as reply:
        assert reply.status == 200
        assert reply.content_type == "text/event-stream"
        said = b""
        while b"hello" not in said:
            said += await reply.content.readany()
        gate.open()
        said += await reply.read()
    (block,) = complete(said)
    assert block["text"] == "hello world"


# Translated.


async def test_translated_text(gateway: Gateway, upstream: Upstream) -> None:
    upstream.says("hello world", usage=Usage(100, 7, cache_read_tokens=80))
    whole = orjson.loads(await ask(gateway, model="oai/m"))
    assert (whole["type"], whole["role"], whole["stop_reason"]) == ("message", "assistant", "end_turn")
    assert whole["content"] == [{"type": "text", "text": "hello world"}]
    stream = await ask(gateway, model="oai/m", stream=True)
    assert [block["text"] for block in complete(stream)] == ["hello world"]
    last = events_of(stream)[-2][1]
    assert last["delta"]["stop_reason"] == "end_turn"
    for usage in (whole["usage"], last["usage"]):
        assert (usage["input_tokens"], usage["cache_read_input_tokens"], usage["output_tokens"]) == (
            20,
            80,
            7,
        )


async def test_translated_thoughts(gateway: Gateway, upstream: Upstream) -> None:
    upstream.says(Thinking("27 is 3 times 9"), "Yes.")
    first, second = orjson.loads(await ask(gateway, model="oai/m"))["content"]
    assert (first["type"], first["thinking"], second["text"]) == ("thinking", "27 is 3 times 9", "Yes.")
    first, second = complete(await ask(gateway, model="oai/m", stream=True))
    assert (first["type"], first["thinking"], second["text"]) == ("thinking", "27 is 3 times 9", "Yes.")


WEATHER = [("weather", {"city": city}) for city in ("Paris", "Zürich", "東京")]


async def test_translated_tool_calls(gateway: Gateway, upstream: Upstream) -> None:
    """Three whose arguments come interleaved are told one after the other, as the language wants it."""
    upstream.always(calls(*WEATHER))
    whole = orjson.loads(await ask(gateway, model="oai/m"))
    assert whole["stop_reason"] == "tool_use"
    assert [(block["name"], block["input"]) for block in whole["content"]] == WEATHER
    stream = await ask(gateway, model="oai/m", stream=True)
    blocks = complete(stream)
    assert [(block["name"], orjson.loads(block["json"])) for block in blocks] == WEATHER
    assert len({block["id"] for block in blocks}) == 3
    assert events_of(stream)[-2][1]["delta"]["stop_reason"] == "tool_use"


@pytest.mark.parametrize(
    ("finish", "word"),
    [
        (FinishReason.STOP, "end_turn"),
        (FinishReason.LENGTH, "max_tokens"),
        (FinishReason.REFUSAL, "refusal"),
    ],
)
async def test_translated_endings(
    gateway: Gateway, upstream: Upstream, finish: FinishReason, word: str
) -> None:
    upstream.says("hello", finish=finish)
    assert orjson.loads(await ask(gateway, model="oai/m"))["stop_reason"] == word
    stream = await ask(gateway, model="oai/m", stream=True)
    assert events_of(stream)[-2][1]["delta"]["stop_reason"] == word


async def test_a_translated_conversation(gateway: Gateway, upstream: Upstream) -> None:
    """Instructions, pictures, tools and their results arrive as the other language says them."""
    picture = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
    use = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"x": 1}}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "a dot"}
    messages = [
        {
            "role": "user",
            "content": [{"type": "text", "text": "What?"}, {"type": "image", "source": picture}],
        },
        {"role": "assistant", "content": [{"type": "text", "text": "Let me see."}, use]},
        {"role": "user", "content": [result, {"type": "text", "text": "Well?"}]},
    ]
    tool = {"name": "look", "description": "Looks.", "input_schema": {"type": "object"}}
    await ask(
        gateway, model="oai/m", system="Be brief.", messages=messages, tools=[tool], stop_sequences=["x"]
    )
    seen = upstream.requests[0].json
    system, user, assistant, told, more = seen["messages"]
    assert (system["role"], system["content"]) == ("system", "Be brief.")
    assert user["content"][1]["image_url"]["url"] == "data:image/png;base64,iVBORw0KGgo="
    (call,) = assistant["tool_calls"]
    assert (call["id"], orjson.loads(call["function"]["arguments"])) == ("toolu_1", {"x": 1})
    assert (told["role"], told["tool_call_id"], told["content"]) == ("tool", "toolu_1", "a dot")
    assert more["content"] in ("Well?", [{"type": "text", "text": "Well?"}])
    assert seen["tools"][0]["function"]["parameters"] == {"type": "object"}
    assert (seen["stop"], seen["max_completion_tokens"]) == (["x"], 50)


async def test_what_cannot_be_said_is_named(gateway: Gateway) -> None:
    search = {"type": "web_search_20250305", "name": "web_search"}
    asked = ANTHROPIC_MESSAGES.body(model="oai/m", container="c1", tools=[search])
    reply = await knock(gateway, ANTHROPIC_MESSAGES, orjson.dumps(asked))
    assert reply.status == 200
    dropped = reply.headers["x-rhetor-dropped"]
    assert "container" in dropped
    assert "web_search_20250305" in dropped


@MODELS
@pytest.mark.parametrize(
    "fault",
    [cuts(after=1), cuts(after=1, clean=True), ERROR_AFTER_A_WORD],
    ids=["cut", "ended too early", "error"],
)
async def test_a_failure_in_the_middle(gateway: Gateway, upstream: Upstream, model: str, fault: Any) -> None:
    """An event `error` is the last, and no message_stop follows: to every SDK that is a failure."""
    upstream.next(fault)
    *before, (name, said) = events_of(await ask(gateway, model=model, stream=True))
    assert name == "error"
    assert isinstance(said["error"]["message"], str)
    assert "message_stop" not in [name for name, _ in before]
    assert [said["delta"]["text"] for name, said in before if name == "content_block_delta"] == ["hello"]
    (trip,) = await gateway.booked()
    assert trip["outcome"] not in ("ok", "cancelled")


async def test_a_recording_that_breaks_off(gateway: Gateway, upstream: Upstream) -> None:
    """Whole frames pass, half a frame does not, and the error is told by a frame of our own."""
    whole, sent = golden("text.sse"), b""
    sent = whole[: whole.index(b"event: content_block_stop")]
    upstream.next(raw_frames([sent, b"event: content_block_stop\ndata: {"]))
    said = await ask(gateway, stream=True)
    assert said.startswith(sent)
    assert events_of(said.removeprefix(sent))[0][1]["error"]["type"] == "api_error"


# Counting.


async def test_counting_where_the_provider_can(gateway: Gateway, upstream: Upstream) -> None:
    reply = await knock(gateway, ANTHROPIC_COUNT, orjson.dumps(ANTHROPIC_COUNT.body()))
    assert (reply.status, reply.json) == (200, {"input_tokens": 11})
    assert upstream.requests[0].path == "/v1/messages/count_tokens"
    assert "x-rhetor-usage" not in reply.headers


async def test_counting_where_it_cannot(gateway: Gateway, upstream: Upstream) -> None:
    """The guess is on the safe side, and says that it is one."""
    body = ANTHROPIC_COUNT.body(model="oai/m", messages=[{"role": "user", "content": "one two three " * 100}])
    reply = await knock(gateway, ANTHROPIC_COUNT, orjson.dumps(body))
    assert reply.status == 200
    assert 300 < reply.json["input_tokens"] < 1_000
    assert reply.headers["x-rhetor-usage"] == "estimated"
    assert upstream.requests == []


async def test_counting_is_not_consuming(gateway: Gateway) -> None:
    await knock(gateway, ANTHROPIC_COUNT, orjson.dumps(ANTHROPIC_COUNT.body()))
    (trip,) = await gateway.booked()
    assert (trip["capability"], trip["outcome"]) == ("count-tokens", "ok")
    assert (trip["input_tokens"], trip["output_tokens"]) == (0, 0)


async def test_max_tokens_is_demanded(gateway: Gateway) -> None:
    body = {"model": "ant/m", "messages": HELLO}
    wrong = refused(await knock(gateway, ANTHROPIC_MESSAGES, orjson.dumps(body)), ANTHROPIC_MESSAGES, 400)
    assert wrong.message.startswith("max_tokens is missing")
    assert wrong.kind == "invalid_request_error"
