"""Writing: whole files, over nothing that is not committed, in their own encodings."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from rhetor.migrate.finding import Edit
from rhetor.migrate.scan import scan
from rhetor.migrate.write import uncommitted, write

CODE = "import os\nimport openai\nc = openai.OpenAI()\n"


def git(root: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=n", "-c", "user.email=e@example.com", "-c", "commit.gpgsign=false")
    subprocess.run(
        ["git", *identity, "-C", str(root), *arguments], check=True, capture_output=True, timeout=60
    )


with_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is missing")


def commit(root: Path) -> None:
    git(root, "init")
    git(root, "add", ".")
    git(root, "commit", "-m", "x")


@with_git
def test_work_that_is_not_committed_speaks_against_it(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_text(CODE)
    assert uncommitted([path]) is None
    git(tmp_path, "init")
    git(tmp_path, "add", "a.py")
    assert "(A  a.py)" in (uncommitted([path]) or "")
    git(tmp_path, "commit", "-m", "x")
    assert uncommitted([path]) is None
    path.write_text(CODE + "\n")
    assert "(M a.py)" in (uncommitted([path]) or "")


@with_git
def test_a_file_that_git_does_not_know_speaks_against_it(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(CODE)
    commit(tmp_path)
    (tmp_path / "[ab].py").write_text(CODE)
    assert uncommitted([tmp_path / "a.py"]) is None  # what will not be written may be as it likes
    assert "(?? [ab].py)" in (uncommitted([tmp_path / "a.py", tmp_path / "[ab].py"]) or "")


@with_git
@pytest.mark.parametrize("broken", ["index", "HEAD"])
def test_a_repository_that_does_not_answer_speaks_against_it(tmp_path: Path, broken: str) -> None:
    (tmp_path / "a.py").write_text(CODE)
    commit(tmp_path)
    (tmp_path / ".git" / broken).write_bytes(b"broken")
    assert "git does not say" in (uncommitted([tmp_path / "a.py"]) or "")


def test_without_git_nobody_knows_what_is_committed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert uncommitted([tmp_path / "a.py"]) is None
    (tmp_path / ".git").mkdir()
    assert "git does not say" in (uncommitted([tmp_path / "a.py"]) or "")


@with_git
def test_a_repository_inside_another_is_asked_itself(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "b.py").write_text(CODE)
    commit(inner)
    (tmp_path / "a.py").write_text(CODE)
    (tmp_path / ".gitignore").write_text("inner\n")
    commit(tmp_path)
    paths = [tmp_path / "a.py", inner / "b.py"]
    assert uncommitted(paths) is None
    (inner / "b.py").write_text(CODE + "\n")
    assert "(M b.py)" in (uncommitted(paths) or "")


@with_git
def test_a_repository_starts_no_program_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(CODE)
    commit(tmp_path)
    git(tmp_path, "config", "core.fsmonitor", f"touch {tmp_path}/started; false")
    uncommitted([tmp_path / "a.py"])
    assert not (tmp_path / "started").exists()


def test_a_root_that_is_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.py").write_text(CODE)
    (tmp_path / "b.py").symlink_to("real/a.py")
    assert write(scan(tmp_path / "b.py")) == (["b.py"], [])
    assert (tmp_path / "b.py").is_symlink()
    assert "RHETOR_URL" in (tmp_path / "real" / "a.py").read_text()


def test_what_others_share_or_protect_is_left_alone(tmp_path: Path) -> None:
    for name in ("linked", "twin", "locked"):
        (tmp_path / f"{name}.py").write_text(CODE)
    (tmp_path / "twin.txt").hardlink_to(tmp_path / "twin.py")
    (tmp_path / "locked.py").chmod(0o444)
    report = scan(tmp_path)
    (tmp_path / "linked.py").rename(tmp_path / "target")
    (tmp_path / "linked.py").symlink_to("target")
    written, problems = write(report)
    assert written == []
    reasons = {problem.file: problem.reason for problem in problems}
    assert "is a link" in reasons["linked.py"]
    assert "hard links" in reasons["twin.py"]
    assert "not writable" in reasons["locked.py"]
    assert {(tmp_path / each).read_text() for each in ("target", "twin.txt", "locked.py")} == {CODE}


def test_encoding_line_ends_and_permissions_stay(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_bytes(b"# coding: latin-1\r\nimport openai\r\nname = '\xe4'\r\nc = openai.OpenAI()\r\n")
    path.chmod(0o754)
    written, problems = write(scan(tmp_path))
    assert (written, problems) == (["a.py"], [])
    raw = path.read_bytes()
    assert b"name = '\xe4'\r\n" in raw
    assert raw.count(b"\n") == raw.count(b"\r\n") > 4
    assert path.stat().st_mode & 0o777 == 0o754
    assert [each.name for each in tmp_path.iterdir()] == ["a.py"]


def test_what_compiled_still_does(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_text(f"{CODE}if c is 'x': ...\n")  # a warning does not matter
    report = scan(tmp_path)
    assert write(report) == (["a.py"], [])
    path.write_text(CODE)
    report = scan(tmp_path)
    (change,) = report.changes["a.py"]
    await_ = replace(change, edits=(Edit(0, 0, "await os\n"),))
    written, problems = write(replace(report, changes={"a.py": (await_,)}))
    assert (written, [problem.reason for problem in problems]) == ([], ["the result would not compile"])


def test_a_file_that_changed_meanwhile_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_text(CODE)
    report = scan(tmp_path)
    path.write_text("x = (\n")
    written, problems = write(report)
    assert written == []
    assert [problem.file for problem in problems] == ["a.py"]
    assert path.read_text() == "x = (\n"
