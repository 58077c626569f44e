"""Who comes in: names that are ours, pages that may call, tokens, and how many at a time."""

from __future__ import annotations

import aiohttp
import orjson
import pytest

from rhetor.config import ConfigError
from rhetor.http.chat.table import SIGNING_IN
from rhetor.http.house import Gatekeeping
from rhetor.http.passes import digest
from rhetor.http.server import table
from rhetor.tasks import spawn
from rhetor.testing import Gate, Upstream, hangs
from tests.conftest import Gateway, MakeGateway, settings
from tests.http.doors import (
    ANTHROPIC_MESSAGES,
    EACH_DOOR,
    HELLO,
    OPENAI_CHAT,
    TEKTON_CHAT,
    Door,
    http,
    knock,
    openai_wrong,
    raw,
    refused,
    still_answers,
)

TOKEN = "t0ken-of-a-component"
FOREIGN_HOSTS = (
    "evil.example",
    "evil.example:8003",
    "127.0.0.1.evil.example",
    "localhost.evil.example:80",
    "evil-localhost",
    "[::2]:8003",
    "[::1",
    "[::1]evil.example",
    "127.0.0.1:80.evil.example",
    "localhost evil.example",
    "::1",
    "0.0.0.0",
    "2130706433",
    "user@127.0.0.1",
    "",
)
OUR_HOSTS = ("localhost", "LOCALHOST:1", "127.0.0.1:65535", "[::1]", "[::1]:8003")
FOREIGN_ORIGINS = ("https://evil.example", "null", "http://localhost:3000", "file://", "http://[", "")


@EACH_DOOR
async def test_a_name_that_is_not_ours(gateway: Gateway, upstream: Upstream, door: Door) -> None:
    """DNS rebinding: a page whose name was made to mean this machine gets nothing."""
    for host in FOREIGN_HOSTS:
        reply = await knock(gateway, door, orjson.dumps(door.body()), headers={"Host": host})
        wrong = refused(reply, door, 403)
        assert "server.allowed_hosts" in wrong.message, host
    assert upstream.requests == []


async def test_what_is_public_is_so_under_our_names_only(gateway: Gateway) -> None:
    for path in (entry.path for entry in table() if entry.method == "GET"):
        async with gateway.session.get(gateway.url + path, headers={"Host": "evil.example"}) as reply:
            assert reply.status == 403, path


async def test_names_that_are_ours(gateway: Gateway) -> None:
    for host in OUR_HOSTS:
        async with gateway.session.get(gateway.url + "/health", headers={"Host": host}) as reply:
            assert reply.status == 200, host


async def test_a_name_that_the_file_allows(make_gateway: MakeGateway, upstream: Upstream) -> None:
    gateway = await make_gateway(settings(upstream, server={"allowed_hosts": ["Rhetor.Example.org"]}))
    for host, status in (("rhetor.example.org:443", 200), ("localhost", 200), ("example.org", 403)):
        async with gateway.session.get(gateway.url + "/health", headers={"Host": host}) as reply:
            assert reply.status == status


@EACH_DOOR
async def test_a_page_of_another_origin_may_not_ask(gateway: Gateway, upstream: Upstream, door: Door) -> None:
    """Also in a way that needs no preflight: as plain text, from a form."""
    for origin in FOREIGN_ORIGINS:
        headers = {"Origin": origin, "content-type": "text/plain"}
        reply = await knock(gateway, door, orjson.dumps(door.body()), headers=headers)
        wrong = refused(reply, door, 403)
        assert "server.allowed_origins" in wrong.message, origin
    assert upstream.requests == []


async def test_a_page_of_another_origin_cannot_read(gateway: Gateway) -> None:
    """Its GET is answered as anybody's, but its browser is not told to hand it the answer."""
    async with gateway.session.get(gateway.url + "/v1/models", headers={"Origin": "null"}) as reply:
        assert reply.status == 200
        assert "access-control-allow-origin" not in reply.headers


@EACH_DOOR
async def test_our_own_page_may_ask(gateway: Gateway, door: Door) -> None:
    headers = {"Origin": gateway.url}
    assert (await knock(gateway, door, orjson.dumps(door.body()), headers=headers)).status == 200


