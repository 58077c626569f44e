"""`rhetor providers`: at the gateway that runs, or on the folder when none does."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from rhetor.cli import main
from rhetor.cli.providers.place import FolderPlace
from rhetor.core.errors import RhetorError
from rhetor.guests import Guests
from rhetor.testing import Upstream
from tests.cli.conftest import Finished
from tests.conftest import MakeGateway, free_port, settings
from tests.plugins.desks import Folder, plugin_folder
from tests.plugins.repository import Repository, manifest

Run = Callable[..., Finished]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`rhetor providers …` in this process, in a folder of the test's own."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Finished:
        code = main(["providers", *arguments])
        said = capsys.readouterr()
        return Finished(code, said.out, said.err)

    return run


@pytest.fixture
def write(tmp_path: Path) -> Any:
    """A configuration with a folder for plugins, whose gateway does not run."""

    def write(**sections: Any) -> str:
        given = settings(plugins={"folder": str(tmp_path / "plugins")}, **sections)
        given["server"]["port"] = free_port()
        path = tmp_path / "ours.yaml"
        path.write_text(yaml.safe_dump(given))
        return str(path)

    return write


def test_a_plugins_life_without_a_gateway(run: Run, write: Any, tmp_path: Path) -> None:
    """Looked at, added by tag, listed, moved, updated, removed: a status and a sentence at each step."""
    config = write()
    repository = Repository(tmp_path / "repository")
    first = repository.commit(**{"rhetor-plugin_dot_yaml": manifest("lab")})
    repository.git("tag", "v1")
    source = repository.at("v1")

    def done(*arguments: str) -> Finished:
        return run(*arguments, "--config", config)

    empty = done("list")
    assert (empty.code, empty.out) == (
        0,
        f"no plugins in {tmp_path}/plugins; add one with `rhetor providers add SOURCE`\n",
    )
    added = done("add", source)
    assert added.code == 0, added.err
    digest = Folder(tmp_path / "plugins").plugin("lab").entry.digest
    assert added.out == (
        "✓ lab added: lab 1.0.0\n"
        f"  from      {source}: the tag v1 is commit {first}\n"
        f"  digest    sha256:{digest}\n"
        "  provider  lab: text-to-text; at https://lab.example/v1; speaks openai\n"
    )
    listed = done("list")
    assert (listed.code, listed.out) == (0, f"✓ lab  1.0.0  {source} = {first[:12]}  lab\n")
    second = repository.commit(more="")
    repository.git("tag", "--force", "v1")
    moved = done("update", "lab")
    assert (moved.code, moved.err) == (
        1,
        f"✗ lab: moved: the tag 'v1' was {first[:12]} when it was added, and is {second[:12]} now; "
        "look at what has changed; if that is well, say so (--accept-moved)\n",
    )
    assert (done("update", "lab", "--accept-moved")).out.startswith("✓ lab updated: lab 1.0.0\n")
    removed = done("remove", "lab")
    assert (removed.code, removed.out) == (0, "✓ lab removed\n")


def test_what_is_wrong_is_said_line_by_line(run: Run, write: Any, tmp_path: Path) -> None:
    source = plugin_folder(tmp_path / "odd", "plugin: 1\nid: Odd\nversion: 1\n")
    finished = run("add", "./odd", "--config", write())
    assert (finished.code, finished.out) == (1, "")
    assert finished.err == (
        f"✗ {source}: broken: rhetor-plugin.yaml has 2 problems\n"
        "  id: must begin with a small letter, and go on with small letters, digits, _ and - (is 'Odd')\n"
        "  version: must be text; put it in quotes (is 1)\n"
    )


def test_a_source_is_shown_before_it_is_added(run: Run, write: Any, tmp_path: Path) -> None:
    text = manifest("lab").replace("auth: {required: false}", "key_env: [OPENAI_API_KEY]")
    source = plugin_folder(tmp_path / "lab", text)
    finished = run("show", source, "--config", write())
    assert finished.out.splitlines()[0] == "✓ lab could be added: lab 1.0.0"
    assert finished.out.splitlines()[-1] == (
        "  variable  OPENAI_API_KEY, for the provider lab, which sends it to lab.example: withheld, "
        "it is the key of OpenAI; --grant OPENAI_API_KEY lets it have it"
    )
    told = run("show", source, "--json", "--config", write())
    assert json.loads(told.out)["status"] == "loaded"
    assert Folder(tmp_path / "plugins").ids() == []


def test_what_a_program_requires_is_installed_when_it_is_added(
    run: Run, write: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when no gateway runs: nobody's first request waits for it, or is the first to fail of it."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    text = "plugin: 1\nid: cow\nproviders: {cow: {wire: guest, code: cow, models: [moo]}}\n"
    text += "code: {cow: {language: python, main: cow.py, requirements: [no-such-package==1]}}\n"
    source = plugin_folder(tmp_path / "cow", text, cow_dot_py="import nothing")
    config = write()
    added = run("add", source, "--config", config)
    assert (added.code, added.out.splitlines()[0]) == (1, "✗ cow added: cow 0")
    assert "No matching distribution found for no-such-package==1" in added.out
    assert "  → `rhetor providers update cow` tries again" in added.out.splitlines()
    plain = plugin_folder(tmp_path / "cow", text.replace("no-such-package==1", ""))
    assert run("update", "cow", "--config", config).code == 0, plain
    assert len(list((tmp_path / "plugins" / "state" / "cow").glob("python-*/.ready"))) == 1


def test_no_words_of_others_steer_a_terminal(run: Run, write: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a gateway tells of a program may be anything: also an error, in several lines or on one."""

    async def odd(*said: object) -> Any:
        return [{"provider": "lab", "status": "unhealthy", "last_error": "\x1b[2J\x9b31m\n✓ lab"}]

    async def worse(*said: object) -> Any:
        raise RhetorError("first\x1b[2J\nsecond")

    config = write()
    monkeypatch.setattr(FolderPlace, "health", odd)
    listed = run("list", "--check", "--config", config)
    assert listed.out.splitlines()[-1] == "  ✗ lab  unhealthy, \ufffd[2J\ufffd31m ✓ lab"
    monkeypatch.setattr(FolderPlace, "look", worse)
    assert run("show", "./lab", "--config", config).err == "✗ first\ufffd[2J\nsecond\n"


