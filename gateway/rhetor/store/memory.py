"""The store of a gateway that keeps nothing: what is newest, gone with the process.

What callers store is bounded by the memory that it fills. The owner who fills most
of it makes room, with what was not used for the longest time: who writes much
takes nothing from those who write little.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Generic, TypeAlias, TypeVar

import orjson

from rhetor.core.clock import Clock
from rhetor.core.content import Json
from rhetor.core.errors import BadRequest, Code
from rhetor.core.record import TripRecord
from rhetor.core.value import value
from rhetor.store.base import Entry, TranscriptSummary

KEPT_TRIPS = 1000  # some 0.8 MB
KEPT_BYTES = 64 << 20  # JSON fills several times as much when it is parsed: it is kept as bytes
TRANSCRIPT_BYTES = 4 << 20  # one transcript's share: far more than a model is ever told of it
ENTRY_BYTES = 500  # what one fills beside its JSON, its text and its key

Key: TypeAlias = tuple[str, str, str]
"""Kind, owner, id."""


class MemoryLedger:
    def __init__(self, kept: int = KEPT_TRIPS) -> None:
        self._kept = kept
        self._trips: dict[str, TripRecord] = {}

    async def append(self, records: Sequence[TripRecord]) -> None:
        for record in records:
            self._trips.setdefault(record.id, record)
        for oldest in list(islice(self._trips, max(len(self._trips) - self._kept, 0))):
            del self._trips[oldest]

    async def latest(self, limit: int) -> Sequence[TripRecord]:
        return list(islice(reversed(self._trips.values()), limit))


Kept = TypeVar("Kept")


class _Shelf(Generic[Kept]):
    """Things by key within so many bytes."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._things: dict[str, OrderedDict[Key, tuple[Kept, int]]] = {}
        """By owner; what was used last is last."""
        self._filled_bytes: dict[str, int] = {}
        """By owner."""
        self._size_bytes = 0

    def put(self, key: Key, thing: Kept, size_bytes: int) -> None:
        """
        Raises:
            BadRequest: too large, even for the whole shelf. What is there stays as it is.
        """
        if size_bytes > self._limit_bytes:
            raise too_large(size_bytes, self._limit_bytes)
        self.pop(key)
        owner = key[1]
        self._things.setdefault(owner, OrderedDict())[key] = (thing, size_bytes)
        self._count(owner, size_bytes)
        while self._size_bytes > self._limit_bytes:
            # What was put just now stays, or nobody would find what they were told is kept.
            beside = {**self._filled_bytes, owner: self._filled_bytes[owner] - size_bytes}
            largest = max(beside, key=beside.__getitem__)
            self.pop(next(iter(self._things[largest])))

    def get(self, key: Key) -> Kept | None:
        owned = self._things.get(key[1])
        if owned is None or key not in owned:
            return None
        owned.move_to_end(key)
        return owned[key][0]

    def pop(self, key: Key) -> bool:
        owned = self._things.get(key[1])
        if owned is None or key not in owned:
            return False
        self._count(key[1], -owned.pop(key)[1])
        return True

    def of(self, kind: str, owner: str) -> list[tuple[str, Kept]]:
        """Those of an owner, by id."""
        owned = self._things.get(owner, OrderedDict())
        return [(key[2], thing) for key, (thing, _) in owned.items() if key[0] == kind]

    def _count(self, owner: str, size_bytes: int) -> None:
        self._size_bytes += size_bytes
        self._filled_bytes[owner] = self._filled_bytes.get(owner, 0) + size_bytes
        if not self._things[owner]:
            del self._things[owner], self._filled_bytes[owner]


def too_large(size_bytes: int, limit_bytes: int) -> BadRequest:
    message = f"{size_bytes} bytes cannot be kept: at most {limit_bytes} fit"
    return BadRequest(message, Code.TOO_LARGE)


class MemoryDocuments:
    def __init__(self, kept_bytes: int = KEPT_BYTES) -> None:
        self._shelf: _Shelf[bytes] = _Shelf(kept_bytes)

    async def save(self, kind: str, owner: str, id: str, document: Json) -> None:
        key, body = (kind, owner, id), _written(document)
        self._shelf.put(key, body, _place_bytes(key) + sys.getsizeof(body))

    async def load(self, kind: str, owner: str, id: str) -> Json | None:
        body = self._shelf.get((kind, owner, id))
        if body is None:
            return None
        document: Json = orjson.loads(body)
        return document

    async def remove(self, kind: str, owner: str, id: str) -> bool:
        return self._shelf.pop((kind, owner, id))


@value
class _Line:
    """An entry, as small as it gets."""

    id: str
    said: bytes
    text: str
    at: datetime


