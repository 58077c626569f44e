"""A file that grows line by line, and has every line whole, whenever its writer is killed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import orjson

Line = dict[str, Any]


class Journal:
    """What an earlier process of the same name wrote, and what is added to it."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        written = path.read_bytes()
        whole = written[: written.rfind(b"\n") + 1]
        os.ftruncate(self._file, len(whole))  # what it was killed in the middle of it does not know of
        self.lines = _parsed(whole)

    def add(self, **line: Any) -> None:
        os.write(self._file, orjson.dumps(line) + b"\n")
        self.lines.append(line)


def read(path: Path) -> list[Line]:
    """What is in it, while somebody else writes it."""
    written = path.read_bytes() if path.exists() else b""
    return _parsed(written[: written.rfind(b"\n") + 1])


def _parsed(written: bytes) -> list[Line]:
    return [orjson.loads(line) for line in written.splitlines()]
