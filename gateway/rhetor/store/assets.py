"""Assets: pictures, recordings, films that callers come back to; and the generations that made them.

A content is there once, whoever has it (`blobs`); an asset is somebody's name for it, with a type and a time
after which it is forgotten. What is known of assets and generations is in the books, and they say what is
there: a content that they do not name is cleared away.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from types import TracebackType
from typing import Protocol, Self

from rhetor.core.clock import Clock
from rhetor.core.content import Json
from rhetor.core.errors import BadRequest, Code, RhetorError
from rhetor.core.ids import new_id
from rhetor.core.value import value
from rhetor.store.blobs import PIECE_BYTES, Blobs, Draft

MIB = 1 << 20
SWEEP_S = 60.0  # how long something may be there after its time; nobody finds it meanwhile
SWEPT = 256  # at once
KEPT_GENERATIONS = 50_000  # some 2 KB each
UNTOLD = "application/octet-stream"
_TYPE = re.compile(r"[A-Za-z0-9][\w.+-]{0,63}/[\w.+-]{1,100}(;[ -~]{0,100})?", re.ASCII)


@value(kw_only=True)
class Asset:
    id: str
    owner: str
    """The principal whose it is; "" where nobody is asked for a token."""
    digest: str
    """Its content's SHA-256."""
    media_type: str
    size: int
    """In bytes."""
    name: str | None = None
    """As its owner calls the file."""
    generation: str | None = None
    """What made it; None: it was uploaded."""
    created_at: datetime
    expires_at: datetime


@value(kw_only=True)
class Generation:
    """What is kept of a generation, so that one can see what its results were made of."""

    id: str
    owner: str
    at: datetime
    expires_at: datetime
    parents: tuple[str, ...] = ()
    """Generations whose results it was made of: all of them are older, so nothing is its own ancestor."""
    document: Json
    """What was asked of whom, and what came of it; bounded by whoever writes it."""


class AssetBooks(Protocol):
    """What is known of assets and generations. All of it survives the death of this process at any moment."""

    async def add(self, asset: Asset) -> None: ...

    async def find(self, owner: str, id: str) -> Asset | None: ...

    async def latest(self, owner: str, limit: int) -> Sequence[Asset]:
        """The newest first."""

    async def remove(self, ids: Collection[str]) -> None: ...

    async def expired(self, now: datetime, limit: int) -> Sequence[Asset]: ...

    async def oldest_of_the_largest(self, but: str, limit: int) -> Sequence[Asset]:
        """The oldest ones of the owner who has most bytes; without the asset `but`."""

    async def total_bytes(self) -> int: ...

    async def digests(self, among: Collection[str] | None = None) -> set[str]:
        """Those that some asset has."""

    async def note(self, generation: Generation, most: int) -> None:
        """Keep this one; of all of them only so many, the newest."""

    async def generations(self, owner: str, ids: Collection[str]) -> Sequence[Generation]: ...

    async def forget_generations(self, now: datetime) -> None:
        """Those whose time is over."""


