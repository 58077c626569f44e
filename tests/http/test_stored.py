"""What is put into a request of what was stored, within bounds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from rhetor.http import stored
from rhetor.testing import Gate, Upstream, hangs
from tests.conftest import Gateway, MakeGateway, settings
from tests.http.doors import openai_wrong

RESPONSES = "/v1/responses"


@pytest.fixture
async def other() -> AsyncIterator[Upstream]:
    """A second provider, which names its responses as the first one does."""
    upstream = Upstream()
    await upstream.start()
    yield upstream
    await upstream.stop()


@pytest.fixture
async def alike(make_gateway: MakeGateway, upstream: Upstream, other: Upstream) -> Gateway:
    """Both, as `one` and `two`."""
    providers = {
        name: {"wire": "responses", "base_url": f"{each.base_url}/v1"}
        for name, each in (("one", upstream), ("two", other))
    }
    return await make_gateway(settings(upstream, providers=providers))


async def ask(gateway: Gateway, **said: Any) -> tuple[int, Any]:
    return await gateway.post(RESPONSES, {"model": "oai/m", "input": "hello", **said})


async def test_a_conversation_has_so_many_turns(
    gateway: Gateway, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "MOST_TURNS", 3)
    previous = None
    for _ in range(4):
        status, response = await ask(gateway, previous_response_id=previous)
        assert status == 200
        previous = response["id"]
    assert len(upstream.requests[-1].json["messages"]) == 7
    status, body = await ask(gateway, previous_response_id=previous)
    assert status == 400
    assert "more than 3 turns" in openai_wrong(body).message


async def test_a_conversation_is_no_larger_than_a_body(make_gateway: MakeGateway, upstream: Upstream) -> None:
    gateway = await make_gateway(settings(upstream, server={"max_body_mb": 1}))
    text = "x" * 400_000
    previous = None
    for _ in range(2):
        status, response = await ask(gateway, input=text, previous_response_id=previous)
        assert status == 200
        previous = response["id"]
    status, body = await ask(gateway, input=text, previous_response_id=previous)
    assert status == 413
    assert openai_wrong(body).message == "the conversation is larger than 1 MiB"


async def test_a_turn_that_was_deleted_is_missed(gateway: Gateway) -> None:
    """Half a conversation would be answered as if it were whole."""
    _, first = await ask(gateway)
    _, second = await ask(gateway, previous_response_id=first["id"])
    async with gateway.session.delete(f"{gateway.url}{RESPONSES}/{first['id']}") as reply:
        assert reply.status == 200
    status, body = await ask(gateway, previous_response_id=second["id"])
    assert status == 400
    assert body["error"]["code"] == "previous_response_not_found"


async def test_a_response_and_a_conversation_exclude_each_other(gateway: Gateway) -> None:
    _, conversation = await gateway.post("/v1/conversations", {})
    _, response = await ask(gateway)
    status, body = await ask(gateway, previous_response_id=response["id"], conversation=conversation["id"])
    assert (status, openai_wrong(body).param) == (400, "previous_response_id")


async def test_an_unknown_field_survives_the_change_of_the_body(
    make_gateway: MakeGateway, upstream: Upstream
) -> None:
    provider = {"wire": "responses", "base_url": f"{upstream.base_url}/v1"}
    gateway = await make_gateway(settings(upstream, providers={"res": provider}))
    _, first = await ask(gateway, model="res/m")
    await ask(gateway, model="res/m", previous_response_id=first["id"], x_new=[1], tools=[{"type": "x"}])
    assert upstream.requests[-1].json == {
        "model": "m",
        "input": [
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hello"}]},
            {
                "type": "message",
                "role": "assistant",
                "content": [
                    {"type": "output_text", "text": "hello world", "annotations": [], "logprobs": []}
                ],
            },
            {"type": "message", "role": "user", "content": "hello"},
        ],
        "x_new": [1],
        "tools": [{"type": "x"}],
    }


async def test_a_provider_takes_no_response_away_by_its_name(
    alike: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    _, first = await ask(alike, model="one/m", input="first")
    status, second = await ask(alike, model="two/m", input="second", previous_response_id=first["id"])
    assert (status, second["id"]) == (200, first["id"])

    _, asked = await alike.get(f"{RESPONSES}/{first['id']}/input_items")
    assert [item["content"][0]["text"] for item in asked["data"]] == ["first"]
    (warning,) = [each for each in caplog.records if each.message == "reply not kept"]
    assert vars(warning)["reason"] == "its id is taken"


async def test_both_are_kept_of_a_conversation_whose_responses_have_one_name(
    alike: Gateway, other: Upstream
) -> None:
    _, conversation = await alike.post("/v1/conversations", {})
    for model, text in (("one/m", "first"), ("two/m", "second")):
        other.says("something else")
        await ask(alike, model=model, input=text, conversation=conversation["id"])
    _, said = await alike.get(f"/v1/conversations/{conversation['id']}/items?order=asc")
    texts = [item["content"][0]["text"] for item in said["data"]]
    assert texts == ["first", "hello world", "second", "something else"]


async def test_a_response_that_follows_itself_is_no_beginning(alike: Gateway, other: Upstream) -> None:
    _, first = await ask(alike, model="one/m")
    gate = Gate()
    other.next(hangs(gate, after=1))
    asked = {"model": "two/m", "input": "hello", "stream": True, "previous_response_id": first["id"]}
    async with alike.session.post(alike.url + RESPONSES, json=asked) as reply:
        async with alike.session.delete(f"{alike.url}{RESPONSES}/{first['id']}") as deleted:
            assert deleted.status == 200
        gate.open()
        await reply.read()
    _, found = await alike.get(f"{RESPONSES}/{first['id']}")
    assert found["previous_response_id"] == found["id"] == first["id"]
    status, body = await ask(alike, previous_response_id=first["id"])
    assert (status, body["error"]["code"]) == (400, "previous_response_not_found")


async def test_a_call_of_the_providers_tool_is_said_again_whole(alike: Gateway, upstream: Upstream) -> None:
    search = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search"}}
    _, first = await ask(alike, model="one/m", input=[{"role": "user", "content": "a"}, search])
    await ask(alike, model="one/m", previous_response_id=first["id"])
    assert upstream.requests[-1].json["input"][1] == search


async def test_a_call_of_the_providers_tool_is_said_by_reference(alike: Gateway, upstream: Upstream) -> None:
    search = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search"}}
    _, first = await ask(alike, model="one/m", input=[search, {**search, "action": {"type": "other"}}])
    _, page = await alike.get(f"{RESPONSES}/{first['id']}/input_items")
    renamed = page["data"][0]
    await ask(alike, model="one/m", input=[{"type": "item_reference", "id": renamed["id"]}])
    assert upstream.requests[-1].json["input"] == [renamed]
