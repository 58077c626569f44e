"""A plugin that came with an installed package is found by its entry point, and not imported."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from rhetor.core.errors import BadRequest
from rhetor.plugins.package import copy_package
from rhetor.plugins.sources import parse_source
from rhetor.plugins.tree import Bounds, Tree

BOOBY = "raise SystemExit('imported')\n"


def install(site: Path, entry_points: str, *files: str) -> None:
    """As pip leaves it behind."""
    about = site / "rhetor_cow-1.4.dist-info"
    about.mkdir(parents=True)
    for name in files:
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text(BOOBY)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: rhetor-cow\nVersion: 1.4\n")
    (about / "entry_points.txt").write_text(entry_points)
    (about / "RECORD").write_text("".join(f"{name},,\n" for name in files))


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    (tmp_path / "tree").mkdir()
    return Tree(tmp_path / "tree", Bounds(1 << 20))


def test_its_files_are_copied(tmp_path: Path, tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    files = (
        "herd/cow/rhetor-plugin.yaml",
        "herd/cow/provider.py",
        "herd/cow/__pycache__/provider.pyc",
        "herd/hen.py",
    )
    install(tmp_path / "site", "[rhetor.plugins]\ncow = herd.cow\n", *files)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path / "site")])
    assert copy_package(parse_source("python:rhetor-cow"), tree).version == "1.4"
    assert sorted(path.name for path in tree.root.iterdir()) == ["provider.py", "rhetor-plugin.yaml"]


@pytest.mark.parametrize(
    ("entry_points", "why"),
    [
        (
            "[other]\ncow = herd.cow\n",
            "names no plugin; it needs one entry point of the group 'rhetor.plugins'",
        ),
        ("[rhetor.plugins]\ncow = herd.cow\nhen = herd.hen\n", "names several plugins"),
        (
            "[rhetor.plugins]\ncow = herd.cow\n",
            "has no herd/cow/rhetor-plugin.yaml; if it is installed as editable",
        ),
    ],
)
def test_a_package_that_names_no_plugin(
    tmp_path: Path, tree: Tree, monkeypatch: pytest.MonkeyPatch, entry_points: str, why: str
) -> None:
    install(tmp_path / "site", entry_points, "herd/__init__.py")
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path / "site")])
    with pytest.raises(BadRequest, match=why):
        copy_package(parse_source("python:rhetor-cow"), tree)


def test_a_package_that_is_not_there(tree: Tree) -> None:
    with pytest.raises(BadRequest, match="no package 'no-such-cow' is installed beside rhetor"):
        copy_package(parse_source("python:no-such-cow"), tree)
