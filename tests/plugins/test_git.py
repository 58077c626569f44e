"""A plugin out of a real repository: its ref is pinned, and nothing of it has a say."""

from __future__ import annotations

import os
import subprocess
import threading
from pathlib import Path

import pytest

from rhetor.core.errors import BadRequest, Code, RhetorError
from rhetor.plugins.cache import digest_of
from rhetor.plugins.git import Commit, fetch, resolve
from rhetor.plugins.program import Fetching
from rhetor.plugins.sources import parse_source
from rhetor.plugins.tree import Bounds, Tree
from tests.plugins.repository import ENV, Repository

MB = 1 << 20


def fetched(
    said: str, folder: Path, files: int = 1000, most_bytes: int = 50 * MB, path: str | None = None
) -> tuple[Commit, Tree]:
    source = parse_source(said)
    folder.mkdir(parents=True)
    (root := folder / "tree").mkdir()
    (fetching := folder / "fetching").mkdir()
    programs = Fetching(fetching, {"PATH": path or os.environ["PATH"]}, most_bytes, threading.Event())
    tree = Tree(root, Bounds(MB, files))
    commit = resolve(source, programs, ())
    fetch(source, commit, programs, (), tree)
    return commit, tree


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository")


@pytest.mark.promise("M01")
def test_every_ref_is_a_commit(repository: Repository, tmp_path: Path) -> None:
    first = repository.commit(a="1", sub__b="2")
    repository.git("tag", "v1")
    repository.git("tag", "--annotate", "--message=x", "v1a")
    second = repository.commit(a="3")
    expected = {
        first: ("commit", first),
        "v1": ("tag", first),
        "v1a": ("tag", first),
        "refs/tags/v1": ("tag", first),
        "main": ("branch", second),
        "refs/heads/main": ("branch", second),
    }
    digests = {}
    for n, (ref, (kind, commit)) in enumerate(expected.items()):
        found, tree = fetched(repository.at(ref), tmp_path / str(n))
        assert (found.kind, found.id) == (kind, commit)
        digests[ref] = digest_of(tree.root)
    assert digests["v1"] == digests[first] == digests["v1a"] != digests["main"]
    _, tree = fetched(repository.at("v1") + "#sub", tmp_path / "below")
    assert os.listdir(tree.root) == ["b"]


def test_a_ref_that_is_not_there_is_not_replaced_by_the_default_branch(
    repository: Repository, tmp_path: Path
) -> None:
    commit = repository.commit(a="1")
    for ref, why in (
        ("v9", "there is no tag and no branch of that name; the default branch is not taken instead"),
        (commit[:8], "a commit is written whole, with its 40 digits"),
    ):
        with pytest.raises(BadRequest, match=why) as caught:
            fetched(repository.at(ref), tmp_path / ref)
        assert caught.value.code is Code.NOT_FOUND
    with pytest.raises(RhetorError, match="no such commit there"):
        fetched(repository.at("0" * 39 + "1"), tmp_path / "zeros")
    with pytest.raises(RhetorError, match="there is no such repository"):
        fetched(f"git+file://{tmp_path}/nowhere@v1", tmp_path / "nothing")


def test_a_name_for_two_things_is_refused(repository: Repository, tmp_path: Path) -> None:
    repository.commit(a="1")
    repository.git("tag", "v1")
    repository.git("branch", "v1")
    with pytest.raises(BadRequest, match=r"is a tag and a branch .*; write refs/tags/v1 or refs/heads/v1"):
        fetched(repository.at("v1"), tmp_path / "x")


def test_nothing_of_the_repository_runs_or_changes_its_files(repository: Repository, tmp_path: Path) -> None:
    """Hooks, filters, attributes, line ends: they are for those who check out."""
    trap = tmp_path / "sprung"
    hooks = repository.folder / "hooks"
    hooks.mkdir()
    for name in ("post-checkout", "post-merge", "reference-transaction", "fsmonitor-watchman"):
        (hooks / name).write_text(f"#!/bin/sh\ntouch {trap}\n")
        (hooks / name).chmod(0o755)
    text = "one\r\ntwo $Id$\n"
    ref = repository.commit(_dot_gitattributes="* filter=x text ident\n", a=text)
    for setting in ("filter.x.smudge", "filter.x.process", "core.fsmonitor", "core.sshCommand"):
        repository.git("config", setting, f"touch {trap}")
    repository.git("config", "core.hooksPath", str(hooks))
    _, tree = fetched(repository.at(ref), tmp_path / "x")
    assert not trap.exists()
    assert (tree.root / "a").read_bytes() == b"one\ntwo $Id$\n"


