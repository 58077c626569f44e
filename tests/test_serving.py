"""Providers that are local servers, in a whole gateway: cold starts, deaths, fallbacks, and reloads."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from rhetor.testing import Upstream, says
from tests.conftest import Gateway, MakeGateway, settings
from tests.services.children import is_alive, until
from tests.services.conftest import PATIENCE_S, command

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

PROVIDER = {"wire": "openai", "service": "tiny", "models": ["tiny"]}
HELLO = "hello from a service"
PATH = {"PATH": os.environ["PATH"]}


def service(folder: Path, *options: str, **given: Any) -> dict[str, Any]:
    argv = [*command(*options), "--folder", str(folder)]
    usual = {"command": argv, "health": "/health", "base_path": "/v1", "restart": {"first_s": 0.01}}
    return {**usual, **given}


def starts(folder: Path) -> list[int]:
    path = folder / "starts"
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def chat(text: str = "hello", model: str = "local/tiny", **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": text}], **more}


async def said(gateway: Gateway, body: dict[str, Any]) -> str:
    status, reply = await gateway.post("/v1/chat/completions", body)
    assert status == 200, reply
    text: str = reply["choices"][0]["message"]["content"]
    return text


async def test_a_cold_one_is_a_slow_first_event(make_gateway: MakeGateway, tmp_path: Path) -> None:
    """Meanwhile the stream is kept alive; nothing was started before, not even to ask for its models."""
    services = {"tiny": service(tmp_path, "--slow", "0.5")}
    given = settings(
        services=services,
        providers={"local": {"wire": "openai", "service": "tiny"}},
        server={"keepalive_s": 0.1},
        discovery={"enabled": True},
    )
    gateway = await make_gateway(given, PATH)
    await gateway.app.discovered.wait()
    assert starts(tmp_path) == []
    async with gateway.session.post(f"{gateway.url}/v1/chat/completions", json=chat(stream=True)) as reply:
        body = await reply.text()
    assert body.startswith(":")
    assert body.index(": ") < body.index("hel")
    assert "[DONE]" in body
    assert len(starts(tmp_path)) == 1
    await until(lambda: "local" in gateway.app.lists, PATIENCE_S)  # now it was asked
    models = [it["id"] for it in (await gateway.get("/v1/models"))[1]["data"]]
    assert "local/tiny" in models


async def test_one_that_dies_mid_request_is_replaced_and_comes_back(
    make_gateway: MakeGateway, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.always(says("somebody else"))
    route = {"targets": ["local/tiny", "oai/small"], "retries": 0}
    given = settings(
        upstream, services={"tiny": service(tmp_path)}, providers={"local": PROVIDER}, routes={"fast": route}
    )
    gateway = await make_gateway(given, PATH)
    assert await said(gateway, chat("die", "fast")) == "somebody else"
    assert await said(gateway, chat("hello", "fast")) == HELLO
    assert len(starts(tmp_path)) == 2
    (trip,) = (await gateway.booked(2))[1:]
    assert [it["target"] for it in trip["attempts"]][-1] == "oai/small"
    metrics = (await gateway.get("/metrics?format=json"))[1]
    assert metrics["rhetor_service_up"][0] == {
        "name": "rhetor_service_up", "labels": {"service": "tiny"}, "value": 1.0
    }  # fmt: skip
    assert metrics["rhetor_service_restarts"][0]["value"] == 1.0


async def test_one_that_cannot_start_says_why(make_gateway: MakeGateway, tmp_path: Path) -> None:
    services = {"tiny": service(tmp_path, "--leave", restart={"most": 1})}
    gateway = await make_gateway(settings(services=services, providers={"local": PROVIDER}), PATH)
    status, reply = await gateway.post("/v1/chat/completions", chat())
    assert status == 503
    assert "cannot load the model" in reply["error"]["message"]


async def test_a_reload_starts_changed_ones_anew_and_ends_removed_ones(
    make_gateway: MakeGateway, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    services = {"tiny": service(tmp_path), "other": service(tmp_path / "other", always=True)}
    given = settings(services=services, providers={"local": PROVIDER})
    gateway = await make_gateway(given, PATH)
    await until(lambda: len(starts(tmp_path / "other")) == 1, PATIENCE_S)
    assert await said(gateway, chat()) == HELLO
    asking = asyncio.gather(said(gateway, chat("slowly", stream=False)))
    given["services"] = {"tiny": service(tmp_path, "--say", "changed")}
    (tmp_path / "rhetor.yaml").write_text(yaml.safe_dump(given))
    await gateway.app.reload()
    assert await asking == [HELLO]
    assert await said(gateway, chat()) == HELLO
    first, second = starts(tmp_path)
    (other,) = starts(tmp_path / "other")
    await until(lambda: not is_alive(first) and not is_alive(other), PATIENCE_S)
    assert is_alive(second)
    (told,) = (await gateway.get("/v1/services"))[1]["data"]
    assert (told["name"], told["pid"], told["providers"]) == ("tiny", second, ["local"])
    await gateway.app.stop()
    assert not is_alive(second)


async def test_a_built_in_provider_can_be_a_service(make_gateway: MakeGateway, tmp_path: Path) -> None:
    services = {"tiny": service(tmp_path, base_path="")}
    given = settings(services=services, providers={"ollama": {"service": "tiny"}})
    gateway = await make_gateway(given, PATH)
    member = gateway.app.members["ollama"]
    assert (member.row.base_url, member.off) == ("http://tiny.service.internal", None)
    assert starts(tmp_path) == []
