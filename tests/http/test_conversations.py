"""Conversations: made, gone on with, read, written and forgotten, as the official SDK does it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from rhetor.core.content import Text
from rhetor.testing import Upstream, fails
from tests.conftest import Gateway, MakeGateway, settings
from tests.http.doors import openai_wrong
from tests.sdk.clients import openai_at
from tests.sdk.conversation import chat

CONVERSATIONS = "/v1/conversations"


@pytest.fixture
async def sdk(gateway: Gateway) -> AsyncIterator[AsyncOpenAI]:
    async with openai_at(gateway) as client:
        yield client


async def ask(sdk: AsyncOpenAI, conversation: str, text: str, **said: Any) -> Any:
    asked: dict[str, Any] = {"model": "oai/m", "store": False, **said}
    return await sdk.responses.create(input=text, conversation=conversation, **asked)


async def said_in(sdk: AsyncOpenAI, id: str) -> list[str]:
    """The texts of a conversation, in order."""
    items: list[Any] = [item async for item in sdk.conversations.items.list(id, order="asc")]
    return [part.text for item in items for part in item.content]


def heard(upstream: Upstream) -> list[Any]:
    """What the provider was told last."""
    return [part for message in chat(upstream.requests[-1]).messages for part in message.parts]


async def test_responses_go_on_with_a_conversation(sdk: AsyncOpenAI, upstream: Upstream) -> None:
    """Also those that are not stored themselves."""
    conversation = await sdk.conversations.create(items=[{"role": "user", "content": "zero"}])
    first = await ask(sdk, conversation.id, "one")
    await ask(sdk, conversation.id, "two", model="ant/m")

    assert heard(upstream) == [Text(text) for text in ("zero", "one", "hello world", "two")]
    assert await said_in(sdk, conversation.id) == ["zero", "one", "hello world", "two", "hello world"]
    assert first.conversation is not None
    assert first.conversation.id == conversation.id


async def test_a_conversation_may_begin_empty(sdk: AsyncOpenAI, upstream: Upstream) -> None:
    conversation = await sdk.conversations.create(metadata={"topic": "rivers"})
    assert conversation.metadata == {"topic": "rivers"}
    async with sdk.responses.stream(
        model="oai/m", input="one", extra_body={"conversation": conversation.id}
    ) as stream:
        await stream.get_final_response()
    assert heard(upstream) == [Text("one")]
    assert await said_in(sdk, conversation.id) == ["one", "hello world"]


async def test_what_failed_was_not_said(sdk: AsyncOpenAI, upstream: Upstream) -> None:
    conversation = await sdk.conversations.create()
    upstream.always(fails(400))
    with pytest.raises(openai.BadRequestError):
        await ask(sdk, conversation.id, "one")
    assert await said_in(sdk, conversation.id) == []


async def test_items_are_added_read_and_forgotten(sdk: AsyncOpenAI) -> None:
    conversation = await sdk.conversations.create()
    added: Any = await sdk.conversations.items.create(
        conversation.id, items=[{"role": "user", "content": text} for text in ("one", "two", "three")]
    )
    assert [item.content[0].text for item in added.data] == ["one", "two", "three"]

    second = added.data[1]
    found: Any = await sdk.conversations.items.retrieve(second.id, conversation_id=conversation.id)
    assert found == second
    assert (
        await sdk.conversations.items.delete(second.id, conversation_id=conversation.id)
    ).id == conversation.id
    assert await said_in(sdk, conversation.id) == ["one", "three"]
    with pytest.raises(openai.NotFoundError, match="Item with id"):
        await sdk.conversations.items.retrieve(second.id, conversation_id=conversation.id)
    with pytest.raises(openai.NotFoundError, match="Item with id"):
        await sdk.conversations.items.delete(second.id, conversation_id=conversation.id)


async def test_an_item_is_in_a_conversation_once(sdk: AsyncOpenAI) -> None:
    item: Any = {"type": "message", "id": "msg_mine", "role": "user", "content": "one"}
    conversation = await sdk.conversations.create(items=[item])
    with pytest.raises(openai.BadRequestError, match="already"):
        await sdk.conversations.items.create(conversation.id, items=[item])
    twice = [{**item, "id": "msg_other", "content": text} for text in ("two", "three")]
    with pytest.raises(openai.BadRequestError, match="already"):
        await sdk.conversations.items.create(conversation.id, items=twice)
    assert await said_in(sdk, conversation.id) == ["one"]


async def test_what_is_said_with_the_id_of_another_item_is_kept_too(sdk: AsyncOpenAI) -> None:
    item: Any = {"type": "message", "id": "msg_mine", "role": "user", "content": "one"}
    conversation = await sdk.conversations.create(items=[item])
    again = [item, {**item, "content": "two"}]
    await sdk.responses.create(model="oai/m", input=again, conversation=conversation.id)
    assert await said_in(sdk, conversation.id) == ["one", "two", "hello world"]


async def test_items_are_added_by_reference(sdk: AsyncOpenAI, upstream: Upstream) -> None:
    response = await sdk.responses.create(model="oai/m", input="one")
    reference: Any = {"type": "item_reference", "id": response.output[0].id}
    conversation = await sdk.conversations.create(items=[reference])
    assert await said_in(sdk, conversation.id) == ["hello world"]
    with pytest.raises(openai.BadRequestError, match="already"):
        await sdk.conversations.items.create(conversation.id, items=[reference])
    for unknown in ({"type": "item_reference", "id": "msg_nobodys"}, {"id": "msg_nobodys"}):
        wrong: Any = [unknown]
        with pytest.raises(openai.NotFoundError, match="Item with id 'msg_nobodys' not found"):
            await sdk.conversations.items.create(conversation.id, items=wrong)
        with pytest.raises(openai.NotFoundError, match="Item with id 'msg_nobodys' not found"):
            await sdk.conversations.create(items=wrong)
    await ask(sdk, conversation.id, "two")
    assert heard(upstream) == [Text("hello world"), Text("two")]


async def test_items_of_the_conversation_are_said_by_reference(sdk: AsyncOpenAI, upstream: Upstream) -> None:
    conversation = await sdk.conversations.create(items=[{"role": "user", "content": "one"}])
    (item,) = [item async for item in sdk.conversations.items.list(conversation.id)]
    reference: Any = [{"type": "item_reference", "id": item.id}]
    await sdk.responses.create(model="oai/m", input=reference, conversation=conversation.id)
    assert heard(upstream) == [Text("one"), Text("one")]
    assert await said_in(sdk, conversation.id) == ["one", "hello world"]


async def test_a_conversation_goes_on_after_a_reference_to_what_is_elsewhere(
    make_gateway: MakeGateway, upstream: Upstream
) -> None:
    provider = {"wire": "responses", "base_url": f"{upstream.base_url}/v1"}
    gateway = await make_gateway(settings(upstream, providers={"res": provider}))
    async with openai_at(gateway) as sdk:
        conversation = await sdk.conversations.create()
        items: Any = [{"type": "item_reference", "id": "msg_theirs"}, {"role": "user", "content": "one"}]
        await sdk.responses.create(model="res/m", input=items, conversation=conversation.id)
        assert upstream.requests[-1].json["input"] == items
        await ask(sdk, conversation.id, "two")
        assert heard(upstream) == [Text("one"), Text("hello world"), Text("two")]


async def test_a_request_is_repeated_by_its_key(sdk: AsyncOpenAI, upstream: Upstream) -> None:
    """Though the conversation has grown meanwhile by what it said."""
    conversation = await sdk.conversations.create()
    key = {"Idempotency-Key": "once"}
    first, again = [await ask(sdk, conversation.id, "one", extra_headers=key) for _ in range(2)]
    assert again.id == first.id
    assert len(upstream.requests) == 1
    assert await said_in(sdk, conversation.id) == ["one", "hello world"]
    with pytest.raises(openai.ConflictError):
        await ask(sdk, conversation.id, "two", extra_headers=key)


async def test_metadata_is_changed(sdk: AsyncOpenAI) -> None:
    conversation = await sdk.conversations.create(metadata={"topic": "rivers"})
    await sdk.conversations.update(conversation.id, metadata={"topic": "stones"})
    found = await sdk.conversations.retrieve(conversation.id)
    assert (found.metadata, found.created_at) == ({"topic": "stones"}, conversation.created_at)


async def test_what_is_deleted_is_gone(sdk: AsyncOpenAI) -> None:
    conversation = await sdk.conversations.create()
    assert (await sdk.conversations.delete(conversation.id)).deleted is True
    with pytest.raises(openai.NotFoundError, match="Conversation with id"):
        await sdk.conversations.retrieve(conversation.id)
    with pytest.raises(openai.NotFoundError):
        await sdk.conversations.delete(conversation.id)
    with pytest.raises(openai.NotFoundError):
        await said_in(sdk, conversation.id)
    with pytest.raises(openai.BadRequestError, match="Conversation with id"):
        await ask(sdk, conversation.id, "one")


async def test_a_conversation_is_nobody_elses(make_gateway: MakeGateway, upstream: Upstream) -> None:
    tokens = {"anna": "env:ANNA", "bob": "env:BOB"}
    environ = {"ANNA": "token-of-anna", "BOB": "token-of-bob"}
    gateway = await make_gateway(settings(upstream, server={"tokens": tokens}), environ)
    async with openai_at(gateway, "token-of-anna") as anna, openai_at(gateway, "token-of-bob") as bob:
        conversation = await anna.conversations.create(items=[{"role": "user", "content": "secret"}])
        with pytest.raises(openai.NotFoundError):
            await bob.conversations.retrieve(conversation.id)
        with pytest.raises(openai.NotFoundError):
            await bob.conversations.items.create(conversation.id, items=[{"role": "user", "content": "x"}])
        with pytest.raises(openai.BadRequestError):
            await ask(bob, conversation.id, "what is it?")
        assert await said_in(anna, conversation.id) == ["secret"]


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("", {"items": "one"}, "items"),
        ("", {"items": [{"role": "nobody", "content": "x"}]}, "items[0].role"),
        ("", {"metadata": {"a": 1}}, "metadata.a"),
        ("/{id}", {"metadata": 7}, "metadata"),
        ("/{id}/items", {}, "items"),
        ("/{id}/items", {"items": []}, "items"),
    ],
)
async def test_what_is_wrong_is_named(gateway: Gateway, path: str, body: Any, param: str) -> None:
    _, conversation = await gateway.post(CONVERSATIONS, {})
    status, said = await gateway.post(CONVERSATIONS + path.format(id=conversation["id"]), body)
    assert (status, openai_wrong(said).param) == (400, param)