async def handshake(gateway: Gateway, path: str, **headers: str) -> int:
    """The status of a WebSocket upgrade."""
    try:
        async with gateway.session.ws_connect(gateway.url + path, headers=headers) as socket:
            await socket.send_json({"type": "PING"})
            assert (await socket.receive_json()) == {"type": "PONG"}
            return 101
    except aiohttp.WSServerHandshakeError as error:
        return error.status


@pytest.mark.parametrize("path", ["/ws", "/api/llm/ws"])
async def test_upgrades_by_pages(gateway: Gateway, path: str) -> None:
    """A browser asks nobody before it opens a WebSocket: we look ourselves."""
    assert await handshake(gateway, path) == 101
    assert await handshake(gateway, path, Origin=gateway.url) == 101
    for origin in FOREIGN_ORIGINS:
        assert await handshake(gateway, path, Origin=origin) == 403
    assert await handshake(gateway, path, Host="evil.example") == 403
    assert gateway.app.house.websockets == set()


@pytest.fixture
async def guarded(make_gateway: MakeGateway, upstream: Upstream) -> Gateway:
    """A gateway that asks for a token."""
    server = {"tokens": {"component": "env:TOKEN", "other": "env:OTHER"}}
    return await make_gateway(settings(upstream, server=server), {"TOKEN": TOKEN, "OTHER": "an0ther-one"})


NO_ENTRY: list[dict[str, str]] = [
    {},
    {"Authorization": "Bearer wrong"},
    {"Authorization": "Bearer"},
    {"Authorization": f"Basic {TOKEN}"},
    {"Authorization": TOKEN},
    {"Authorization": f"Bearer {TOKEN}x"},
    {"Authorization": f"Bearer {TOKEN[:-1]}"},
    {"Authorization": "Bearer \udcff\udcfe"},
    {"x-api-key": "wrong"},
    {"x-api-key": ""},
    {"x-api-key": f"Bearer {TOKEN}"},
    {"Cookie": f"token={TOKEN}"},
]
ENTRY: list[dict[str, str]] = [
    {"Authorization": f"Bearer {TOKEN}"},
    {"Authorization": f"bearer  {TOKEN}"},
    {"x-api-key": TOKEN},
    {"x-api-key": "sk-some-vendors", "Authorization": f"Bearer {TOKEN}"},
    {"x-api-key": TOKEN, "Authorization": "Bearer sk-some-vendors"},
]


@EACH_DOOR
async def test_without_a_token(guarded: Gateway, upstream: Upstream, door: Door) -> None:
    for headers in NO_ENTRY:
        sent = [f"{name}: {value}".encode("utf-8", "surrogateescape") for name, value in headers.items()]
        reply = await raw(guarded.url, http("POST", door.path, b"{}", *sent))
        assert reply.status == 401, headers
        assert reply.headers["www-authenticate"] == "Bearer"
        assert "token" in door.wrong(orjson.loads(reply.body)).message
    assert upstream.requests == []


@EACH_DOOR
async def test_with_a_token(guarded: Gateway, door: Door) -> None:
    """As every SDK sends it; a vendor's key that some send beside it does no harm."""
    for headers in ENTRY:
        reply = await knock(guarded, door, orjson.dumps(door.body()), headers=headers)
        assert reply.status == 200, headers


@pytest.mark.parametrize(
    ("door", "kind"),
    [
        (OPENAI_CHAT, "authentication_error"),
        (ANTHROPIC_MESSAGES, "authentication_error"),
        (TEKTON_CHAT, "unauthenticated"),
    ],
    ids=str,
)
async def test_how_a_missing_token_is_told(guarded: Gateway, door: Door, kind: str) -> None:
    assert (refused(await knock(guarded, door, b"{}"), door, 401)).kind == kind


PUBLIC = {"/", "/health", "/api/llm/health", "/ready", "/openapi.json", "/api/v1/discovery", *SIGNING_IN}


async def test_what_answers_without_a_token(guarded: Gateway) -> None:
    """Denied unless listed here: whoever makes a handler public has to say so twice."""
    for entry in table():
        path = entry.path.replace("{model:.+}", "m").replace("{name}", "x")
        async with guarded.session.request(entry.method, guarded.url + path) as reply:
            public = entry.path in PUBLIC or entry.path.startswith(("/console/", "/static/"))
            assert (reply.status != 401) is public or entry.asks, path
            assert entry.public is (public or entry.asks), path


