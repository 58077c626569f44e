"""The OpenAI door: verbatim to providers that speak the language, translated to those that do not."""

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
from tests.http.doors import ERROR_AFTER_A_WORD, HELLO, OPENAI_CHAT, OPENAI_EMBEDDINGS, knock, refused
from tests.http.frames import IN_A_GATEWAY, bodies, openai_streams, pieces
from tests.wire.openai.speech import GOLDEN

COMPLETE = sorted(path.name for path in GOLDEN.glob("*.sse") if path.name not in ("cut.sse", "no_done.sse"))
WHOLE = ["text.json", "thinking.json", "tools.json", "refusal.json"]
USAGE_TOO = {"stream": True, "stream_options": {"include_usage": True}}


async def ask(gateway: Gateway, **changes: Any) -> bytes:
    """The bytes of a reply."""
    reply = await knock(gateway, OPENAI_CHAT, orjson.dumps(OPENAI_CHAT.body(**changes)))
    assert reply.status == 200, reply.body
    return reply.body


def chunks_of(stream: bytes) -> list[dict[str, Any]]:
    """The frames of a stream, which must be complete."""
    *frames, last = stream.removesuffix(b"\n\n").split(b"\n\n")
    assert last == b"data: [DONE]"
    return [orjson.loads(frame.removeprefix(b"data: ")) for frame in frames]


def joined(chunks: list[dict[str, Any]], key: str) -> str:
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    return "".join(delta.get(key) or "" for delta in deltas)


# Verbatim: the provider's own bytes.


@pytest.mark.parametrize("name", COMPLETE)
@pytest.mark.parametrize("size", [1_000_000, 100, 7])
async def test_frames_pass_untouched(gateway: Gateway, upstream: Upstream, name: str, size: int) -> None:
    """However many fields they have that we do not know, and however they are cut."""
    sent = (GOLDEN / name).read_bytes()
    upstream.always(raw_frames([sent[start : start + size] for start in range(0, len(sent), size)]))
    if "error" in name and size > len(sent):  # noticed before anybody has heard anything: refused
        refused(
            await knock(gateway, OPENAI_CHAT, orjson.dumps(OPENAI_CHAT.body(**USAGE_TOO))), OPENAI_CHAT, 503
        )
    else:
        assert await ask(gateway, **USAGE_TOO) == sent.replace(b"data: {not json\n\n", b"")


@IN_A_GATEWAY
@given(st.data())
async def test_frames_that_nobody_has_heard_of_pass_untouched(
    gateway: Gateway, upstream: Upstream, data: st.DataObject
) -> None:
    sent = data.draw(openai_streams())
    upstream.next(raw_frames(data.draw(pieces(sent))))
    assert await ask(gateway, **USAGE_TOO) == sent


@pytest.mark.parametrize("name", WHOLE)
async def test_whole_replies_pass_untouched(gateway: Gateway, upstream: Upstream, name: str) -> None:
    sent = (GOLDEN / name).read_bytes()
    upstream.next(raw_frames([sent]))
    assert await ask(gateway) == sent


@IN_A_GATEWAY
@given(st.data())
async def test_whole_replies_with_unknown_fields_pass_untouched(
    gateway: Gateway, upstream: Upstream, data: st.DataObject
) -> None:
    choice = {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}
    sent = data.draw(bodies({"id": "c1", "choices": [choice]}))
    upstream.next(raw_frames(data.draw(pieces(sent))))
    assert await ask(gateway) == sent


async def test_embeddings_pass_untouched(gateway: Gateway, upstream: Upstream) -> None:
    sent = (GOLDEN / "embeddings.json").read_bytes()
    upstream.next(raw_frames([sent]))
    reply = await knock(gateway, OPENAI_EMBEDDINGS, orjson.dumps(OPENAI_EMBEDDINGS.body()))
    assert reply.body == sent


@IN_A_GATEWAY
@given(st.data())
async def test_a_request_passes_with_another_model_only(
    gateway: Gateway, upstream: Upstream, data: st.DataObject
) -> None:
    """Spaces, escapes, order and unknown fields stay, byte by byte."""
    more = data.draw(st.sampled_from([{}, {"stream": False}, USAGE_TOO, {"logit_bias": {"50256": -100}}]))
    asked = data.draw(bodies({"messages": HELLO, **more}))
    await knock(gateway, OPENAI_CHAT, asked.replace(b'"MODEL"', b'"oai/m"', 1))
    assert upstream.requests[-1].body == asked.replace(b'"MODEL"', b'"m"', 1)


