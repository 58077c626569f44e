"""Whole code bases: what is there is found, and nothing else."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import pytest

from rhetor.migrate.finding import Effort, Report
from rhetor.migrate.scan import scan
from rhetor.migrate.write import write
from tests.migrate.projects import NAMES, Place, lay_out

ENOUGH = 0.95


def places(report: Report) -> Counter[Place]:
    return Counter((finding.file, finding.line, finding.kind.value) for finding in report.findings)


def test_precision_and_recall_of_every_kind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth: Counter[Place] = Counter()
    found: Counter[Place] = Counter()
    for name in NAMES:
        project = lay_out(name, tmp_path / name)
        report = scan(project.root)
        assert report.problems == ()
        truth += Counter(
            {(f"{name}/{file}", line, kind): n for (file, line, kind), n in project.truth.items()}
        )
        found += Counter(
            {(f"{name}/{file}", line, kind): n for (file, line, kind), n in places(report).items()}
        )
    with capsys.disabled():
        say(f"\n{'kind':<11} {'there':>5} {'found':>5} {'precision':>9} {'recall':>6}")
        for kind in sorted({kind for _, _, kind in truth + found}):
            there, seen = of(kind, truth), of(kind, found)
            right = (there & seen).total()
            precision, recall = right / max(seen.total(), 1), right / max(there.total(), 1)
            say(f"{kind:<11} {there.total():>5} {seen.total():>5} {precision:>9.3f} {recall:>6.3f}")
            assert precision >= ENOUGH, (seen - there).elements()
            assert recall >= ENOUGH, (there - seen).elements()


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def of(kind: str, all: Counter[Place]) -> Counter[Place]:
    return Counter({place: n for place, n in all.items() if place[2] == kind})


@pytest.mark.parametrize("name", NAMES)
def test_what_is_called_mechanical_is_gone_afterwards(name: str, tmp_path: Path) -> None:
    """And nothing else has come, and a second run has nothing to do."""
    root = lay_out(name, tmp_path).root
    before = scan(root, component=name)
    assert before.changes
    written, problems = write(before)
    assert (set(written), problems) == (set(before.changes), [])
    after = scan(root, component=name)
    assert not after.changes
    assert what(after) <= what(before) - what(before, Effort.MECHANICAL)


def what(report: Report, effort: Effort | None = None) -> Counter[tuple[str, str, str]]:
    return Counter(
        (finding.file, finding.kind.value, finding.what)
        for finding in report.findings
        if effort in (None, finding.effort)
    )


def test_clients_are_followed_over_several_files(tmp_path: Path) -> None:
    files = {
        "pkg/__init__.py": "from .made import client as shared\n",
        "pkg/made.py": "from openai import OpenAI\nclient = OpenAI()\n",
        "pkg/deep/use.py": "from .. import shared\nshared.embeddings.create()\n",
        "use.py": "import pkg\npkg.shared.embeddings.create()\n",
        "other.py": "from elsewhere import shared\nshared.embeddings.create()\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    calls = {finding.file for finding in scan(tmp_path).findings if finding.kind == "call"}
    assert calls == {"pkg/deep/use.py", "use.py"}


def test_hostile_files_are_reported_and_harm_nothing(tmp_path: Path) -> None:
    (tmp_path / "good.py").write_text("import openai\n")
    (tmp_path / "deep.py").write_text("import openai\nx = " + "(" * 100_000)
    (tmp_path / "old.py").write_text("import openai\nprint 'x'\n")
    (tmp_path / "binary.py").write_bytes(b"import openai\0\xff\xfe")
    (tmp_path / "huge.js").write_text("import 'openai';\n" * 200_000)
    (tmp_path / "broken.ts").write_text("import OpenAI from 'openai'; `${{{(((")
    (tmp_path / "package.json").write_text('{"openai')
    report = scan(tmp_path)
    assert {finding.file for finding in report.findings} == {"good.py", "broken.ts"}
    reasons = {problem.file: problem.reason for problem in report.problems}
    assert set(reasons) == {"deep.py", "old.py", "binary.py", "huge.js", "package.json"}
    assert reasons["deep.py"] == "it brings the parser down"
    assert "line 2" in reasons["old.py"]
