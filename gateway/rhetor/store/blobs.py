"""The contents of assets, each by its digest: it is there once, and whole or not at all."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from rhetor.core.errors import Code, RhetorError
from rhetor.core.ids import new_id
from rhetor.store.own import make_own

PIECE_BYTES = 1 << 20  # written and read at once: a hop to a thread costs as much as some 100 KiB
INCOMING = "incoming"
OWN_FILE = 0o600


class Draft(Protocol):
    """A content that is being written; nobody finds it before it is kept."""

    size: int

    async def write(self, data: bytes) -> None: ...

    async def finish(self) -> str:
        """Nothing more comes: its digest, once it would survive the death of this process."""

    async def keep(self) -> None:
        """From now on it can be found."""

    def drop(self) -> None:
        """Forget it, unless it is kept. Idempotent."""


class Blobs(Protocol):
    """Contents by their SHA-256, in hexadecimal digits."""

    def draft(self) -> Draft: ...

    async def read(self, digest: str, start: int, size: int) -> bytes:
        """So many bytes from there on, fewer only at the end.

        Raises:
            RhetorError: unavailable, it is gone or cannot be read.
        """

    async def remove(self, digests: Iterable[str]) -> None:
        """Nothing is wrong with those that are not there."""

    async def stored(self) -> set[str]:
        """The digests of all. What was never finished is cleared away."""

    def close(self) -> None:
        """Nothing is asked any more."""


class FileBlobs:
    """In a folder, one file each. It is made with the first of them.

    Whatever is done to a file opens it anew, so that a caller who is cancelled meanwhile leaves nothing open.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._drafts: set[str] = set()

    def draft(self) -> Draft:
        return _FileDraft(self._folder, self._drafts)

    async def read(self, digest: str, start: int, size: int) -> bytes:
        return await asyncio.to_thread(_read, _place(self._folder, digest), start, size)

    async def remove(self, digests: Iterable[str]) -> None:
        await asyncio.to_thread(_remove, [_place(self._folder, digest) for digest in digests])

    async def stored(self) -> set[str]:
        return await asyncio.to_thread(_stored, self._folder, frozenset(self._drafts))

    def close(self) -> None:
        """Files stay."""


class _FileDraft:
    def __init__(self, folder: Path, drafts: set[str]) -> None:
        self.size = 0
        self._folder = folder
        self._name = new_id("draft")
        self._path = folder / INCOMING / self._name
        self._drafts = drafts
        self._drafts.add(self._name)
        self._digest = hashlib.sha256()
        self._pending = bytearray()
        self._begun = False
        self._dropped = False

    async def write(self, data: bytes) -> None:
        self.size += len(data)
        self._pending += data
        if len(self._pending) >= PIECE_BYTES:
            pending, self._pending = self._pending, bytearray()
            await asyncio.to_thread(self._append, pending, False)

    async def finish(self) -> str:
        pending, self._pending = self._pending, bytearray()
        await asyncio.to_thread(self._append, pending, True)
        return self._digest.hexdigest()

    async def keep(self) -> None:
        await asyncio.to_thread(self._rename)

    def drop(self) -> None:
        self._dropped = True
        self._pending = bytearray()
        self._drafts.discard(self._name)
        if self._begun:
            with suppress(OSError):
                self._path.unlink(missing_ok=True)

    def _append(self, data: bytearray, sync: bool) -> None:
        if self._dropped:  # by whoever was cancelled while this waited for a thread
            return
        try:
            if not self._begun:
                make_own(self._path.parent)
            # Only the first piece makes the file: one that was dropped meanwhile must not come back.
            how = os.O_WRONLY | os.O_APPEND | (0 if self._begun else os.O_CREAT | os.O_EXCL)
            self._begun = True
            with open(os.open(self._path, how, OWN_FILE), "ab") as file:
                file.write(data)
                if sync:
                    file.flush()
                    os.fsync(file.fileno())
        except OSError as error:
            raise _cannot("written", error) from error
        self._digest.update(data)

    def _rename(self) -> None:
        place = _place(self._folder, self._digest.hexdigest())
        try:
            make_own(place.parent)
            os.replace(self._path, place)
            _sync(place.parent)
        except OSError as error:
            raise _cannot("written", error) from error


class MemoryBlobs:
    """In this process' memory, and gone with it."""

    def __init__(self) -> None:
        self._contents: dict[str, bytes] = {}

    def draft(self) -> Draft:
        return _MemoryDraft(self._contents)

    async def read(self, digest: str, start: int, size: int) -> bytes:
        if digest not in self._contents:
            raise _gone()
        return self._contents[digest][start : start + size]

    async def remove(self, digests: Iterable[str]) -> None:
        for digest in digests:
            self._contents.pop(digest, None)

    async def stored(self) -> set[str]:
        return set(self._contents)

    def close(self) -> None:
        self._contents.clear()


class _MemoryDraft:
    def __init__(self, contents: dict[str, bytes]) -> None:
        self.size = 0
        self._contents = contents
        self._pending = bytearray()
        self._digest = ""

    async def write(self, data: bytes) -> None:
        self.size += len(data)
        self._pending += data

    async def finish(self) -> str:
        self._digest = (await asyncio.to_thread(hashlib.sha256, self._pending)).hexdigest()
        return self._digest

    async def keep(self) -> None:
        self._contents.setdefault(self._digest, bytes(self._pending))

    def drop(self) -> None:
        self._pending = bytearray()


def _place(folder: Path, digest: str) -> Path:
    return folder / digest[:2] / digest


def _read(path: Path, start: int, size: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(start)
            return file.read(size)
    except FileNotFoundError as error:
        raise _gone() from error
    except OSError as error:
        raise _cannot("read", error) from error


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        with suppress(OSError):  # what cannot be removed now is found again with the next start
            path.unlink(missing_ok=True)


def _stored(folder: Path, drafts: frozenset[str]) -> set[str]:
    incoming = folder / INCOMING
    if incoming.is_dir():
        _remove(path for path in incoming.iterdir() if path.name not in drafts)
    return {path.name for path in folder.glob("[0-9a-f][0-9a-f]/*")}


def _sync(folder: Path) -> None:
    """Have the names in a folder survive a power cut, where the system can say that."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _gone() -> RhetorError:
    return RhetorError("the content of this asset is gone", Code.UNAVAILABLE)


def _cannot(what: str, error: OSError) -> RhetorError:
    return RhetorError(f"assets cannot be {what}: {error.strerror or error}", Code.UNAVAILABLE)