@IN_A_GATEWAY
@given(st.data())
async def test_a_request_that_names_its_model_late_says_the_same(
    gateway: Gateway, upstream: Upstream, data: st.DataObject
) -> None:
    """Where it is not beyond doubt which bytes name the model, the values are the same, not the bytes."""
    asked = orjson.loads(data.draw(bodies({"messages": HELLO})))
    asked = {"x_schema": {"model": "another"}, **{k: v for k, v in asked.items() if k != "model"}}
    reply = await knock(gateway, OPENAI_CHAT, orjson.dumps({**asked, "model": "oai/m"}))
    assert reply.status == 200
    assert upstream.requests[-1].json == {**asked, "model": "m"}


async def test_usage_that_only_we_asked_for_stays_here(gateway: Gateway, upstream: Upstream) -> None:
    """A caller who asked for no usage gets none, and the books have it all the same."""
    chunks = chunks_of(await ask(gateway, stream=True))
    assert upstream.requests[0].json["stream_options"] == {"include_usage": True}
    assert [chunk for chunk in chunks if chunk.get("usage")] == []
    assert joined(chunks, "content") == "hello world"
    (trip,) = await gateway.booked()
    assert (trip["input_tokens"], trip["output_tokens"], trip["usage_source"]) == (11, 7, "provider")


async def test_several_choices_pass(gateway: Gateway, upstream: Upstream) -> None:
    sent = (GOLDEN / "choices.sse").read_bytes()
    upstream.next(raw_frames([sent]))
    assert await ask(gateway, n=2, **USAGE_TOO) == sent


async def test_an_error_of_the_provider_keeps_its_fields(gateway: Gateway, upstream: Upstream) -> None:
    error = {"message": "no such knob", "type": "invalid_request_error", "param": "knob", "code": "bad_knob"}
    upstream.next(fails(400, body=orjson.dumps({"error": {**error, "x_trace": [1, 2]}})))
    reply = await knock(gateway, OPENAI_CHAT, orjson.dumps(OPENAI_CHAT.body()))
    assert reply.status == 400
    assert reply.json["error"] == {**error, "x_trace": [1, 2]}


async def test_the_callers_credentials_stay_here(gateway: Gateway, upstream: Upstream) -> None:
    """The provider gets the gateway's key and nothing else of the caller's headers."""
    own = {"authorization": "Bearer sk-of-the-caller", "cookie": "a=b", "x-stainless-os": "Linux"}
    await knock(gateway, OPENAI_CHAT, orjson.dumps(OPENAI_CHAT.body()), headers=own)
    seen = upstream.requests[0].headers
    assert seen["authorization"] == f"Bearer {KEY}"
    assert not {"cookie", "x-stainless-os", "x-api-key"} & seen.keys()
    assert "sk-of-the-caller" not in str(dict(seen))


async def test_how_often_one_may_ask_is_passed_on(gateway: Gateway, upstream: Upstream) -> None:
    """The provider's own words for it, in whatever case, reach callers of its own language only."""
    said = {
        "x-ratelimit-limit-requests": "60",
        "X-RateLimit-Reset-Tokens": "6m0s",
        "OpenAI-Processing-Ms": "12",
        "Set-Cookie": "session=secret",
        "x-internal": "secret",
    }
    for model in ("oai/m", "ant/m"):
        upstream.next(says("hi").but(headers(said)))
        reply = await knock(gateway, OPENAI_CHAT, orjson.dumps(OPENAI_CHAT.body(model=model)))
        passed = {name for name, value in said.items() if reply.headers.get(name.lower()) == value}
        assert passed == (set(list(said)[:3]) if model == "oai/m" else set())


# Streaming.


@pytest.mark.parametrize("model", ["oai/m", "ant/m"])
async def test_a_stream_comes_as_it_is_said(gateway: Gateway, upstream: Upstream, model: str) -> None:
    """The first words are here while the provider still thinks about the next."""
    gate = Gate()
    upstream.next(hangs(gate, after=1))
    body = OPENAI_CHAT.body(model=model, stream=True)
    async with gateway.session.post(gateway.url + OPENAI_CHAT.path, json=body) as reply:
        assert reply.status == 200
        assert reply.content_type == "text/event-stream"
        assert reply.headers["cache-control"] == "no-cache"
        assert reply.headers["x-accel-buffering"] == "no"
        said = b""
        while b"hello" not in said:
            said += await reply.content.readany()
        gate.open()
        said += await reply.read()
    assert joined(chunks_of(said), "content") == "hello world"


# Translated.


