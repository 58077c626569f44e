"""A code base is scanned: every file by itself first, then again where other files hand it a client."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from rhetor.migrate.crew import Crew, Failure
from rhetor.migrate.files import File, language, walk
from rhetor.migrate.finding import Problem, Reading, Report
from rhetor.migrate.reading import Job, read
from rhetor.migrate.settle import settled
from rhetor.migrate.values import Class, Exports, Function, Instance

ROUNDS = 4  # a client that is handed on through more modules than this is not followed
FEW = 30  # files that one child reads sooner than a second one starts
MANY = 8  # children; beyond that the disk is what one waits for


def scan(root: Path, *, component: str | None = None, exclude: Sequence[str] = ()) -> Report:
    """Everything below a folder (or one file) that reaches models past the gateway."""
    started_s = time.monotonic()
    files = {file.name: file for file in walk(root, exclude)}
    hands = 1 if len(files) <= FEW else min(MANY, os.cpu_count() or 1)
    with Crew(read, hands) as crew:
        readings, problems = _read(crew, files, component)
    findings, changes = settled(readings)
    return Report(
        str(root),
        findings,
        tuple(Problem(name, reason) for name, reason in sorted(problems.items())),
        changes,
        {file: readings[file].digest for file in changes},
        len(files),
        time.monotonic() - started_s,
    )


def _read(
    crew: Crew[Job, Reading | Failure], files: Mapping[str, File], component: str | None
) -> tuple[dict[str, Reading], dict[str, str]]:
    readings: dict[str, Reading] = {}
    problems: dict[str, str] = {}
    worlds: dict[str, dict[str, Exports]] = {name: {} for name in files}
    due = list(files)
    for _ in range(ROUNDS):
        jobs = [_job(files[name], component, worlds[name]) for name in due]
        for job, result in crew.do(jobs):
            if isinstance(result, Failure):
                problems[job.name] = result.reason
            else:
                readings[job.name] = result
        fresh = {name: _world(name, reading, readings) for name, reading in readings.items()}
        due = [name for name, world in fresh.items() if world != worlds[name]]
        worlds |= fresh
        if not due:
            break
    return readings, problems


def _job(file: File, component: str | None, world: Mapping[str, Exports]) -> Job:
    return Job(file.path, file.name, language(file.name), file.size_bytes, component, world)


def _world(name: str, reading: Reading, readings: Mapping[str, Reading]) -> dict[str, Exports]:
    """What the modules that a file imports have to offer, as it spells them."""
    world: dict[str, Exports] = {}
    find = _python_module if language(name) == "python" else _script_module
    for module in reading.imports:
        target = find(module, name, readings)
        if target is None or not readings[target].exports:
            continue
        exports: Exports = readings[target].exports  # type: ignore[assignment]  # the readers' own words
        world[module] = exports
        for file in {target, *_files_named(exports)}:
            if file in readings:
                world[file] = readings[file].exports  # type: ignore[assignment]
    return world


def _files_named(exports: Exports) -> set[str]:
    files = set()
    for value in exports.values():
        kind = value.of if isinstance(value, Instance) else value
        if isinstance(kind, Class | Function):
            files.add(kind.file)
    return files


def _python_module(module: str, importer: str, readings: Mapping[str, Reading]) -> str | None:
    """The file of a module: beside the importer where dots say so, else the nearest with such an end."""
    bare = module.lstrip(".")
    dots = len(module) - len(bare)
    parts = bare.split(".") if bare else []
    folder = PurePosixPath(importer).parent
    if dots:
        for _ in range(dots - 1):
            folder = folder.parent
        starts = [folder]
    else:
        starts = [folder, *folder.parents]
        starts += [start / "src" for start in starts]
    for start in starts:
        base = start.joinpath(*parts)
        for candidate in (f"{base}.py", f"{base}/__init__.py"):
            if candidate in readings:
                return candidate
    return None


def _script_module(module: str, importer: str, readings: Mapping[str, Reading]) -> str | None:
    """The file of a relative import; TypeScript's sources are imported by the names of what they become."""
    if not module.startswith("."):
        return None
    base = os.path.normpath(str(PurePosixPath(importer).parent / module))
    stem = base.removesuffix(".js").removesuffix(".mjs").removesuffix(".cjs")
    endings = ("", ".ts", ".tsx", ".js", ".jsx", ".mjs", ".cjs", ".mts", ".cts", "/index.ts", "/index.js")
    return next((n for e in endings for n in (f"{base}{e}", f"{stem}{e}") if n in readings), None)
