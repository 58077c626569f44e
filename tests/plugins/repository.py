"""Git repositories that tests make."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

ENV = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_SYSTEM": "/dev/null",
    "GIT_AUTHOR_NAME": "Ann",
    "GIT_AUTHOR_EMAIL": "ann@example.org",
    "GIT_COMMITTER_NAME": "Ann",
    "GIT_COMMITTER_EMAIL": "ann@example.org",
}


class Repository:
    """A repository in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=self.folder, env=ENV, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def commit(self, **files: str | bytes) -> str:
        """Write files, `__` in their names being a slash and `_dot_` a dot, and commit everything; its id."""
        for name, said in files.items():
            path = self.folder / name.replace("__", "/").replace("_dot_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(said.encode() if isinstance(said, str) else said)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message=changed", "--allow-empty")
        return self.git("rev-parse", "HEAD")

    def at(self, ref: str) -> str:
        """The source."""
        return f"git+file://{self.folder}@{ref}"


def manifest(id: str = "lab", base_url: str = "https://lab.example/v1", more: str = "") -> str:
    """A plugin that brings a provider of its own name."""
    row = f'{{wire: openai, base_url: "{base_url}", auth: {{required: false}}{more}}}'
    return f"plugin: 1\nid: {id}\nversion: 1.0.0\nproviders:\n  {id}: {row}\n"
