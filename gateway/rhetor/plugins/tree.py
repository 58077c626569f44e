"""The files of a plugin on their way in: counted, bounded, and none of them outside its folder."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from rhetor.core.errors import BadRequest, Code
from rhetor.core.value import value

MOST_FILES = 10_000
MOST_DEEP = 32
LONGEST = 1_000  # characters of a path
PIECE_BYTES = 1 << 20
LEFT_OUT = frozenset(
    {
        ".git",
        "__pycache__",
        "node_modules",
        ".venv",
        ".mypy_cache",
        ".pytest_cache",
        ".ruff_cache",
        ".DS_Store",
    }
)
"""Of a folder on this machine: what its author's tools have left there."""
LFS = b"version https://git-lfs.github.com/spec/"


@value
class Bounds:
    """How much a plugin may be."""

    size_bytes: int
    files: int = MOST_FILES


class Tree:
    """A folder that is filled with a plugin's files.

    Every method raises BadRequest: request_too_large, more than the bounds; invalid_request, a path that
    leads out of it or cannot be.
    """

    def __init__(self, root: Path, bounds: Bounds) -> None:
        self.root = root
        self._bounds = bounds
        self._bytes = 0
        self._files = 0
        self.warnings: list[str] = []

    def expect(self, files: int, size_bytes: int) -> None:
        """Refuse before anything is written, where it is known how much will be."""
        if files > self._bounds.files:
            raise _too_large(f"has more than {self._bounds.files} files")
        if size_bytes > self._bounds.size_bytes:
            raise _too_large(
                f"has {size_bytes >> 20} MiB, and may have {self._bounds.size_bytes >> 20} (plugins.max_mb)"
            )

    def add(self, path: str, pieces: Iterable[bytes], executable: bool) -> None:
        """Write a file."""
        self._count()
        place = self._place(path)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
        try:
            handle = os.open(place, flags, 0o700 if executable else 0o600)
        except FileExistsError:
            raise _refused(f"{path!r} is there twice") from None
        except OSError as error:
            raise _refused(f"{path[:LONGEST]!r} cannot be written: {error.strerror}") from None
        with os.fdopen(handle, "wb") as file:
            for n, piece in enumerate(pieces):
                self._bytes += len(piece)
                self.expect(self._files, self._bytes)
                if n == 0 and piece.startswith(LFS):
                    self.warnings.append(
                        f"{shown(path)} is kept in Git LFS, which is not asked: it is a note of a few bytes"
                    )
                file.write(piece)

    def link(self, path: str, target: str) -> None:
        """Make a symbolic link, which must stay inside."""
        self._count()
        place = self._place(path)
        leads_to = os.path.normpath(PurePosixPath(path).parent / target)
        if os.path.isabs(target) or leads_to.split(os.sep)[0] == ".." or "\0" in target:
            raise _refused(f"the link {path!r} leads out of it, to {target!r}")
        try:
            os.symlink(target, place)
        except OSError as error:
            raise _refused(f"the link {path!r} cannot be made: {error.strerror}") from None

    def finish(self) -> None:
        """See that no link leads out by way of another one."""
        root = os.path.realpath(self.root)
        for folder, names, files in os.walk(self.root):
            for name in (*names, *files):
                place = os.path.join(folder, name)
                if os.path.islink(place):
                    real = os.path.realpath(place)
                    if os.path.commonpath([root, real]) != root:
                        raise _refused(f"the link {os.path.relpath(place, self.root)!r} leads out of it")

    def _count(self) -> None:
        self._files += 1
        self.expect(self._files, self._bytes)

    def _place(self, path: str) -> Path:
        parts = path.split("/")
        odd = any(part in ("", ".", "..") or part.lower() == ".git" for part in parts)
        if odd or "\\" in path or "\0" in path or len(parts) > MOST_DEEP or len(path) > LONGEST:
            raise _refused(f"{path[:LONGEST]!r} is no path of a plugin")
        place = self.root.joinpath(*parts)
        folder = self.root
        for part in parts[:-1]:
            folder = folder / part
            try:
                folder.mkdir(0o700, exist_ok=True)
            except OSError as error:
                raise _refused(f"{path!r} cannot be written: {error.strerror}") from None
            if folder.is_symlink():
                raise _refused(f"{path!r} is below a link")
        return place


def copy_folder(source: Path, tree: Tree) -> None:
    """Copy a folder of this machine, without what tools have left in it.

    Raises:
        BadRequest: it cannot be read; see `Tree`.
    """
    if not source.is_dir():
        raise BadRequest(f"no folder {source}", Code.NOT_FOUND, param="source")
    for folder, names, files, at in _walk(source):
        names[:] = sorted(name for name in names if name not in LEFT_OUT)
        linked = [name for name in names if _is_link(folder, name, at)]
        for name in sorted((*files, *linked)):
            if name not in LEFT_OUT and not name.endswith((".pyc", ".pyo")):
                _copy(folder, name, at, Path(folder, name).relative_to(source).as_posix(), tree)
    tree.finish()


def _walk(source: Path) -> Iterator[tuple[str, list[str], list[str], int | None]]:
    """Every folder with its names, and itself, opened, where the system has that: what is opened from there
    is in it, also when somebody puts a link in its place meanwhile."""
    if hasattr(os, "fwalk"):
        yield from os.fwalk(source, onerror=_unreadable)
    else:
        for folder, names, files in os.walk(source, onerror=_unreadable):
            yield folder, names, files, None


def _from(folder: str, name: str, at: int | None) -> str:
    return name if at is not None else os.path.join(folder, name)


def _is_link(folder: str, name: str, at: int | None) -> bool:
    try:
        return stat.S_ISLNK(os.stat(_from(folder, name, at), dir_fd=at, follow_symlinks=False).st_mode)
    except OSError:
        return False


def _copy(folder: str, file: str, at: int | None, name: str, tree: Tree) -> None:
    path = _from(folder, file, at)
    try:
        if _is_link(folder, file, at):
            tree.link(name, os.readlink(path, dir_fd=at))
            return
        # Not blocking: opening a pipe would wait for whoever writes into it.
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        handle = os.open(path, flags, dir_fd=at)
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise _refused(f"{name!r} is no file") from None
        raise _refused(f"{name!r} cannot be read: {error.strerror}") from None
    with os.fdopen(handle, "rb") as opened:
        mode = os.fstat(handle).st_mode
        if not stat.S_ISREG(mode):
            raise _refused(f"{name!r} is no file, but a device or a pipe")
        tree.add(name, iter(lambda: opened.read(PIECE_BYTES), b""), bool(mode & stat.S_IXUSR))


def _unreadable(error: OSError) -> None:
    raise _refused(f"{error.filename} cannot be read: {error.strerror}") from None


def shown(path: str) -> str:
    """A name as people may see it: it may steer their terminal, or be no text at all."""
    return path if path.isprintable() else repr(path)


def _too_large(why: str) -> BadRequest:
    return BadRequest(f"the plugin {why}", Code.TOO_LARGE, param="source")


def _refused(why: str) -> BadRequest:
    return BadRequest(f"the plugin is refused: {why}", Code.INVALID_REQUEST, param="source")
