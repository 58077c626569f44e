"""Plugins in a running gateway: added, used, changed and removed while it serves; and never in its way."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from rhetor.app import App
from rhetor.assembly import load
from rhetor.config import ConfigError, Problem
from rhetor.core.errors import BadRequest
from rhetor.plugins.guest.transport import GuestTransport
from rhetor.plugins.lock import FILE, turn
from rhetor.tasks import spawn
from rhetor.testing import Gate, Upstream, hangs, says
from tests.conftest import Gateway, MakeGateway, MakeProcess, free_port, settings
from tests.plugins.desks import Folder, plugin_folder
from tests.plugins.repository import Repository, manifest

PATIENCE_S = 20.0  # for programs that start on a busy machine
COW = """
plugin: 1
id: cow
providers: {cow: {wire: guest, code: cow, models: [moo]}}
code: {cow: {language: python, main: cow.py, env: [{name: COW_MOOD, required: false}]}}
"""
COW_PY = """
import os
from rhetor_provider import Provider, Text

class Cow(Provider):
    async def stream(self, request):
        yield Text(f"moo {request.text} {os.environ.get('COW_MOOD')} {os.environ.get('TEST_KEY')}")
"""
BARN = """
plugin: 1
id: barn
providers: {barn: {wire: openai, service: barn, models: [hay]}}
services:
  barn: {command: ["%s", server.py, "{port}"], health: /health, base_path: /v1}