async def test_translated_text(gateway: Gateway, upstream: Upstream) -> None:
    upstream.says("hello world", usage=Usage(100, 7, cache_read_tokens=80, cache_write_tokens=5))
    whole = orjson.loads(await ask(gateway, model="ant/m"))
    assert whole["object"] == "chat.completion"
    (choice,) = whole["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("hello world", "stop")
    chunks = chunks_of(await ask(gateway, model="ant/m", **USAGE_TOO))
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert joined(chunks, "content") == "hello world"
    assert [choice["finish_reason"] for chunk in chunks for choice in chunk["choices"]][-1] == "stop"
    for usage in (whole["usage"], chunks[-1]["usage"]):
        assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (100, 7, 107)
        assert usage["prompt_tokens_details"]["cached_tokens"] == 80


async def test_translated_usage_only_when_asked_for(gateway: Gateway) -> None:
    chunks = chunks_of(await ask(gateway, model="ant/m", stream=True))
    assert [chunk for chunk in chunks if chunk.get("usage")] == []
    assert chunks[-1]["choices"]


async def test_translated_thoughts(gateway: Gateway, upstream: Upstream) -> None:
    upstream.says(Thinking("27 is 3 times 9", "sig"), "Yes.")
    (choice,) = orjson.loads(await ask(gateway, model="ant/m"))["choices"]
    assert choice["message"]["reasoning_content"] == "27 is 3 times 9"
    assert choice["message"]["content"] == "Yes."
    chunks = chunks_of(await ask(gateway, model="ant/m", stream=True))
    assert joined(chunks, "reasoning_content") == "27 is 3 times 9"
    assert joined(chunks, "content") == "Yes."


WEATHER = [("weather", {"city": city}) for city in ("Paris", "Zürich", "東京")]


async def test_translated_tool_calls(gateway: Gateway, upstream: Upstream) -> None:
    """Three at the same time, their arguments interleaved."""
    upstream.always(calls(*WEATHER))
    (choice,) = orjson.loads(await ask(gateway, model="ant/m"))["choices"]
    assert choice["finish_reason"] == "tool_calls"
    whole = choice["message"]["tool_calls"]
    streamed: dict[int, dict[str, Any]] = {}
    chunks = chunks_of(await ask(gateway, model="ant/m", stream=True))
    for chunk in chunks:
        for call in chunk["choices"][0]["delta"].get("tool_calls", ()):
            known = streamed.setdefault(call["index"], {"id": call.get("id"), "name": "", "arguments": ""})
            known["name"] += call["function"].get("name", "")
            known["arguments"] += call["function"].get("arguments", "")
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"
    assert [
        (call["function"]["name"], orjson.loads(call["function"]["arguments"])) for call in whole
    ] == WEATHER
    assert [(call["name"], orjson.loads(call["arguments"])) for call in streamed.values()] == WEATHER
    assert len({call["id"] for call in streamed.values()}) == len({call["id"] for call in whole}) == 3


@pytest.mark.parametrize(
    ("finish", "word"),
    [
        (FinishReason.STOP, "stop"),
        (FinishReason.STOP_SEQUENCE, "stop"),
        (FinishReason.LENGTH, "length"),
        (FinishReason.REFUSAL, "content_filter"),
    ],
)
async def test_translated_endings(
    gateway: Gateway, upstream: Upstream, finish: FinishReason, word: str
) -> None:
    upstream.says("hello", finish=finish)
    assert orjson.loads(await ask(gateway, model="ant/m"))["choices"][0]["finish_reason"] == word
    chunks = chunks_of(await ask(gateway, model="ant/m", stream=True))
    assert chunks[-1]["choices"][0]["finish_reason"] == word


async def test_a_translated_conversation(gateway: Gateway, upstream: Upstream) -> None:
    """Instructions, pictures, tools and their results arrive as the other language says them."""
    pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    look = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{pixel}"}},
        {"type": "image_url", "image_url": {"url": "https://pictures.example/a.png"}},
    ]
    call = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"x":1}'}}
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": look},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "a dot"},
    ]
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
    await ask(gateway, model="ant/m", messages=messages, tools=[tool], tool_choice="required", max_tokens=9)
    seen = upstream.requests[0].json
    assert seen["system"] in ("Be brief.", [{"type": "text", "text": "Be brief."}])
    assert (seen["model"], seen["max_tokens"], seen["tool_choice"]["type"]) == ("m", 9, "any")
    assert seen["tools"] == [{"name": "look", "input_schema": {"type": "object"}}]
    first, second, third = seen["messages"]
    assert first["content"][1]["source"] == {"type": "base64", "media_type": "image/png", "data": pixel}
    assert first["content"][2]["source"] == {"type": "url", "url": "https://pictures.example/a.png"}
    assert second["content"] == [{"type": "tool_use", "id": "call_1", "name": "look", "input": {"x": 1}}]
    assert third["content"][0]["tool_use_id"] == "call_1"