@dataclass(slots=True)
class _Transcript:
    created_at: datetime
    updated_at: datetime
    place_bytes: int
    about: bytes = b"{}"
    lines: OrderedDict[str, _Line] = field(default_factory=OrderedDict)
    lines_bytes: int = 0

    @property
    def bare_bytes(self) -> int:
        """Of all of it but its lines."""
        return self.place_bytes + sys.getsizeof(self.about)

    @property
    def size_bytes(self) -> int:
        return self.bare_bytes + self.lines_bytes

    def summary(self, id: str) -> TranscriptSummary:
        about: Json = orjson.loads(self.about)
        return TranscriptSummary(id, self.created_at, self.updated_at, len(self.lines), about)


class MemoryTranscripts:
    def __init__(
        self, clock: Clock, kept_bytes: int = KEPT_BYTES, transcript_bytes: int = TRANSCRIPT_BYTES
    ) -> None:
        self._clock = clock
        self._share_bytes = min(kept_bytes, transcript_bytes)
        self._shelf: _Shelf[_Transcript] = _Shelf(kept_bytes)

    async def append(self, kind: str, owner: str, id: str, entries: Sequence[Entry]) -> None:
        transcript = self._ensured((kind, owner, id))
        lines = [
            _Line(entry.id, _written(entry.said), entry.text, entry.at)
            for entry in entries
            if entry.id not in transcript.lines
        ]
        self._refuse_beyond(transcript.bare_bytes + sum(map(_size_of, lines)))
        for line in lines:
            if line.id not in transcript.lines:
                transcript.lines[line.id] = line
                transcript.lines_bytes += _size_of(line)
        self._changed((kind, owner, id), transcript)

    async def describe(self, kind: str, owner: str, id: str, about: Json) -> None:
        transcript, written = self._ensured((kind, owner, id)), _written(about)
        self._refuse_beyond(transcript.place_bytes + sys.getsizeof(written))
        transcript.about = written
        self._changed((kind, owner, id), transcript)

    async def find(self, kind: str, owner: str, id: str) -> TranscriptSummary | None:
        transcript = self._shelf.get((kind, owner, id))
        return None if transcript is None else transcript.summary(id)

    async def read(self, kind: str, owner: str, id: str, last: int | None = None) -> Sequence[Entry]:
        lines = self._lines((kind, owner, id))
        first = 0 if last is None else max(len(lines) - last, 0)
        return [_entry(line) for line in lines[first:]]

    async def list(self, kind: str, owner: str, limit: int) -> Sequence[TranscriptSummary]:
        newest_first = sorted(self._shelf.of(kind, owner), key=lambda it: it[1].updated_at, reverse=True)
        return [transcript.summary(id) for id, transcript in newest_first[:limit]]

    async def search(self, kind: str, owner: str, id: str, words: str, limit: int) -> Sequence[Entry]:
        wanted = words.casefold()
        found = (line for line in reversed(self._lines((kind, owner, id))) if wanted in line.text.casefold())
        return [_entry(line) for line in islice(found, limit)]

    async def forget(self, kind: str, owner: str, id: str, entry_id: str) -> bool:
        transcript = self._shelf.get((kind, owner, id))
        line = transcript.lines.pop(entry_id, None) if transcript is not None else None
        if transcript is None or line is None:
            return False
        transcript.lines_bytes -= _size_of(line)
        self._changed((kind, owner, id), transcript)
        return True

    async def remove(self, kind: str, owner: str, id: str) -> bool:
        return self._shelf.pop((kind, owner, id))

    def _ensured(self, key: Key) -> _Transcript:
        now = self._clock.utc()
        return self._shelf.get(key) or _Transcript(now, now, _place_bytes(key))

    def _changed(self, key: Key, transcript: _Transcript) -> None:
        """What there is no room for in its share, it loses, the oldest first."""
        while transcript.size_bytes > self._share_bytes:
            _, oldest = transcript.lines.popitem(last=False)
            transcript.lines_bytes -= _size_of(oldest)
        transcript.updated_at = self._clock.utc()
        self._shelf.put(key, transcript, transcript.size_bytes)

    def _refuse_beyond(self, size_bytes: int) -> None:
        if size_bytes > self._share_bytes:
            raise too_large(size_bytes, self._share_bytes)

    def _lines(self, key: Key) -> Sequence[_Line]:
        transcript = self._shelf.get(key)
        return [] if transcript is None else [*transcript.lines.values()]


def _written(said: Json) -> bytes:
    # orjson's bytes keep the buffer that they were written into, which is larger: a copy has its own size.
    return bytes(bytearray(orjson.dumps(said)))


def _place_bytes(key: Key) -> int:
    return ENTRY_BYTES + sum(map(sys.getsizeof, key))


def _size_of(line: _Line) -> int:
    """In memory: a character takes up to four bytes there."""
    return ENTRY_BYTES + sum(map(sys.getsizeof, (line.id, line.said, line.text)))


def _entry(line: _Line) -> Entry:
    return Entry(line.id, orjson.loads(line.said), line.text, line.at)
