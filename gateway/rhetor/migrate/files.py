"""Which files of a code base are looked at? Those that people wrote, in a language that is understood."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import translate
from pathlib import Path

PYTHON = frozenset({".py", ".pyi"})
SCRIPT = frozenset({".js", ".mjs", ".cjs", ".jsx", ".ts", ".mts", ".cts", ".tsx"})
PAGE = frozenset({".html", ".htm", ".vue", ".svelte", ".astro"})
"""Files with scripts inside."""
LARGEST_BYTES = 2_000_000  # larger ones were written by programs
DEEPEST = 60  # folders inside folders; deeper trees are accidents

NEVER = frozenset(
    {
        *(".git", ".hg", ".svn", "node_modules", "bower_components", "jspm_packages", "site-packages"),
        *(".venv", "venv", "virtualenv", ".tox", ".nox", ".eggs", "__pycache__", "__pypackages__"),
        *(".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis", ".cache", ".parcel-cache", ".turbo"),
        *(
            "build",
            "dist",
            ".next",
            ".nuxt",
            ".output",
            ".svelte-kit",
            ".astro",
            "target",
            "coverage",
            "htmlcov",
        ),
        *(".idea", ".vscode", ".terraform", ".gradle", ".yarn", ".pnpm-store"),
    }
)
_GENERATED = re.compile(r"[.-]min\.[cm]?js$|\.bundle\.js$|\.d\.[cm]?ts$")
_MANIFEST = re.compile(
    r"(?:.*requirements.*|constraints.*)\.(?:txt|in)|pyproject\.toml|package\.json", re.IGNORECASE
)
_ENVIRONMENT = re.compile(r"\.env(?:\..+)?|.+\.env", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class File:
    """A file that is worth a look."""

    path: Path
    name: str
    """Below the root, with slashes."""
    size_bytes: int


def is_manifest(name: str) -> bool:
    return _MANIFEST.fullmatch(name.rpartition("/")[2]) is not None


def is_environment(name: str) -> bool:
    return _ENVIRONMENT.fullmatch(name.rpartition("/")[2]) is not None


def language(name: str) -> str:
    """`python`, `script`, `page`, `manifest`, `environment`, or nothing that is understood."""
    if is_environment(name):
        return "environment"
    if is_manifest(name):
        return "manifest"
    suffix = os.path.splitext(name)[1].lower()
    if _GENERATED.search(name):
        return ""
    known = (("python", PYTHON), ("script", SCRIPT), ("page", PAGE))
    return next((language for language, suffixes in known if suffix in suffixes), "")


def walk(root: Path, exclude: Sequence[str] = ()) -> Iterator[File]:
    """Files in order of their names. Links are not followed: they lead into the tree, or out of it."""
    if root.is_file():
        yield File(root, root.name, root.stat().st_size)
        return
    yield from _below(root, "", (_Rules("", [*exclude]),), 0)


def _below(folder: Path, prefix: str, rules: tuple[_Rules, ...], depth: int) -> Iterator[File]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return  # a folder that may not be read has nothing that we could change
    names = {entry.name for entry in entries}
    if "pyvenv.cfg" in names or depth > DEEPEST:
        return
    if ".gitignore" in names:
        rules = (*rules, _Rules(prefix, _lines(folder / ".gitignore")))
    for entry in entries:
        name = prefix + entry.name
        is_folder = entry.is_dir(follow_symlinks=False)
        ignored = _ignored(name, is_folder, rules)
        if is_folder and entry.name not in NEVER and not ignored:
            yield from _below(folder / entry.name, f"{name}/", rules, depth + 1)
        elif not is_folder and language(name):
            # An ignored .env still holds the keys of this very component.
            if ignored and not (is_environment(name) and not _ignored(name, False, rules[:1])):
                continue
            status = entry.stat(follow_symlinks=False)
            if stat.S_ISREG(status.st_mode):
                yield File(folder / entry.name, name, status.st_size)


def _lines(path: Path) -> list[str]:
    try:
        if path.is_symlink() or path.stat().st_size > 100_000:
            return []
        return path.read_text("utf-8", "replace").splitlines()
    except OSError:
        return []


class _Rules:
    """Patterns of one .gitignore, or of the command line, roughly as git understands them."""

    def __init__(self, prefix: str, lines: Sequence[str]) -> None:
        self.prefix = prefix
        self.rules = [rule for line in lines[:500] if (rule := _rule(line)) is not None]

    def ignored(self, name: str, is_folder: bool, before: bool) -> bool:
        inside = name[len(self.prefix) :]
        for pattern, only_folders, keeps in self.rules:
            if (is_folder or not only_folders) and pattern.match(inside):
                before = not keeps
        return before


def _ignored(name: str, is_folder: bool, rules: tuple[_Rules, ...]) -> bool:
    ignored = False
    for each in rules:
        ignored = each.ignored(name, is_folder, ignored)
    return ignored


def _rule(line: str) -> tuple[re.Pattern[str], bool, bool] | None:
    text = line.strip()
    if not text or text.startswith("#") or len(text) > 500:
        return None
    keeps = text.startswith("!")
    text = text.removeprefix("!")
    only_folders = text.endswith("/")
    text = text.rstrip("/")
    anchored = "/" in text
    text = re.sub(r"\*{2,}", "*", text.lstrip("/").removeprefix("**/"))
    if not text:
        return None
    return re.compile(translate(text) if anchored else rf"(?:.*/)?(?:{translate(text)})"), only_folders, keeps