"""
BARN_PY = """
import json, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        message = {"role": "assistant", "content": "hay from " + self.path}
        body = {"id": "x", "object": "chat.completion", "created": 1, "model": "hay",
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def chat(model: str, stream: bool = False) -> dict[str, Any]:
    return {"model": model, "stream": stream, "messages": [{"role": "user", "content": "hi"}]}


def given(tmp_path: Path, upstream: Upstream | None = None, **sections: Any) -> dict[str, Any]:
    plugins = {"folder": str(tmp_path / "plugins"), "allow_add": True, **sections.pop("plugins", {})}
    return settings(upstream, plugins=plugins, **sections)


async def said(gateway: Gateway, model: str) -> str:
    status, body = await gateway.post("/v1/chat/completions", chat(model))
    assert status == 200, body
    return str(body["choices"][0]["message"]["content"])


async def refusal(gateway: Gateway, model: str) -> str:
    status, body = await gateway.post("/v1/chat/completions", chat(model))
    assert status >= 400, body
    return str(body["error"]["message"])


async def add(gateway: Gateway, source: str, **more: Any) -> dict[str, Any]:
    status, body = await gateway.post("/v1/plugins", {"source": source, **more})
    assert status == 201, body
    report: dict[str, Any] = body
    return report


def row(upstream: Upstream, more: str = "") -> str:
    return manifest("lab", f"{upstream.base_url}/v1", f", local: true, models: [small]{more}")


@pytest.mark.promise("M01", "M10")
async def test_a_row_is_added_used_updated_and_removed_while_it_serves(
    make_gateway: MakeGateway, upstream: Upstream, tmp_path: Path
) -> None:
    """A trip that uses it ends as it began; nobody else notices."""
    gateway = await make_gateway(given(tmp_path, upstream))
    repository = Repository(tmp_path / "repository")
    repository.commit(**{"rhetor-plugin_dot_yaml": row(upstream)})
    repository.git("tag", "v1")
    assert "lab" in await refusal(gateway, "lab/small")
    report = await add(gateway, repository.at("v1"))
    assert (report["status"], report["providers"][0]["available"]) == ("loaded", True)
    upstream.next(says("hello"))
    assert await said(gateway, "lab/small") == "hello"

    repository.commit(**{"rhetor-plugin_dot_yaml": row(upstream).replace("small", "large")})
    repository.git("tag", "v2")
    status, report = await gateway.post("/v1/plugins/lab/update", {"ref": "v2"})
    assert (status, report["changed"]) == (200, True)
    upstream.next(says("larger"))
    assert await said(gateway, "lab/large") == "larger"
    assert "small" in await refusal(gateway, "lab/small")

    gate = Gate()
    upstream.next(says("one two three").but(hangs(gate, after=2)))
    async with gateway.session.post(
        f"{gateway.url}/v1/chat/completions", json=chat("lab/large", True)
    ) as reply:
        await reply.content.readany()
        await gate.reached()
        async with gateway.session.delete(f"{gateway.url}/v1/plugins/lab") as removed:
            assert removed.status == 200
        assert "unknown model" in await refusal(gateway, "lab/large")
        gate.open()
        async with asyncio.timeout(PATIENCE_S):
            assert b"three" in await reply.read()
    assert (await gateway.get("/v1/plugins"))[1]["data"] == []


@pytest.mark.promise("M05", "M10", "M36")
async def test_a_program_is_a_provider_and_gets_what_it_declared_alone(
    make_gateway: MakeGateway, tmp_path: Path
) -> None:
    gateway = await make_gateway(given(tmp_path, plugins={"sandbox": "best"}), {"COW_MOOD": "glad"})
    report = await add(gateway, plugin_folder(tmp_path / "cow", COW, cow_dot_py=COW_PY))
    assert report["troubles"] == []
    assert await said(gateway, "cow/moo") == "moo hi glad None"
    assert await said(gateway, "auto") == "moo hi glad None", "nobody else is there but the last resort"
    programs = gateway.app.guests._programs
    await gateway.app.reload()
    assert await said(gateway, "cow/moo") == "moo hi glad None"
    assert len(programs) == 1
    _, reports = await gateway.get("/v1/providers/health?provider=cow")
    assert [(each["provider"], each["status"]) for each in reports["data"]] == [("cow", "healthy")]
    async with gateway.session.delete(f"{gateway.url}/v1/plugins/cow") as removed:
        assert removed.status == 200
    async with asyncio.timeout(PATIENCE_S):
        while len(programs):  # it ends once nobody uses it
            await asyncio.sleep(0)


@pytest.mark.promise("M10", "M20")
async def test_a_service_is_started_by_the_first_request_and_gone_with_its_plugin(
    make_gateway: MakeGateway, tmp_path: Path
) -> None:
    gateway = await make_gateway(given(tmp_path))
    await add(gateway, plugin_folder(tmp_path / "barn", BARN % sys.executable, server_dot_py=BARN_PY))
    services = gateway.app.house.services
    assert services.is_up() == {"barn": False}
    assert await said(gateway, "barn/hay") == "hay from /v1/chat/completions"
    assert services.is_up() == {"barn": True}
    assert services.named("barn").providers == ("barn",)
    async with gateway.session.delete(f"{gateway.url}/v1/plugins/barn") as removed:
        assert removed.status == 200
    assert services.is_up() == {}


async def test_a_restart_keeps_it(gateway_process: MakeProcess, tmp_path: Path) -> None:
    """What was added is there for whoever serves next."""
    Folder(tmp_path / "plugins").add(plugin_folder(tmp_path / "cow", COW, cow_dot_py=COW_PY))
    process = await gateway_process(given(tmp_path, plugins={"sandbox": "best"}))
    url = f"{process.url}/v1/chat/completions"
    async with aiohttp.ClientSession() as session, session.post(url, json=chat("cow/moo")) as reply:
        body = await reply.json()
    assert body["choices"][0]["message"]["content"] == "moo hi None None"


async def test_a_broken_one_keeps_nobody_from_starting(make_gateway: MakeGateway, tmp_path: Path) -> None:
    """Not even where a route names it: there its provider is off, and says why."""
    folder = Folder(tmp_path / "plugins")
    folder.add(plugin_folder(tmp_path / "hen", manifest("hen")))
    files = folder.plugin("hen").folder
    assert files is not None
    (files / "evil").write_text("evil")
    providers = {"hen": {"tags": ["farm"]}}
    routes = {"farm": {"targets": ["hen/egg", "offline/echo"]}}
    gateway = await make_gateway(given(tmp_path, providers=providers, routes=routes))
    assert "hi" in await said(gateway, "farm")
    assert "the plugin 'hen' is tampered: its files are not those that were added" in await refusal(
        gateway, "hen/egg"
    )
    _, told = await gateway.get("/v1/plugins/hen")
    assert (told["status"], told["providers"][0]["available"]) == ("tampered", False)


async def test_a_lock_file_that_is_broken_keeps_nobody_from_starting(
    make_gateway: MakeGateway, tmp_path: Path
) -> None:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / FILE).write_text("{")
    gateway = await make_gateway(given(tmp_path))
    assert "hi" in await said(gateway, "offline/echo")
    _, told = await gateway.get("/v1/plugins")
    assert "is no JSON; mend it" in told["trouble"]
    status, body = await gateway.post(
        "/v1/plugins", {"source": plugin_folder(tmp_path / "cow", manifest("cow"))}
    )
    assert (status, "is no JSON; mend it" in str(body)) == (503, True)


