"""Where sessions live on disk: a folder of its own for each, and the folders that they may work in."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterable
from pathlib import Path

from rhetor.core.errors import BadRequest, Code, RhetorError
from rhetor.store.base import SessionRow
from rhetor.store.own import make_own


class Folders:
    """
    Args:
        root: below it each session has a folder.
        allowed: in and below these a session may work, besides.
    """

    def __init__(self, root: Path, allowed: Iterable[str]) -> None:
        self._root = root
        self._allowed = tuple(Path(each).expanduser().resolve() for each in allowed)

    def home(self, session_id: str) -> Path:
        """The session's own, for what its backend keeps."""
        return self._root / session_id / "home"

    def work(self, session_id: str) -> Path:
        """Where it works if nobody says where."""
        return self._root / session_id / "work"

    def of(self, row: SessionRow) -> Path:
        """Where it works."""
        said = row.document.get("directory")
        return Path(said) if isinstance(said, str) else self.work(row.id)

    async def ensure(self, session_id: str, directory: Path) -> None:
        """See that the session can live and work: its own folders are made, another one is looked at again.

        Raises:
            BadRequest: it may not work in that folder any more, or that is another one now.
            RhetorError: unavailable, the folders cannot be made.
        """
        own = self.work(session_id)
        if directory != own and self.allowed(str(directory)) != directory:
            message = "directory: another folder stands in its place"
            raise BadRequest(message, Code.FORBIDDEN, param="directory")
        try:
            await asyncio.to_thread(self._make, self.home(session_id), own)
        except OSError as error:
            message = f"cannot make the session's folders: {error.strerror}; see store.folder"
            raise RhetorError(message, Code.UNAVAILABLE) from error

    def allowed(self, directory: str) -> Path:
        """A folder that a caller named.

        Raises:
            BadRequest: there is no such folder, or sessions may not work there.
        """
        if not Path(directory).is_absolute() or "\0" in directory:
            raise BadRequest("directory: expected an absolute path", param="directory")
        try:
            path = Path(directory).resolve()
            there = path.is_dir()
        except (OSError, RuntimeError):  # too long, a circle of links, not ours to look at
            raise BadRequest("directory: cannot be looked at", param="directory") from None
        if not any(path.is_relative_to(root) for root in self._allowed):
            message = "directory: sessions may not work there; see sessions.directories"
            raise BadRequest(message, Code.FORBIDDEN, param="directory")
        if not there:
            raise BadRequest("directory: there is no such folder", param="directory")
        return path

    async def remove(self, session_id: str) -> None:
        """With everything in it."""
        await asyncio.to_thread(shutil.rmtree, self._root / session_id, ignore_errors=True)

    def _make(self, *folders: Path) -> None:
        for folder in folders:
            make_own(folder)
