"""Plugins by what they are: a folder for each digest, read-only, and found out when somebody changed it."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rhetor.core.errors import RhetorError
from rhetor.store.own import OWN_FOLDER, make_own

FILES = "files"
ARRIVING = "arriving"
PIECE_BYTES = 1 << 20
FORMAT = b"rhetor-tree-1\n"
FORGOTTEN_S = 3600.0  # longer than a fetch may take: whoever fetched this has died


def digest_of(folder: Path) -> str:
    """The SHA-256 of a folder's names, rights and bytes: the same wherever and whenever it is made.

    Of rights only counts whether a file is a program. Folders count by what is in them.

    Raises:
        OSError: it cannot be read.
    """
    whole = hashlib.sha256(FORMAT)
    for path, place in _entries(folder):
        name = path.encode("utf-8", "surrogateescape")
        mode = os.lstat(place).st_mode
        if stat.S_ISLNK(mode):
            kind, inside = b"l", hashlib.sha256(os.fsencode(os.readlink(place))).digest()
        elif stat.S_ISREG(mode):
            kind, inside = b"x" if mode & stat.S_IXUSR else b"-", _digest_of_file(place)
        else:
            kind, inside = b"?", b""
        whole.update(b"%b %d:%b %b\n" % (kind, len(name), name, inside))
    return whole.hexdigest()


def _entries(folder: Path) -> list[tuple[str, str]]:
    """Everything in a folder that is no folder itself, in the order of its names' bytes."""
    found = []
    for at, names, files in os.walk(folder, onerror=_raise):
        links = [name for name in names if os.path.islink(os.path.join(at, name))]
        for name in (*files, *links):
            place = os.path.join(at, name)
            found.append((os.path.relpath(place, folder).replace(os.sep, "/"), place))
    return sorted(found, key=lambda entry: os.fsencode(entry[0]))


def _digest_of_file(place: str) -> bytes:
    digest = hashlib.sha256()
    handle = os.open(place, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    with os.fdopen(handle, "rb") as file:
        while piece := file.read(PIECE_BYTES):
            digest.update(piece)
    return digest.digest()


def _raise(error: OSError) -> None:
    raise error


class Cache:
    """Folders by digest, below one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def place_of(self, digest: str) -> Path:
        return self._folder / FILES / digest

    @contextmanager
    def arriving(self) -> Iterator[Path]:
        """An empty folder, which is gone afterwards unless `keep` has taken it."""
        there = self._folder / ARRIVING
        make_own(there)
        place = Path(tempfile.mkdtemp(dir=there))
        try:
            yield place
        finally:
            discard(place)

    def keep(self, arrived: Path, digest: str) -> Path:
        """Take a folder in, for good. One that is there already stays, unless somebody has changed it."""
        place = self.place_of(digest)
        if place.exists() and not self.is_intact(digest):
            discard(place)
        if not place.exists():
            make_own(place.parent)
            arrived.rename(place)
            _make_read_only(place)
        return place

    def is_intact(self, digest: str) -> bool:
        """Whether its files are what they were."""
        with suppress(OSError):
            return digest_of(self.place_of(digest)) == digest
        return False

    def sweep(self, kept: Collection[str]) -> None:
        """Forget everything but these, and what never arrived."""
        for place in entries(self._folder / FILES):
            if place.name not in kept:
                discard(place)
        for place in entries(self._folder / ARRIVING):
            with suppress(OSError):
                if time.time() - place.stat().st_mtime > FORGOTTEN_S:
                    discard(place)


def discard(folder: Path) -> None:
    """Remove a folder, also one that is read-only."""
    if folder.is_symlink():
        folder.unlink()
        return
    for at, _, _ in os.walk(folder):
        with suppress(OSError):
            os.chmod(at, OWN_FOLDER)
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        raise RhetorError(f"{folder} cannot be removed; remove it by hand")


def entries(folder: Path) -> list[Path]:
    """What is in a folder; nothing when it is not there."""
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _make_read_only(folder: Path) -> None:
    for at, _, files in os.walk(folder, topdown=False):
        for name in files:
            place = os.path.join(at, name)
            if not os.path.islink(place):
                os.chmod(place, 0o555 if os.stat(place).st_mode & stat.S_IXUSR else 0o444)
        os.chmod(at, 0o555)