async def test_what_is_not_there_asks_for_a_token_too(guarded: Gateway) -> None:
    async with guarded.session.get(guarded.url + "/nothing") as reply:
        assert reply.status == 401
    async with guarded.session.get(guarded.url + "/v1/nothing") as reply:
        assert reply.status == 401
        assert openai_wrong(await reply.json()).kind == "authentication_error"


@pytest.mark.parametrize("path", ["/ws", "/api/llm/ws"])
async def test_upgrades_without_a_token(guarded: Gateway, path: str) -> None:
    """401 instead of an upgrade: the stock browser client goes on over HTTP then, where it shows its own."""
    for headers in NO_ENTRY[:3]:
        assert await handshake(guarded, path, **headers) == 401
    for headers in ENTRY:
        assert await handshake(guarded, path, **headers) == 101
    assert await handshake(guarded, path, Origin="null", **ENTRY[0]) == 403


async def test_the_books_know_whose_token_it_was(guarded: Gateway) -> None:
    headers = {"Authorization": "Bearer an0ther-one"}
    await knock(guarded, OPENAI_CHAT, orjson.dumps(OPENAI_CHAT.body()), headers=headers)
    async with guarded.session.ws_connect(guarded.url + "/ws", headers=ENTRY[0]) as socket:
        await socket.send_json({"type": "GENERATE", "request_id": "r", "prompt": "q", "model": "oai/m"})
        await socket.receive_json()
    guarded.session.headers.update(headers)
    assert [trip["principal"] for trip in await guarded.booked(2)] == ["component", "other"]


async def test_beyond_loopback_only_with_a_token(make_gateway: MakeGateway) -> None:
    with pytest.raises(ConfigError, match="token"):
        await make_gateway(settings(server={"host": "0.0.0.0"}))


async def test_beyond_loopback_any_name_will_do(make_gateway: MakeGateway, upstream: Upstream) -> None:
    """A rebound page has no token, and nobody knows under which names the machine is reached."""
    server = {"host": "0.0.0.0", "tokens": {"component": "env:TOKEN"}}
    gateway = await make_gateway(settings(upstream, server=server), {"TOKEN": TOKEN})
    for headers, status in ((ENTRY[0], 200), ({}, 401), ({**ENTRY[0], "Origin": "http://evil.example"}, 403)):
        headers = {"Host": "anything.example", **headers}
        reply = await knock(gateway, OPENAI_CHAT, orjson.dumps(OPENAI_CHAT.body()), headers=headers)
        assert reply.status == status
    gateway.session.headers.update(ENTRY[0])
    await still_answers(gateway)


def test_no_token_is_kept() -> None:
    rules = Gatekeeping(tokens={digest(TOKEN): "component"})
    assert TOKEN not in repr(rules)


@EACH_DOOR
async def test_only_so_many_at_a_time(make_gateway: MakeGateway, upstream: Upstream, door: Door) -> None:
    """Who comes then is refused unread, in the language of the door, and told when to come again."""
    gateway = await make_gateway(settings(upstream, server={"max_requests": 2}))
    gate = Gate()
    upstream.next(hangs(gate), hangs(gate))
    under_way = [spawn(knock(gateway, door, orjson.dumps(door.body())), "under way") for _ in range(2)]
    await upstream.request(2)
    reply = await knock(gateway, door, b"{")
    assert "2 requests under way" in refused(reply, door, 503).message
    assert reply.headers["retry-after"] == "1"
    assert "x-should-retry" not in reply.headers
    assert (await gateway.get("/health"))[0] == 200
    gate.open()
    assert [(await one).status for one in under_way] == [200, 200]
    await still_answers(gateway, door)
    assert gateway.app.house.requests == set()


async def test_all_doors_are_counted_together(make_gateway: MakeGateway, upstream: Upstream) -> None:
    gateway = await make_gateway(settings(upstream, server={"max_requests": 1}))
    upstream.next(hangs())
    async with gateway.session.ws_connect(f"{gateway.url}/ws") as websocket:
        await websocket.send_json({"type": "CHAT", "request_id": "r1", "model": "oai/m", "messages": HELLO})
        await upstream.request()
        refused(await knock(gateway, OPENAI_CHAT, b"{"), OPENAI_CHAT, 503)
