"""One file is read: found to be worth it, decoded, and given to whoever knows its language."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import libcst as cst

from rhetor.migrate import manifest, python, script
from rhetor.migrate.crew import Failure
from rhetor.migrate.files import LARGEST_BYTES
from rhetor.migrate.finding import Reading
from rhetor.migrate.source import Source, Unreadable, decode, digest
from rhetor.migrate.values import Exports
from rhetor.migrate.vendors import may_matter

_IMPORTS = {
    "python": re.compile(r"^[ \t]*(?:from[ \t]+([.\w]+)[ \t]+)?import[ \t]+\(?([\w., \t]+)", re.MULTILINE),
    "script": re.compile(r"""(?:from|require\(|import\(|import)\s*['"](\.[^'"\n]{1,200})['"]()"""),
}


@dataclass(frozen=True, slots=True)
class Job:
    """A file to be read, and what is known of others."""

    path: Path
    name: str
    language: str
    size_bytes: int
    component: str | None = None
    world: Mapping[str, Exports] = field(default_factory=dict)


def read(job: Job) -> Reading | Failure:
    """What one file has to say."""
    if job.size_bytes > LARGEST_BYTES:
        return Failure(f"it is larger than {LARGEST_BYTES // 1_000_000} MB")
    try:
        raw = job.path.read_bytes()
    except OSError as error:
        return Failure(error.strerror or "it cannot be read")
    try:
        source = decode(job.name, raw)
    except Unreadable as error:
        # A file that cannot hold anything of interest may be in any encoding.
        return Failure(str(error)) if may_matter(raw.decode("latin-1")) else Reading()
    if not job.world and not may_matter(source.text):
        return Reading(imports=_imports(source, job.language))
    try:
        return replace(_understood(source, job), digest=digest(raw))
    except cst.ParserSyntaxError as error:
        return Failure(f"line {error.editor_line}: it is no Python that can be parsed")


def _understood(source: Source, job: Job) -> Reading:
    match job.language:
        case "python":
            return python.read(source, job.world, job.component)
        case "script" | "page":
            return script.read(source, job.world)
        case "manifest":
            return manifest.read(source)
        case "environment":
            return manifest.read_environment(source)
    raise AssertionError(job.language)


def _imports(source: Source, language: str) -> frozenset[str]:
    """Modules that a file without anything of interest imports: one of them may hand it a client."""
    pattern = _IMPORTS.get("python" if language == "python" else "script")
    found: set[str] = set()
    for match in pattern.finditer(source.text) if pattern and language in (*_IMPORTS, "page") else ():
        module, names = match[1] or "", match[2] or ""
        found |= {module} if module else set()
        for name in names.split(","):
            bare = name.split()[0] if name.split() else ""
            joint = "" if not module or module.endswith(".") else "."
            found |= {f"{module}{joint}{bare}"} if bare else set()
    return frozenset(found)