@pytest.mark.promise("M04")
async def test_a_key_that_is_missing_or_somebody_elses_is_said(
    make_gateway: MakeGateway, tmp_path: Path
) -> None:
    """Nothing of it is sent anywhere."""
    text = manifest("lab").replace("auth: {required: false}", "key_env: [LAB_KEY]")
    gateway = await make_gateway(given(tmp_path), {"GROQ_API_KEY": "groqs-own-secret"})
    report = await add(gateway, plugin_folder(tmp_path / "lab", text))
    assert report["providers"][0]["reason"] == "no key for 'lab': set LAB_KEY"
    await gateway.session.delete(f"{gateway.url}/v1/plugins/lab")
    source = plugin_folder(
        tmp_path / "thief",
        text.replace("LAB_KEY", "GROQ_API_KEY").replace("lab:", "thief:").replace("id: lab", "id: thief"),
    )
    report = await add(gateway, source)
    assert report["providers"][0]["reason"] == (
        "GROQ_API_KEY is the key of Groq; to let 'thief' have it, "
        "`rhetor providers update thief --grant GROQ_API_KEY`"
    )
    assert "groqs-own-secret" not in str(report)
    assert gateway.app.members["thief"].secrets == ()
    _, report = await gateway.post("/v1/plugins/thief/update", {"grant": ["GROQ_API_KEY"]})
    assert report["providers"][0]["available"] is True
    assert gateway.app.members["thief"].secrets == ("groqs-own-secret",)


async def test_what_the_configuration_names_is_not_removed(make_gateway: MakeGateway, tmp_path: Path) -> None:
    Folder(tmp_path / "plugins").add(plugin_folder(tmp_path / "cow", manifest("cow")))
    gateway = await make_gateway(given(tmp_path, routes={"farm": {"targets": ["cow/moo"]}}))
    async with gateway.session.delete(f"{gateway.url}/v1/plugins/cow") as reply:
        body = await reply.json()
    assert reply.status == 409
    why = "cow: the configuration does not fit then: routes.farm.targets[0]: no provider 'cow'"
    assert why in str(body)
    assert (await gateway.get("/v1/plugins/cow"))[1]["status"] == "loaded"


async def test_without_a_folder_nothing_is_kept(make_gateway: MakeGateway, tmp_path: Path) -> None:
    gateway = await make_gateway(settings(plugins={"allow_add": True}))
    assert (await gateway.get("/v1/plugins"))[1] == {
        "object": "list",
        "data": [],
        "folder": None,
        "trouble": None,
    }
    status, body = await gateway.post(
        "/v1/plugins", {"source": plugin_folder(tmp_path / "cow", manifest("cow"))}
    )
    assert (status, "set plugins.folder" in str(body)) == (503, True)


