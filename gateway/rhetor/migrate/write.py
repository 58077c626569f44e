"""Changes are written: each file at once or not at all, and never over work that is not committed."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from rhetor.migrate.finding import Problem, Report
from rhetor.migrate.patch import changed, path_of
from rhetor.migrate.source import Unreadable

GIT_PATIENCE_S = 60.0  # a large work tree on a cold disk
AT_ONCE = 200  # files in one question: a command line has an end
# A repository's own settings must not start programs of its choice, and looking must not write.
_GIT = (
    *("git", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "core.pager=cat"),
    *("--no-optional-locks", "--literal-pathspecs"),
)
_STATUS = ("status", "--porcelain", "--untracked-files=all", "--")


def uncommitted(paths: Iterable[Path]) -> str | None:
    """What speaks against writing these files: git could not give them back, or does not say so.

    Each repository is asked about its own files, also where one lies in another.
    """
    trees: dict[Path, list[Path]] = {}
    for path in paths:
        if (tree := _work_tree(path.parent)) is not None:
            trees.setdefault(tree, []).append(path)
    for tree, files in trees.items():
        for n in range(0, len(files), AT_ONCE):
            changes = _status(tree, files[n : n + AT_ONCE])
            if changes is None:
                return f"git does not say whether it is committed ({tree})"
            if changes:
                return f"there are changes that are not committed ({changes.splitlines()[0].strip()})"
    return None


def _work_tree(folder: Path) -> Path | None:
    """The nearest folder with a repository; whoever sets GIT_DIR has one elsewhere."""
    for each in (folder, *folder.parents):
        if os.path.lexists(each / ".git"):
            return each
    return folder if "GIT_DIR" in os.environ else None


def _status(tree: Path, files: Sequence[Path]) -> str | None:
    """What git says of files, nothing if all are as they were committed; None if it does not answer."""
    command = [*_GIT, "-C", str(tree), *_STATUS, *map(str, files)]
    try:
        run = subprocess.run(
            command, capture_output=True, timeout=GIT_PATIENCE_S, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return run.stdout.decode("utf-8", "replace") if run.returncode == 0 else None


def write(report: Report) -> tuple[list[str], list[Problem]]:
    """Make all changes; which files are written, and which are not and why."""
    written: list[str] = []
    problems: list[Problem] = []
    for file in sorted(report.changes):
        try:
            _ensure_ours(path_of(report, file))
            source, text = changed(report, file)
            _replace(path_of(report, file), source.encoded(text))
            written.append(file)
        except (Unreadable, UnicodeError) as error:
            problems.append(Problem(file, str(error)))
        except OSError as error:
            problems.append(Problem(file, error.strerror or "it cannot be written"))
    return written, problems


def _ensure_ours(path: Path) -> None:
    """
    Raises:
        Unreadable: somebody else would notice, or does not want it written.
        OSError: it is gone.
    """
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        raise Unreadable("it is a link")
    if status.st_nlink > 1:
        raise Unreadable("it has other names too (hard links), which would keep what it is now")
    # Root may write anything; the bits tell what its owner wants.
    if not status.st_mode & 0o222 or not os.access(path, os.W_OK):
        raise Unreadable("it is not writable")


def _replace(path: Path, raw: bytes) -> None:
    """The whole file in one step, with the permissions that it had."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:40]}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        shutil.copymode(path, name)
        os.replace(name, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise
