"""`plugins.lock`: which plugins there are, where each is from, and which bytes it is."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

import orjson
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from rhetor.core.errors import Code, RhetorError
from rhetor.plugins.sources import Kind
from rhetor.store.own import make_own

FILE = "plugins.lock"
TURN = ".turn"
FORMAT = 1
MOST_BYTES = 16 << 20
TURN_S = 20.0  # a turn is a few renamings; whoever has it longer was stopped, or waits for a disk
LOOK_S = 0.05


class Entry(BaseModel):
    """One plugin: what was wanted, what it was then, and what it may have."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    source: str
    """As it was said."""
    kind: Kind
    ref: str = ""
    ref_kind: str = ""
    """commit, tag or branch, of a repository."""
    commit: str = ""
    """What that was when it was fetched."""
    version: str = ""
    """Of the package, where it is one; else as the plugin says."""
    integrity: str = ""
    digest: str = Field(pattern=r"^[0-9a-f]{64}$")
    """SHA-256 over its files."""
    added_at: AwareDatetime
    updated_at: AwareDatetime
    granted: tuple[str, ...] = ()
    """Variables of others that it may have, since somebody said so."""
    providers: tuple[str, ...] = ()
    """Those it brings, for the time when it cannot be read."""
    services: tuple[str, ...] = ()


class Lock(BaseModel):
    """The whole file."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    version: Literal[1] = 1
    plugins: dict[str, Entry] = Field(default_factory=dict)

    def with_entry(self, id: str, entry: Entry) -> Lock:
        return self.model_copy(update={"plugins": {**self.plugins, id: entry}})

    def without(self, id: str) -> Lock:
        return self.model_copy(update={"plugins": {k: v for k, v in self.plugins.items() if k != id}})


class Unlocked(RhetorError):
    """The file is there, and cannot be used; nothing is written over it."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(
            f"{path} {why}; mend it, or move it away and add the plugins again", Code.UNAVAILABLE
        )


def read_lock(folder: Path) -> Lock:
    """What is there; an empty one where there is none.

    Raises:
        Unlocked: it cannot be read, or is of a newer rhetor.
    """
    path = folder / FILE
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        return Lock()
    except OSError as error:
        raise Unlocked(path, f"cannot be read: {error.strerror}") from None
    try:
        given = orjson.loads(data)
    except ValueError:
        raise Unlocked(path, "is no JSON") from None
    if isinstance(given, Mapping) and isinstance(given.get("version"), int) and given["version"] > FORMAT:
        raise Unlocked(path, f"is of a newer rhetor (version {given['version']})")
    try:
        lock = Lock.model_validate(given)
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise Unlocked(path, f"holds what is no entry, at {where or 'its beginning'}") from None
    return lock


def write_lock(folder: Path, lock: Lock) -> None:
    """Put it there, whole or not at all."""
    data = orjson.dumps(lock.model_dump(mode="json"), option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)
    handle, name = tempfile.mkstemp(dir=folder, prefix=f".{FILE}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data + b"\n")
            file.flush()
            os.fsync(handle)
        os.replace(name, folder / FILE)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise


@contextmanager
def turn(folder: Path, within_s: float = TURN_S) -> Iterator[None]:
    """Our turn to change what is in the folder; others wait.

    Raises:
        RhetorError: unavailable, the folder cannot be used, or somebody else has the turn for so long.
    """
    try:
        make_own(folder)
        handle = os.open(folder / TURN, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        message = f"{folder} cannot be used: {error.strerror}; mend that, or set plugins.folder"
        raise RhetorError(message, Code.UNAVAILABLE) from error
    try:
        _wait_for(handle, folder, within_s)
        yield
    finally:
        os.close(handle)


def _wait_for(handle: int, folder: Path, within_s: float) -> None:
    try:
        import fcntl
    except ImportError:  # absent on Windows, where the last one wins
        return
    until_s = time.monotonic() + within_s
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until_s:
                message = (
                    f"another program has been changing {folder} for more than {within_s:g} s; "
                    f"look who it is (`fuser {folder / TURN}`), end it, and try again"
                )
                raise RhetorError(message, Code.UNAVAILABLE) from None
            time.sleep(LOOK_S)
        else:
            return
