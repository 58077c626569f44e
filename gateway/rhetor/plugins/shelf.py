"""The folder of plugins and what can be done with it: look at one, add, update, remove. Nothing is executed.

Everything here blocks, and is called in a thread of its own where somebody else would wait.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

from rhetor.core.errors import BadRequest, Code
from rhetor.core.value import value
from rhetor.plugins import git, npm
from rhetor.plugins.addresses import ensure_outside
from rhetor.plugins.cache import Cache, digest_of, discard, entries
from rhetor.plugins.loader import Judged, Plugin, Status, Taken, judge, read_folder
from rhetor.plugins.lock import FILE, Entry, Lock, read_lock, turn, write_lock
from rhetor.plugins.manifest import ServiceCheck
from rhetor.plugins.package import copy_package
from rhetor.plugins.program import Fetching
from rhetor.plugins.sources import Kind, Source, parse_source
from rhetor.plugins.tree import Bounds, Tree, copy_folder

HTTPS_PORT = 443
SLACK_BYTES = 16 << 20  # what git and npm keep beside the files
SWEEP_S = 2.0  # a start does not wait for somebody who changes something: it is swept next time
STATE = "state"
"""Where each has a folder for what it makes: an environment, say."""
WEIGHTS = 3  # a repository, its files as they are read, and the files as they are written


@value(kw_only=True)
class Rules:
    """How plugins may be fetched."""

    max_bytes: int
    allowed_hosts: frozenset[str]
    npm_registry: str
    environ: Mapping[str, str]
    utc: Callable[[], datetime]


@value(kw_only=True)
class Arrival:
    """A plugin that was fetched, and is not added: all that can be said of it before."""

    source: Source
    pinned: Mapping[str, str]
    """What its ref stands for: `ref_kind`, `commit`, `version`, `integrity`, as far as there are any."""
    digest: str
    folder: Path
    judged: Judged
    warnings: tuple[str, ...]

    @property
    def id(self) -> str:
        manifest = self.judged.reading.manifest
        return manifest.id if manifest is not None else ""


class Shelf:
    """The plugins of one folder.

    Args:
        taken: names that are somebody's already, other than plugins'.
    """

    def __init__(self, folder: Path, rules: Rules, taken: Taken, check_service: ServiceCheck) -> None:
        self.folder = folder
        self._rules = rules
        self._taken = taken
        self._check_service = check_service
        self._cache = Cache(folder)

    @contextmanager
    def arriving(
        self, source: Source, given_up: threading.Event, others: Mapping[str, Plugin], id: str | None = None
    ) -> Iterator[Arrival]:
        """Fetch a plugin, to look at it; it is gone afterwards unless it was added meanwhile.

        Args:
            others: the plugins that there are.
            id: what it must be called, when it is to replace that one.

        Raises:
            RhetorError: it cannot be fetched, or not be read.
        """
        with self._cache.arriving() as place:
            tree = Tree(_made(place / "plugin"), Bounds(self._rules.max_bytes))
            pinned = self._fetch(source, tree, _made(place / "fetching"), given_up)
            discard(place / "fetching")
            taken = self._taken_beside(id, others)
            judged = judge(read_folder(tree.root, self._check_service), taken, id)
            judged = _again(judged, others, id)
            warnings = (*tree.warnings, *judged.reading.warnings)
            yield Arrival(
                source=source,
                pinned=pinned,
                digest=digest_of(tree.root),
                folder=tree.root,
                judged=judged,
                warnings=warnings,
            )

    def _fetch(
        self, source: Source, tree: Tree, folder: Path, given_up: threading.Event
    ) -> Mapping[str, str]:
        """Fill the tree; what the ref stood for."""
        if source.kind is Kind.FOLDER:
            copy_folder(Path(source.place), tree)
            return {}
        if source.kind is Kind.PYTHON:
            return {"version": copy_package(source, tree).version}
        most = self._rules.max_bytes * WEIGHTS + SLACK_BYTES
        fetching = Fetching(folder, self._rules.environ, most, given_up)
        if source.kind is Kind.NPM:
            packed = npm.fetch(source, self._rules.npm_registry, fetching, tree)
            return {"version": packed.version, "integrity": packed.integrity}
        addresses = self._addresses(source.place)
        commit = git.resolve(source, fetching, addresses)
        git.fetch(source, commit, fetching, addresses, tree)
        return {"ref_kind": commit.kind, "commit": commit.id}

    def _addresses(self, url: str) -> tuple[str, ...]:
        """Where it is; nothing when it is on this machine's disk, or a proxy knows that and we do not."""
        parts = urlsplit(url)
        if parts.scheme == "file" or not parts.hostname:
            return ()
        if any(self._rules.environ.get(name) for name in ("https_proxy", "HTTPS_PROXY")):
            return ()
        return ensure_outside(parts.hostname, parts.port or HTTPS_PORT, self._rules.allowed_hosts)

    def _taken_beside(self, id: str | None, others: Mapping[str, Plugin]) -> Taken:
        """The names that are somebody's, other than its own."""
        providers, services = dict(self._taken.providers), dict(self._taken.services)
        for each in others.values():
            if each.id != id and each.manifest is not None:
                providers |= dict.fromkeys(each.manifest.providers, f"of the plugin {each.id}")
                services |= dict.fromkeys(each.manifest.services, f"of the plugin {each.id}")
        return Taken(providers=providers, services=services)

    def keep(self, arrival: Arrival, granted: tuple[str, ...], before: Entry | None = None) -> Entry:
        """Take in the files of what has arrived; nobody uses them until the entry is written down.

        Args:
            before: what it is to replace.
        """
        manifest = arrival.judged.reading.manifest
        assert manifest is not None
        assert arrival.judged.status is Status.LOADED
        now = self._rules.utc()
        entry = Entry(
            source=arrival.source.said,
            kind=arrival.source.kind,
            ref=arrival.source.ref,
            digest=arrival.digest,
            added_at=before.added_at if before is not None else now,
            updated_at=now,
            granted=tuple(dict.fromkeys((*(before.granted if before is not None else ()), *granted))),
            providers=tuple(manifest.providers),
            services=tuple(manifest.services),
            **{"version": manifest.version, **arrival.pinned},
        )
        with turn(self.folder):
            self._cache.keep(arrival.folder, arrival.digest)
        return entry

    def put(self, id: str, entry: Entry | None, instead: Entry | None) -> None:
        """Write down that it is this; None: that it is no more. Files that nobody needs stay until `sweep`.

        Args:
            instead: what is there now.

        Raises:
            BadRequest: conflict, somebody else was faster.
            Unlocked: the lock file cannot be used.
        """
        with turn(self.folder):
            lock = read_lock(self.folder)
            there = entry is None or self._cache.place_of(entry.digest).is_dir()  # a start sweeps them
            if lock.plugins.get(id) != instead or not there:
                message = f"somebody else changes {id!r} at the same time; look, and try again"
                raise BadRequest(message, Code.CONFLICT)
            write_lock(self.folder, lock.without(id) if entry is None else lock.with_entry(id, entry))

    def planned(self, id: str, entry: Entry | None) -> Lock:
        """What the lock file would say with this."""
        lock = read_lock(self.folder)
        return lock.without(id) if entry is None else lock.with_entry(id, entry)

    def sweep(self, within_s: float = SWEEP_S) -> None:
        """Remove the files of plugins that are no more, and what they have made.

        Raises:
            RhetorError: the folder cannot be used.
        """
        if not self.folder.is_dir():
            return
        with turn(self.folder, within_s):
            for place in self.folder.glob(f".{FILE}.*"):  # somebody died while it was written
                place.unlink(missing_ok=True)
            plugins = read_lock(self.folder).plugins
            self._cache.sweep({entry.digest for entry in plugins.values()})
            for place in entries(self.folder / STATE):
                if place.name not in plugins:
                    discard(place)


