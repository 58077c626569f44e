"""What became of each plugin: a status for every one of them, and never a failure of the house."""

from __future__ import annotations

import logging
import os
import re
import shutil
import sys
from collections.abc import Collection, Iterator, Mapping
from enum import StrEnum
from pathlib import Path

from rhetor import __version__
from rhetor.core.value import value
from rhetor.plugins import mapped
from rhetor.plugins.cache import Cache
from rhetor.plugins.lock import Entry, Lock, Unlocked, read_lock
from rhetor.plugins.manifest import FILE, ID, Manifest, Reading, Requires, ServiceCheck, read_manifest
from rhetor.plugins.reading import MOST_BYTES, Problem

log = logging.getLogger(__name__)


class Status(StrEnum):
    LOADED = "loaded"
    OFF = "off"
    """Switched off in `plugins.off`."""
    BROKEN = "broken"
    """Its manifest says what no manifest may say."""
    FUTURE = "future"
    """Its manifest is of a newer format."""
    CLASH = "clash"
    """Somebody else has one of its names."""
    INCOMPATIBLE = "incompatible"
    """It needs what is not here."""
    TAMPERED = "tampered"
    """Its files are not those that were added."""
    MISSING = "missing"
    """Its files are gone."""
    FAILED = "failed"
    """The gateway failed at it; its log says why."""


@value(kw_only=True)
class Taken:
    """Names that are somebody's already, and whose."""

    providers: Mapping[str, str]
    services: Mapping[str, str]


@value(kw_only=True)
class Plugin:
    """One plugin, and what became of it."""

    id: str
    status: Status
    reason: str = ""
    """Why it is not used, and what to do; empty when it is."""
    entry: Entry
    manifest: Manifest | None = None
    folder: Path | None = None
    """Its files; None unless they are what was added."""
    problems: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def providers(self) -> Collection[str]:
        """Those it brings, or would."""
        return self.entry.providers if self.manifest is None else tuple(self.manifest.providers)


@value(kw_only=True)
class Loaded:
    """All of them, in the order of their names."""

    plugins: tuple[Plugin, ...] = ()
    lock: Lock
    trouble: str = ""
    """Why nothing can be said of any; empty when all is well."""


def load(
    folder: Path | None,
    off: Collection[str],
    taken: Taken,
    check_service: ServiceCheck,
    planned: Lock | None = None,
) -> Loaded:
    """Every plugin of the lock file with its status. Executes nothing; reads every file.

    Args:
        planned: what the lock file may say soon, instead of what it says.
    """
    if folder is None:
        return Loaded(lock=Lock())
    try:
        lock = read_lock(folder) if planned is None else planned
    except Unlocked as error:
        return Loaded(lock=Lock(), trouble=error.message)
    cache = Cache(folder)
    plugins: list[Plugin] = []
    providers, services = dict(taken.providers), dict(taken.services)
    # In the order in which they came: who was there first keeps its names.
    for id, entry in sorted(lock.plugins.items(), key=lambda each: (each[1].added_at, each[0])):
        try:
            plugin = _load(
                id, entry, cache, off, Taken(providers=providers, services=services), check_service
            )
        except Exception as error:
            log.exception("plugin failed to load", extra={"plugin": id})
            plugin = Plugin(
                id=id, status=Status.FAILED, reason=f"cannot be read: {type(error).__name__}", entry=entry
            )
        if plugin.status is Status.LOADED and plugin.manifest is not None:
            providers |= dict.fromkeys(plugin.manifest.providers, f"of the plugin {id}")
            services |= dict.fromkeys(plugin.manifest.services, f"of the plugin {id}")
        plugins.append(plugin)
    return Loaded(plugins=tuple(sorted(plugins, key=lambda plugin: plugin.id)), lock=lock)


def _load(
    id: str, entry: Entry, cache: Cache, off: Collection[str], taken: Taken, check_service: ServiceCheck
) -> Plugin:
    if id in off:
        return Plugin(id=id, status=Status.OFF, reason="it is switched off in plugins.off", entry=entry)
    if not re.fullmatch(ID, id):
        return Plugin(id=id, status=Status.BROKEN, reason="plugins.lock calls it by no name", entry=entry)
    folder = cache.place_of(entry.digest)
    again = f"`rhetor providers update {id}` fetches it again"
    if not folder.is_dir():
        return Plugin(id=id, status=Status.MISSING, reason=f"its files are gone; {again}", entry=entry)
    if not cache.is_intact(entry.digest):
        reason = f"its files are not those that were added; {again}"
        return Plugin(id=id, status=Status.TAMPERED, reason=reason, entry=entry)
    judged = judge(read_folder(folder, check_service), taken, id)
    usable = judged.status is Status.LOADED
    return Plugin(
        id=id,
        status=judged.status,
        reason=judged.reason,
        entry=entry,
        manifest=judged.reading.manifest if usable else None,
        folder=folder if usable else None,
        problems=judged.reading.problems,
        warnings=judged.reading.warnings,
    )


