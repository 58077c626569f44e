"""What the house asks of a store, named after operations rather than tables.

Whatever callers have stored belongs to an owner, the principal whose token was
shown ("" where nobody is asked for one), and is found by its owner only.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import field
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


@value(kw_only=True)
class SessionRow:
    """A session as it is stored: what is asked for by itself, and the rest as one document."""

    id: str
    owner: str
    backend: str
    state: str
    created_at: datetime
    updated_at: datetime
    last_seq: int = 0
    """The number of its last event; they are numbered from 1 on, without gaps."""
    turn: int = 0
    """How many messages were sent."""
    document: Json = field(default_factory=dict)


@value
class LoggedEvent:
    """One event of a session's log; a reader who has seen it never sees another one with its number."""

    seq: int
    turn: int
    type: str
    content: str
    data: Json
    at: datetime


class SessionStore(Protocol):
    """Sessions and their logs. What is stored survives the death of this process at any moment."""

    async def begin(self, row: SessionRow) -> bool:
        """Store a new session; False: there is one of this id already, which stays as it is."""

    async def append(self, row: SessionRow, events: Sequence[LoggedEvent]) -> None:
        """Store the row and these further events, all of it or nothing.

        Raises:
            RhetorError: conflict, the log has gone on since: somebody else writes to it.
        """

    async def find(self, id: str) -> SessionRow | None:
        """None: there is none."""

    async def read(self, id: str, after: int, limit: int) -> Sequence[LoggedEvent]:
        """Events with greater numbers than `after`, in order."""

    async def list(
        self,
        owner: str | None,
        *,
        states: Collection[str] | None = None,
        backend: str | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> Sequence[SessionRow]:
        """What was changed last comes first; owner None: of all owners."""

    async def count(self, owner: str | None, states: Collection[str] | None = None) -> dict[str, int]:
        """How many there are, by backend."""

    async def idle_since(
        self, before: datetime, limit: int, offset: int = 0, owner: str | None = None
    ) -> Sequence[SessionRow]:
        """Those that did not change since then, the oldest first; owner None: of all owners."""

    async def remove(self, id: str, last_seq: int | None = None) -> bool:
        """Forget it, with its log. Whether there was one; with a number, whose log ends there."""

    async def close(self) -> None:
        """Give everything back; nothing is asked any more."""