class Assets:
    """All assets of this house.

    Args:
        open_books: called when the first asset is asked for, and again if that failed.
        keep_s: how long an asset is kept.
        each_mb: the largest one, in MiB.
        all_mb: all of them together; who has most of it makes room, with what is oldest.
        notes: whether it is wanted that generations are noted.
    """

    def __init__(
        self,
        blobs: Blobs,
        open_books: Callable[[], Awaitable[AssetBooks]],
        clock: Clock,
        *,
        keep_s: float,
        each_mb: int,
        all_mb: int,
        notes: bool = True,
    ) -> None:
        self._blobs = blobs
        self._open_books = open_books
        self._clock = clock
        self.limit(keep_s, each_mb, all_mb, notes)
        self._books: AssetBooks | None = None
        self._opening = asyncio.Lock()
        self._changing = asyncio.Lock()
        """Names and contents change together: nobody removes a content that is about to get another name."""
        self._opened = asyncio.Event()
        self._drafted: Counter[Draft] = Counter()
        """Bytes that are being written."""
        self.stored_bytes = 0
        """Of all that are known, as it was when that was asked last."""
        self._unsure: set[str] = set()
        """Contents that may be there without a name: whoever was about to name them failed, or has left."""

    def limit(self, keep_s: float, each_mb: int, all_mb: int, notes: bool = True) -> None:
        """From now on assets are kept so long, may fill so much, and generations are noted or not."""
        self.notes = notes
        self._keep = timedelta(seconds=keep_s)
        self.each_bytes = each_mb * MIB
        self._all_bytes = all_mb * MIB

    def begin(
        self, owner: str, media_type: str, *, name: str | None = None, generation: str | None = None
    ) -> Writing:
        """A new asset, to be entered, written and kept; left without that, it never was."""
        return Writing(self, owner, _sane(media_type), name, generation)

    async def put(
        self,
        owner: str,
        media_type: str,
        data: bytes,
        *,
        name: str | None = None,
        generation: str | None = None,
    ) -> Asset:
        """A whole asset.

        Raises:
            RhetorError: request_too_large, pool_full, or unavailable.
        """
        async with self.begin(owner, media_type, name=name, generation=generation) as writing:
            await writing.write(data)
            return await writing.keep()

    async def find(self, owner: str, id: str) -> Asset:
        """
        Raises:
            BadRequest: not_found, also when it is somebody else's, or its time is over.
        """
        asset = await (await self.books()).find(owner, id)
        if asset is None or asset.expires_at <= self._clock.utc():
            raise BadRequest("no such asset: there never was, or its time is over", Code.NOT_FOUND)
        return asset

    async def latest(self, owner: str, limit: int) -> Sequence[Asset]:
        now = self._clock.utc()
        return [it for it in await (await self.books()).latest(owner, limit) if it.expires_at > now]

    async def pieces(
        self, asset: Asset, start: int = 0, end: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Its content from `start` on, up to `end`, in pieces that fit into memory.

        Raises:
            RhetorError: unavailable, it went away meanwhile.
        """
        end = asset.size if end is None else end
        while start < end:
            piece = await self._blobs.read(asset.digest, start, min(PIECE_BYTES, end - start))
            if not piece:
                raise RhetorError("the content of this asset is cut off", Code.UNAVAILABLE)
            start += len(piece)
            yield piece

    async def content(self, asset: Asset) -> bytes:
        """All of it."""
        return b"".join([piece async for piece in self.pieces(asset)])

    async def remove(self, owner: str, id: str) -> None:
        """
        Raises:
            BadRequest: not_found.
        """
        await self._forget([await self.find(owner, id)])

    async def note(self, id: str, owner: str, at: datetime, parents: Sequence[str], document: Json) -> None:
        """Keep what a generation was asked and what it made, as long as assets are kept."""
        until = self._clock.utc() + self._keep
        noted = Generation(
            id=id, owner=owner, at=at, expires_at=until, parents=tuple(parents), document=document
        )
        await (await self.books()).note(noted, KEPT_GENERATIONS)

    async def generations(self, owner: str, ids: Collection[str]) -> dict[str, Generation]:
        """Those of these that are known, by id."""
        now, found = self._clock.utc(), await (await self.books()).generations(owner, ids)
        return {it.id: it for it in found if it.expires_at > now}

    async def tidy(self) -> None:
        """Forget again and again what has had its time; from when on something was asked for."""
        await self._opened.wait()
        while True:
            with suppress(RhetorError):  # the store says so itself when it is unwell
                await self.sweep()
            await asyncio.sleep(SWEEP_S)

    async def sweep(self) -> None:
        """Forget what has had its time."""
        books, now = await self.books(), self._clock.utc()
        while old := await books.expired(now, SWEPT):
            await self._forget(old)
        await books.forget_generations(now)
        async with self._changing:
            if self._unsure:
                await self._blobs.remove(self._unsure - await books.digests(self._unsure))
                self._unsure.clear()

    def wake(self) -> None:
        """There are assets of earlier days: they are swept from now on."""
        self._opened.set()

    def close(self) -> None:
        self._blobs.close()

    async def books(self) -> AssetBooks:
        """
        Raises:
            RhetorError: the store cannot be opened.
        """
        if self._books is None:
            async with self._opening:
                if self._books is None:
                    books = await self._open_books()
                    await self._blobs.remove(await self._blobs.stored() - await books.digests())
                    await self._measure(books)
                    self._books = books
                    self._opened.set()
        return self._books

    def count(self, draft: Draft) -> None:
        """
        Raises:
            RhetorError: request_too_large; pool_full, too much is being written.
        """
        if draft.size > self.each_bytes:
            message = f"an asset may have {self.each_bytes // MIB} MiB; see assets.each_mb"
            raise RhetorError(message, Code.TOO_LARGE)
        self._drafted[draft] = draft.size
        if self._drafted.total() > self._all_bytes:
            raise RhetorError("no room for another asset now; see assets.all_mb", Code.POOL_FULL)

    def uncount(self, draft: Draft) -> None:
        self._drafted.pop(draft, None)

    async def name(self, draft: Draft, made: Callable[[str, datetime, datetime], Asset]) -> Asset:
        """Keep a content under a new name."""
        books, digest = await self.books(), await draft.finish()
        async with self._changing:
            self._unsure.add(digest)
            await draft.keep()
            now = self._clock.utc()
            asset = made(digest, now, now + self._keep)
            await books.add(asset)
            self._unsure.discard(digest)
        await self._make_room(books, asset)
        return asset

    def draft(self) -> Draft:
        return self._blobs.draft()

    async def _make_room(self, books: AssetBooks, new: Asset) -> None:
        while await self._measure(books) > self._all_bytes:
            old = await books.oldest_of_the_largest(new.id, 1)
            if not old:
                return
            await self._forget(old)

    async def _measure(self, books: AssetBooks) -> int:
        self.stored_bytes = await books.total_bytes()
        return self.stored_bytes

    async def _forget(self, assets: Sequence[Asset]) -> None:
        books = await self.books()
        async with self._changing:
            await books.remove([asset.id for asset in assets])
            digests = {asset.digest for asset in assets}
            await self._blobs.remove(digests - await books.digests(digests))
            await self._measure(books)


class Writing:
    """An asset that is being written."""

    def __init__(
        self, assets: Assets, owner: str, media_type: str, name: str | None, generation: str | None
    ) -> None:
        self.media_type = media_type
        self._assets = assets
        self._owner = owner
        self._name = name
        self._generation = generation
        self._draft = assets.draft()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.drop()

    @property
    def size(self) -> int:
        return self._draft.size

    async def write(self, data: bytes) -> None:
        """
        Raises:
            RhetorError: request_too_large, pool_full, or unavailable.
        """
        await self._assets.books()  # whoever cannot keep it need not begin
        await self._draft.write(data)
        self._assets.count(self._draft)

    async def keep(self) -> Asset:
        """From now on it can be found.

        Raises:
            RhetorError: unavailable, it cannot be stored.
        """

        def made(digest: str, now: datetime, until: datetime) -> Asset:
            return Asset(
                id=new_id("asset"),
                owner=self._owner,
                digest=digest,
                media_type=self.media_type,
                size=self.size,
                name=self._name,
                generation=self._generation,
                created_at=now,
                expires_at=until,
            )

        try:
            return await self._assets.name(self._draft, made)
        finally:
            self.drop()

    def drop(self) -> None:
        """Give up what is not kept. Idempotent."""
        self._assets.uncount(self._draft)
        self._draft.drop()


def _sane(media_type: str) -> str:
    """A media type that can be a header; what is none is not told."""
    media_type = media_type.strip()
    return media_type if _TYPE.fullmatch(media_type) else UNTOLD
