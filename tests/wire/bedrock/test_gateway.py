"""The language on a whole way: callers of other languages, the gateway, and a server that plays Amazon."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from rhetor.testing import Upstream, calls, raw_frames, says
from rhetor.testing.eventstream import STREAM_TYPE
from tests.conftest import KEY, Gateway, MakeGateway
from tests.wire.bedrock.speaking import CALLED, REASONED

SIGNED = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "canary", "AWS_REGION": "eu-west-1"}
CLAUDE = "bedrock/eu.anthropic.claude-sonnet-4-5-20250929-v1:0"
HI = [{"role": "user", "content": "hi"}]


async def started(make: MakeGateway, upstream: Upstream, environ: dict[str, str], **setting: Any) -> Gateway:
    """With the built-in row, at another address."""
    return await make(
        {
            "server": {"port": 0},
            "logs": {"level": "warning"},
            "store": {"folder": ":memory:"},
            "discovery": {"enabled": False, "local": False},
            "providers": {"bedrock": {"base_url": upstream.base_url, **setting}},
        },
        environ,
    )


async def test_calls_are_signed(make_gateway: MakeGateway, upstream: Upstream) -> None:
    gateway = await started(make_gateway, upstream, SIGNED)
    upstream.always(says("Hi."))
    status, answer = await gateway.post("/v1/chat/completions", {"model": CLAUDE, "messages": HI})
    assert status == 200, answer
    assert answer["choices"][0]["message"]["content"] == "Hi."
    seen = await upstream.request()
    assert seen.target == "/model/eu.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse"
    assert "/eu-west-1/bedrock/aws4_request" in seen.headers["authorization"]


async def test_a_key_of_its_own_signs_nothing(make_gateway: MakeGateway, upstream: Upstream) -> None:
    """And needs no region, where the address is one's own."""
    gateway = await started(make_gateway, upstream, {"AWS_BEARER_TOKEN_BEDROCK": KEY})
    upstream.always(says("Hi."))
    assert (await gateway.post("/v1/chat/completions", {"model": CLAUDE, "messages": HI}))[0] == 200
    seen = await upstream.request()
    assert seen.headers["authorization"] == f"Bearer {KEY}"
    assert "x-amz-date" not in seen.headers


@pytest.mark.parametrize("stream", [REASONED, CALLED])
async def test_streams_reach_callers_of_other_languages(
    make_gateway: MakeGateway, upstream: Upstream, stream: bytes
) -> None:
    gateway = await started(make_gateway, upstream, SIGNED)
    upstream.always(raw_frames([stream], content_type=STREAM_TYPE))
    tool = {"name": "weather", "input_schema": {"type": "object"}}
    body = {"model": CLAUDE, "max_tokens": 99, "messages": HI, "tools": [tool], "stream": True}
    async with gateway.session.post(gateway.url + "/v1/messages", json=body) as answer:
        said = await answer.text()
    assert answer.status == 200
    if stream is REASONED:
        assert '"signature":"EqQBCgIYAhIM"' in said
    else:
        assert '"redacted_thinking"' in said
        assert '"name":"weather"' in said
    assert "event: message_stop" in said


async def test_tools_come_back(make_gateway: MakeGateway, upstream: Upstream) -> None:
    gateway = await started(make_gateway, upstream, SIGNED)
    upstream.next(calls(("weather", {"city": "Oslo"})))
    upstream.always(says("4 degrees."))
    tool = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
    body: dict[str, Any] = {"model": CLAUDE, "messages": HI, "tools": [tool]}
    said = (await gateway.post("/v1/chat/completions", body))[1]["choices"][0]["message"]
    [call] = said["tool_calls"]
    assert orjson.loads(call["function"]["arguments"]) == {"city": "Oslo"}
    result = {"role": "tool", "tool_call_id": call["id"], "content": "4"}
    body["messages"] = [*HI, said, result]
    assert (await gateway.post("/v1/chat/completions", body))[0] == 200
    turns = (await upstream.request(2)).json["messages"]
    assert turns[1]["content"][0]["toolUse"]["toolUseId"] == turns[2]["content"][0]["toolResult"]["toolUseId"]


async def test_without_credentials_the_caller_is_told(
    make_gateway: MakeGateway, upstream: Upstream, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    gateway = await started(make_gateway, upstream, {"AWS_REGION": "eu-west-1"})
    status, answer = await gateway.post("/v1/chat/completions", {"model": CLAUDE, "messages": HI})
    assert status >= 400
    assert "AWS_ACCESS_KEY_ID" in answer["error"]["message"]
