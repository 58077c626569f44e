"""The folder that a gateway keeps its things in, and has to itself."""

from __future__ import annotations

import errno
import logging
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from rhetor.core.errors import Code, RhetorError
from rhetor.store.own import make_own

log = logging.getLogger(__name__)

LOCK = "lock"
DATABASE = "rhetor.db"
OWN_FILE = 0o600
ANYBODY = 0o007  # the rights of those who are neither the owner nor of the folder's group
TAKEN = frozenset({errno.EAGAIN, errno.EACCES, errno.EDEADLK})
LOCKED_BYTE = 1 << 20  # on Windows nobody can read what is locked, so it must not be the number


def usual_folder(environ: Mapping[str, str]) -> Path:
    """Where a gateway keeps its things unless told otherwise."""
    state = Path(environ.get("XDG_STATE_HOME", ""))
    if not state.is_absolute():  # the standard says to ignore it then
        home = Path(environ["HOME"]) if environ.get("HOME") else Path.home()
        state = home / ".local" / "state"
    return state / "rhetor"


class Folder:
    """A folder that is ours until `release`, or until this process dies, however it does."""

    def __init__(self, path: Path, handle: int) -> None:
        self.path = path
        self._handle: int | None = handle

    @classmethod
    def take(cls, path: Path) -> Folder:
        """Make it ours; where there is none, it is made, for its owner only.

        Raises:
            RhetorError: unavailable, somebody else has it, or it cannot be used.
        """
        try:
            make_own(path)
            handle = os.open(path / LOCK, os.O_RDWR | os.O_CREAT, OWN_FILE)
        except OSError as error:
            raise _unusable(path, error) from error
        try:
            _lock(handle)
            _sign(handle)
        except OSError as error:
            holder = _told(handle)
            os.close(handle)
            raise (_taken(path, holder) if error.errno in TAKEN else _unusable(path, error)) from error
        if path.stat().st_mode & ANYBODY:
            # Not changed by us: it may be a folder that others need as well, such as /tmp.
            log.warning(
                "folder open to everybody", extra={"folder": str(path), "remedy": f"chmod 700 {path}"}
            )
        return cls(path, handle)

    @property
    def database(self) -> Path:
        return self.path / DATABASE

    def release(self) -> None:
        if self._handle is not None:
            os.close(self._handle)  # which unlocks it; the file stays, or two could each lock one of its name
            self._handle = None


def _lock(handle: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        os.lseek(handle, LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl  # absent on Windows

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _sign(handle: int) -> None:
    os.ftruncate(handle, 0)
    os.lseek(handle, 0, os.SEEK_SET)
    os.write(handle, str(os.getpid()).encode())


def _told(handle: int) -> str:
    """The number of the process that has it, as it signed."""
    os.lseek(handle, 0, os.SEEK_SET)
    number = os.read(handle, 20).decode("ascii", "replace").strip()
    return f"process {number}" if number.isdecimal() else "another process"


def _taken(path: Path, holder: str) -> RhetorError:
    return RhetorError(
        f"{path} is in use by {holder}: a folder belongs to one gateway at a time; stop that one, or set "
        "store.folder to another folder",
        Code.UNAVAILABLE,
    )


def _unusable(path: Path, error: OSError) -> RhetorError:
    return RhetorError(
        f"{path} cannot be used: {error.strerror or error}; mend that, or set store.folder to another "
        "folder (:memory: keeps nothing)",
        Code.UNAVAILABLE,
    )
