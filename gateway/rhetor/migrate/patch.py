"""What would be written: new texts of files, and how they differ from what is there."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

import libcst as cst

from rhetor.migrate.finding import Place, Report
from rhetor.migrate.source import Source, Unreadable, decode, digest, edited
from rhetor.migrate.vendors import hidden, without_secrets


def path_of(report: Report, file: str) -> Path:
    """Where a file is; where the root is a link, what it leads to is meant."""
    root = Path(report.root).resolve()
    return root if root.is_file() else root / file


def changed(report: Report, file: str) -> tuple[Source, str]:
    """A file as it is, and its text with all its changes made.

    Raises:
        Unreadable: it is not what it was when it was scanned, or the result would not be a program.
        OSError: it is gone.
    """
    raw = path_of(report, file).read_bytes()
    if digest(raw) != report.digests[file]:
        raise Unreadable("it has changed since it was scanned")
    source = decode(file, raw)
    text = edited(source.text, {edit for change in report.changes[file] for edit in change.edits})
    if file.endswith((".py", ".pyi")):
        try:
            cst.parse_module(text)
        except cst.ParserSyntaxError as error:
            raise Unreadable("the result would be no Python") from error
        if _compiles(source.text, file) and not _compiles(text, file):
            raise Unreadable("the result would not compile")
    return source, text


def _compiles(text: str, file: str) -> bool:
    """Whether this Python takes it for a program; what is made for a newer one it does not."""
    try:
        with warnings.catch_warnings():  # what it has to say of other people's style is not our business
            warnings.simplefilter("ignore")
            compile(text, file, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def diffs(report: Report) -> Iterator[str]:
    """A unified diff of each file, with keys made unreadable: it may end in a log."""
    for file in sorted(report.changes):
        source, text = changed(report, file)
        before = _hiding(source.text, {place for change in report.changes[file] for place in change.hides})
        lines = difflib.unified_diff(
            without_secrets(before).splitlines(), without_secrets(text).splitlines(),
            f"a/{file}", f"b/{file}", lineterm="",
        )  # fmt: skip
        yield "\n".join(lines)


def _hiding(text: str, places: Iterable[Place]) -> str:
    """A text without what stands at some places, of which one may be inside another."""
    parts, at = [], 0
    for start, end in sorted(places):
        if start >= at:
            parts += [text[at:start], hidden(text[start:end])]
            at = end
    return "".join([*parts, text[at:]])
