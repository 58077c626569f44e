"""What is in use is held: nobody removes it meanwhile, and whoever dies lets go of it."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from shutil import rmtree

YOUNG_S = 60.0  # whoever has just made a folder may not hold it yet


class Hold:
    """One of them. Let go once."""

    def __init__(self, handle: int) -> None:
        self._handle: int | None = handle

    def close(self) -> None:
        handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)


def hold(path: Path, *, alone: bool = False) -> Hold | None:
    """Hold a folder, or a file, which is made; None: somebody else does, alone or not.

    Raises:
        OSError: it cannot be opened.
    """
    import fcntl  # not on Windows, where guests do not run but the gateway does

    flags = os.O_RDONLY if path.is_dir() else os.O_RDWR | os.O_CREAT
    handle = os.open(path, flags | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(handle, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    except BaseException:
        os.close(handle)
        raise
    return Hold(handle)


def remove_left(folder: Path, prefix: str) -> None:
    """Remove our folders of this name that nobody holds: whoever made them has died. Blocks."""
    for place in folder.glob(f"{prefix}*"):
        with suppress(OSError, ImportError):
            found = place.lstat()
            if place.is_symlink() or found.st_uid != os.geteuid():
                continue
            if time.time() - found.st_mtime < YOUNG_S or (held := hold(place, alone=True)) is None:
                continue
            rmtree(place, ignore_errors=True)
            held.close()
