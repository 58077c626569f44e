"""What a service needs of the machine is looked for where it would be."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from rhetor.services import requirements
from rhetor.services.requirements import check, free_memory_mb, gpu
from rhetor.services.spec import Requires

MEMINFO = "MemTotal:       16384000 kB\nMemFree:         1000000 kB\nMemAvailable:    8192000 kB\n"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """8000 MB free, in no container, and no GPU."""
    (tmp_path / "meminfo").write_text(MEMINFO)
    monkeypatch.setattr(requirements, "MEMORY", tmp_path / "meminfo")
    monkeypatch.setattr(requirements, "LIMITS", (tmp_path / "max", tmp_path / "old"))
    monkeypatch.setattr(requirements, "USED", (tmp_path / "current", tmp_path / "old-used"))
    monkeypatch.setattr(requirements, "DEVICES", ())
    return tmp_path


def test_what_is_there_and_what_is_not(machine: Path) -> None:
    program = machine / "ffmpeg"
    program.touch(mode=0o755)
    environ = {"PATH": str(machine)}
    wanted = Requires(memory_mb=9000, gpu=True, disk_mb=1, commands=("ffmpeg", "sox"))
    found = {(it.name, it.wanted): it.met for it in check(wanted, machine / "not" / "yet", environ)}
    assert found == {
        ("command", "ffmpeg"): True,
        ("command", "sox"): False,
        ("memory", "9,000 MB"): False,
        ("disk", "1 MB"): True,
        ("gpu", "one"): sys.platform == "darwin",
    }
    assert check(Requires(), machine, environ) == []


def test_a_container_has_what_its_limit_leaves(machine: Path) -> None:
    assert free_memory_mb() == 8000
    (machine / "max").write_text("max\n")
    assert free_memory_mb() == 8000
    (machine / "max").write_text(f"{1 << 30}\n")
    (machine / "current").write_text(f"{1 << 29}\n")
    assert free_memory_mb() == 512


def test_where_nobody_tells_it_cannot_be_told(machine: Path) -> None:
    (machine / "meminfo").unlink()
    (told,) = check(Requires(memory_mb=1), machine, {})
    assert (told.met, str(told)) == (None, "memory: 1 MB wanted, it cannot be told here how much is free")


def test_a_gpu_is_known_by_its_tools(machine: Path) -> None:
    (machine / "nvidia-smi").touch(mode=0o755)
    assert gpu({"PATH": str(machine)}) == str(machine / "nvidia-smi")
