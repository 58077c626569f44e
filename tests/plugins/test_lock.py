"""The lock file is read as it was written, or it is left alone and said what is wrong with it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest

from rhetor.core.errors import RhetorError
from rhetor.plugins.lock import FILE, Entry, Lock, Unlocked, read_lock, turn, write_lock
from rhetor.plugins.sources import Kind

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def entry(**more: object) -> Entry:
    said = {"source": "/srv/cow", "kind": Kind.FOLDER, "digest": "0" * 64, "added_at": NOW, "updated_at": NOW}
    return Entry.model_validate({**said, **more})


def test_what_is_written_is_read(tmp_path: Path) -> None:
    assert read_lock(tmp_path) == Lock()
    lock = Lock().with_entry("cow", entry(granted=["X"])).with_entry("hen", entry())
    write_lock(tmp_path, lock)
    assert read_lock(tmp_path) == lock
    write_lock(tmp_path, lock.without("hen"))
    assert list(read_lock(tmp_path).plugins) == ["cow"]
    assert [path.name for path in tmp_path.iterdir()] == [FILE]
    assert orjson.loads((tmp_path / FILE).read_bytes())["plugins"]["cow"]["digest"] == "0" * 64


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "is no JSON"),
        (b"[]", "holds what is no entry, at its beginning"),
        (b'{"version": 2, "plugins": {}}', r"is of a newer rhetor \(version 2\)"),
        (
            b'{"version": 1, "plugins": {"cow": {"digest": "../../etc"}}}',
            "holds what is no entry, at plugins.cow",
        ),
        (
            b'{"version": 1, "plugins": {"cow": {"source": "x", "kind": "folder", "digest": "'
            + b"0" * 64
            + b'",'
            b' "added_at": "2026-01-01T00:00:00", "updated_at": "2026-01-01T00:00:00Z"}}}',
            "holds what is no entry, at plugins.cow.added_at",
        ),
    ],
)
def test_what_cannot_be_read_is_said_and_not_written_over(tmp_path: Path, data: bytes, why: str) -> None:
    (tmp_path / FILE).write_bytes(data)
    with pytest.raises(Unlocked, match=f"plugins.lock {why}.*; mend it, or move it away"):
        read_lock(tmp_path)
    assert (tmp_path / FILE).read_bytes() == data


def test_a_folder_that_cannot_be_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(RhetorError, match=r"cannot be used: .*; mend that, or set plugins\.folder"),
        turn(tmp_path / "file"),
    ):
        pass


def test_a_turn_that_somebody_keeps_is_not_waited_for_without_end(tmp_path: Path) -> None:
    """A program that was stopped in the middle keeps nobody from starting."""
    with (
        turn(tmp_path),
        pytest.raises(RhetorError, match=r"another program has been changing .*`fuser .*, end it"),
        turn(tmp_path, within_s=0.0),
    ):
        pass
    with turn(tmp_path, within_s=0.0):
        pass
