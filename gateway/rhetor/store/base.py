"""What the house asks of a store, named after operations rather than tables.

Whatever callers have stored belongs to an owner, the principal whose token was
shown ("" where nobody is asked for one), and is found by its owner only.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from rhetor.core.content import Json
from rhetor.core.record import TripRecord
from rhetor.core.value import value


class Ledger(Protocol):
    """The books: appended in batches by one writer, read by people."""

    async def append(self, records: Sequence[TripRecord]) -> None:
        """Book these. A record whose id is in the books already is left as it is: a batch may come again."""

    async def latest(self, limit: int) -> Sequence[TripRecord]:
        """Newest first."""


class Documents(Protocol):
    """Whole things that callers come back to, such as stored responses; each has a kind and an id."""

    async def save(self, kind: str, owner: str, id: str, document: Json) -> None:
        """Keep it, in place of an earlier one of this id. Later ones may push it out.

        Raises:
            BadRequest: too large to be kept; an earlier one stays.
        """

    async def load(self, kind: str, owner: str, id: str) -> Json | None:
        """None: there is none, or it is somebody else's, or was kept no longer."""

    async def remove(self, kind: str, owner: str, id: str) -> bool:
        """Whether there was one."""


@value
class Entry:
    """One thing that was said in a transcript."""

    id: str
    said: Json
    """As the dialect writes it that keeps this kind of transcript."""
    text: str
    """What a search looks through."""
    at: datetime


@value
class TranscriptSummary:
    id: str
    created_at: datetime
    updated_at: datetime
    entries: int
    about: Json
    """What its owner noted of it."""


class Transcripts(Protocol):
    """Conversations that grow by entries, such as contexts; each has a kind and an id."""

    async def append(self, kind: str, owner: str, id: str, entries: Sequence[Entry]) -> None:
        """Add these at the end; the transcript begins with its first ones. An entry whose id is there already
        is left as it is. When it grows too large, a transcript loses its oldest entries.

        Raises:
            BadRequest: together these are too large to be kept; none of them is.
        """

    async def describe(self, kind: str, owner: str, id: str, about: Json) -> None:
        """Note something of it, in place of what was noted before; with that it begins.

        Raises:
            BadRequest: too large to be kept; what was noted before stays.
        """

    async def find(self, kind: str, owner: str, id: str) -> TranscriptSummary | None:
        """None: there is none, or it is somebody else's, or was kept no longer."""

    async def read(self, kind: str, owner: str, id: str, last: int | None = None) -> Sequence[Entry]:
        """Its entries in order, or only so many of the last ones; none where there is no transcript."""

    async def list(self, kind: str, owner: str, limit: int) -> Sequence[TranscriptSummary]:
        """Those of an owner; what was changed last comes first."""

    async def search(self, kind: str, owner: str, id: str, words: str, limit: int) -> Sequence[Entry]:
        """Entries whose text has these words in it, whatever their case; the newest first."""

    async def forget(self, kind: str, owner: str, id: str, entry_id: str) -> bool:
        """Take one entry out. Whether there was one."""

    async def remove(self, kind: str, owner: str, id: str) -> bool:
        """Whether there was one."""