def moved(arrival: Arrival, before: Entry) -> str | None:
    """Why an update is not what it seems: the same name stands for something else. None when it does not."""
    commit, package = arrival.pinned.get("commit", ""), arrival.source.place
    same_ref = arrival.source.ref == before.ref
    if same_ref and before.ref_kind == "tag" and commit != before.commit:
        return f"the tag {before.ref!r} was {before.commit[:12]} when it was added, and is {commit[:12]} now"
    same_version = arrival.source.kind is Kind.NPM and arrival.pinned["version"] == before.version
    if same_version and arrival.pinned["integrity"] != before.integrity:
        return f"version {before.version} of {package} is not what it was when it was added"
    return None


def source_of(entry: Entry, ref: str | None) -> Source:
    """Where an update comes from.

    Raises:
        BadRequest: there are no refs there.
    """
    source = parse_source(entry.source)
    if ref is None:
        return source
    if source.kind not in (Kind.GIT, Kind.NPM):
        raise BadRequest(f"{entry.source} has no refs", Code.INVALID_REQUEST, param="ref")
    return source.at(ref)


def _again(judged: Judged, others: Mapping[str, Plugin], id: str | None) -> Judged:
    """Whether a plugin that is to be added is there already."""
    manifest = judged.reading.manifest
    if id is None and manifest is not None and manifest.id in others:
        there = others[manifest.id].entry.source
        reason = f"the plugin {manifest.id!r} is there already, from {there}; update it, or remove it first"
        return Judged(status=Status.CLASH, reason=reason, reading=judged.reading)
    return judged


def _made(folder: Path) -> Path:
    folder.mkdir(0o700)
    return folder
