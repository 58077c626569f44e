"""What is known of a code provider before it runs: where its code is, what it needs, and how much of all."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field, fields, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

from rhetor.core.errors import BadRequest
from rhetor.core.value import value

Language: TypeAlias = Literal["python", "javascript"]
Policy: TypeAlias = Literal["required", "best"]
"""required: a guest that cannot be confined does not run; best: it runs as confined as it can be."""


@value(kw_only=True)
class Limits:
    memory_mb: int = 512
    """Of all its processes together where they can be told apart, else of each."""
    processes: int = 64
    """And threads."""
    files: int = 256
    """Open at the same time, in each process."""
    scratch_mb: int = 64
    """What it may write to its own folder; where that cannot be bounded, the largest file in it."""
    cpu_s: int | None = None
    """Seconds of processor time after which it is ended, and started again when it is needed."""
    calls: int = 32
    """At the same time; further ones wait."""
    start_s: float = 30.0
    """How long it may take until it answers its first question."""
    idle_stop_s: float | None = 300.0
    """When nobody has asked it anything for so long it is stopped; None: never."""


@value(kw_only=True)
class Most:
    """What any guest gets at most, as the operator decided; None: as much as it asks for."""

    memory_mb: int | None = None
    processes: int | None = None
    files: int | None = None
    scratch_mb: int | None = None
    cpu_s: int | None = None
    start_s: float | None = None
    idle_stop_s: float | None = None


def capped(asked: Limits, most: Most) -> tuple[Limits, Mapping[str, tuple[float | None, float]]]:
    """The limits that hold, and those of them that were asked for otherwise: what was asked, what is given.

    Whoever asks for no limit at all asks for more than any.
    """
    lowered: dict[str, tuple[float | None, float]] = {}
    for limit in fields(most):
        wanted, ceiling = getattr(asked, limit.name), getattr(most, limit.name)
        if ceiling is not None and (wanted is None or wanted > ceiling):
            lowered[limit.name] = wanted, ceiling
    held: dict[str, Any] = {name: given for name, (_, given) in lowered.items()}
    return replace(asked, **held), lowered


@value(kw_only=True)
class CodeSpec:
    id: str
    """For logs and messages."""
    folder: Path
    """The plugin's files, which it may read."""
    language: Language
    main: str
    """Its main file, in the folder."""
    requirements: tuple[str, ...] = ()
    """Packages, as pip takes them (`cowsay==6.1`) or npm (`cowsay@1.6.0`)."""
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Exactly what it has declared, with values."""
    hosts: tuple[str, ...] = ()
    """What it may connect to: `api.example.com`, `.example.com` for all below it, `example.com:8443`;
    port 443 where none is said."""
    reads: tuple[Path, ...] = ()
    """What else it may read, as the operator decided: a model's file."""
    limits: Limits = field(default_factory=Limits)

    @property
    def main_file(self) -> Path:
        """
        Raises:
            BadRequest: it is none, or lies elsewhere.
        """
        path = (self.folder / self.main).resolve()
        if not path.is_relative_to(self.folder.resolve()) or not path.is_file():
            raise BadRequest(f"{self.id}: its main file {self.main!r} is not in its folder")
        return path


_REQUIREMENT = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9._-]*"  # a name
    r"(\s*\[[A-Za-z0-9._,\s-]*\])?"  # extras
    r"(\s*(===|==|~=|!=|<=|>=|<|>)\s*[A-Za-z0-9._*+!-]+(\s*,\s*(===|==|~=|!=|<=|>=|<|>)\s*[A-Za-z0-9._*+!-]+)*)?"
    r"(\s*;[^@\n\r]*)?"  # markers
)


_PACKAGE = re.compile(r"(@[a-z0-9~][a-z0-9._~-]*/)?[a-z0-9~][a-z0-9._~-]*(@[0-9A-Za-z.^~<>=*+_ |-]+)?")


def checked_requirements(requirements: tuple[str, ...], language: Language = "python") -> tuple[str, ...]:
    """
    Raises:
        BadRequest: one is an option, an address or a path: only packages of the index are installed.
    """
    pattern, example = (_REQUIREMENT, "cowsay==6.1") if language == "python" else (_PACKAGE, "cowsay@1.6.0")
    for each in requirements:
        if not pattern.fullmatch(each.strip()):
            message = f"requirement {each!r}: expected a package with its version, such as {example!r}"
            raise BadRequest(message, param="requirements")
    return tuple(each.strip() for each in requirements)
