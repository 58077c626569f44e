"""Opening the store; what blocks is done here, so call it on a thread when a loop is running."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rhetor.store.sql.assets import SqlAssets
from rhetor.store.sql.documents import SqlDocuments
from rhetor.store.sql.folder import Folder
from rhetor.store.sql.sessions import SqlSessions
from rhetor.store.sql.worker import Worker


@dataclass(frozen=True, slots=True)
class SqlStore:
    sessions: SqlSessions
    """Closing these closes the store."""
    documents: SqlDocuments
    assets: SqlAssets


def open_store(folder: Path | None) -> SqlStore:
    """The store in this folder, which nobody else has then; None: in memory.

    Raises:
        RhetorError: unavailable, the folder is somebody else's or cannot be used, or its database is damaged,
            or was written by a newer version.
    """
    taken = None if folder is None else Folder.take(folder)
    try:
        worker = Worker(taken)
    except BaseException:
        if taken is not None:
            taken.release()
        raise
    return SqlStore(SqlSessions(worker), SqlDocuments(worker), SqlAssets(worker))