def read_folder(folder: Path, check_service: ServiceCheck) -> Reading:
    """What a folder says it is, in our words or in those of an earlier system."""
    data = _read(folder / FILE)
    if data is not None:
        reading = read_manifest(data, check_service)
    else:
        earlier = {name: data for name in mapped.FILES if (data := _read(folder / name)) is not None}
        if not earlier:
            return Reading(problems=(Problem(FILE, "is missing: this is no plugin"),))
        reading = mapped.read_earlier(earlier, folder, check_service)
    return _with_files(reading, folder)


def _read(path: Path) -> bytes | None:
    try:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            return file.read(MOST_BYTES + 1)
    except OSError:
        return None


def _with_files(reading: Reading, folder: Path) -> Reading:
    """The same, once it is seen whether the files that it names are there."""
    if reading.manifest is None:
        return reading
    missing = [
        Problem(f"code.{name}.main", "is no file of the plugin", repr(code.main))
        for name, code in reading.manifest.code.items()
        if not (folder / code.main).is_file()
    ]
    if not missing:
        return reading
    return Reading(file=reading.file, problems=(*reading.problems, *missing), warnings=reading.warnings)


@value(kw_only=True)
class Judged:
    """Whether a plugin could be used here, and else why not."""

    status: Status
    reason: str = ""
    reading: Reading


def judge(reading: Reading, taken: Taken, id: str | None = None) -> Judged:
    """
    Args:
        id: what it must be called; None: as it says.
    """
    manifest = reading.manifest
    if reading.future is not None:
        return Judged(status=Status.FUTURE, reason=str(reading.problems[0]), reading=reading)
    if manifest is None:
        count = len(reading.problems)
        reason = f"{reading.file} has {count} problem{'s' if count != 1 else ''}"
        return Judged(status=Status.BROKEN, reason=reason, reading=reading)
    if id is not None and manifest.id != id:
        reason = f"it calls itself {manifest.id!r} now; remove {id!r}, and add that"
        return Judged(status=Status.CLASH, reason=reason, reading=reading)
    if clashes := list(_clashes(manifest, taken)):
        return Judged(status=Status.CLASH, reason="; ".join(clashes), reading=reading)
    if lacking := list(_lacking(manifest.requires)):
        return Judged(status=Status.INCOMPATIBLE, reason="; ".join(lacking), reading=reading)
    return Judged(status=Status.LOADED, reading=reading)


def _clashes(manifest: Manifest, taken: Taken) -> Iterator[str]:
    for kind, ids, theirs in (
        ("provider", manifest.providers, taken.providers),
        ("service", manifest.services, taken.services),
    ):
        for id in ids:
            if id in theirs:
                yield f"there is a {kind} {id!r} already, {theirs[id]}; one of them must be called otherwise"


def _lacking(requires: Requires) -> Iterator[str]:
    if requires.rhetor is not None and not fits(__version__, requires.rhetor):
        yield f"it needs rhetor {requires.rhetor.strip()}, and this is {__version__}"
    if requires.platforms and sys.platform not in requires.platforms:
        yield f"it runs on {', '.join(requires.platforms)}, and this is {sys.platform}"
    for program, remedy in requires.programs.items():
        if shutil.which(program, path=os.defpath if "PATH" not in os.environ else None) is None:
            yield f"it needs the program {program}: {remedy}"


def fits(version: str, wanted: str) -> bool:
    """Whether a version is what `>=1.2, <2` says. Of `1.2.dev3` counts 1.2."""
    ours = _numbers(version)
    for part in wanted.split(","):
        found = re.fullmatch(r"\s*(>=|<=|==|!=|<|>)\s*([\d.]+)\s*", part)
        if found is None:
            return False
        theirs = _numbers(found[2])
        length = max(len(ours), len(theirs))
        left, right = ours + (0,) * (length - len(ours)), theirs + (0,) * (length - len(theirs))
        held = {
            ">=": left >= right,
            "<=": left <= right,
            "==": left == right,
            "!=": left != right,
            "<": left < right,
            ">": left > right,
        }
        if not held[found[1]]:
            return False
    return True


def _numbers(version: str) -> tuple[int, ...]:
    found = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(part) for part in found[0].split(".")) if found is not None else (0,)