async def test_what_cannot_be_said_is_named(gateway: Gateway) -> None:
    asked = OPENAI_CHAT.body(model="ant/m", seed=7, logit_bias={"1": 2}, presence_penalty=0.5)
    reply = await knock(gateway, OPENAI_CHAT, orjson.dumps(asked))
    assert reply.status == 200
    dropped = reply.headers["x-rhetor-dropped"].split(", ")
    assert {"seed", "logit_bias", "presence_penalty"} <= set(dropped)


async def test_several_answers_are_refused_where_they_cannot_be_asked_for(
    gateway: Gateway, upstream: Upstream
) -> None:
    reply = await knock(gateway, OPENAI_CHAT, orjson.dumps(OPENAI_CHAT.body(model="ant/m", n=2)))
    assert "same language" in refused(reply, OPENAI_CHAT, 400).message
    assert upstream.requests == []


async def test_what_cannot_be_said_at_all_is_refused(gateway: Gateway, upstream: Upstream) -> None:
    """A recording for a language without sound: leaving it out would be another question."""
    sound = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
    body = OPENAI_CHAT.body(model="ant/m", messages=[{"role": "user", "content": [sound]}])
    wrong = refused(await knock(gateway, OPENAI_CHAT, orjson.dumps(body)), OPENAI_CHAT, 400)
    assert "audio" in wrong.message
    assert upstream.requests == []


@pytest.mark.parametrize("model", ["oai/m", "ant/m"])
@pytest.mark.parametrize(
    "fault",
    [cuts(after=1), cuts(after=1, clean=True), ERROR_AFTER_A_WORD],
    ids=["cut", "ended too early", "error"],
)
async def test_a_failure_in_the_middle(gateway: Gateway, upstream: Upstream, model: str, fault: Any) -> None:
    """An error frame is the last, and no [DONE] follows: to every SDK that is a failure."""
    upstream.next(fault)
    said = await ask(gateway, model=model, stream=True)
    *frames, last = [frame for frame in said.split(b"\n\n") if frame]
    assert b"[DONE]" not in said
    error = orjson.loads(last.removeprefix(b"data: "))["error"]
    assert isinstance(error["message"], str)
    assert joined([orjson.loads(frame.removeprefix(b"data: ")) for frame in frames], "content") == "hello"
    (trip,) = await gateway.booked()
    assert trip["outcome"] not in ("ok", "cancelled")


async def test_a_recording_that_breaks_off(gateway: Gateway, upstream: Upstream) -> None:
    """Whole frames pass, half a frame does not, and the error is told by a frame of our own."""
    sent = (GOLDEN / "cut.sse").read_bytes()
    upstream.next(raw_frames([sent, b'data: {"id": "chatcmpl-C1", "cho']))
    said = await ask(gateway, **USAGE_TOO)
    assert said.startswith(sent)
    assert orjson.loads(said.removeprefix(sent).removeprefix(b"data: "))["error"]["code"] == "truncated"


async def test_an_ending_without_done_gets_one(gateway: Gateway, upstream: Upstream) -> None:
    """A provider that says why it ended is complete; SDKs wait for the last frame that it forgot."""
    sent = (GOLDEN / "no_done.sse").read_bytes()
    upstream.next(raw_frames([sent]))
    assert await ask(gateway, **USAGE_TOO) == sent + b"data: [DONE]\n\n"


@pytest.mark.parametrize("encoding", ["float", "base64"])
async def test_embeddings(gateway: Gateway, upstream: Upstream, encoding: str) -> None:
    """Texts and token ids, numbers and base64: as the SDKs and LangChain ask."""
    for given_input, count in (("hello", 1), (["a", "b"], 2), ([1, 2, 3], 1), ([[15339, 1917], [1]], 2)):
        body = OPENAI_EMBEDDINGS.body(input=given_input, encoding_format=encoding)
        reply = await knock(gateway, OPENAI_EMBEDDINGS, orjson.dumps(body))
        said = reply.json
        assert [entry["index"] for entry in said["data"]] == list(range(count))
        assert {type(entry["embedding"]) for entry in said["data"]} == {str if encoding == "base64" else list}
        assert upstream.requests[-1].json["input"] == given_input


async def test_nobody_embeds_in_a_language_without_embeddings(gateway: Gateway, upstream: Upstream) -> None:
    body = OPENAI_EMBEDDINGS.body(model="ant/m")
    reply = await knock(gateway, OPENAI_EMBEDDINGS, orjson.dumps(body))
    assert "embeddings" in refused(reply, OPENAI_EMBEDDINGS, 400).message
    assert upstream.requests == []
