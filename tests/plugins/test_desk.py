"""Plugins are handed in whole or not at all, and are what was looked at."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from rhetor.core.errors import BadRequest, Code, RhetorError
from rhetor.plugins.desk import Desk, Refused, may_come_from_afar
from rhetor.plugins.loader import Status
from rhetor.plugins.lock import FILE, read_lock
from tests.plugins.desks import THEIRS, Folder, plugin_folder
from tests.plugins.repository import Repository, manifest


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "plugins")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository")


def write(repository: Repository, text: str) -> str:
    return repository.commit(**{"rhetor-plugin_dot_yaml": text})


def refused(folder: Folder, said: str) -> Refused:
    """Why; nothing has changed by it."""
    with pytest.raises(Refused) as caught:
        folder.add(said)
    assert folder.ids() == []
    assert folder.files() == []
    return caught.value


@pytest.mark.promise("M01", "M03")
def test_added_by_commit_or_tag_it_is_pinned(folder: Folder, repository: Repository) -> None:
    commit = write(repository, manifest("lab"))
    repository.git("tag", "v1")
    write(repository, manifest("lab", "https://later.example/v1"))
    for ref, kind in ((commit, "commit"), ("v1", "tag")):
        report = folder.add(repository.at(ref))
        assert (report["status"], report["commit"], report["ref_kind"]) == ("loaded", commit, kind)
        plugin = folder.plugin("lab")
        assert plugin.status is Status.LOADED
        assert plugin.manifest is not None
        assert plugin.manifest.providers["lab"].base_url == "https://lab.example/v1"
        entry = read_lock(folder.path).plugins["lab"]
        assert (entry.source, entry.commit, f"sha256:{entry.digest}") == (
            repository.at(ref),
            commit,
            report["digest"],
        )
        folder.remove("lab")


def test_a_wrong_ref_is_an_error(folder: Folder, repository: Repository) -> None:
    write(repository, manifest("lab"))
    with pytest.raises(BadRequest, match="the default branch is not taken instead"):
        folder.add(repository.at("v2"))
    assert folder.ids() == []


def test_a_moved_tag_is_noticed_and_taken_only_with_consent(folder: Folder, repository: Repository) -> None:
    first = write(repository, manifest("lab"))
    repository.git("tag", "v1")
    folder.add(repository.at("v1"))
    assert folder.update("lab")["changed"] is False
    second = write(repository, manifest("lab", "https://other.example/v1"))
    repository.git("tag", "--force", "v1")
    with pytest.raises(Refused) as caught:
        folder.update("lab")
    assert caught.value.message == (
        f"lab: moved: the tag 'v1' was {first[:12]} when it was added, and is {second[:12]} now; "
        "look at what has changed; if that is well, say so (--accept-moved)"
    )
    assert (caught.value.status_word, caught.value.code) == ("moved", Code.CONFLICT)
    assert read_lock(folder.path).plugins["lab"].commit == first
    assert folder.update("lab", accept_moved=True, dry_run=True)["commit"] == second
    assert read_lock(folder.path).plugins["lab"].commit == first
    assert folder.update("lab", accept_moved=True)["changed"] is True
    assert read_lock(folder.path).plugins["lab"].commit == second
    assert folder.plugin("lab").status is Status.LOADED


def test_a_branch_and_another_ref_are_no_surprise(folder: Folder, repository: Repository) -> None:
    write(repository, manifest("lab"))
    folder.add(repository.at("main"))
    later = write(repository, manifest("lab", "https://later.example/v1"))
    repository.git("tag", "v2")
    assert folder.update("lab")["commit"] == later
    assert folder.update("lab", ref="v2")["ref_kind"] == "tag"
    assert read_lock(folder.path).plugins["lab"].source == repository.at("v2")


NO_PLUGINS = {
    "broken": (
        "plugin: 1\nid: lab\nversion: 1\nproviders: {lab: {wire: klingon}}",
        "broken",
        Code.INVALID_REQUEST,
        "rhetor-plugin.yaml has 1 problem\n  version: must be text; put it in quotes (is 1)",
    ),
    "future": (
        "plugin: 2\nid: lab",
        "future",
        Code.UNSUPPORTED,
        "is of a newer format than 1; update rhetor (is 2)",
    ),
    "clash": (
        manifest("openai"),
        "clash",
        Code.CONFLICT,
        "there is a provider 'openai' already, built in; one of them must be called otherwise",
    ),
    "incompatible": (
        manifest("lab") + "requires: {rhetor: '>=99'}",
        "incompatible",
        Code.UNSUPPORTED,
        "it needs rhetor >=99, and this is 0.1.0",
    ),
    "nothing": (None, "broken", Code.INVALID_REQUEST, "rhetor-plugin.yaml: is missing: this is no plugin"),
}


@pytest.mark.parametrize(("text", "status", "code", "why"), NO_PLUGINS.values(), ids=NO_PLUGINS)
def test_what_cannot_be_used_is_not_taken(
    folder: Folder, repository: Repository, text: str | None, status: str, code: Code, why: str
) -> None:
    if text is None:
        repository.commit(README="nothing")
    else:
        write(repository, text)
    error = refused(folder, repository.at("main"))
    assert error.message.startswith(f"{repository.at('main')}: {status}: ")
    assert why in error.message
    assert (error.status_word, error.code, error.report["status"]) == (status, code, status)


def test_a_huge_one_is_not_taken(tmp_path: Path, repository: Repository) -> None:
    folder = Folder(tmp_path / "plugins", max_bytes=1000)
    repository.commit(big="x" * 5000, **{"rhetor-plugin_dot_yaml": manifest("lab")})
    with pytest.raises(BadRequest, match="and may have") as caught:
        folder.add(repository.at("main"))
    assert caught.value.code is Code.TOO_LARGE
    assert folder.files() == []


def test_the_same_plugin_twice_is_said_in_one_sentence(folder: Folder, tmp_path: Path) -> None:
    source = plugin_folder(tmp_path / "lab", manifest("lab"))
    folder.add(source)
    with pytest.raises(
        Refused, match=f"the plugin 'lab' is there already, from {source}; update it, or remove it first"
    ):
        folder.add(source)


def test_who_looks_changes_nothing_and_executes_nothing(folder: Folder, tmp_path: Path) -> None:
    trap = tmp_path / "sprung"
    booby = f"open({str(trap)!r}, 'w')"
    text = (
        "plugin: 1\nid: cow\nname: Cow\nproviders: {cow: {wire: guest, code: cow, models: [moo]}}\n"
        "code: {cow: {language: python, main: cow.py, requirements: [a==1], hosts: [a.example], "
        "env: [OPENAI_API_KEY]}}\n"
    )
    source = plugin_folder(
        tmp_path / "cow", text, cow_dot_py=booby, setup_dot_py=booby, conftest_dot_py=booby
    )
    report = folder.look(source)
    assert report["code"] == [
        {
            "name": "cow",
            "language": "python",
            "main": "cow.py",
            "requirements": ["a==1"],
            "hosts": ["a.example"],
            "limits": {},
        }
    ]
    assert report["variables"] == [
        {
            "name": "OPENAI_API_KEY",
            "for": "the program cow",
            "required": True,
            "set": False,
            "withheld": "the key of OpenAI",
        }
    ]
    assert folder.ids() == folder.files() == []
    assert not trap.exists()


def test_a_main_file_that_is_not_there(folder: Folder, tmp_path: Path) -> None:
    text = (
        "plugin: 1\nid: cow\nproviders: {cow: {wire: guest, code: cow}}\n"
        "code: {cow: {language: python, main: cow.py}}"
    )
    error = refused(folder, plugin_folder(tmp_path / "cow", text))
    assert "code.cow.main: is no file of the plugin (is 'cow.py')" in error.message


def test_what_was_granted_stays_granted(folder: Folder, tmp_path: Path) -> None:
    source = plugin_folder(tmp_path / "lab", manifest("lab"))
    folder.add(source, "OPENAI_API_KEY")
    folder.update("lab", granted=("GITHUB_TOKEN",))
    assert read_lock(folder.path).plugins["lab"].granted == ("OPENAI_API_KEY", "GITHUB_TOKEN")


def test_a_change_can_be_taken_back(folder: Folder, tmp_path: Path) -> None:
    source = plugin_folder(tmp_path / "lab", manifest("lab"))
    folder.add(source)
    before = (folder.path / FILE).read_bytes()
    desk = folder.desk()
    change = desk.remove("lab")
    assert folder.ids() == ["lab"], "nothing is written down yet"
    assert list(desk.planned(change).plugins) == []
    desk.write(change)
    assert folder.ids() == []
    desk.undo(change)
    assert (folder.path / FILE).read_bytes() == before
    assert folder.plugin("lab").status is Status.LOADED


def test_what_is_no_more_is_swept(folder: Folder, tmp_path: Path) -> None:
    folder.add(plugin_folder(tmp_path / "lab", manifest("lab")))
    (folder.path / "state" / "lab").mkdir(parents=True)
    folder.shelf.sweep()
    assert folder.plugin("lab").status is Status.LOADED
    folder.remove("lab")
    folder.shelf.sweep()
    assert folder.files() == [folder.path / FILE]
    assert not (folder.path / "state" / "lab").exists()


def test_what_nobody_wrote_down_was_never_there(folder: Folder, tmp_path: Path) -> None:
    """Whoever dies on the way leaves files that nobody uses, and that are swept."""
    source = plugin_folder(tmp_path / "lab", manifest("lab"))
    change = folder.desk().add(source, (), threading.Event())
    assert (folder.ids(), len(folder.files())) == ([], 1)
    folder.shelf.sweep()
    assert folder.files() == []
    with pytest.raises(BadRequest, match="somebody else changes 'lab' at the same time; look, and try again"):
        folder.written(change)
    assert folder.ids() == []


def test_nobody_and_nowhere(folder: Folder) -> None:
    with pytest.raises(BadRequest, match=r"no plugin 'lab'; there are none"):
        folder.desk().remove("lab")
    with pytest.raises(RhetorError, match=r"nothing is kept here .*; set plugins\.folder"):
        Desk(None, folder.loaded(), THEIRS, {}).remove("lab")
    folder.path.mkdir(exist_ok=True)
    (folder.path / FILE).write_text("{")
    with pytest.raises(RhetorError, match="is no JSON; mend it"):
        folder.desk().remove("lab")
    assert (folder.path / FILE).read_text() == "{"


def test_from_afar_a_folder_is_named_whole() -> None:
    with pytest.raises(BadRequest, match="depends on where one stands; write the whole path"):
        may_come_from_afar("./cow")
    assert may_come_from_afar("/srv/cow").place == "/srv/cow"


def test_a_package_that_lacks_a_file_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = tmp_path / "site"
    about = site / "cowsay_plugin-1.0.dist-info"
    about.mkdir(parents=True)
    (site / "cowsay_plugin").mkdir()
    (site / "cowsay_plugin" / "rhetor-plugin.yaml").write_text(manifest("cow"))
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: cowsay-plugin\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[rhetor.plugins]\ncow = cowsay_plugin\n")
    (about / "RECORD").write_text("cowsay_plugin/rhetor-plugin.yaml,,\ncowsay_plugin/gone.py,,\n")
    monkeypatch.syspath_prepend(str(site))
    folder = Folder(tmp_path / "plugins")
    with pytest.raises(RhetorError, match=r"gone\.py: No such file .*; nothing was changed: mend that"):
        folder.add("python:cowsay-plugin")
    assert folder.ids() == []


def test_the_key_of_another_plugin_is_not_told(tmp_path: Path) -> None:
    """Whoever came first has it; the other one says what it would take."""
    folder = Folder(tmp_path / "plugins")
    keyed = manifest("lab").replace("auth: {required: false}", "key_env: [LAB_KEY]")
    folder.add(plugin_folder(tmp_path / "lab", keyed))
    thief = "plugin: 1\nid: thief\nproviders: {thief: {wire: guest, code: c}}\n"
    thief += "code: {c: {language: python, main: c.py, env: [LAB_KEY]}}\n"
    report = folder.look(plugin_folder(tmp_path / "thief", thief, c_dot_py=""))
    assert [each["withheld"] for each in report["variables"]] == ["a variable of the plugin lab"]  # type: ignore[index,union-attr,call-overload]
    same_host = keyed.replace("lab:", "lib:").replace("id: lab", "id: lib")
    report = folder.look(plugin_folder(tmp_path / "lib", same_host))
    assert [each["withheld"] for each in report["variables"]] == [""]  # type: ignore[index,union-attr,call-overload]
    assert [each["withheld"] for each in folder.update("lab")["variables"]] == [""]  # type: ignore[index,union-attr,call-overload]
