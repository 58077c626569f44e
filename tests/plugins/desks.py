"""A folder of plugins, as tests use it."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rhetor.core.content import Json
from rhetor.plugins.desk import Change, Desk, Wish
from rhetor.plugins.loader import Loaded, Plugin, Taken, load
from rhetor.plugins.lock import read_lock
from rhetor.plugins.reading import Problem
from rhetor.plugins.shelf import Rules, Shelf
from rhetor.plugins.variables import owners_of
from rhetor.providers.builtin import load_builtin

ROWS = load_builtin()
TAKEN = Taken(providers=dict.fromkeys(ROWS, "built in"), services={"mine": "in the configuration"})
THEIRS = owners_of(list(ROWS.values()), [])


def no_service_is_wrong(name: str, said: Mapping[str, Any]) -> Sequence[Problem]:
    return []


class Folder:
    """The folder, and everything that is done with it."""

    def __init__(self, path: Path, taken: Taken = TAKEN, max_bytes: int = 1 << 20) -> None:
        self.path = path
        self.taken = taken
        rules = Rules(
            max_bytes=max_bytes,
            allowed_hosts=frozenset(),
            npm_registry="http://127.0.0.1:9",
            environ={"PATH": os.environ["PATH"]},
            utc=lambda: datetime.now(UTC),
        )
        self.shelf = Shelf(path, rules, taken, no_service_is_wrong)

    def loaded(self, off: Sequence[str] = ()) -> Loaded:
        return load(self.path, off, self.taken, no_service_is_wrong)

    def plugin(self, id: str, off: Sequence[str] = ()) -> Plugin:
        return next(plugin for plugin in self.loaded(off).plugins if plugin.id == id)

    def desk(self) -> Desk:
        return Desk(self.shelf, self.loaded(), THEIRS, {})

    def add(self, said: str, *granted: str) -> Json:
        return self.written(self.desk().add(said, granted, threading.Event()))

    def look(self, said: str) -> Json:
        return self.desk().look(said, (), threading.Event())

    def update(self, id: str, **wish: Any) -> Json:
        asked = Wish(**wish)
        change = self.desk().update(id, asked, threading.Event())
        return change.report if asked.dry_run else self.written(change)

    def remove(self, id: str) -> Json:
        return self.written(self.desk().remove(id))

    def written(self, change: Change) -> Json:
        self.desk().write(change)
        return change.report

    def ids(self) -> list[str]:
        return list(read_lock(self.path).plugins)

    def files(self) -> list[Path]:
        return [path for path in self.path.rglob("*") if path.is_file() and not path.name.startswith(".")]


def plugin_folder(path: Path, manifest: str, **files: str) -> str:
    """A plugin in a folder; its source."""
    path.mkdir(parents=True, exist_ok=True)
    (path / "rhetor-plugin.yaml").write_text(manifest)
    for name, text in files.items():
        (path / name.replace("_dot_", ".")).write_text(text)
    return str(path)
