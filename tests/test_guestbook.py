"""What plugins bring becomes rows, services and programs, and what keeps each of them off is said."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from rhetor.config import Config
from rhetor.guestbook import Book, folder_of, most_of, read_book, service_problems, taken_names
from rhetor.plugins.desk import Desk
from rhetor.plugins.loader import Loaded
from rhetor.plugins.lock import FILE, Lock
from rhetor.plugins.report import plugin_report
from rhetor.services.spec import Compose
from tests.plugins.desks import ROWS, Folder, plugin_folder
from tests.plugins.repository import manifest

COW = """
plugin: 1
id: cow
providers:
  cow: {wire: guest, code: cow, models: [moo, {id: low, context_tokens: 9, features: [tools]}]}
  barn: {wire: openai, service: barn, base_url: /api}
  lab: {wire: openai, base_url: "https://lab.example/v1", key_env: [LAB_KEY]}
services:
  barn:
    command: [python, server.py, "--in={plugin}/data", --port, "{port}", missing.py]
    base_path: /v1
    env: {WHERE: "{plugin}", KEY: "env:BARN_KEY"}
code:
  cow:
    language: python
    main: cow.py
    env: [COW_KEY, {name: COW_MOOD, required: false}]
    hosts: [cow.example]
"""
KEYS = {"COW_KEY": "c", "BARN_KEY": "b", "LAB_KEY": "l", "COW_MOOD": "glad"}


def book(tmp_path: Path, environ: Mapping[str, str], text: str = COW, *granted: str, **sections: Any) -> Book:
    config = Config.model_validate({"plugins": {"folder": str(tmp_path / "plugins")}} | sections)
    folder = Folder(tmp_path / "plugins")
    if not folder.path.exists():
        files = {"cow_dot_py": "", "server_dot_py": "", "compose_dot_yaml": ""}
        folder.add(plugin_folder(tmp_path / "cow", text, **files), *granted)
    return read_book(config, environ, ROWS)


def test_rows_programs_and_services(tmp_path: Path) -> None:
    found = book(tmp_path, KEYS)
    assert [(id, guest.row.base_url, guest.off) for id, guest in found.guests.items()] == [
        ("cow", "guest://cow", None),
        ("barn", "http://barn.service.internal/v1/api", None),
        ("lab", "https://lab.example/v1", None),
    ]
    low = found.guests["cow"].models[1]
    assert (low.id, low.context_tokens, low.features) == ("low", 9, {"tools"})
    program = found.programs["cow"]
    assert program.environ == {"COW_KEY": "c", "COW_MOOD": "glad"}
    assert (program.id, program.main, program.hosts) == ("cow", "cow.py", ("cow.example",))
    assert found.served == {"barn": "barn"}


def test_a_program_gets_what_it_asks_for_up_to_the_operators_most(tmp_path: Path) -> None:
    """What it does not get is said where its plugin is looked at, and where it is shown."""
    greedy = COW + "    limits: {memory_mb: 1048576, files: 32}\n"
    assert book(tmp_path, KEYS, greedy).programs["cow"].limits.memory_mb == 4096
    more = book(tmp_path, KEYS, plugins={"folder": str(tmp_path / "plugins"), "limits": {"memory_mb": 8192}})
    assert (more.programs["cow"].limits.memory_mb, more.programs["cow"].limits.files) == (8192, 32)
    most = most_of(Config())
    asked = "the program cow asks for limits.memory_mb 1048576 and gets 4096"
    there = Folder(tmp_path / "plugins")
    desk = Desk(there.shelf, Loaded(lock=Lock()), more.theirs, {}, most)
    looked = desk.look(str(tmp_path / "cow"), (), threading.Event())
    shown = plugin_report(there.plugin("cow"), more.theirs, {}, most)
    for report in (looked, shown):
        assert report["warnings"] == [f"{asked}: plugins.limits.memory_mb is the most"]
        assert report["code"][0]["limits"] == {"memory_mb": 4096, "files": 32}  # type: ignore[index,call-overload]


def test_a_service_finds_the_plugins_files_and_leaves_nothing_beside_them(tmp_path: Path) -> None:
    found = book(tmp_path, KEYS)
    files, spec = found.programs["cow"].folder, found.services["barn"]
    assert spec.command == (
        "python",
        f"{files}/server.py",
        f"--in={files}/data",
        "--port",
        "{port}",
        "missing.py",
    )
    assert spec.env == {"PYTHONDONTWRITEBYTECODE": "1", "WHERE": str(files), "KEY": "env:BARN_KEY"}
    assert spec.folder is None


def test_a_compose_project_is_called_after_the_plugin(tmp_path: Path) -> None:
    text = manifest("cow") + "services: {barn: {compose: {file: compose.yaml, service: web, port: 80}}}\n"
    found = book(tmp_path, {}, text)
    place = Folder(tmp_path / "plugins").plugin("cow").folder
    assert place is not None
    assert found.services["barn"].compose == Compose(
        file=place / "compose.yaml", service="web", port=80, project="rhetor-cow-barn"
    )


@pytest.mark.parametrize(
    ("missing", "id", "why"),
    [
        ("COW_KEY", "cow", "the program cow needs COW_KEY: set it"),
        ("BARN_KEY", "barn", "the service barn needs BARN_KEY: set it"),
    ],
)
def test_without_its_variable_a_provider_is_off(tmp_path: Path, missing: str, id: str, why: str) -> None:
    found = book(tmp_path, {name: text for name, text in KEYS.items() if name != missing})
    assert {each: guest.off for each, guest in found.guests.items() if guest.off} == {id: why}
    assert ("barn" in found.services) is (id != "barn")


def test_what_is_others_is_not_given_unless_it_is_granted(tmp_path: Path) -> None:
    text = (
        COW.replace("COW_KEY", "OPENAI_API_KEY")
        .replace("BARN_KEY", "ANTHROPIC_API_KEY")
        .replace("LAB_KEY", "MINE")
    )
    environ = {"OPENAI_API_KEY": "secret", "ANTHROPIC_API_KEY": "secret", "MINE": "secret"}
    config = {"providers": {"own": {"wire": "openai", "base_url": "http://own.test", "key": "env:MINE"}}}
    found = book(tmp_path, environ, text, **config)
    assert found.guests["cow"].off == (
        "OPENAI_API_KEY is the key of OpenAI; to let 'cow' have it, "
        "`rhetor providers update cow --grant OPENAI_API_KEY`"
    )
    assert (found.guests["barn"].off or "").startswith("ANTHROPIC_API_KEY is the key of Anthropic")
    assert found.guests["lab"].withheld == {"MINE": "named in the configuration"}
    assert found.guests["lab"].variables(environ) == {}
    assert "secret" not in repr(found.programs) + repr(found.guests)
    assert found.services == {}
    Folder(tmp_path / "plugins").update("cow", granted=("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "MINE"))
    granted = book(tmp_path, environ, text, **config)
    assert [guest.off for guest in granted.guests.values()] == [None, None, None]
    assert granted.programs["cow"].environ == {"OPENAI_API_KEY": "secret"}
    assert granted.guests["lab"].variables(environ) == {"MINE": "secret"}


def test_the_providers_of_a_plugin_that_is_not_used_are_off_and_say_why(tmp_path: Path) -> None:
    """So a route that names one still is a route."""
    found = book(tmp_path, KEYS)
    (found.programs["cow"].folder / "cow.py").chmod(0o644)
    (found.programs["cow"].folder / "cow.py").write_text("evil")
    tampered = book(tmp_path, KEYS)
    assert tampered.programs == tampered.services == {}
    assert {guest.off for guest in tampered.guests.values()} == {
        "the plugin 'cow' is tampered: its files are not those that were added; "
        "`rhetor providers update cow` fetches it again"
    }
    off = book(tmp_path, KEYS, plugins={"folder": str(tmp_path / "plugins"), "off": ["cow"]})
    assert off.guests["lab"].off == "the plugin 'cow' is off: it is switched off in plugins.off"


def test_what_the_operator_lets_it_read(tmp_path: Path) -> None:
    plugins = {"folder": str(tmp_path / "plugins"), "reads": {"cow": ["/srv/models"]}}
    assert book(tmp_path, KEYS, plugins=plugins).programs["cow"].reads == (Path("/srv/models"),)


def test_where_plugins_are_kept(tmp_path: Path) -> None:
    def where(**sections: Any) -> Path | None:
        return folder_of(Config.model_validate(sections), {"XDG_STATE_HOME": "/state"})

    assert where() == Path("/state/rhetor/plugins")
    assert where(store={"folder": "/srv/rhetor"}) == Path("/srv/rhetor/plugins")
    assert where(store={"folder": ":memory:"}) is None
    assert where(store={"folder": ":memory:"}, plugins={"folder": "/p"}) == Path("/p")


def test_names_that_are_taken() -> None:
    config = Config.model_validate(
        {
            "providers": {"own": {"wire": "openai", "base_url": "http://own.test"}, "cow": {"key": "env:X"}},
            "services": {"s": {"command": ["x"]}},
        }
    )
    taken = taken_names(config, ROWS)
    assert (taken.providers["openai"], taken.providers["offline"]) == ("built in", "built in")
    assert (taken.providers["own"], taken.services["s"]) == ("in the configuration", "in the configuration")
    assert "cow" not in taken.providers


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"comand": ["x"]}, "services.s.comand: no such setting here"),
        ({"command": ["x"], "folder": "/"}, "services.s.folder: of a plugin's service is one of its own"),
        (
            {"command": ["x"], "env": {"A": "file:/etc/shadow"}},
            "may refer to variables (env:NAME), not to files",
        ),
        ({"command": ["x"], "always": True}, "services.s.always: is the operator's to say"),
        (
            {"compose": {"file": "../x", "service": "a", "port": 1}},
            "must be a file of the plugin (is '../x')",
        ),
        (
            {"reuse": {"url": "http://169.254.169.254"}},
            "leads to where a cloud tells its machines their secrets",
        ),
    ],
)
def test_a_plugins_service_may_say_less_than_the_configurations(said: Mapping[str, Any], why: str) -> None:
    assert any(why in str(problem) for problem in service_problems("s", said))


def test_a_plugins_service_may_say_the_rest() -> None:
    assert (
        service_problems("s", {"command": ["x", "{port}"], "health": "/health", "env": {"A": "env:B"}}) == []
    )


def test_a_lock_file_that_cannot_be_read_excuses_whom_the_configuration_names(tmp_path: Path) -> None:
    """Else a gateway whose disk was full would not start, for a reason that nobody understands."""
    book(tmp_path, KEYS)
    (tmp_path / "plugins" / FILE).write_text("{")
    routes = {"farm": {"targets": ["barn/hay", "openai/gpt-5", "offline/echo"]}}
    found = book(tmp_path, KEYS, providers={"cow": {"tags": ["farm"]}}, routes=routes)
    assert sorted(found.guests) == ["barn", "cow"]
    assert all("plugins cannot be read: " in str(guest.off) for guest in found.guests.values())


def test_a_program_does_not_get_the_key_of_an_earlier_plugin(tmp_path: Path) -> None:
    book(tmp_path, KEYS)
    thief = "plugin: 1\nid: aaa\nproviders: {aaa: {wire: guest, code: c}}\n"
    thief += "code: {c: {language: python, main: c.py, env: [LAB_KEY, {name: COW_KEY, required: false}]}}\n"
    folder = Folder(tmp_path / "plugins")
    folder.add(plugin_folder(tmp_path / "thief", thief, c_dot_py=""))
    found = book(tmp_path, KEYS)
    assert found.programs["aaa"].environ == {}
    assert found.guests["aaa"].off == (
        "LAB_KEY is a variable of the plugin cow; to let 'aaa' have it, "
        "`rhetor providers update aaa --grant LAB_KEY`"
    )
    assert (found.programs["cow"].environ["COW_KEY"], found.guests["lab"].withheld) == ("c", {})
    folder.update("aaa", granted=("LAB_KEY",))
    assert book(tmp_path, KEYS).programs["aaa"].environ == {"LAB_KEY": "l"}
