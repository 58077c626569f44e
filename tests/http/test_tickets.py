"""Tickets: good once, soon, and for who showed a token."""

from __future__ import annotations

from dataclasses import replace

import aiohttp
import pytest

from rhetor.http.passes import digest
from rhetor.http.tickets import GOOD_FOR_S, MOST, PREFIX, PROTOCOL, Tickets
from rhetor.testing import Upstream
from rhetor.testing.clock import FakeClock
from tests.conftest import Gateway, MakeGateway, settings
from tests.http.doors import HELLO

TOKEN = "t0ken-of-a-component"


@pytest.fixture
async def guarded(make_gateway: MakeGateway, upstream: Upstream) -> Gateway:
    config = settings(upstream, server={"tokens": {"page": "env:PAGE_TOKEN"}})
    return await make_gateway(config, {"PAGE_TOKEN": TOKEN})


async def given(gateway: Gateway, token: str = TOKEN) -> dict[str, object]:
    headers = {"Authorization": f"Bearer {token}"}
    async with gateway.session.post(gateway.url + "/api/v1/ws-ticket", headers=headers) as reply:
        assert reply.status == 200, await reply.text()
        assert reply.headers["cache-control"] == "no-store"
        said: dict[str, object] = await reply.json()
        return said


async def test_a_page_connects_with_a_ticket(guarded: Gateway) -> None:
    protocols = (await given(guarded))["protocols"]
    assert isinstance(protocols, list)
    async with guarded.session.ws_connect(guarded.url + "/ws", protocols=protocols) as socket:
        assert socket.protocol == PROTOCOL
        await socket.send_json({"type": "GENERATE", "request_id": "1", "prompt": "hello", "model": "oai/m"})
        assert (await socket.receive_json())["type"] == "RESPONSE"


async def test_a_ticket_is_good_once(guarded: Gateway) -> None:
    protocols = (await given(guarded))["protocols"]
    assert isinstance(protocols, list)
    async with guarded.session.ws_connect(guarded.url + "/ws", protocols=protocols):
        pass
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await guarded.session.ws_connect(guarded.url + "/ws", protocols=protocols)
    assert refused.value.status == 401


async def test_a_ticket_needs_a_token(guarded: Gateway) -> None:
    async with guarded.session.post(guarded.url + "/api/v1/ws-ticket") as reply:
        assert reply.status == 401


@pytest.mark.parametrize("path", ["/api/v1/ws-ticket", "/v1/chat/completions", "/api/v1/chat"])
async def test_a_ticket_opens_nothing_but_websockets(guarded: Gateway, upstream: Upstream, path: str) -> None:
    """Not another ticket either, with which it would never end; and trying it does not use it up."""
    protocols = (await given(guarded))["protocols"]
    assert isinstance(protocols, list)
    body = {"model": "oai/m", "messages": HELLO}
    shown = {"Sec-WebSocket-Protocol": ", ".join(protocols)}
    async with guarded.session.post(guarded.url + path, json=body, headers=shown) as reply:
        assert reply.status == 401
    assert upstream.requests == []
    async with guarded.session.ws_connect(guarded.url + "/ws", protocols=protocols) as socket:
        assert socket.protocol == PROTOCOL


TAKEN_BACK = pytest.mark.parametrize("left", ["other", "page"], ids=["gone", "another token of that name"])


def take_back(gateway: Gateway, left: str) -> None:
    """What a reload does that leaves another token only."""
    house = gateway.app.house
    house.gatekeeping = replace(house.gatekeeping, tokens={digest("an0ther-token"): left})


@TAKEN_BACK
async def test_a_ticket_goes_with_its_token(guarded: Gateway, left: str) -> None:
    protocols = (await given(guarded))["protocols"]
    assert isinstance(protocols, list)
    take_back(guarded, left)
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await guarded.session.ws_connect(guarded.url + "/ws", protocols=protocols)
    assert refused.value.status == 401


@TAKEN_BACK
async def test_who_came_with_a_ticket_leaves_with_the_token(guarded: Gateway, left: str) -> None:
    """A reload that takes the token back counts on connections that were open before."""
    protocols = (await given(guarded))["protocols"]
    assert isinstance(protocols, list)
    async with guarded.session.ws_connect(guarded.url + "/ws", protocols=protocols) as socket:
        take_back(guarded, left)
        await socket.send_json({"type": "GENERATE", "request_id": "1", "prompt": "hello", "model": "oai/m"})
        refused = await socket.receive_json()
        assert (refused["type"], refused["code"]) == ("ERROR", "unauthenticated")


async def test_a_reload_that_leaves_the_token_leaves_who_came_with_a_ticket(guarded: Gateway) -> None:
    protocols = (await given(guarded))["protocols"]
    assert isinstance(protocols, list)
    async with guarded.session.ws_connect(guarded.url + "/ws", protocols=protocols) as socket:
        await guarded.app.reload()
        await socket.send_json({"type": "GENERATE", "request_id": "1", "prompt": "hello", "model": "oai/m"})
        assert (await socket.receive_json())["type"] == "RESPONSE"


async def test_without_tokens_a_ticket_is_not_needed_and_does_no_harm(gateway: Gateway) -> None:
    async with gateway.session.post(gateway.url + "/api/v1/ws-ticket") as reply:
        protocols = (await reply.json())["protocols"]
    async with gateway.session.ws_connect(gateway.url + "/ws", protocols=protocols) as socket:
        assert socket.protocol == PROTOCOL


def test_a_ticket_ends() -> None:
    clock = FakeClock()
    tickets = Tickets(clock)
    ticket = PREFIX + tickets.give(b"ann's")
    clock.advance(GOOD_FOR_S)
    assert tickets.redeem(ticket) is None


def test_tickets_are_bounded() -> None:
    tickets = Tickets(FakeClock())
    first = tickets.give(b"ann's")
    for _ in range(MOST):
        last = tickets.give(b"ann's")
    assert tickets.redeem(PREFIX + first) is None
    assert tickets.redeem(f"{PROTOCOL}, {PREFIX}{last}") == b"ann's"


@pytest.mark.parametrize("shown", ["", "rhetor", "rhetor.ticket.", "rhetor.ticket.nonsense", ","])
def test_what_is_no_ticket(shown: str) -> None:
    tickets = Tickets(FakeClock())
    tickets.give(b"ann's")
    assert tickets.redeem(shown) is None
