"""Which files are looked at: those that people wrote, and none outside of the tree."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rhetor.migrate.files import language, walk


def lay(root: Path, *names: str, text: str = "x") -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def walked(root: Path, *exclude: str) -> list[str]:
    return [file.name for file in walk(root, exclude)]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.py", "python"), ("b/a.tsx", "script"), ("i.html", "page"), ("requirements-dev.txt", "manifest"),
        ("x/package.json", "manifest"), (".env", "environment"), ("web/.env.local", "environment"),
        ("prod.env", "environment"), ("a.min.js", ""), ("types.d.ts", ""), ("README.md", ""), ("a.png", ""),
    ],
)  # fmt: skip
def test_languages(name: str, expected: str) -> None:
    assert language(name) == expected


def test_what_others_wrote_is_passed_over(tmp_path: Path) -> None:
    lay(
        tmp_path,
        "src/a.py",
        "node_modules/x/a.js",
        ".git/a.py",
        "build/a.py",
        "lib/site-packages/a.py",
        "v/pyvenv.cfg",
    )
    lay(tmp_path, "v/lib/a.py")
    assert walked(tmp_path) == ["src/a.py"]


def test_links_lead_nowhere(tmp_path: Path) -> None:
    lay(tmp_path, "outside/secret.py", "tree/a.py")
    tree = tmp_path / "tree"
    (tree / "up").symlink_to(tmp_path)
    (tree / "secret.py").symlink_to(tmp_path / "outside" / "secret.py")
    (tree / "round").symlink_to(tree)
    (tree / "gone.py").symlink_to(tree / "nothing")
    os.mkfifo(tree / "pipe.py")
    assert walked(tree) == ["a.py"]


def test_gitignore_is_respected_and_env_files_are_read_anyway(tmp_path: Path) -> None:
    lay(
        tmp_path,
        "a.py",
        "b_gen.py",
        "gen/c.py",
        "gen/keep.py",
        "out/d.py",
        "sub/out/e.py",
        ".env",
        "sub/f.py",
        "sub/g.py",
    )
    (tmp_path / ".gitignore").write_text("# generated\n*_gen.py\n/out\ngen/*\n!gen/keep.py\n.env\n[bad\n")
    (tmp_path / "sub" / ".gitignore").write_text("/f.py\n")
    assert walked(tmp_path) == [".env", "a.py", "gen/keep.py", "sub/g.py", "sub/out/e.py"]


def test_more_may_be_left_out(tmp_path: Path) -> None:
    lay(tmp_path, "a.py", "tests/b.py", "old/c.py", ".env")
    assert walked(tmp_path, "tests/", "old/*.py", ".env") == ["a.py"]


def test_a_file_is_a_tree_of_one(tmp_path: Path) -> None:
    lay(tmp_path, "a.py")
    assert walked(tmp_path / "a.py") == ["a.py"]


def test_folders_without_an_end_have_one(tmp_path: Path) -> None:
    lay(tmp_path, f"{'d/' * 100}a.py")
    assert walked(tmp_path) == []
