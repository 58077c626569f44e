"""The older clients on the WebSocket: told apart by their first frame, and answered in what they read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rhetor.testing import Gate, Seen, Upstream, cuts, fails, hangs, says
from tests.conftest import Gateway, MakeGateway, settings
from tests.http.doors import HELLO
from tests.http.old_clients import CLOSE, OldSocket
from tests.http.older_clients import (
    PAGE_REGISTER,
    REGISTER,
    Page,
    athena,
    bare,
    ended,
    idle,
    llm_request,
    until,
)

PATHS = pytest.mark.parametrize("path", ["/ws", "/api/llm/ws"])


@pytest.fixture
async def gateway(make_gateway: MakeGateway, upstream: Upstream) -> Gateway:
    """A gateway that answers who names nobody."""
    return await make_gateway(settings(upstream, routes={"default": {"targets": ["oai/m"]}}))


# The first Rhetor: RhetorClient, and Hephaestus' pages.


@PATHS
async def test_registering_in_an_envelope(gateway: Gateway, path: str) -> None:
    """A RESPONSE without a message: a page would show one as an answer."""
    async with OldSocket(gateway.url, path) as socket:
        for register in (REGISTER, PAGE_REGISTER):
            socket.say(register)
            said = await socket.hear()
            assert (said["type"], said["source"]) == ("RESPONSE", "SYSTEM")
            assert said["target"] == register["source"]
            assert said["payload"] == {"status": "registered"}
            assert isinstance(said["timestamp"], str)


@PATHS
async def test_rhetor_client_waits_for_its_req_id(gateway: Gateway, path: str) -> None:
    """In every UPDATE; it adds up the chunks until one is done."""
    async with OldSocket(gateway.url, path) as socket:
        socket.say(REGISTER)
        await socket.hear()
        socket.say(llm_request("terma:1"))
        frames = await until(socket, idle)
    assert {frame["req_id"] for frame in frames} == {"terma:1"}
    assert {(frame["type"], frame["source"], frame["target"]) for frame in frames} == {
        ("UPDATE", "LLM", "terma")
    }
    payloads = [frame["payload"] for frame in frames]
    assert "".join(payload.get("chunk", "") for payload in payloads) == "hello world"
    assert [payload["done"] for payload in payloads if "done" in payload] == [False, False, True]
    assert payloads[-2]["meta"]["served_by"] == "oai/m"


async def test_a_page_that_has_no_ids(gateway: Gateway, upstream: Upstream) -> None:
    """Two chats at the same time; it tells them apart by their context, and shows who is typing."""
    gate = Gate()
    upstream.always(lambda seen: says(f"on {question_of(seen)}").but(hangs(gate, after=1)))
    page = Page()
    async with OldSocket(gateway.url) as socket:
        for context in ("ergon", "agora"):
            socket.say(llm_request(None, message=context, context=context, component=None))
        await upstream.request(2)
        socket.say(PAGE_REGISTER)
        seen_typing: set[str] = set()
        while len(page.complete) < 2 or page.typing:
            frame = await socket.hear()
            assert "req_id" not in frame
            page.on(frame)
            seen_typing |= page.typing
            if len(page.text) == 2:
                gate.open()
    assert page.text == {"ergon": "on ergon", "agora": "on agora"}
    assert sorted(page.complete) == ["agora", "ergon"]
    assert seen_typing == {"ergon", "agora"}
    assert page.errors == page.messages == []


def question_of(seen: Seen) -> str:
    return str(seen.json["messages"][-1]["content"])


async def test_typing_is_shown_before_anybody_answers(gateway: Gateway, upstream: Upstream) -> None:
    upstream.next(hangs())
    async with OldSocket(gateway.url) as socket:
        socket.say(llm_request())
        said = await socket.hear()
        assert said["payload"] == {"status": "typing", "isTyping": True, "context": "ergon"}


@pytest.mark.parametrize("req_id", ["terma:1", None])
async def test_a_whole_answer_in_an_envelope(gateway: Gateway, req_id: str | None) -> None:
    page = Page()
    async with OldSocket(gateway.url) as socket:
        socket.say(llm_request(req_id, streaming=False))
        frames = await until(socket, idle)
    for frame in frames:
        page.on(frame)
        assert frame.get("req_id") == req_id
    assert page.messages == [("ergon", "hello world")]
    assert not page.typing
    response = frames[1]["payload"]
    assert (response["model"], response["provider"], response["finished"]) == ("m", "oai", True)


async def test_a_conversation_in_an_envelope(gateway: Gateway, upstream: Upstream) -> None:
    async with OldSocket(gateway.url) as socket:
        said = llm_request(messages=[{"role": "system", "content": "be brief"}, *HELLO])
        del said["payload"]["message"]
        socket.say(said | {"type": "CHAT_REQUEST"})
        await until(socket, idle)
    assert [m["role"] for m in upstream.requests[0].json["messages"]] == ["system", "user"]


async def test_status(gateway: Gateway) -> None:
    """With a payload or without, and on a connection that has said nothing before."""
    async with OldSocket(gateway.url) as socket:
        for said in (
            {"type": "STATUS", "source": "UI", "payload": {}, "req_id": "s1"},
            {"type": "STATUS", "source": "UI", "req_id": "s1"},
        ):
            socket.say(said)
            answer = await socket.hear()
            assert (answer["type"], answer["req_id"], answer["target"]) == ("RESPONSE", "s1", "UI")
            payload = answer["payload"]
            assert (payload["status"], payload["service"]) == ("ok", "rhetor")
            assert payload["providers"]["oai"] is True
            assert payload["providers"]["groq"] is False
            assert (payload["default_provider"], payload["default_model"]) == ("rhetor", "default")
            assert isinstance(payload["version"], str)


async def test_status_is_for_those_who_are_let_in(make_gateway: MakeGateway, upstream: Upstream) -> None:
    """A token that was taken back learns nothing more on a connection that is open; who waits hears so."""
    gateway = await make_gateway(settings(upstream, server={"tokens": {"ui": "env:UI"}}), {"UI": "u" * 20})
    async with OldSocket(gateway.url, Authorization=f"Bearer {'u' * 20}") as socket:
        status = {"type": "STATUS", "source": "UI", "payload": {}, "req_id": "s1"}
        socket.say(status)
        assert (await socket.hear())["payload"]["status"] == "ok"
        house = gateway.app.house
        house.gatekeeping = replace(house.gatekeeping, tokens={b"another": "other"})
        for said in (status, PAGE_REGISTER | {"source": "UI", "req_id": "s1"}):
            socket.say(said)
            refused, _ = await until(socket, idle)
            assert (refused["type"], refused["req_id"], refused["target"]) == ("ERROR", "s1", "UI")
            assert refused["payload"]["code"] == "unauthenticated"


@pytest.mark.parametrize("changes", [{"options": {"temperature": "hot"}}, {"message": None}])
async def test_a_page_hears_where_it_went_wrong(gateway: Gateway, changes: dict[str, Any]) -> None:
    """It shows that somebody is typing from the moment on at which it asks: that ends too."""
    page = Page(typing={"ergon"})
    async with OldSocket(gateway.url) as socket:
        socket.say(llm_request(None, **changes))
        for frame in await until(socket, idle):
            page.on(frame)
    assert [context for context, _ in page.errors] == ["ergon"]
    assert not page.typing


@pytest.mark.parametrize("kind", ["AI_SPECIALIST_REQUEST", "AI_TEAM_CHAT"])
async def test_specialists_are_not_here(gateway: Gateway, upstream: Upstream, kind: str) -> None:
    async with OldSocket(gateway.url) as socket:
        socket.say({"type": kind, "source": "UI", "req_id": "1", "payload": {"message": "hello"}})
        said = await socket.hear()
        assert (said["type"], said["req_id"], said["payload"]["code"]) == ("ERROR", "1", "unsupported")
        assert "no specialists here" in said["payload"]["error"]
    assert upstream.requests == []


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize("fault", [fails(400), cuts(after=1)])
async def test_rhetor_client_hears_of_a_failure_by_its_id(
    gateway: Gateway, upstream: Upstream, fault: Any, streaming: bool
) -> None:
    """In the frame, where Python looks, and in the payload, where the page does; a page needs the context."""
    upstream.always(fault)
    page = Page()
    async with OldSocket(gateway.url) as socket:
        socket.say(llm_request("terma:1", streaming=streaming))
        frames = await until(socket, idle)
        for frame in frames:
            page.on(frame)
        error = next(frame for frame in frames if frame["type"] == "ERROR")
        assert (error["req_id"], error["payload"]["req_id"]) == ("terma:1", "terma:1")
        assert page.errors == [("ergon", error["payload"]["error"])]
        assert page.complete == []
        assert not page.typing
        upstream.always(says("again"))
        socket.say(llm_request("terma:1", streaming=False))
        assert (await until(socket, idle))[1]["payload"]["message"] == "again"


async def test_the_books_know_the_dialect_and_the_component(gateway: Gateway) -> None:
    async with OldSocket(gateway.url) as socket:
        socket.say(llm_request(component=None))
        await until(socket, idle)
    async with OldSocket(gateway.url) as socket:
        socket.say(bare())
        await until(socket, ended)
    async with OldSocket(gateway.url) as socket:
        socket.say(athena())
        await until(socket, ended)
    booked = [(trip["door"], trip["component"]) for trip in await gateway.booked(3)]
    assert sorted(booked, key=str) == [("athena-ws", "athena"), ("bare-ws", None), ("rhetor-ws", "terma")]


# LLMAdapterClient, and the second Rhetor.


@pytest.mark.parametrize("path", ["/ws/generate", "/api/llm/ws/generate", "/ws"])
async def test_llm_adapter_client_finds_its_request_id_until_done(gateway: Gateway, path: str) -> None:
    async with OldSocket(gateway.url, path) as socket:
        socket.say(bare("kx81"))
        frames = await until(socket, ended)
        assert {frame["request_id"] for frame in frames} == {"kx81"}
        *chunks, complete = frames
        assert [chunk["done"] for chunk in chunks] == [False, False, True]
        assert "".join(chunk["content"] for chunk in chunks) == "hello world"
        assert complete["type"] == "stream_complete"
        assert "done" not in complete


async def test_the_second_rhetors_socket(gateway: Gateway, upstream: Upstream) -> None:
    """A bare body, raw chunks, and a marker."""
    said = {
        "messages": HELLO,
        "context_id": "ctx",
        "task_type": "chat",
        "component": "apollo",
        "system_prompt": "be brief",
        "model": None,
        "temperature": 0.2,
        "max_tokens": None,
    }
    async with OldSocket(gateway.url) as socket:
        socket.say(said)
        *chunks, complete = await until(socket, ended)
    assert complete == {"type": "stream_complete"}
    assert "".join(chunk["chunk"] for chunk in chunks) == "hello world"
    assert {chunk["context_id"] for chunk in chunks} == {"ctx"}
    assert upstream.requests[0].json["messages"][0]["role"] == "system"


async def test_llm_adapter_client_cancels(gateway: Gateway, upstream: Upstream) -> None:
    gate = Gate()
    upstream.next(hangs(after=1), hangs(gate, after=1))
    async with OldSocket(gateway.url, "/ws/generate") as socket:
        for request_id in ("goes", "stays"):
            socket.say(bare(request_id))
            assert (await socket.hear())["request_id"] == request_id
        socket.say({"request_id": "never was", "action": "cancel"})
        socket.say({"request_id": "goes", "action": "cancel"})
        await upstream.requests[0].aborted()
        gate.open()
        assert {frame["request_id"] for frame in await until(socket, ended)} == {"stays"}


@pytest.mark.parametrize("fault", [fails(503), cuts(after=1)])
async def test_llm_adapter_client_is_done_when_it_fails(
    gateway: Gateway, upstream: Upstream, fault: Any
) -> None:
    """It knows no errors: only a chunk with its id and `done` lets it go."""
    upstream.always(fault)
    async with OldSocket(gateway.url, "/ws/generate") as socket:
        socket.say(bare("r1"))
        last = (await until(socket, ended))[-1]
    assert (last["type"], last["request_id"], last["done"], last["content"]) == ("error", "r1", True, "")
    assert isinstance(last["error"], str)


# Athena.


@pytest.mark.parametrize("kind", ["generate", "chat"])
async def test_athenas_sockets(gateway: Gateway, upstream: Upstream, kind: str) -> None:
    """Content, then done: it closes, and opens another one for the next request."""
    async with OldSocket(gateway.url) as socket:
        socket.say(athena(kind))
        *content, done = await until(socket, ended)
        socket.send(CLOSE, b"\x03\xe8")
        assert await socket.closing_code() == 1000
    assert {frame["type"] for frame in content} == {"content"}
    assert "".join(frame["content"] for frame in content) == "hello world"
    assert (done["type"], done["provider"], done["usage"]["total_tokens"]) == ("done", "oai", 18)
    assert upstream.requests[0].json["temperature"] == 0.7


@pytest.mark.parametrize("fault", [fails(503), cuts(after=1)])
async def test_athena_rejects_with_a_text(gateway: Gateway, upstream: Upstream, fault: Any) -> None:
    upstream.always(fault)
    async with OldSocket(gateway.url) as socket:
        socket.say(athena())
        last = (await until(socket, ended))[-1]
    assert last["type"] == "error"
    assert isinstance(last["error"], str)
    assert last["error"]
