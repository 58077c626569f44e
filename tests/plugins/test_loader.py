"""Every plugin has a status, whatever has become of it, and no other one suffers from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from rhetor.plugins.cache import Cache, digest_of
from rhetor.plugins.loader import Loaded, Status, Taken, fits, load
from rhetor.plugins.lock import FILE, Lock, read_lock, write_lock
from tests.plugins.desks import TAKEN, Folder, no_service_is_wrong, plugin_folder
from tests.plugins.repository import manifest


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """With two plugins in it: `cow` and `hen`."""
    folder = Folder(tmp_path / "plugins")
    for id in ("cow", "hen"):
        folder.add(plugin_folder(tmp_path / id, manifest(id)))
    return folder


def place(folder: Folder, id: str) -> Path:
    files = folder.plugin(id).folder
    assert files is not None
    return files


def statuses(loaded: Loaded) -> dict[str, Status]:
    return {plugin.id: plugin.status for plugin in loaded.plugins}


def test_what_is_well_is_loaded_and_what_is_switched_off_is_off(folder: Folder) -> None:
    assert statuses(folder.loaded()) == {"cow": Status.LOADED, "hen": Status.LOADED}
    off = folder.plugin("cow", off=["cow"])
    assert (off.status, off.reason, off.manifest) == (Status.OFF, "it is switched off in plugins.off", None)
    assert tuple(off.providers) == ("cow",)


@pytest.mark.parametrize("what", ["bytes", "more"])
def test_what_somebody_changed_is_tampered_and_nothing_of_it_is_used(folder: Folder, what: str) -> None:
    files = place(folder, "cow")
    files.chmod(0o755)
    if what == "bytes":
        (files / "rhetor-plugin.yaml").chmod(0o644)
        (files / "rhetor-plugin.yaml").write_text(manifest("cow", "https://evil.example/v1"))
    else:
        (files / "sitecustomize.py").write_text("evil")
    plugin = folder.plugin("cow")
    assert (plugin.status, plugin.manifest, plugin.folder) == (Status.TAMPERED, None, None)
    assert (
        plugin.reason
        == "its files are not those that were added; `rhetor providers update cow` fetches it again"
    )
    assert folder.plugin("hen").status is Status.LOADED
    assert folder.update("cow")["changed"] is False
    assert folder.plugin("cow").status is Status.LOADED


def test_what_is_gone_is_missing(folder: Folder) -> None:
    files = place(folder, "cow")
    files.rename(files.with_name("elsewhere"))
    assert folder.plugin("cow").status is Status.MISSING
    assert "its files are gone" in folder.plugin("cow").reason


BECOMES = {
    "broken": (
        "plugin: 1\nid: cow\nproviders: {cow: {wire: klingon}}",
        Status.BROKEN,
        "rhetor-plugin.yaml has 2 problems",
    ),
    "future": (
        "plugin: 3\nid: cow",
        Status.FUTURE,
        "plugin: is of a newer format than 1; update rhetor (is 3)",
    ),
    "renamed": (manifest("dog"), Status.CLASH, "it calls itself 'dog' now; remove 'cow', and add that"),
    "built in": (
        manifest("cow").replace("  cow:", "  openai:"),
        Status.CLASH,
        "there is a provider 'openai' already, built in; one of them must be called otherwise",
    ),
    "another's": (
        manifest("cow").replace("  cow:", "  hen:"),
        Status.CLASH,
        "there is a provider 'hen' already, of the plugin hen; one of them must be called otherwise",
    ),
    "a service of the file": (
        manifest("cow") + "services: {mine: {command: [x]}}\n",
        Status.CLASH,
        "there is a service 'mine' already, in the configuration; one of them must be called otherwise",
    ),
    "a newer rhetor": (
        manifest("cow") + "requires: {rhetor: '>=99'}\n",
        Status.INCOMPATIBLE,
        "it needs rhetor >=99, and this is 0.1.0",
    ),
    "another system": (
        manifest("cow") + "requires: {platforms: [win32]}\n",
        Status.INCOMPATIBLE,
        "it runs on win32, and this is linux",
    ),
    "a program": (
        manifest("cow") + "requires: {programs: {moo-ng: apt install moo-ng}}\n",
        Status.INCOMPATIBLE,
        "it needs the program moo-ng: apt install moo-ng",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "status", "reason"), BECOMES.values(), ids=BECOMES)
def test_what_the_same_files_become_in_another_house(
    folder: Folder, tmp_path: Path, text: str, status: Status, reason: str
) -> None:
    """Added by another version, or before somebody else took its name: put there as if it had been added."""
    hen = read_lock(folder.path).plugins["hen"]
    plugin_folder(tmp_path / "odd", text)
    digest = digest_of(tmp_path / "odd")
    Cache(folder.path).keep(tmp_path / "odd", digest)
    later = hen.model_copy(update={"digest": digest, "added_at": hen.added_at.replace(year=2999)})
    write_lock(folder.path, Lock(plugins={"hen": hen, "cow": later}))
    plugin = folder.plugin("cow")
    assert (plugin.status, plugin.reason, plugin.folder) == (status, reason, None)
    assert folder.plugin("hen").status is Status.LOADED


def test_a_lock_file_that_cannot_be_read_loads_nothing_and_says_so(folder: Folder) -> None:
    (folder.path / FILE).write_text("{")
    loaded = folder.loaded()
    assert loaded.plugins == ()
    assert loaded.trouble.endswith("is no JSON; mend it, or move it away and add the plugins again")


def test_a_name_that_is_a_path_is_no_plugin(folder: Folder) -> None:
    entry = read_lock(folder.path).plugins["cow"]
    write_lock(folder.path, Lock(plugins={"../../etc": entry}))
    assert statuses(folder.loaded()) == {"../../etc": Status.BROKEN}


def test_who_fails_fails_alone(folder: Folder) -> None:
    """Also at what nobody has thought of."""

    class Trap(dict[str, str]):
        def __contains__(self, id: object) -> bool:
            if id == "cow":
                raise RuntimeError("nobody thought of this")
            return False

        def __or__(self, other: object) -> Trap:  # type: ignore[override]
            return self

    loaded = load(folder.path, Trap(), TAKEN, no_service_is_wrong)
    assert statuses(loaded) == {"cow": Status.FAILED, "hen": Status.LOADED}
    assert loaded.plugins[0].reason == "cannot be read: RuntimeError"


def test_nowhere_is_nothing() -> None:
    assert load(None, (), Taken(providers={}, services={}), no_service_is_wrong).plugins == ()


@pytest.mark.parametrize(
    ("version", "wanted", "well"),
    [
        ("0.1.0", ">=0.1", True),
        ("0.1.0", "==0.1", True),
        ("0.1.0", ">0.1", False),
        ("1.10", ">=1.9, <2", True),
        ("2.0.dev3", "<2", False),
        ("1.0", "!=1.0.0", False),
        ("1.0", "nonsense", False),
    ],
)
def test_versions(version: str, wanted: str, well: bool) -> None:
    assert fits(version, wanted) is well
