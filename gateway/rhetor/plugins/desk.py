"""Where plugins are handed in and out. A change is written down first, and taken back when the house cannot
be made with it.

Everything here blocks.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from rhetor.core.content import Json
from rhetor.core.errors import BadRequest, Code, RhetorError
from rhetor.core.value import value
from rhetor.plugins.loader import Loaded, Plugin, Status
from rhetor.plugins.lock import Entry
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
    """What was written down, and not yet put into force."""

    id: str
    before: Entry | None
    """What was there; None: nothing."""
    report: Json


class Desk:
    """Where plugins are handed in and out.

    Args:
        shelf: None: there is no folder for them.
        loaded: every plugin as it is now.
    """

    def __init__(
        self, shelf: Shelf | None, loaded: Loaded, theirs: Theirs, environ: Mapping[str, str]
    ) -> None:
        self._shelf = shelf
        self._loaded = loaded
        self._theirs = theirs
        self._environ = environ

    def look(self, said: str, granted: tuple[str, ...], given_up: threading.Event) -> Json:
        """Fetch a plugin, to say what it is.

        Raises:
            RhetorError: it cannot be fetched, or could not be used here.
        """
        shelf, others = self._opened()
        with _in_words(shelf), shelf.arriving(parse_source(said), given_up, others) as arrival:
            return self._judged(arrival, granted)

    def add(self, said: str, granted: tuple[str, ...], given_up: threading.Event) -> Change:
        """Fetch a plugin, look at it, and take it in.

        Raises:
            RhetorError: as when it is only looked at; then nothing has changed.
        """
        shelf, others = self._opened()
        with _in_words(shelf), shelf.arriving(parse_source(said), given_up, others) as arrival:
            report = self._judged(arrival, granted)
            shelf.add(arrival, granted)
            return Change(id=arrival.id, before=None, report=report)

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
            if not wish.dry_run:
                shelf.add(arrival, wish.granted, before)
            return Change(id=id, before=before, report=report)

    def remove(self, id: str) -> Change:
        """Forget a plugin.

        Raises:
            BadRequest: not_found.
        """
        shelf, others = self._opened()
        before = _entry(id, others)
        with _in_words(shelf):
            shelf.put(id, None)
        return Change(id=id, before=before, report={"id": id, "status": "removed", "source": before.source})

    def undo(self, change: Change) -> None:
        """As it was before: the house cannot be made with it."""
        shelf, _ = self._opened()
        shelf.put(change.id, change.before)

    def _opened(self) -> tuple[Shelf, Mapping[str, Plugin]]:
        if self._shelf is None:
            message = "nothing is kept here (store.folder is :memory:); set plugins.folder"
            raise RhetorError(message, Code.UNAVAILABLE)
        if self._loaded.trouble:
            raise RhetorError(self._loaded.trouble, Code.UNAVAILABLE)
        return self._shelf, {plugin.id: plugin for plugin in self._loaded.plugins}

    def _judged(self, arrival: Arrival, granted: tuple[str, ...], id: str | None = None) -> Json:
        theirs = theirs_beside(self._theirs, self._loaded.plugins, id)
        report = arrival_report(arrival, granted, theirs, self._environ)
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
