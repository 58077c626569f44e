"""What is known of assets and generations, in the database; their contents are elsewhere."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import orjson
from sqlalchemy import Connection, bindparam, delete, func, insert, select

from rhetor.store.assets import Asset, Generation
from rhetor.store.sql.tables import assets, generations
from rhetor.store.sql.worker import Worker
from rhetor.store.sql.written import micros, moment, read, written

_ADD = insert(assets)
_FIND = select(assets).where(assets.c.owner == bindparam("of"), assets.c.id == bindparam("named"))
_LATEST = (
    select(assets)
    .where(assets.c.owner == bindparam("of"))
    .order_by(assets.c.created_at.desc(), assets.c.id)
    .limit(bindparam("most"))
)
_EXPIRED = (
    select(assets)
    .where(assets.c.expires_at <= bindparam("now"))
    .order_by(assets.c.expires_at)
    .limit(bindparam("most"))
)
_LARGEST = (
    select(assets.c.owner)
    .where(assets.c.id != bindparam("but"))
    .group_by(assets.c.owner)
    .order_by(func.sum(assets.c.size).desc(), assets.c.owner)
    .limit(1)
)
_OLDEST = (
    select(assets)
    .where(assets.c.owner == bindparam("of"), assets.c.id != bindparam("but"))
    .order_by(assets.c.created_at, assets.c.id)
    .limit(bindparam("most"))
)
_TOTAL = select(func.coalesce(func.sum(assets.c.size), 0))
_NOTE = insert(generations)
_NOTED = select(func.count()).select_from(generations)
_FORGET = delete(generations).where(generations.c.expires_at <= bindparam("now"))


class SqlAssets:
    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    async def add(self, asset: Asset) -> None:
        await self._worker.write(lambda on: on.execute(_ADD, _columns(asset)))

    async def find(self, owner: str, id: str) -> Asset | None:
        found = await self._rows(_FIND, {"of": owner, "named": id})
        return found[0] if found else None

    async def latest(self, owner: str, limit: int) -> Sequence[Asset]:
        return await self._rows(_LATEST, {"of": owner, "most": limit})

    async def remove(self, ids: Collection[str]) -> None:
        gone = delete(assets).where(assets.c.id.in_(list(ids)))
        await self._worker.write(lambda on: on.execute(gone))

    async def expired(self, now: datetime, limit: int) -> Sequence[Asset]:
        return await self._rows(_EXPIRED, {"now": micros(now), "most": limit})

    async def oldest_of_the_largest(self, but: str, limit: int) -> Sequence[Asset]:
        return await self._worker.read(partial(_oldest, but, limit))

    async def total_bytes(self) -> int:
        return await self._worker.read(lambda on: int(on.execute(_TOTAL).scalar_one()))

    async def digests(self, among: Collection[str] | None = None) -> set[str]:
        wanted = select(assets.c.digest).distinct()
        if among is not None:
            wanted = wanted.where(assets.c.digest.in_(list(among)))
        return await self._worker.read(lambda on: set(on.execute(wanted).scalars()))

    async def note(self, generation: Generation, most: int) -> None:
        await self._worker.write(partial(_note, _line(generation), most))

    async def generations(self, owner: str, ids: Collection[str]) -> Sequence[Generation]:
        wanted = select(generations).where(generations.c.owner == owner, generations.c.id.in_(list(ids)))
        return await self._worker.read(lambda on: [_generation(row) for row in on.execute(wanted)])

    async def forget_generations(self, now: datetime) -> None:
        await self._worker.write(lambda on: on.execute(_FORGET, {"now": micros(now)}))

    async def _rows(self, wanted: Any, asked: dict[str, Any]) -> list[Asset]:
        return await self._worker.read(lambda on: [_asset(row) for row in on.execute(wanted, asked)])


def _oldest(but: str, limit: int, on: Connection) -> list[Asset]:
    owner = on.execute(_LARGEST, {"but": but}).scalar()
    if owner is None:
        return []
    return [_asset(row) for row in on.execute(_OLDEST, {"of": owner, "but": but, "most": limit})]


def _note(line: dict[str, Any], most: int, on: Connection) -> None:
    if on.execute(select(generations.c.id).where(generations.c.id == line["id"])).first() is not None:
        return  # it is noted, and what was noted does not change
    on.execute(_NOTE, line)
    if (more := on.execute(_NOTED).scalar_one() - most) > 0:
        old = select(generations.c.id).order_by(generations.c.at, generations.c.id).limit(more)
        on.execute(delete(generations).where(generations.c.id.in_(old)))


def _columns(asset: Asset) -> dict[str, Any]:
    return {
        "id": asset.id,
        "owner": asset.owner,
        "digest": asset.digest,
        "media_type": asset.media_type,
        "size": asset.size,
        "name": asset.name,
        "generation": asset.generation,
        "created_at": micros(asset.created_at),
        "expires_at": micros(asset.expires_at),
    }


def _asset(row: Sequence[Any]) -> Asset:
    id, owner, digest, media_type, size, name, generation, created_at, expires_at = row
    return Asset(
        id=id,
        owner=owner,
        digest=digest,
        media_type=media_type,
        size=size,
        name=name,
        generation=generation,
        created_at=moment(created_at),
        expires_at=moment(expires_at),
    )


def _line(noted: Generation) -> dict[str, Any]:
    return {
        "id": noted.id,
        "owner": noted.owner,
        "at": micros(noted.at),
        "expires_at": micros(noted.expires_at),
        "parents": orjson.dumps(noted.parents).decode(),
        "document": written(noted.document, f"generation {noted.id}"),
    }


def _generation(row: Sequence[Any]) -> Generation:
    id, owner, at, expires_at, parents, document = row
    return Generation(
        id=id,
        owner=owner,
        at=moment(at),
        expires_at=moment(expires_at),
        parents=tuple(orjson.loads(parents)),
        document=read(document),
    )
