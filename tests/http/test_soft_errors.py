"""Errors with status 200, for components whose client makes up an answer for any other status."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from rhetor.config import ConfigError
from rhetor.testing import Upstream, cuts, fails, says
from tests.conftest import Gateway, MakeGateway, settings
from tests.http.doors import HELLO, Reply, read
from tests.wire.tekton.stock import CompletionResponse, StreamingChunk, chunks_of

CHAT, STREAM = "/api/v1/chat", "/api/v1/chat/stream"
SOFT = {"x-rhetor-soft-errors": "true"}
ASKED: dict[str, Any] = {"messages": HELLO, "provider_id": "oai", "model_id": "m", "context_id": "terma"}


@pytest.fixture
async def gateway(make_gateway: MakeGateway, upstream: Upstream) -> Gateway:
    """It speaks softly to the component `terma`."""
    return await make_gateway(settings(upstream, server={"soft_errors": ["terma"]}))


async def ask(gateway: Gateway, path: str, body: Any = ASKED, headers: dict[str, str] | None = None) -> Reply:
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    async with gateway.session.post(gateway.url + path, data=data, headers=headers) as reply:
        return await read(reply)


def error_of(reply: Reply) -> dict[str, Any]:
    """The one message of a soft error, as the stock client reads it."""
    assert reply.status == 200
    said: dict[str, Any]
    if reply.headers["content-type"] == "text/event-stream":
        (said,) = chunks_of(reply.body)
        StreamingChunk.model_validate(said)
        assert (said["chunk"], said["done"]) == ("", True)
    else:
        assert reply.headers["content-type"] == "application/json"
        said = reply.json
        CompletionResponse.model_validate(said)
        assert said["content"] == ""
    assert said["error"]
    return said


@pytest.mark.parametrize("path", [CHAT, STREAM, "/api/llm/api/v1/chat", "/api/llm/api/v1/chat/stream"])
async def test_a_component_of_the_list_hears_errors_in_replies(
    gateway: Gateway, upstream: Upstream, path: str
) -> None:
    """The stock client names its component in `context_id` and nowhere else."""
    upstream.always(fails(503, "too busy"))
    reply = await ask(gateway, path)
    said = error_of(reply)
    assert "too busy" in said["error"]
    assert (said["model"], said["provider"], said["context_id"]) == ("m", "oai", "terma")
    assert said["code"] == "unavailable"
    assert reply.headers["x-rhetor-attempts"].startswith("oai/m;unavailable")


@pytest.mark.parametrize(
    ("said", "headers"),
    [
        ({"component": "terma"}, {}),
        ({"component_id": "terma"}, {}),
        ({}, {"x-component-id": "terma"}),
        ({}, SOFT),
        ({}, {"x-rhetor-soft-errors": "TRUE"}),
    ],
)
async def test_it_is_asked_for_by_name_or_by_header(
    gateway: Gateway, said: dict[str, Any], headers: dict[str, str]
) -> None:
    body = {"messages": HELLO, "model_id": "klingon", **said}
    assert "klingon" in (error_of(await ask(gateway, CHAT, body, headers)))["error"]


@pytest.mark.parametrize(
    ("said", "headers"),
    [({}, {}), ({"context_id": "hermes"}, {}), ({"context_id": "terma"}, {"x-rhetor-soft-errors": "false"})],
)
async def test_everybody_else_gets_a_status(
    gateway: Gateway, said: dict[str, Any], headers: dict[str, str]
) -> None:
    body = {"messages": HELLO, "model_id": "klingon", **said}
    assert (await ask(gateway, CHAT, body, headers)).status == 404


@pytest.mark.parametrize("path", [CHAT, STREAM])
@pytest.mark.parametrize(
    "body",
    [b"{", b"[]", b"\xff", orjson.dumps({"messages": []}), orjson.dumps({"messages": HELLO, "options": 1})],
)
async def test_what_nobody_can_read_is_answered_softly_too(gateway: Gateway, path: str, body: bytes) -> None:
    said = error_of(await ask(gateway, path, body, SOFT))
    assert said["code"] == "invalid_request"
    assert (said["model"], said["provider"], said["context_id"]) == ("", "", "default")


async def test_a_wrong_field_of_a_component_of_the_list_is_answered_softly(gateway: Gateway) -> None:
    said = error_of(await ask(gateway, CHAT, {**ASKED, "options": {"temperature": "hot"}}))
    assert said["param"] == "options.temperature"


async def test_what_succeeds_is_as_ever(gateway: Gateway, upstream: Upstream) -> None:
    upstream.always(says("one two"))
    said = (await ask(gateway, CHAT)).json
    assert (said["content"], said.get("error")) == ("one two", None)
    chunks = chunks_of((await ask(gateway, STREAM)).body)
    assert "".join(chunk["chunk"] for chunk in chunks) == "one two"


async def test_a_stream_that_breaks_off_ends_as_ever(gateway: Gateway, upstream: Upstream) -> None:
    upstream.next(says("one two three").but(cuts(after=2)))
    *chunks, last = chunks_of((await ask(gateway, STREAM)).body)
    assert "".join(chunk["chunk"] for chunk in chunks) == "one two"
    assert (last["code"], last["done"]) == ("connection_lost", True)


async def test_the_header_is_true_or_false(gateway: Gateway) -> None:
    reply = await ask(gateway, CHAT, ASKED, {"x-rhetor-soft-errors": "perhaps"})
    assert reply.status == 400
    assert reply.json["param"] == "x-rhetor-soft-errors"


async def test_who_may_not_come_in_gets_a_status(make_gateway: MakeGateway, upstream: Upstream) -> None:
    """Nobody is believed to be a component before a token was shown."""
    server = {"tokens": {"terma": "env:T"}, "soft_errors": ["terma"]}
    gateway = await make_gateway(settings(upstream, server=server), {"T": "s3cret-token"})
    assert (await ask(gateway, CHAT, ASKED, SOFT)).status == 401


async def test_a_reload_changes_the_list(gateway: Gateway, tmp_path: Path) -> None:
    file = tmp_path / "rhetor.yaml"
    file.write_text(file.read_text().replace("- terma", "- hermes"))
    assert (await gateway.post("/api/v1/reload", {}))[0] == 200
    body = {"messages": HELLO, "model_id": "klingon"}
    assert (await ask(gateway, CHAT, {**body, "context_id": "terma"})).status == 404
    error_of(await ask(gateway, CHAT, {**body, "context_id": "hermes"}))


@pytest.mark.parametrize("names", [[""], ["x" * 1001], [1], "terma"])
async def test_the_list_is_of_names(make_gateway: MakeGateway, upstream: Upstream, names: Any) -> None:
    with pytest.raises(ConfigError, match="soft_errors"):
        await make_gateway(settings(upstream, server={"soft_errors": names}))
