"""The language on a whole way: callers of other languages, the gateway, and a server that plays Google."""

from __future__ import annotations

import re
from base64 import b64decode
from typing import Any

import orjson
import pytest

from rhetor.testing import Upstream, raw_frames, says
from rhetor.wire.base import STREAM_TYPE
from tests.conftest import KEY, Gateway, MakeGateway
from tests.wire.gemini.speaking import CALL, frames, reply, usage

WEATHER = {
    "name": "weather",
    "input_schema": {"type": "object", "properties": {"location": {"type": "string"}}},
}
HI = {"role": "user", "content": "How is the weather in San Francisco?"}


@pytest.fixture
async def gateway(make_gateway: MakeGateway, upstream: Upstream) -> Gateway:
    """With the built-in row, at another address."""
    return await make_gateway(
        {
            "server": {"port": 0},
            "logs": {"level": "warning"},
            "store": {"folder": ":memory:"},
            "discovery": {"enabled": False, "local": False},
            "providers": {"gemini": {"base_url": f"{upstream.base_url}/v1beta", "key": "env:TEST_KEY"}},
        }
    )


async def ask(gateway: Gateway, **said: Any) -> Any:
    """Anthropic's callers are told in thoughts what Google signed."""
    body = {"model": "gemini/gemini-3-pro-preview", "max_tokens": 100, "tools": [WEATHER], **said}
    status, answer = await gateway.post("/v1/messages", body)
    assert status == 200, answer
    return answer


@pytest.mark.parametrize("stream", [True, False])
async def test_a_conversation_with_tools_keeps_its_signature(
    gateway: Gateway, upstream: Upstream, stream: bool
) -> None:
    """Which Gemini 3 demands: at the call, as it was."""
    whole = {**CALL[0], "candidates": [{**CALL[0]["candidates"][0], "finishReason": "STOP"}]}  # type: ignore[index]
    upstream.next(
        raw_frames([frames(*CALL)], content_type=STREAM_TYPE)
        if stream
        else raw_frames([orjson.dumps(whole)], content_type="application/json")
    )
    if stream:
        body = {"model": "gemini/gemini-3-pro-preview", "max_tokens": 100, "tools": [WEATHER], "stream": True}
        url = gateway.url + "/v1/messages"
        async with gateway.session.post(url, json={**body, "messages": [HI]}) as answer:
            said = _content(await answer.text())
    else:
        said = (await ask(gateway, messages=[HI]))["content"]
    thought, call = said
    assert (thought["type"], thought["signature"]) == ("thinking", "gemini:EqYaCqMa")
    assert (call["type"], call["name"], call["input"]) == (
        "tool_use",
        "weather",
        {"location": "San Francisco"},
    )
    result = {
        "role": "user",
        "content": [{"type": "tool_result", "tool_use_id": call["id"], "content": "18"}],
    }
    upstream.always(says("18 degrees."))
    answer = await ask(gateway, messages=[HI, {"role": "assistant", "content": said}, result])
    assert answer["content"] == [{"type": "text", "text": "18 degrees."}]
    sent = (await upstream.request(2)).json["contents"]
    [back] = sent[1]["parts"]
    assert back["thoughtSignature"] == "EqYaCqMa"
    assert back["functionCall"]["id"] == sent[2]["parts"][0]["functionResponse"]["id"]


def _content(stream: str) -> list[dict[str, Any]]:
    """The blocks of a streamed message."""
    blocks: list[dict[str, Any]] = []
    for data in re.findall(r"^data: (.*)$", stream, re.MULTILINE):
        event = orjson.loads(data)
        if event["type"] == "content_block_start":
            blocks.append({**event["content_block"], "arguments": ""})
        elif event["type"] == "content_block_delta":
            delta, block = event["delta"], blocks[-1]
            block["arguments"] += delta.get("partial_json", "")
            block["signature"] = delta.get("signature", block.get("signature"))
    return [_block(it) for it in blocks]


def _block(said: dict[str, Any]) -> dict[str, Any]:
    arguments = said.pop("arguments")
    if said["type"] == "tool_use":
        return {**{name: said[name] for name in ("type", "id", "name")}, "input": orjson.loads(arguments)}
    return said


async def test_keys_travel_as_each_language_wants(gateway: Gateway, upstream: Upstream) -> None:
    """Callers of OpenAI's language are passed on, as long as Google's version of it can say what they do."""
    upstream.always(says("Hi."))
    body = {"model": "gemini/gemini-3-pro-preview", "messages": [{"role": "user", "content": "hi"}]}
    assert (await gateway.post("/v1/chat/completions", body))[0] == 200
    first = await upstream.request(1)
    assert first.path == "/v1beta/openai/chat/completions"
    assert first.headers["authorization"] == f"Bearer {KEY}"
    pdf = {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBE"}}
    body["messages"] = [{"role": "user", "content": [pdf]}]  # type: ignore[list-item]
    assert (await gateway.post("/v1/chat/completions", body))[0] == 200
    second = await upstream.request(2)
    assert second.path == "/v1beta/models/gemini-3-pro-preview:generateContent"
    assert second.headers["x-goog-api-key"] == KEY
    assert "authorization" not in second.headers


async def test_two_pictures_are_asked_for_one_after_the_other(gateway: Gateway, upstream: Upstream) -> None:
    picture = {"inlineData": {"mimeType": "image/png", "data": "iVBORw=="}}
    upstream.always(
        raw_frames([orjson.dumps(reply(picture, **usage(10, 1290)))], content_type="application/json")
    )
    body = {"model": "gemini/gemini-3.1-flash-image", "prompt": "a cat", "n": 2}
    status, answer = await gateway.post("/v1/images/generations", body)
    assert status == 200, answer
    assert [b64decode(it["b64_json"]) for it in answer["data"]] == [b"\x89PNG"] * 2
    one, two = upstream.requests
    assert one.body == two.body
    assert two.headers["x-goog-api-key"] == KEY


async def test_a_quota_is_told_with_the_time_to_wait(gateway: Gateway, upstream: Upstream) -> None:
    said = {
        "error": {
            "code": 429,
            "message": "You exceeded your current quota.",
            "status": "RESOURCE_EXHAUSTED",
            "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.4s"}],
        }
    }
    upstream.always(raw_frames([orjson.dumps(said)], 429, "application/json"))
    body = {"model": "gemini/gemini-3-pro-preview", "max_tokens": 9, "messages": [HI]}
    async with gateway.session.post(gateway.url + "/v1/messages", json=body) as answer:
        assert answer.status == 429
        assert int(answer.headers["retry-after"]) in (34, 35)
