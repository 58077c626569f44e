"""Documents in the database."""

from __future__ import annotations

from functools import partial
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select

from rhetor.core.content import Json
from rhetor.store.sql.tables import documents
from rhetor.store.sql.worker import Worker
from rhetor.store.sql.written import read, written

_THIS = tuple(documents.c[name] == bindparam(f"of_{name}") for name in ("kind", "owner", "id"))
_LOAD = select(documents.c.document).where(*_THIS)
_SAVE = insert(documents)
_REMOVE = delete(documents).where(*_THIS)


class SqlDocuments:
    """Keeps them all: for what few write, such as accounts."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    async def save(self, kind: str, owner: str, id: str, document: Json) -> None:
        place = {"kind": kind, "owner": owner, "id": id}
        await self._worker.write(partial(_save, {**place, "document": written(document, f"{kind} {id}")}))

    async def load(self, kind: str, owner: str, id: str) -> Json | None:
        found = await self._worker.read(lambda on: on.execute(_LOAD, _place(kind, owner, id)).scalar())
        return None if found is None else read(found)

    async def remove(self, kind: str, owner: str, id: str) -> bool:
        return await self._worker.write(
            lambda on: bool(on.execute(_REMOVE, _place(kind, owner, id)).rowcount)
        )


def _save(columns: dict[str, Any], on: Connection) -> None:
    on.execute(_REMOVE, _place(columns["kind"], columns["owner"], columns["id"]))
    on.execute(_SAVE, columns)


def _place(kind: str, owner: str, id: str) -> dict[str, str]:
    return {"of_kind": kind, "of_owner": owner, "of_id": id}
