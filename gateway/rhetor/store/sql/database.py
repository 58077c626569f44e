"""A connection to the database: how it is opened, and what its errors mean."""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from pathlib import Path

from sqlalchemy import Connection, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from rhetor.core.errors import Code, RhetorError
from rhetor.store.sql.folder import OWN_FILE
from rhetor.store.sql.tables import VERSION, schema

OURS = 0x52686574  # "Rhet": the file's application_id says whose it is
BUSY_MS = 5000  # for an operator's own tool that writes; no second gateway is let in
WAL_BYTES = 64 << 20  # what a burst leaves of its log file, at most
HERE = "this process' memory"
DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
REMEDIES = {
    sqlite3.SQLITE_FULL: "make room on its disk",
    sqlite3.SQLITE_READONLY: "make it writable for this user",
    sqlite3.SQLITE_CANTOPEN: "make it readable and writable for this user",
    sqlite3.SQLITE_BUSY: "end the program that has it locked",
    sqlite3.SQLITE_IOERR: "look after its disk",
}


def connect(file: Path | None) -> Connection:
    """The database in this file (None: in memory), with its tables. It belongs to the thread that opened it.

    Raises:
        RhetorError: unavailable, it cannot be used, is damaged, or a newer version's; it stays as it was.
    """
    engine = create_engine(
        "sqlite+pysqlite://",
        creator=lambda: _open(file),
        poolclass=NullPool,
        hide_parameters=True,  # errors are logged: nobody's words belong there
    )
    try:
        connection = engine.connect()
        try:
            _prepare(connection, file)
        except BaseException:
            connection.close()
            raise
    except DBAPIError as error:
        raise unusable(file, error) from error
    except OSError as error:
        raise _cannot(file, error.strerror or str(error), "make it usable for this user") from error
    return connection


def _open(file: Path | None) -> sqlite3.Connection:
    if file is not None:
        # SQLite gives its other files the rights of this one.
        os.close(os.open(file, os.O_RDWR | os.O_CREAT, OWN_FILE))
        with suppress(OSError):  # somebody else's file that we may use
            file.chmod(OWN_FILE)
    # Without an isolation level Python's module leaves it to us when a transaction begins.
    return sqlite3.connect(file or ":memory:", timeout=BUSY_MS / 1000, isolation_level=None)


def _prepare(connection: Connection, file: Path | None) -> None:
    """Look first, and change nothing that is not ours."""
    version, application = (
        _asked(connection, f"PRAGMA {name}") for name in ("user_version", "application_id")
    )
    if version > VERSION and application == OURS:
        raise _cannot(
            file,
            f"a newer version wrote it (its tables are of version {version}, these are {VERSION})",
            "run that version again, or set store.folder to another folder",
        )
    if application != OURS and (version or _asked(connection, "SELECT count(*) FROM sqlite_master")):
        raise _cannot(file, "another program's tables are in it", "set store.folder to another folder")
    connection.rollback()
    for setting in (
        "journal_mode=WAL",
        "synchronous=NORMAL",  # outlives us; after a power cut the last moments may be gone, nothing else
        f"busy_timeout={BUSY_MS}",
        "foreign_keys=ON",
        f"journal_size_limit={WAL_BYTES}",
    ):
        connection.exec_driver_sql(f"PRAGMA {setting}")
    if version < VERSION:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        schema.create_all(
            connection
        )  # those that are not there: no table has changed since the first version
        connection.exec_driver_sql(f"PRAGMA application_id={OURS}")
        connection.exec_driver_sql(f"PRAGMA user_version={VERSION}")
    connection.commit()


def _asked(connection: Connection, question: str) -> int:
    answer = connection.exec_driver_sql(question).scalar_one()
    assert isinstance(answer, int)
    return answer


def unusable(file: Path | None, error: DBAPIError) -> RhetorError:
    """An error of the database's, in our words."""
    code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF  # further bits say which kind of it
    if code in DAMAGED:
        return _cannot(
            file,
            f"it is damaged ({error.orig})",
            "put a copy in its place, or move it away to begin with an empty one",
        )
    return _cannot(file, str(error.orig), REMEDIES.get(code, "see the log"))


def _cannot(file: Path | None, reason: str, remedy: str) -> RhetorError:
    return RhetorError(f"{file or HERE} cannot be used: {reason}; {remedy}", Code.UNAVAILABLE)
