"""Transcripts of processes that were killed."""

from __future__ import annotations

from pathlib import Path

import pytest

from rhetor.sessions.claude_code.transcripts import mend
from tests.sessions.claude_code.fakes import ID

USER = b'{"type":"user","uuid":"u1","message":{"role":"user","content":"hello"}}\n'
ANSWER = b'{"type":"assistant","uuid":"a1","parentUuid":"u1"}\n'
POINTER = b'{"type":"last-prompt","lastPrompt":"hello","leafUuid":"a1"}\n'
MODE = b'{"type":"mode","mode":"normal"}\n'
HALF = b'{"type":"assis'


def transcript(home: Path, *lines: bytes, name: str = f"{ID}.jsonl") -> Path:
    folder = home / ".claude" / "projects" / "-srv-work"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(b"".join(lines))
    path.chmod(0o600)
    return path


def test_a_pointer_that_was_overtaken_is_taken_out(tmp_path: Path) -> None:
    path = transcript(tmp_path, USER, ANSWER, POINTER, MODE, USER, POINTER, ANSWER, HALF)
    mend(tmp_path, ID)
    assert path.read_bytes() == b"".join([USER, ANSWER, MODE, USER, ANSWER, HALF])
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    "lines",
    [
        (USER, ANSWER, POINTER, MODE),
        (USER, POINTER, USER, ANSWER, POINTER),
        (USER, ANSWER, POINTER, HALF),
        (USER, ANSWER, b"[]\n", b"\n", b'"last-prompt"\n'),
        (HALF,),
        (),
    ],
)
def test_what_is_as_it_should_be_is_left_alone(tmp_path: Path, lines: tuple[bytes, ...]) -> None:
    path = transcript(tmp_path, *lines)
    before = path.stat()
    mend(tmp_path, ID)
    assert path.read_bytes() == b"".join(lines)
    assert path.stat().st_ino == before.st_ino


def test_other_conversations_are_left_alone(tmp_path: Path) -> None:
    path = transcript(tmp_path, POINTER, USER, name="another.jsonl")
    mend(tmp_path, ID)
    assert path.read_bytes() == POINTER + USER


def test_a_home_without_any(tmp_path: Path) -> None:
    mend(tmp_path, ID)
    assert list(tmp_path.iterdir()) == []
