"""docs/authors.md is followed to the letter: every command in it is run, every file in it is written."""

from __future__ import annotations

import asyncio
import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from rhetor.cli import main
from tests.cli.conftest import clean_environment

PAGE = Path(__file__).parent.parent / "docs" / "authors.md"
FENCE = re.compile(r"^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
CHAPTER = re.compile(r"^## (.+)$", re.MULTILINE)
PATIENCE_S = 120.0


def chapters() -> dict[str, list[tuple[str, str]]]:
    """The blocks of each chapter that has some: their languages and texts."""
    _, *parts = CHAPTER.split(PAGE.read_text("utf-8"))
    said = zip(parts[::2], parts[1::2], strict=True)
    blocks = {name: [(it["language"], it["text"]) for it in FENCE.finditer(text)] for name, text in said}
    return {name: found for name, found in blocks.items() if any(kind == "shell" for kind, _ in found)}


BEFORE = {"Handing it on": "rhetor providers new parrot --kind python"}
"""What was typed already."""


@pytest.mark.promise("M27", "M28")
@pytest.mark.skipif(shutil.which("node") is None, reason="Node is needed")
@pytest.mark.parametrize("chapter", chapters())
def test_the_guide_can_be_followed(
    chapter: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each chapter in an empty folder, as one who reads it would type it; nothing in it fails."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for language, text in [("shell", BEFORE.get(chapter, "")), *chapters()[chapter]]:
        if language == "shell":
            for line in text.splitlines():
                rhetor, *arguments = shlex.split(line)
                assert rhetor == "rhetor"
                code = main(arguments)
                said = capsys.readouterr()
                assert (code, said.err) == (0, ""), said.out + said.err
        elif (named := re.match(r"(?:#|//) (\S+/\S+)\n", text)) is not None:
            assert (tmp_path / named[1]).is_file(), "it is replaced"
            (tmp_path / named[1]).write_text(text)


@pytest.mark.parametrize(
    ("kind", "command"),
    [
        (("--kind", "python"), (sys.executable, "-m", "unittest")),
        (("--kind", "javascript"), ("node", "--test")),
    ],
    ids=["python", "javascript"],
)
async def test_the_test_of_a_new_plugin_runs(
    kind: tuple[str, ...], command: tuple[str, ...], tmp_path: Path
) -> None:
    """With `rhetor` on the path, as it is where it was installed."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is needed")
    binary = tmp_path / "bin" / "rhetor"
    binary.parent.mkdir()
    binary.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m rhetor "$@"\n')
    binary.chmod(0o755)
    environ = clean_environment(None)
    environ |= {"PATH": f"{binary.parent}:{environ['PATH']}", "HOME": str(tmp_path)}
    assert main(["providers", "new", "mine", *kind, "--into", str(tmp_path / "mine")]) == 0
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=tmp_path / "mine",
        env=environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(PATIENCE_S):
        said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
