"""The store of a gateway that keeps nothing: what is newest, gone with the process.

What callers store is bounded by the bytes of its JSON; who was not used for the
longest time makes room.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Generic, TypeAlias, TypeVar

import orjson

from rhetor.core.clock import Clock
from rhetor.core.content import Json
from rhetor.core.record import TripRecord
from rhetor.core.value import value
from rhetor.store.base import Entry, TranscriptSummary

KEPT_TRIPS = 1000  # some 0.8 MB
KEPT_BYTES = 64 << 20  # of JSON, which fills several times as much when it is parsed: it is kept as bytes
ENTRY_BYTES = 500  # what one fills beside its JSON

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
    """Things by key within so many bytes; the least recently used leave first."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._things: OrderedDict[Key, tuple[Kept, int]] = OrderedDict()
        self._size_bytes = 0

    def put(self, key: Key, thing: Kept, size_bytes: int) -> None:
        self.pop(key)
        self._things[key] = (thing, size_bytes)
        self._size_bytes += size_bytes
        while self._size_bytes > self._limit_bytes:
            self._size_bytes -= self._things.popitem(last=False)[1][1]

    def get(self, key: Key) -> Kept | None:
        found = self._things.get(key)
        if found is None:
            return None
        self._things.move_to_end(key)
        return found[0]

    def pop(self, key: Key) -> bool:
        found = self._things.pop(key, None)
        if found is None:
            return False
        self._size_bytes -= found[1]
        return True

    def of(self, kind: str, owner: str) -> list[tuple[str, Kept]]:
        """Those of an owner, by id."""
        return [(key[2], thing) for key, (thing, _) in self._things.items() if key[:2] == (kind, owner)]


class MemoryDocuments:
    def __init__(self, kept_bytes: int = KEPT_BYTES) -> None:
        self._shelf: _Shelf[bytes] = _Shelf(kept_bytes)

    async def save(self, kind: str, owner: str, id: str, document: Json) -> None:
        body = orjson.dumps(document)
        self._shelf.put((kind, owner, id), body, len(body) + ENTRY_BYTES)

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
    about: Json = field(default_factory=dict)
    lines: dict[str, _Line] = field(default_factory=dict)
    size_bytes: int = ENTRY_BYTES

    def summary(self, id: str) -> TranscriptSummary:
        return TranscriptSummary(id, self.created_at, self.updated_at, len(self.lines), self.about)


class MemoryTranscripts:
    def __init__(self, clock: Clock, kept_bytes: int = KEPT_BYTES) -> None:
        self._clock = clock
        self._shelf: _Shelf[_Transcript] = _Shelf(kept_bytes)

    async def append(self, kind: str, owner: str, id: str, entries: Sequence[Entry]) -> None:
        transcript = self._ensured((kind, owner, id))
        for entry in entries:
            if entry.id not in transcript.lines:
                line = _Line(entry.id, orjson.dumps(entry.said), entry.text, entry.at)
                transcript.lines[entry.id] = line
                transcript.size_bytes += _size_of(line)
        self._changed((kind, owner, id), transcript)

    async def describe(self, kind: str, owner: str, id: str, about: Json) -> None:
        transcript = self._ensured((kind, owner, id))
        transcript.size_bytes += len(orjson.dumps(about)) - len(orjson.dumps(transcript.about))
        transcript.about = about
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
        transcript.size_bytes -= _size_of(line)
        self._changed((kind, owner, id), transcript)
        return True

    async def remove(self, kind: str, owner: str, id: str) -> bool:
        return self._shelf.pop((kind, owner, id))

    def _ensured(self, key: Key) -> _Transcript:
        now = self._clock.utc()
        return self._shelf.get(key) or _Transcript(now, now)

    def _changed(self, key: Key, transcript: _Transcript) -> None:
        transcript.updated_at = self._clock.utc()
        self._shelf.put(key, transcript, transcript.size_bytes)

    def _lines(self, key: Key) -> Sequence[_Line]:
        transcript = self._shelf.get(key)
        return [] if transcript is None else [*transcript.lines.values()]


def _size_of(line: _Line) -> int:
    return ENTRY_BYTES + len(line.said) + len(line.text)


def _entry(line: _Line) -> Entry:
    return Entry(line.id, orjson.loads(line.said), line.text, line.at)
