"""Plugins over HTTP: who may change them, what is told, and how all providers are doing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rhetor.testing import Upstream, fails
from rhetor.testing.nowhere import refused
from tests.conftest import Gateway, MakeGateway, settings
from tests.plugins.desks import plugin_folder
from tests.plugins.repository import Repository, manifest


def given(tmp_path: Path, allow_add: bool | None = True, **sections: Any) -> dict[str, Any]:
    plugins = {"folder": str(tmp_path / "plugins"), "allow_add": allow_add}
    return settings(plugins=plugins, **sections)


@pytest.fixture
def cow(tmp_path: Path) -> str:
    return plugin_folder(tmp_path / "cow", manifest("cow"))


async def status_of(gateway: Gateway, source: str, **options: Any) -> int:
    return (await gateway.post("/v1/plugins", {"source": source}, **options))[0]


# Who may.


async def test_where_nobody_is_asked_for_a_token_nobody_adds_unless_it_is_allowed(
    make_gateway: MakeGateway, tmp_path: Path, cow: str
) -> None:
    """A plugin runs programs as this user, and a port is open to every user of the machine."""
    gateway = await make_gateway(given(tmp_path, allow_add=None))
    status, body = await gateway.post("/v1/plugins", {"source": cow})
    assert (status, "set server.tokens, or plugins.allow_add: true" in str(body)) == (403, True)
    for call in (
        gateway.session.post(f"{gateway.url}/v1/plugins/cow/update"),
        gateway.session.post(f"{gateway.url}/v1/plugins/cow/check"),
        gateway.session.delete(f"{gateway.url}/v1/plugins/cow"),
    ):
        async with call as reply:
            assert reply.status == 403
    assert (await gateway.get("/v1/plugins"))[0] == 200
    allowed = await make_gateway(given(tmp_path, allow_add=True))
    assert await status_of(allowed, cow) == 201


async def test_with_a_token_one_may_unless_it_is_forbidden(
    make_gateway: MakeGateway, tmp_path: Path, cow: str
) -> None:
    tokens = {"tokens": {"me": "env:T"}}
    headers = {"authorization": "Bearer t0ken"}
    gateway = await make_gateway(given(tmp_path, allow_add=None, server=tokens), {"T": "t0ken"})
    assert await status_of(gateway, cow) == 401
    assert await status_of(gateway, cow, headers=headers) == 201
    never = await make_gateway(given(tmp_path / "x", allow_add=False, server=tokens), {"T": "t0ken"})
    status, body = await never.post("/v1/plugins", {"source": cow}, headers=headers)
    assert (status, "plugins.allow_add" in str(body)) == (403, True)


async def test_no_foreign_page_adds_one(make_gateway: MakeGateway, tmp_path: Path, cow: str) -> None:
    gateway = await make_gateway(given(tmp_path))
    assert await status_of(gateway, cow, headers={"origin": "https://evil.example"}) == 403
    assert await status_of(gateway, cow, headers={"host": "evil.example"}) == 403
    assert (await gateway.get("/v1/plugins"))[1]["data"] == []


async def test_behind_a_proxy_nobody_is_this_machine(
    make_gateway: MakeGateway, tmp_path: Path, cow: str
) -> None:
    """Its address is that of everybody who comes through it; a token tells them apart."""
    tokens = {"tokens": {"me": "env:T"}}
    gateway = await make_gateway(given(tmp_path))
    for header in ("X-Forwarded-For", "Forwarded", "x-real-ip", "Via"):
        assert await status_of(gateway, cow, headers={header: "for=192.0.2.1"}) == 403
    gateway = await make_gateway(given(tmp_path / "x", server=tokens), {"T": "t0ken"})
    proxied = {"Via": "1.1 proxy", "authorization": "Bearer t0ken"}
    assert await status_of(gateway, cow, headers=proxied) == 201


# What is told.


async def test_a_source_can_be_looked_at_first(make_gateway: MakeGateway, tmp_path: Path, cow: str) -> None:
    gateway = await make_gateway(given(tmp_path))
    status, report = await gateway.post("/v1/plugins", {"source": cow, "dry_run": True})
    assert (status, report["status"], report["providers"][0]["base_url"]) == (
        200,
        "loaded",
        "https://lab.example/v1",
    )
    assert (await gateway.get("/v1/plugins"))[1]["data"] == []
    assert await status_of(gateway, cow) == 201
    assert (await gateway.get("/v1/plugins/cow"))[1]["source"] == cow
    assert (await gateway.get("/v1/plugins/hen"))[0] == 404


async def test_a_refusal_tells_all_that_is_wrong(make_gateway: MakeGateway, tmp_path: Path) -> None:
    gateway = await make_gateway(given(tmp_path))
    repository = Repository(tmp_path / "repository")
    repository.commit(**{"rhetor-plugin_dot_yaml": "plugin: 1\nid: Cow\nversion: 1\n"})
    status, body = await gateway.post("/v1/plugins", {"source": repository.at("main")})
    assert (status, body["plugin"]["status"]) == (400, "broken")
    assert [problem["path"] for problem in body["plugin"]["problems"]] == ["id", "version"]
    repository.commit(**{"rhetor-plugin_dot_yaml": manifest("cow")})
    repository.git("tag", "v1")
    assert await status_of(gateway, repository.at("v1")) == 201
    repository.commit(more="")
    repository.git("tag", "--force", "v1")
    status, body = await gateway.post("/v1/plugins/cow/update", {})
    assert (status, body["plugin"]["status"], "moved" in str(body["error"])) == (409, "moved", True)
    status, body = await gateway.post("/v1/plugins/cow/update", {"accept_moved": True})
    assert (status, body["status"]) == (200, "loaded")


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({}, "source must be text"),
        ({"source": 1}, "source must be text"),
        ({"source": "./cow"}, "depends on where one stands"),
        ({"source": "github:o/r"}, "says no ref"),
        ({"source": "/x", "dryrun": True}, "no such field here; there are dry_run, grant, source"),
        ({"source": "/x", "dry_run": "yes"}, "dry_run must be true or false"),
        ({"source": "/x", "grant": "X"}, "grant must be a list of names"),
        ([], "object"),
    ],
)
async def test_bad_input_is_a_sentence(
    make_gateway: MakeGateway, tmp_path: Path, body: Any, why: str
) -> None:
    gateway = await make_gateway(given(tmp_path))
    status, told = await gateway.post("/v1/plugins", body)
    assert (status, why in str(told)) == (400, True), told


async def test_a_host_inside_is_not_fetched_from_unless_it_is_allowed(
    make_gateway: MakeGateway, tmp_path: Path
) -> None:
    gateway = await make_gateway(given(tmp_path))
    status, body = await gateway.post("/v1/plugins", {"source": "git+https://localhost:9/r.git@v1"})
    assert (status, "plugins.allowed_hosts" in str(body)) == (403, True)


# How providers are doing.


@pytest.mark.promise("M18", "M30")
async def test_every_provider_is_asked_how_it_is(make_gateway: MakeGateway, upstream: Upstream) -> None:
    """`checkAllProviders()`: those that are off say why."""
    with refused() as nowhere:
        providers = {
            "well": {"wire": "openai", "base_url": f"{upstream.base_url}/v1", "key": "env:TEST_KEY"},
            "gone": {"wire": "openai", "base_url": nowhere},
        }
        gateway = await make_gateway(settings(providers=providers))
        status, body = await gateway.get("/v1/providers/health")
        assert status == 200
        reports = {each["provider"]: each for each in body["data"]}
        assert {id: reports[id]["status"] for id in ("well", "gone", "offline", "openai")} == {
            "well": "healthy",
            "gone": "unhealthy",
            "offline": "healthy",
            "openai": "off",
        }
        assert reports["well"]["models"] > 0
        assert reports["well"]["latency_ms"] > 0
        assert reports["gone"]["last_error"] == "cannot connect: Connection refused"
        assert "OPENAI_API_KEY" in reports["openai"]["last_error"]
        _, one = await gateway.get("/v1/providers/health?provider=gone")
        assert [each["provider"] for each in one["data"]] == ["gone"]
    assert (await gateway.get("/v1/providers/health?provider=nobody"))[0] == 404


async def test_one_that_was_left_alone_is_degraded_when_it_answers(
    make_gateway: MakeGateway, upstream: Upstream
) -> None:
    providers = {"well": {"wire": "openai", "base_url": f"{upstream.base_url}/v1", "key": "env:TEST_KEY"}}
    gateway = await make_gateway(settings(providers=providers, timeouts={"total_s": 5}))
    chat = {"model": "well/small", "messages": [{"role": "user", "content": "hi"}]}
    while not gateway.app.house.pipeline.health.open_breakers():
        upstream.next(fails(status=503))
        await gateway.post("/v1/chat/completions", chat)
    _, body = await gateway.get("/v1/providers/health?provider=well")
    assert (body["data"][0]["status"], body["data"][0]["left_alone"]) == ("degraded", 1)