async def test_two_at_the_same_time_are_both_there(make_gateway: MakeGateway, tmp_path: Path) -> None:
    gateway = await make_gateway(given(tmp_path))
    sources = [plugin_folder(tmp_path / id, manifest(id)) for id in ("cow", "hen", "dog")]
    await asyncio.gather(*(add(gateway, source) for source in sources), gateway.app.reload())
    assert [each["id"] for each in (await gateway.get("/v1/plugins"))[1]["data"]] == ["cow", "dog", "hen"]
    assert {"cow", "hen", "dog"} <= set(gateway.app.house.catalog.providers)


async def test_one_that_is_removed_while_it_is_made_ready_is_no_failure_of_ours(
    make_gateway: MakeGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = await make_gateway(given(tmp_path))

    async def prepare(_: GuestTransport) -> None:
        assert (await gateway.app.guests.remove("cow"))["status"] == "removed"

    monkeypatch.setattr(GuestTransport, "prepare", prepare)
    source = plugin_folder(tmp_path / "cow", COW, cow_dot_py=COW_PY)
    status, body = await gateway.post("/v1/plugins", {"source": source})
    assert (status, "'cow' was removed while what it needs was installed" in str(body)) == (409, True)


async def test_a_lock_file_that_breaks_takes_nothing_from_a_gateway_that_runs(
    make_gateway: MakeGateway, tmp_path: Path
) -> None:
    folder = Folder(tmp_path / "plugins")
    folder.add(plugin_folder(tmp_path / "cow", manifest("cow")))
    gateway = await make_gateway(given(tmp_path))
    (tmp_path / "plugins" / FILE).write_text("{")
    with pytest.raises(ConfigError, match="is no JSON; mend it"):
        await gateway.app.reload()
    assert (await gateway.get("/v1/plugins/cow"))[1]["status"] == "loaded"


async def test_somebody_who_keeps_the_turn_keeps_nobody_from_starting_or_serving(
    make_gateway: MakeGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A `rhetor providers add` that was stopped with Ctrl-Z, say."""
    monkeypatch.setattr("rhetor.plugins.shelf.SWEEP_S", 0.0)
    Folder(tmp_path / "plugins").add(plugin_folder(tmp_path / "cow", manifest("cow")))
    with turn(tmp_path / "plugins"):
        gateway = await make_gateway(given(tmp_path))
        assert "hi" in await said(gateway, "offline/echo")
        leaving = spawn(gateway.app.guests.remove("cow"), "leaving")
        async with asyncio.timeout(PATIENCE_S):
            while not gateway.app.guests._turn.locked():
                await asyncio.sleep(0)
            assert "hi" in await said(gateway, "offline/echo")
        assert not leaving.done()
    assert (await leaving)["status"] == "removed"


async def test_what_cannot_be_put_into_force_is_taken_back(
    make_gateway: MakeGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The configuration may have changed since it was tried."""
    folder = Folder(tmp_path / "plugins")
    folder.add(plugin_folder(tmp_path / "cow", manifest("cow")))
    gateway = await make_gateway(given(tmp_path))

    async def renew() -> None:
        raise ConfigError([Problem("routes.farm", "no provider 'cow'")])

    monkeypatch.setattr(gateway.app.guests, "_renew", renew)
    with pytest.raises(BadRequest, match=r"cow: the configuration does not fit then: routes\.farm"):
        await gateway.app.guests.remove("cow")
    assert folder.ids() == ["cow"]


DYING = """
import os, signal, sys
from rhetor.cli import main
from rhetor.plugins import shelf

def write_lock(folder, lock, write=shelf.write_lock):
    write(folder, lock)
    os.kill(os.getpid(), signal.SIGKILL)

shelf.write_lock = write_lock
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ("routes", "code", "left"),
    [({"farm": {"targets": ["cow/moo"]}}, 1, ["cow"]), ({}, -signal.SIGKILL, [])],
    ids=["it would not fit", "it fits"],
)
def test_whoever_is_killed_while_it_is_written_down_leaves_a_house_that_stands(
    tmp_path: Path, routes: dict[str, Any], code: int, left: list[str]
) -> None:
    """It is written down last, once it is known that the house can be made with it."""
    folder = Folder(tmp_path / "plugins")
    folder.add(plugin_folder(tmp_path / "cow", manifest("cow")))
    path = tmp_path / "rhetor.yaml"
    path.write_text(yaml.safe_dump(given(tmp_path, routes=routes, server={"port": free_port()})))
    argv = [sys.executable, "-c", DYING, "providers", "remove", "cow", "--config", str(path)]
    died = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    assert died.returncode == code, died.stderr
    assert folder.ids() == left
    App(load(path, {}), path, {})  # or the next start would fail, whoever starts it


async def test_a_plugin_is_tried_over_http_and_the_report_is_that_of_the_command(
    make_gateway: MakeGateway, tmp_path: Path
) -> None:
    gateway = await make_gateway(given(tmp_path, plugins={"sandbox": "best"}))
    await add(gateway, plugin_folder(tmp_path / "cow", COW, cow_dot_py=COW_PY))
    status, report = await gateway.post("/v1/plugins/cow/check", {})
    assert (status, report["plugin"], report["verdict"]) == (200, "cow", "ok"), report
    (cow,) = report["providers"]
    assert {"environment", "generation", "cancel", "bad input", "unknown model"} <= {
        step["name"] for step in cow["steps"]
    }
    refused = {"capability": ["mooing"]}, {"capability": "text-to-text"}, {"thorough": 1}, {"offline": True}
    assert [(await gateway.post("/v1/plugins/cow/check", body))[0] for body in refused] == [400] * 4
    assert (await gateway.post("/v1/plugins/hen/check", {}))[0] == 404
    async with gateway.app.guests._trying:
        assert (await gateway.post("/v1/plugins/cow/check", {}))[0] == 409


async def test_what_a_program_does_and_is_kept_from_is_told_and_what_it_needed_goes_with_it(
    make_gateway: MakeGateway, tmp_path: Path
) -> None:
    secret = "a-secret-of-the-cow"
    code = COW_PY.replace("yield Text", "print('mood:', os.environ['COW_MOOD'])\n        yield Text")
    plugins = {"sandbox": "best", "reads": {"cow": [str(tmp_path / "gone")]}}
    gateway = await make_gateway(given(tmp_path, plugins=plugins), {"COW_MOOD": secret})
    report = await add(gateway, plugin_folder(tmp_path / "cow", COW, cow_dot_py=code))
    assert report["troubles"] == [f"cow: {tmp_path}/gone is not there, or nobody may look"]
    (program,) = (await gateway.get("/v1/plugins/cow"))[1]["code"]
    assert (program["state"], program["starts"], program["error"]) == ("stopped", 0, None)
    assert program["unreadable"] == [f"{tmp_path}/gone is not there, or nobody may look"]
    assert {fact["what"] for fact in program["sandbox"]} >= {"files", "network", "environment", "memory"}
    await said(gateway, "cow/moo")
    async with asyncio.timeout(PATIENCE_S):
        while "mood:" not in (program := (await gateway.get("/v1/plugins/cow"))[1]["code"][0])["said"]:
            await asyncio.sleep(0.01)
    assert (program["state"], program["starts"], program["said"].strip()) == ("ready", 1, "mood: [redacted]")
    guests = gateway.app.guests
    assert secret not in f"{guests._programs._shared.keys()} {guests.book.programs}"

    environments = tmp_path / "plugins" / "state" / "cow"
    (before,) = environments.glob("python-*[!k]")
    assert before.is_dir()
    source = tmp_path / "cow" / "rhetor-plugin.yaml"
    source.write_text(source.read_text().replace("main: cow.py", "main: cow.py, requirements: [nothing==0]"))
    await gateway.post("/v1/plugins/cow/update", {})
    async with asyncio.timeout(PATIENCE_S):
        while before.exists():  # the next one needs another
            await asyncio.sleep(0.01)
    async with gateway.session.delete(f"{gateway.url}/v1/plugins/cow") as removed:
        assert removed.status == 200
    async with asyncio.timeout(PATIENCE_S):
        while environments.exists():
            await asyncio.sleep(0.01)