def test_what_is_not_a_file_is_left_out_or_refused(repository: Repository, tmp_path: Path) -> None:
    other = Repository(tmp_path / "other").commit(x="1")
    (repository.folder / "inside").symlink_to("sub/b")
    (repository.folder / "lfs").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:x\n")
    repository.commit(sub__b="2")
    repository.git("update-index", "--add", "--cacheinfo", f"160000,{other},module")
    repository.git("commit", "--quiet", "--message=module")
    _, tree = fetched(repository.at("main"), tmp_path / "x")
    assert sorted(os.listdir(tree.root)) == ["inside", "lfs", "sub"]
    assert tree.warnings == [
        "module is a submodule, and left out",
        "lfs is kept in Git LFS, which is not asked: it is a note of a few bytes",
    ]
    (repository.folder / "outside").symlink_to("../../../etc/passwd")
    ref = repository.commit()
    with pytest.raises(BadRequest, match="the link 'outside' leads out of it"):
        fetched(repository.at(ref), tmp_path / "y")


def test_a_huge_repository_is_stopped(repository: Repository, tmp_path: Path) -> None:
    """By what its files have together, before they are written; and by what comes, while it comes."""
    repository.commit(a=os.urandom(3 * MB))
    with pytest.raises(BadRequest, match=r"has 3 MiB, and may have 1 \(plugins\.max_mb\)") as caught:
        fetched(repository.at("main"), tmp_path / "x")
    assert caught.value.code is Code.TOO_LARGE
    assert os.listdir(tmp_path / "x" / "tree") == []
    with pytest.raises(BadRequest, match=r"was stopped: it brings more than 1 MiB") as caught:
        fetched(repository.at("main"), tmp_path / "y", most_bytes=MB, path=slow_git(tmp_path))
    assert caught.value.code is Code.TOO_LARGE
    many = Repository(tmp_path / "many")
    many.commit(**{f"f{n}": "" for n in range(30)})
    with pytest.raises(BadRequest, match="has more than 20 files"):
        fetched(many.at("main"), tmp_path / "z", files=20)


def slow_git(tmp_path: Path) -> str:
    """A git that does not end after a fetch: what it brought is there, and nobody is in a hurry."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "git").write_text(
        '#!/bin/sh\n/usr/bin/env -S PATH=$REAL git "$@"; case "$*" in *" fetch "*) sleep 60;; esac\n'.replace(
            "$REAL", os.environ["PATH"]
        )
    )
    (folder / "git").chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


def test_who_gives_up_does_not_wait(repository: Repository, tmp_path: Path) -> None:
    given_up = threading.Event()
    given_up.set()
    programs = Fetching(tmp_path, {"PATH": os.environ["PATH"]}, MB, given_up)
    with pytest.raises(RhetorError, match="was given up") as caught:
        programs.run(["sleep", "60"], {}, "waiting")
    assert caught.value.code is Code.CANCELLED
    with pytest.raises(BadRequest, match="needs the program nosuchprogram; install it"):
        programs.run(["nosuchprogram"], {}, "it")


def made_of(repository: Repository, *lines: bytes) -> str:
    """A tree of what no working copy could hold."""
    said = b"".join(line + b"\0" for line in lines)
    run = subprocess.run(
        ["git", "mktree", "-z"], cwd=repository.folder, env=ENV, input=said, capture_output=True
    )
    return run.stdout.decode().strip()


def test_folders_that_hold_each_other_are_counted_one_by_one(repository: Repository, tmp_path: Path) -> None:
    """Ten small trees are a million files; they are not listed in memory first."""
    blob = repository.git("rev-parse", f"{repository.commit(a='x')}:a")
    tree = made_of(repository, *(f"100644 blob {blob}\t{n:02}".encode() for n in range(10)))
    for _ in range(3):
        tree = made_of(repository, *(f"040000 tree {tree}\t{n:02}".encode() for n in range(10)))
    repository.git("tag", "bomb", repository.git("commit-tree", tree, "-m", "bomb"))
    with pytest.raises(BadRequest, match="has more than 20 files"):
        fetched(repository.at("bomb"), tmp_path / "x", files=20)


def test_a_name_that_is_no_text_is_shown_as_what_it_is(repository: Repository, tmp_path: Path) -> None:
    blob = repository.git(
        "rev-parse", f"{repository.commit(a='version https://git-lfs.github.com/spec/v1')}:a"
    )
    tree = made_of(repository, f"100644 blob {blob}\t".encode() + b"m\xff\x1b[2J")
    repository.git("tag", "odd", repository.git("commit-tree", tree, "-m", "odd"))
    _, found = fetched(repository.at("odd"), tmp_path / "x")
    assert found.warnings[0].startswith("'m\\udcff\\x1b[2J' is kept in Git LFS")
