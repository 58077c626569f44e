"""The files of a plugin stay in its folder, and within its bounds."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rhetor.core.errors import BadRequest, Code
from rhetor.plugins.tree import Bounds, Tree, copy_folder

WIDE = Bounds(1 << 20)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    root = tmp_path / "tree"
    root.mkdir()
    return Tree(root, WIDE)


@pytest.mark.parametrize(
    "path",
    [
        *("../x", "/x", "a/../../x", "a//x", "./x", "", ".git/hooks/x", "a/.GIT/x", "a\\x", "a\0x"),
        "/".join("a" * 40),
        "x" * 2000,
    ],
)
def test_no_path_leads_out(tree: Tree, path: str) -> None:
    with pytest.raises(BadRequest, match=r"is no path of a plugin"):
        tree.add(path, [b"x"], False)
    assert os.listdir(tree.root) == []


@pytest.mark.parametrize(
    ("path", "target"), [("l", "/etc/passwd"), ("l", "../x"), ("a/l", "../../x"), ("l", "a/../../x")]
)
def test_no_link_leads_out(tree: Tree, path: str, target: str) -> None:
    with pytest.raises(BadRequest, match="leads out of it"):
        tree.link(path, target)


def test_no_link_leads_out_by_way_of_another(tree: Tree) -> None:
    """`deep/up` is the plugin's own folder, so what is above that is outside, as harmless as it looks."""
    tree.add("deep/x", [b"x"], False)
    tree.link("deep/up", "..")
    tree.finish()
    tree.link("z", "deep/up/../x")
    with pytest.raises(BadRequest, match="leads out of it"):
        tree.finish()


def test_nothing_is_written_through_a_link(tree: Tree) -> None:
    tree.add("a/x", [b"x"], False)
    tree.link("b", "a")
    with pytest.raises(BadRequest, match="is below a link"):
        tree.add("b/y", [b"y"], False)
    with pytest.raises(BadRequest, match="is there twice"):
        tree.add("a/x", [b"y"], False)


def test_too_much_is_refused_while_it_comes(tmp_path: Path) -> None:
    tree = Tree(tmp_path, Bounds(size_bytes=1 << 20, files=2))
    with pytest.raises(BadRequest, match=r"has 1 MiB, and may have 1 \(plugins\.max_mb\)") as caught:
        tree.add("x", (bytes(1 << 19) for _ in range(1000)), False)
    assert caught.value.code is Code.TOO_LARGE
    tree = Tree(tmp_path, Bounds(size_bytes=1 << 20, files=2))
    tree.link("a", "x")
    tree.link("b", "x")
    with pytest.raises(BadRequest, match="has more than 2 files"):
        tree.link("c", "x")


def test_a_folder_is_copied_without_what_tools_left_in_it(tmp_path: Path, tree: Tree) -> None:
    source = tmp_path / "source"
    for name in (
        "a.py",
        "sub/b.sh",
        ".git/config",
        "__pycache__/a.pyc",
        "node_modules/x/y",
        ".venv/z",
        "c.pyc",
    ):
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (source / "sub/b.sh").chmod(0o755)
    (source / "link").symlink_to("sub/b.sh")
    copy_folder(source, tree)
    found = sorted(str(path.relative_to(tree.root)) for path in tree.root.rglob("*") if not path.is_dir())
    assert found == ["a.py", "link", "sub/b.sh"]
    assert os.access(tree.root / "sub/b.sh", os.X_OK)
    assert not os.access(tree.root / "a.py", os.X_OK)


@pytest.mark.parametrize("odd", ["pipe", "outside"])
def test_a_folder_holds_files_only(tmp_path: Path, tree: Tree, odd: str) -> None:
    source = tmp_path / "source"
    source.mkdir()
    if odd == "pipe":
        os.mkfifo(source / "x")
    else:
        (source / "x").symlink_to("/etc/passwd")
    with pytest.raises(BadRequest, match="the plugin is refused"):
        copy_folder(source, tree)


def test_a_folder_that_is_not_there(tmp_path: Path, tree: Tree) -> None:
    with pytest.raises(BadRequest, match="no folder") as caught:
        copy_folder(tmp_path / "nowhere", tree)
    assert caught.value.code is Code.NOT_FOUND


@pytest.mark.skipif(not hasattr(os, "fwalk"), reason="the system cannot open what is in an open folder")
def test_a_folder_that_becomes_a_link_while_it_is_copied_leads_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else whoever has the plugin's folder could have files read that only the gateway may read."""
    (inner := tmp_path / "source" / "inner").mkdir(parents=True)
    (inner / "key").write_text("mine")
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "key").write_text("secret")
    walk = os.fwalk

    def swapping(*given: Any, **said: Any) -> Iterator[Any]:
        for each in walk(*given, **said):
            if each[0] == str(inner):
                inner.rename(tmp_path / "aside")
                inner.symlink_to(tmp_path / "secret")
            yield each

    monkeypatch.setattr(os, "fwalk", swapping)
    (tmp_path / "tree").mkdir()
    copy_folder(tmp_path / "source", Tree(tmp_path / "tree", Bounds(1000)))
    assert (tmp_path / "tree" / "inner" / "key").read_text() == "mine"


def test_a_name_that_no_disk_takes_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match=r"cannot be written: File name too long"):
        Tree(tmp_path, Bounds(1000)).add("n" * 300, [b""], False)
