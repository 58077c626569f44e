"""Where plugins are handed in and out. A change is made ready first: its files are kept, and nobody uses
them. Whoever asked for it sees whether the house could be made so; then it is written down, in one step.
Whoever is killed on the way leaves what was there before.

Everything here blocks.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from rhetor.core.content import Json
from rhetor.core.errors import BadRequest, Code, RhetorError
from rhetor.core.value import value
from rhetor.plugins.guest.spec import Most
from rhetor.plugins.loader import Loaded, Plugin, Status
from rhetor.plugins.lock import Entry, Lock
from rhetor.plugins.report import arrival_report
from rhetor.plugins.shelf import Arrival, Shelf, moved, source_of
from rhetor.plugins.sources import Kind, Source, parse_source
from rhetor.plugins.variables import Theirs, theirs_beside

REFUSED: Mapping[Status, Code] = {
    Status.BROKEN: Code.INVALID_REQUEST,
    Status.FUTURE: Code.UNSUPPORTED,
    Status.CLASH: Code.CONFLICT,
    Status.INCOMPATIBLE: Code.UNSUPPORTED,
}

UNBOUNDED = Most()


class Refused(BadRequest):
    """A plugin that is not taken.

    Args:
        status: what it would be, or `moved`.
        report: all that can be said of it.
    """

    def __init__(self, message: str, code: Code, status: str, report: Json) -> None:
        super().__init__(message, code)
        self.status_word = status
        self.report = report


@value(kw_only=True)
class Wish:
    """What somebody wants of an update."""

    ref: str | None = None
    """Another one than it has."""
    granted: tuple[str, ...] = ()
    """Variables of others that it may have."""
    accept_moved: bool = False
    dry_run: bool = False


@value(kw_only=True)
class Change:
    """What was made ready, and is not yet written down."""

    id: str
    before: Entry | None
    """What is there; None: nothing."""
    after: Entry | None
    """What shall be there; None: nothing."""
    report: Json


class Desk:
    """Where plugins are handed in and out.

    Args:
        shelf: None: there is no folder for them.
        loaded: every plugin as it is now.
        most: what their programs get at most.
    """

    def __init__(
        self,
        shelf: Shelf | None,
        loaded: Loaded,
        theirs: Theirs,
        environ: Mapping[str, str],
        most: Most = UNBOUNDED,
    ) -> None:
        self._shelf = shelf
        self._loaded = loaded
        self._theirs = theirs
        self._environ = environ
        self._most = most

    def look(self, said: str, granted: tuple[str, ...], given_up: threading.Event) -> Json:
        """Fetch a plugin, to say what it is.

        Raises:
            RhetorError: it cannot be fetched, or could not be used here.
        """
        shelf, others = self._opened()
        with _in_words(shelf), shelf.arriving(parse_source(said), given_up, others) as arrival:
            return self._judged(arrival, granted)

    def add(self, said: str, granted: tuple[str, ...], given_up: threading.Event) -> Change:
        """Fetch a plugin, look at it, and keep its files.

        Raises:
            RhetorError: as when it is only looked at; then nothing has changed.
        """
        shelf, others = self._opened()
        with _in_words(shelf), shelf.arriving(parse_source(said), given_up, others) as arrival:
            report = self._judged(arrival, granted)
            after = shelf.keep(arrival, granted)
            return Change(id=arrival.id, before=None, after=after, report=report)

    def update(self, id: str, wish: Wish, given_up: threading.Event) -> Change:
        """Fetch a plugin again, from where it came or at another ref.

        Raises:
            RhetorError: as when it is added; moved, its tag is not what it was, and nobody has said that
                this is accepted.
        """
        shelf, others = self._opened()
        before = _entry(id, others)
        source = source_of(before, wish.ref)
        with _in_words(shelf), shelf.arriving(source, given_up, others, id) as arrival:
            report = self._judged(arrival, (*before.granted, *wish.granted), id)
            report = {**report, "changed": arrival.digest != before.digest}
            if (why := moved(arrival, before)) is not None and not wish.accept_moved:
                remedy = "look at what has changed; if that is well, say so (--accept-moved)"
                raise Refused(f"{id}: moved: {why}; {remedy}", Code.CONFLICT, "moved", report)
            after = before if wish.dry_run else shelf.keep(arrival, wish.granted, before)
            return Change(id=id, before=before, after=after, report=report)

    def remove(self, id: str) -> Change:
        """Get ready to forget a plugin.

        Raises:
            BadRequest: not_found.
        """
        _, others = self._opened()
        before = _entry(id, others)
        report: Json = {"id": id, "status": "removed", "source": before.source}
        return Change(id=id, before=before, after=None, report=report)

    def planned(self, change: Change) -> Lock:
        """All plugins that there would be with this change.

        Raises:
            Unlocked: the lock file cannot be used.
        """
        shelf, _ = self._opened()
        return shelf.planned(change.id, change.after)

    def write(self, change: Change) -> None:
        """Write it down: from now on it is so, whoever dies.

        Raises:
            RhetorError: nothing has changed; conflict, somebody else was faster.
        """
        shelf, _ = self._opened()
        with _in_words(shelf):
            shelf.put(change.id, change.after, instead=change.before)

    def undo(self, change: Change) -> None:
        """As it was before: it was written down, and cannot be put into force all the same."""
        shelf, _ = self._opened()
        shelf.put(change.id, change.before, instead=change.after)

    def _opened(self) -> tuple[Shelf, Mapping[str, Plugin]]:
        if self._shelf is None:
            message = "nothing is kept here (store.folder is :memory:); set plugins.folder"
            raise RhetorError(message, Code.UNAVAILABLE)
        if self._loaded.trouble:
            raise RhetorError(self._loaded.trouble, Code.UNAVAILABLE)
        return self._shelf, {plugin.id: plugin for plugin in self._loaded.plugins}

    def _judged(self, arrival: Arrival, granted: tuple[str, ...], id: str | None = None) -> Json:
        theirs = theirs_beside(self._theirs, self._loaded.plugins, id)
        report = arrival_report(arrival, granted, theirs, self._environ, self._most)
        judged = arrival.judged
        if judged.status is not Status.LOADED:
            lines = [f"{arrival.source.said}: {judged.status}: {judged.reason}"]
            lines += [f"  {problem}" for problem in judged.reading.problems]
            raise Refused("\n".join(lines), REFUSED[judged.status], judged.status.value, report)
        return report


@contextmanager
def _in_words(shelf: Shelf) -> Iterator[None]:
    """Around work with files, which may be anything's: a full disk's, a package's that lacks some."""
    try:
        yield
    except OSError as error:
        where = error.filename or shelf.folder
        message = f"{where}: {error.strerror or error}; nothing was changed: mend that, and try again"
        raise RhetorError(message, Code.UNAVAILABLE) from error


def _entry(id: str, plugins: Mapping[str, Plugin]) -> Entry:
    if id not in plugins:
        known = f"there are {', '.join(plugins)}" if plugins else "there are none"
        raise BadRequest(f"no plugin {id!r}; {known}", Code.NOT_FOUND)
    return plugins[id].entry


def may_come_from_afar(said: str) -> Source:
    """A source that somebody beyond this machine's terminal may name.

    Raises:
        BadRequest: it depends on where one stands.
    """
    source = parse_source(said)
    if source.kind is Kind.FOLDER and not source.place.startswith("/"):
        raise BadRequest(
            f"{said!r} depends on where one stands; write the whole path",
            Code.INVALID_REQUEST,
            param="source",
        )
    return source
