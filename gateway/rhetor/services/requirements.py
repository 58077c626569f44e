"""What a service needs of the machine, and whether it is there."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from rhetor.core.value import value
from rhetor.services.spec import Requires

MEMORY = Path("/proc/meminfo")
LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
USED = (Path("/sys/fs/cgroup/memory.current"), Path("/sys/fs/cgroup/memory/memory.usage_in_bytes"))
"""Of a container, in its two generations; see Documentation/admin-guide/cgroup-v2.rst of Linux."""
DEVICES = ("nvidia0", "nvidiactl", "dxg", "kfd")
"""In /dev: NVIDIA's own driver, the one of WSL, AMD's."""
GPU_COMMANDS = ("nvidia-smi", "rocm-smi")
MB = 1 << 20


@value
class Requirement:
    name: str
    wanted: str
    found: str
    met: bool | None
    """None: it cannot be told here."""

    def __str__(self) -> str:
        return f"{self.name}: {self.wanted} wanted, {self.found}"


def check(requires: Requires, folder: Path, environ: Mapping[str, str]) -> list[Requirement]:
    """Every requirement, met or not. It looks at files, so it belongs in a thread."""
    return list(_check(requires, folder, environ))


def _check(requires: Requires, folder: Path, environ: Mapping[str, str]) -> Iterator[Requirement]:
    for command in requires.commands:
        where = shutil.which(command, path=environ.get("PATH"))
        yield Requirement("command", command, where or "not on the PATH", where is not None)
    if requires.memory_mb is not None:
        yield _amount("memory", requires.memory_mb, free_memory_mb())
    if requires.disk_mb is not None:
        yield _amount("disk", requires.disk_mb, _free_disk_mb(folder))
    if requires.gpu:
        found = gpu(environ)
        yield Requirement("gpu", "one", found or "none was found", found is not None)


def _amount(name: str, wanted_mb: int, found_mb: int | None) -> Requirement:
    wanted = f"{wanted_mb:,} MB"
    if found_mb is None:
        return Requirement(name, wanted, "it cannot be told here how much is free", None)
    return Requirement(name, wanted, f"{found_mb:,} MB free", found_mb >= wanted_mb)


def free_memory_mb() -> int | None:
    """What could be had without swapping, of the machine or of the container that this is; None: unknown."""
    try:
        lines = MEMORY.read_text().splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    if not found:
        return None
    free = int(found[0]) // 1024
    return min(free, left) if (left := _left_in_container_mb()) is not None else free


def _left_in_container_mb() -> int | None:
    for limit, used in zip(LIMITS, USED, strict=True):
        try:
            return (int(limit.read_text()) - int(used.read_text())) // MB
        except (OSError, ValueError):  # not there, or "max"
            continue
    return None


def _free_disk_mb(folder: Path) -> int | None:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        return shutil.disk_usage(folder).free // MB
    except OSError:
        return None


def gpu(environ: Mapping[str, str]) -> str | None:
    """What shows that there is a GPU for programs to compute on."""
    for device in DEVICES:
        if os.path.exists(f"/dev/{device}"):
            return f"/dev/{device}"
    for command in GPU_COMMANDS:
        if (where := shutil.which(command, path=environ.get("PATH"))) is not None:
            return where
    return "Apple silicon" if sys.platform == "darwin" and os.uname().machine == "arm64" else None
