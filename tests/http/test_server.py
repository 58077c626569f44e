"""What surrounds every handler: wrong methods, unknown paths, pages of other origins, failures of our own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from aiohttp import web

from rhetor import __version__
from rhetor.http.served import Served
from rhetor.http.server import table
from rhetor.testing import Upstream
from tests.conftest import Gateway, MakeGateway, settings
from tests.http.doors import (
    EACH_DOOR,
    OPENAI_CHAT,
    TEKTON_CHAT,
    Door,
    Wrong,
    anthropic_wrong,
    http,
    knock,
    openai_wrong,
    raw,
    read,
    refused,
    serving,
    still_answers,
    tekton_wrong,
)

APP = "https://app.example.org"


@EACH_DOOR
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
async def test_a_wrong_method(gateway: Gateway, door: Door, method: str) -> None:
    async with gateway.session.request(method, gateway.url + door.path) as reply:
        wrong = refused(await read(reply), door, 405)
        assert wrong.message == f"{door.path} takes POST, not {method}"
        assert reply.headers["allow"] == "POST"


@pytest.mark.parametrize(
    "path", ["/", "/health", "/metrics", "/openapi.json", "/v1/models", "/v1/models/oai/m", "/console/x.js"]
)
async def test_posting_to_what_can_only_be_read(gateway: Gateway, path: str) -> None:
    async with gateway.session.post(gateway.url + path) as reply:
        assert reply.status == 405
        assert reply.headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize(
    ("path", "language"),
    [
        ("/v1/chat", openai_wrong),
        ("/v1/responses/resp_x/parts", openai_wrong),
        ("/v1/messages/batches", anthropic_wrong),
        ("/api/v1/chat/", tekton_wrong),
        ("/v1/sessions/x/none", tekton_wrong),
        ("/v1/generations/x/none", tekton_wrong),
        ("/api/v2/chat", tekton_wrong),
        ("/nothing/%ff%00%0d%0a", tekton_wrong),
        ("//health", tekton_wrong),
        ("/console/../../server.py", tekton_wrong),
        ("/console/..%2f..%2fserver.py", tekton_wrong),
    ],
)
async def test_an_unknown_path(gateway: Gateway, path: str, language: Callable[[Any], Wrong]) -> None:
    reply = await raw(gateway.url, http("GET", path))
    assert reply.status == 404
    assert language(reply.json).message
    assert reply.headers["x-request-id"].startswith("req_")


async def test_a_path_that_is_no_text(gateway: Gateway) -> None:
    reply = await raw(
        gateway.url, http("GET", "/\udcff\udcfe".encode("utf-8", "surrogateescape").decode("latin-1"))
    )
    assert reply.status in (400, 404)
    await still_answers(gateway)


@pytest.mark.parametrize("entry", [e for e in table() if e.method == "GET"], ids=lambda entry: entry.path)
async def test_head_tells_what_get_would(gateway: Gateway, entry: Served) -> None:
    path = entry.path.replace("{model:.+}", "oai/m").replace("/console/{name}", "/console/console.js")
    path = path.replace("{name}", "tekton-llm-client.js").replace("{id}", "ses_0")
    async with gateway.session.head(gateway.url + path) as reply:
        if entry.upgrades and not entry.plain:
            assert (reply.status, reply.headers["allow"]) == (405, "GET")
            return
        async with gateway.session.get(gateway.url + path) as got:
            assert reply.status == got.status
            assert reply.content_type == got.content_type
        assert await reply.read() == b""


@pytest.fixture
async def open_to_app(make_gateway: MakeGateway, upstream: Upstream) -> Gateway:
    """A gateway that a page of another origin may call, with a token."""
    server = {"allowed_origins": [APP], "tokens": {"app": "env:APP_TOKEN"}}
    return await make_gateway(settings(upstream, server=server), {"APP_TOKEN": "t0ken-of-app"})


@EACH_DOOR
async def test_a_page_that_is_allowed(open_to_app: Gateway, door: Door) -> None:
    """The preflight carries no token; the page may read every answer, whole, streamed or a refusal."""
    asks = {
        "Origin": APP,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,x-stainless-os",
    }
    async with open_to_app.session.options(open_to_app.url + door.path, headers=asks) as preflight:
        assert preflight.status == 204
        assert preflight.headers["access-control-allow-origin"] == APP
        assert "POST" in preflight.headers["access-control-allow-methods"]
        assert preflight.headers["access-control-allow-headers"] == asks["Access-Control-Request-Headers"]
        assert "access-control-allow-credentials" not in preflight.headers

    for token, status in (("t0ken-of-app", 200), ("wrong", 401)):
        headers = {"Origin": APP, "authorization": f"Bearer {token}"}
        reply = await knock(open_to_app, door, orjson.dumps(door.body(stream=True)), headers=headers)
        assert reply.status == status
        assert reply.headers["access-control-allow-origin"] == APP
        assert reply.headers["vary"] == "Origin"


@EACH_DOOR
@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://app.example.org", f"{APP}.evil.io"]
)
async def test_a_page_that_is_not(open_to_app: Gateway, upstream: Upstream, door: Door, origin: str) -> None:
    asks = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    async with open_to_app.session.options(open_to_app.url + door.path, headers=asks) as preflight:
        refused(await read(preflight), door, 403)
        assert "access-control-allow-origin" not in preflight.headers
    headers = {"Origin": origin, "authorization": "Bearer t0ken-of-app"}
    reply = await knock(open_to_app, door, orjson.dumps(door.body()), headers=headers)
    refused(reply, door, 403)
    assert "access-control-allow-origin" not in reply.headers
    assert upstream.requests == []


async def test_nobody_asks_for_cors(gateway: Gateway) -> None:
    reply = await knock(gateway, OPENAI_CHAT, orjson.dumps(OPENAI_CHAT.body()))
    assert not [name for name in reply.headers if name.lower().startswith("access-control")]


@pytest.mark.parametrize("door", [OPENAI_CHAT, TEKTON_CHAT], ids=str)
async def test_errors_are_in_the_language_of_the_door(gateway: Gateway, door: Door) -> None:
    """Also to a caller who carries Anthropic's headers to another door."""
    headers = {"anthropic-version": "2023-06-01"}
    refused(await knock(gateway, door, b"{", headers=headers), door, 400)


