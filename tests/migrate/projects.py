"""Three code bases of realistic shape, with what there is to be found in them.

They lie in `projects/` with `.txt` behind their names, so that no tool takes them
for our own. `@@ kind kind` at the end of a line says what is to be found there.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "projects"
NAMES = ("terma", "desk", "briefs")
_LABEL = re.compile(r"[ \t]*@@ ([\w ]+)$", re.MULTILINE)

Place = tuple[str, int, str]
"""File, line and kind."""


@dataclass(frozen=True, slots=True)
class Project:
    """A code base on disk."""

    root: Path
    truth: Counter[Place]


def lay_out(name: str, root: Path) -> Project:
    """Write a code base as its people know it: without labels."""
    truth: Counter[Place] = Counter()
    for path in sorted((FOLDER / name).rglob("*.txt")):
        file = path.relative_to(FOLDER / name).as_posix().removesuffix(".txt")
        text = path.read_text("utf-8")
        for number, line in enumerate(text.split("\n"), 1):
            label = _LABEL.search(line)
            truth.update((file, number, kind) for kind in (label[1].split() if label else ()))
        target = root / file
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(_LABEL.sub("", text), "utf-8")
    return Project(root, truth)
