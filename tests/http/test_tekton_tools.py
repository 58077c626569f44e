"""What Tekton's callers say in OpenAI's shape reaches every provider in its own, and comes back."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from rhetor.core.events import Finished, FinishReason, TextDelta, ThinkingDelta
from rhetor.testing import Upstream, calls, replies
from tests.conftest import Gateway
from tests.http.doors import HELLO
from tests.http.old_clients import python_client
from tests.http.test_tekton import streamed, text, whole

UPSTREAMS = pytest.mark.parametrize("provider", ["oai", "ant"])
TOOL = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}},
}
PIXEL = "data:image/png;base64,aGk="
CALL = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Paris"}'}}
ROUND = [*HELLO, {"role": "assistant", "tool_calls": [CALL]}]


async def chat(gateway: Gateway, provider: str, **said: Any) -> dict[str, Any]:
    asked = orjson.dumps({"messages": HELLO, "provider_id": provider, "model_id": "m", **said})
    return whole(await python_client(gateway.url, "/api/v1/chat", asked))


async def stream(gateway: Gateway, provider: str, **said: Any) -> list[dict[str, Any]]:
    asked = orjson.dumps({"messages": HELLO, "provider_id": provider, "model_id": "m", **said})
    return streamed(await python_client(gateway.url, "/api/v1/chat/stream", asked))


@UPSTREAMS
@pytest.mark.parametrize("nested", [False, True], ids=["at the top", "in options"])
async def test_a_tool_is_offered_and_called(
    gateway: Gateway, upstream: Upstream, provider: str, nested: bool
) -> None:
    upstream.next(calls(("weather", {"city": "Paris"})), calls(("weather", {"city": "Paris"})))
    asked: dict[str, Any] = {"tools": [TOOL], "tool_choice": "required", "parallel_tool_calls": False}
    if nested:
        asked = {"options": asked}
    said = await chat(gateway, provider, **asked)
    (call,) = said["tool_calls"]
    assert (call["type"], call["function"]["name"]) == ("function", "weather")
    assert orjson.loads(call["function"]["arguments"]) == {"city": "Paris"}
    assert (said["finish_reason"], said["content"], said["meta"].get("dropped")) == ("tool_calls", "", None)
    last = (await stream(gateway, provider, **asked))[-1]
    assert (last["tool_calls"], last["finish_reason"]) == ([call], "tool_calls")
    seen = upstream.requests[0].json
    expected: dict[str, Any] = {"oai": "required", "ant": {"type": "any", "disable_parallel_tool_use": True}}
    assert seen["tool_choice"] == expected[provider]


async def test_the_result_of_a_tool_goes_back(gateway: Gateway, upstream: Upstream) -> None:
    messages = [*ROUND, {"role": "tool", "tool_call_id": "c1", "content": "sunny"}]
    await chat(gateway, "oai", messages=messages, tools=[TOOL])
    assert upstream.requests[0].json["messages"] == [
        *HELLO,
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
    ]
    await chat(gateway, "ant", messages=messages, tools=[TOOL])
    _, asked, answered = upstream.requests[1].json["messages"]
    assert asked["content"][0]["type"] == "tool_use"
    assert answered["content"][0]["tool_use_id"] == "c1"


async def test_an_image_is_seen(gateway: Gateway, upstream: Upstream) -> None:
    parts = [{"type": "text", "text": "what?"}, {"type": "image_url", "image_url": {"url": PIXEL}}]
    await chat(gateway, "oai", messages=[{"role": "user", "content": parts}])
    assert upstream.requests[0].json["messages"][0]["content"] == parts
    await chat(gateway, "ant", messages=[{"role": "user", "content": parts}])
    assert upstream.requests[1].json["messages"][0]["content"][1]["source"]["data"] == "aGk="


async def test_a_reply_is_wanted_in_a_shape(gateway: Gateway, upstream: Upstream) -> None:
    schema = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}
    await chat(gateway, "oai", options={"response_format": schema, "reasoning_effort": "low"})
    seen = upstream.requests[0].json
    assert (seen["response_format"], seen["reasoning_effort"]) == (schema, "low")


@UPSTREAMS
async def test_thoughts_stand_beside_the_text(gateway: Gateway, upstream: Upstream, provider: str) -> None:
    thinking = replies([ThinkingDelta("hm"), TextDelta("hi"), Finished(FinishReason.STOP)])
    upstream.next(thinking, thinking)
    said = await chat(gateway, provider)
    assert (said["thinking"], said["content"]) == ("hm", "hi")
    chunks = await stream(gateway, provider)
    assert "".join(chunk.get("thinking", "") for chunk in chunks) == "hm"
    assert text(chunks) == "hi"


async def test_what_is_known_of_tokens_comes_along(gateway: Gateway, upstream: Upstream) -> None:
    told: list[Any] = [{"token": "hi", "logprob": -0.5, "bytes": None, "top_logprobs": []}]
    upstream.next(*2 * [replies([TextDelta("hi", told), Finished(FinishReason.STOP)])])
    said = await chat(gateway, "oai", logprobs=True, top_logprobs=2)
    assert said["logprobs"] == told
    chunks = await stream(gateway, "oai", logprobs=True)
    assert [each for chunk in chunks for each in chunk.get("logprobs", [])] == told
    assert upstream.requests[0].json["top_logprobs"] == 2


async def test_what_is_not_understood_is_named(gateway: Gateway) -> None:
    said = await chat(gateway, "oai", tools=[{"type": "web_search"}], options={"tool_choice": "perhaps"})
    assert said["meta"]["dropped"] == ["tools[0]: web_search", "options.tool_choice"]