def test_what_the_configuration_names_is_not_removed(run: Run, write: Any, tmp_path: Path) -> None:
    Folder(tmp_path / "plugins").add(plugin_folder(tmp_path / "lab", manifest("lab")))
    config = write(routes={"fast": {"targets": ["lab/small"]}})
    finished = run("remove", "lab", "--config", config)
    assert finished.code == 1
    assert "✗ lab: the configuration does not fit then: routes.fast.targets[0]" in finished.err
    assert Folder(tmp_path / "plugins").ids() == ["lab"]


async def test_a_running_gateway_has_it_at_once(
    run: Run, make_gateway: MakeGateway, upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever may write its folder needs no token of its own: the gateway looks there again.

    It does so before anything is installed, which somebody may interrupt.
    """
    known: list[bool] = []

    async def prepared(ours: Guests, id: str, really: Any = Guests.prepared) -> Any:
        known.append(gateway.app.guests.book.plugin(id) is not None)
        return await really(ours, id)

    monkeypatch.setattr(Guests, "prepared", prepared)
    port = free_port()
    plugins = {"folder": str(tmp_path / "plugins")}
    gateway = await make_gateway(settings(server={"port": port}, plugins=plugins))
    config = str(tmp_path / "rhetor.yaml")
    source = plugin_folder(
        tmp_path / "lab", manifest("lab", f"{upstream.base_url}/v1", ", local: true, models: [small]")
    )
    by_hand = await asyncio.to_thread(run, "add", source, "--config", config)
    assert (by_hand.code, by_hand.err, known) == (0, "", [True])
    chat = {"model": "lab/small", "messages": [{"role": "user", "content": "hi"}]}
    assert (await gateway.post("/v1/chat/completions", chat))[0] == 200
    listed = await asyncio.to_thread(run, "list", "--check", "--url", gateway.url)
    assert listed.code == 0, listed.err
    assert listed.out.splitlines()[0] == f"✓ lab  1.0.0  {source}  lab"
    assert "  ✓ offline  healthy" in listed.out
    named = await asyncio.to_thread(run, "remove", "lab", "--url", gateway.url)
    assert (named.code, "plugins.allow_add" in named.err) == (1, True)
    assert (await asyncio.to_thread(run, "remove", "lab", "--config", config)).code == 0
    assert (await gateway.get("/v1/plugins"))[1]["data"] == []


def test_a_tampered_one_is_said_and_is_no_success(
    run: Run, write: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Folder(tmp_path / "plugins")
    folder.add(plugin_folder(tmp_path / "lab", manifest("lab")))
    files = folder.plugin("lab").folder
    assert files is not None
    (files / "evil").write_text("evil")
    config = write()
    listed = run("list", "--config", config)
    assert listed.code == 1
    assert listed.out.splitlines()[1] == (
        "    tampered: its files are not those that were added; "
        "`rhetor providers update lab` fetches it again"
    )
    assert main(["check", "--config", config]) == 0
    assert "plugin lab: tampered" in capsys.readouterr().err


def test_a_gateway_that_is_named_must_be_there(run: Run) -> None:
    finished = run("list", "--url", f"http://127.0.0.1:{free_port()}")
    assert finished.code == 1
    assert "  is the gateway running at http://127.0.0.1:" in finished.err


def test_a_provider_of_a_plugin_that_is_off_is_a_finding_of_the_doctors(
    run: Run, write: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = manifest("lab").replace("auth: {required: false}", "models: [small]")
    Folder(tmp_path / "plugins").add(plugin_folder(tmp_path / "lab", text))
    assert main(["doctor", "--config", write()]) == 0
    assert "  · lab      no key for 'lab': set providers.lab.key\n" in capsys.readouterr().out


def test_somebody_else_on_the_port_is_not_the_gateway(run: Run, tmp_path: Path) -> None:
    """The folder can be changed nevertheless."""

    class Stranger(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(404)

        def log_message(self, format: str, *said: object) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Stranger)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        given = settings(plugins={"folder": str(tmp_path / "plugins")})
        given["server"]["port"] = server.server_port
        (tmp_path / "ours.yaml").write_text(yaml.safe_dump(given))
        done = run("list", "--config", str(tmp_path / "ours.yaml"))
    finally:
        server.shutdown()
        server.server_close()
    assert (done.code, done.out[:20]) == (0, "no plugins in " + str(tmp_path)[:6])