async def test_the_list_of_models_has_two_languages(gateway: Gateway) -> None:
    url = gateway.url + "/v1/models/nobody/m"
    async with gateway.session.get(url) as reply:
        assert reply.status == 404
        assert openai_wrong(await reply.json()).kind == "invalid_request_error"
    async with gateway.session.get(url, headers={"anthropic-version": "2023-06-01"}) as reply:
        assert reply.status == 404
        assert anthropic_wrong(await reply.json()).kind == "not_found_error"


async def test_a_failure_of_our_own_says_nothing_of_its_insides(
    gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    """The caller gets a 500 in its language, the log the traceback."""

    async def broken(http: web.Request) -> web.StreamResponse:
        raise ZeroDivisionError("the secret of the house")

    async with serving(broken, gateway.app.house) as url, gateway.session.get(url) as reply:
        assert reply.status == 500
        said = await reply.text()
    assert openai_wrong(orjson.loads(said)).message == "the gateway failed; its log says why"
    assert [record.exc_info is not None for record in caplog.records] == [True]


# Connections.


@pytest.mark.parametrize(
    "sent",
    [
        http("GET", "/health"),
        http("GET", "/nothing"),
        http("POST", OPENAI_CHAT.path, b"{"),
        http("POST", OPENAI_CHAT.path, orjson.dumps(OPENAI_CHAT.body(stream=True))),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n",
        http("GET", "/health", b"", b"no colon"),
        http("GET", "/health", b"", b"Expect: the impossible"),
    ],
)
async def test_replies_say_who_answers_and_not_what_with(gateway: Gateway, sent: bytes) -> None:
    reply = await raw(gateway.url, sent)
    assert reply.headers["server"] == f"rhetor/{__version__}"
    assert b"aiohttp" not in reply.body.lower()
