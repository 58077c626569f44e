"""Sessions and their logs in the database."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, delete, func, insert, select, update

from rhetor.core.errors import Code, RhetorError
from rhetor.store.base import LoggedEvent, SessionRow
from rhetor.store.sql.tables import events, sessions
from rhetor.store.sql.worker import Worker
from rhetor.store.sql.written import micros, moment, read, written

MOST = (1 << 63) - 1  # SQLite counts no further

_BEGIN = insert(sessions)
_CHANGE = (
    update(sessions)
    .where(sessions.c.id == bindparam("of"), sessions.c.last_seq == bindparam("before"))
    .values({column.name: bindparam(column.name) for column in sessions.c if column.name != "id"})
)
_LOG = insert(events)
_FIND = select(sessions).where(sessions.c.id == bindparam("of"))
_LAST = select(sessions.c.last_seq).where(sessions.c.id == bindparam("of"))
_READ = (
    select(events.c.seq, events.c.turn, events.c.type, events.c.content, events.c.data, events.c.at)
    .where(events.c.session_id == bindparam("of"), events.c.seq > bindparam("after"))
    .order_by(events.c.seq)
    .limit(bindparam("most"))
)
_OLD = (
    select(sessions)
    .where(sessions.c.updated_at <= bindparam("before"))
    .order_by(sessions.c.updated_at, sessions.c.id)
    .limit(bindparam("most"))
    .offset(bindparam("past"))
)
_REMOVE = delete(sessions).where(sessions.c.id == bindparam("of"))
_REMOVE_AT = _REMOVE.where(sessions.c.last_seq == bindparam("seq"))


class SqlSessions:
    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    async def begin(self, row: SessionRow) -> bool:
        if row.last_seq:
            raise _conflict(row, "a log begins with its first event")
        return await self._worker.write(partial(_begin, _columns(row)))

    async def append(self, row: SessionRow, events: Sequence[LoggedEvent]) -> None:
        before = row.last_seq - len(events)
        if [event.seq for event in events] != list(range(before + 1, row.last_seq + 1)):
            raise _conflict(row, "its new events are not numbered up to its last one")
        lines = [_line(row.id, event) for event in events]
        await self._worker.write(partial(_append, row, _columns(row), before, lines))

    async def find(self, id: str) -> SessionRow | None:
        return await self._worker.read(partial(_find, id))

    async def read(self, id: str, after: int, limit: int) -> Sequence[LoggedEvent]:
        asked = {"of": id, "after": _count(after), "most": _count(limit)}
        return await self._worker.read(lambda on: [_event(line) for line in on.execute(_READ, asked)])

    async def list(
        self,
        owner: str | None,
        *,
        states: Collection[str] | None = None,
        backend: str | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> Sequence[SessionRow]:
        wanted = (
            select(sessions)
            .where(*_conditions(owner, states, backend))
            .order_by(sessions.c.updated_at.desc(), sessions.c.id)
            .limit(_count(limit))
            .offset(_count(offset))
        )
        return await self._worker.read(lambda on: [_row(found) for found in on.execute(wanted)])

    async def count(self, owner: str | None, states: Collection[str] | None = None) -> dict[str, int]:
        wanted = (
            select(sessions.c.backend, func.count())
            .where(*_conditions(owner, states))
            .group_by(sessions.c.backend)
            .order_by(sessions.c.backend)
        )
        return await self._worker.read(lambda on: {found[0]: found[1] for found in on.execute(wanted)})

    async def idle_since(
        self, before: datetime, limit: int, offset: int = 0, owner: str | None = None
    ) -> Sequence[SessionRow]:
        asked = {"before": micros(before), "most": _count(limit), "past": _count(offset)}
        old = _OLD if owner is None else _OLD.where(sessions.c.owner == owner)
        return await self._worker.read(lambda on: [_row(found) for found in on.execute(old, asked)])

    async def remove(self, id: str, last_seq: int | None = None) -> bool:
        which = _REMOVE if last_seq is None else _REMOVE_AT
        asked = {"of": id} if last_seq is None else {"of": id, "seq": last_seq}
        return await self._worker.write(lambda on: bool(on.execute(which, asked).rowcount))

    async def close(self) -> None:
        await self._worker.close()


def _begin(columns: dict[str, Any], on: Connection) -> bool:
    if on.execute(_LAST, {"of": columns["id"]}).first() is not None:
        return False
    on.execute(_BEGIN, columns)
    return True


def _append(
    row: SessionRow, columns: dict[str, Any], before: int, lines: Sequence[dict[str, Any]], on: Connection
) -> None:
    changed = on.execute(_CHANGE, {**columns, "of": row.id, "before": before}).rowcount
    if not changed:
        there = on.execute(_LAST, {"of": row.id}).scalar()
        gone_on = "it is not stored (any more)" if there is None else f"its log has gone on to event {there}"
        raise _conflict(row, f"{gone_on}, and somebody else writes to it")
    if lines:
        on.execute(_LOG, lines)


def _find(id: str, on: Connection) -> SessionRow | None:
    found = on.execute(_FIND, {"of": id}).first()
    return None if found is None else _row(found)


def _conditions(
    owner: str | None, states: Collection[str] | None, backend: str | None = None
) -> list[ColumnElement[bool]]:
    conditions = []
    if owner is not None:
        conditions.append(sessions.c.owner == owner)
    if states is not None:
        conditions.append(sessions.c.state.in_(sorted(states)))
    if backend is not None:
        conditions.append(sessions.c.backend == backend)
    return conditions


def _count(number: int) -> int:
    return min(max(number, 0), MOST)


def _conflict(row: SessionRow, reason: str) -> RhetorError:
    return RhetorError(f"session {row.id} cannot be stored: {reason}", Code.CONFLICT)


def _columns(row: SessionRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "owner": row.owner,
        "backend": row.backend,
        "state": row.state,
        "created_at": micros(row.created_at),
        "updated_at": micros(row.updated_at),
        "last_seq": row.last_seq,
        "turn": row.turn,
        "document": written(row.document, f"session {row.id}"),
    }


def _line(session_id: str, event: LoggedEvent) -> dict[str, Any]:
    return {
        "session_id": session_id,
        "seq": event.seq,
        "turn": event.turn,
        "type": event.type,
        "content": event.content,
        "data": written(event.data, f"event {event.seq} ({event.type})", beside=event.content),
        "at": micros(event.at),
    }


def _row(found: Sequence[Any]) -> SessionRow:
    id, owner, backend, state, created_at, updated_at, last_seq, turn, document = found
    return SessionRow(
        id=id,
        owner=owner,
        backend=backend,
        state=state,
        created_at=moment(created_at),
        updated_at=moment(updated_at),
        last_seq=last_seq,
        turn=turn,
        document=read(document),
    )


def _event(line: Sequence[Any]) -> LoggedEvent:
    seq, turn, type, content, data, at = line
    return LoggedEvent(seq, turn, type, content, read(data), moment(at))
