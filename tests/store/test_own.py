"""Folders for nobody but ourselves."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from rhetor.store.own import make_own


def rights(folder: Path) -> str:
    return oct(stat.S_IMODE(folder.stat().st_mode))


def test_what_is_missing_is_closed_and_what_is_there_is_left(tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.mkdir(0o755)
    make_own(there / "a" / "b")
    assert [rights(each) for each in (there, there / "a", there / "a" / "b")] == ["0o755", "0o700", "0o700"]
    make_own(there / "a" / "b")


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError):
        make_own(tmp_path / "file")
