"""What tests of single files share: findings as short tuples, and files as they would be after `--write`."""

from __future__ import annotations

from rhetor.migrate import python, script
from rhetor.migrate.finding import Reading
from rhetor.migrate.settle import settled
from rhetor.migrate.source import Source, edited
from rhetor.migrate.values import World

Short = tuple[int, str, str]
"""Line, kind, and what was found."""


def read(text: str, file: str = "a.py", component: str | None = None, world: World | None = None) -> Reading:
    source = Source(file, text)
    return python.read(source, world, component) if file.endswith(".py") else script.read(source, world)


def found(text: str, file: str = "a.py", world: World | None = None) -> list[Short]:
    return [(f.line, f.kind.value, f.what) for f in read(text, file, world=world).findings]


def written(text: str, file: str = "a.py", component: str | None = None) -> str:
    """The file after every change that would be made."""
    _, changes = settled({file: read(text, file, component)})
    return edited(text, {edit for change in changes.get(file, ()) for edit in change.edits})


def why_not(text: str, file: str = "a.py") -> str:
    """The reason why the one client of a file stays as it is."""
    findings, changes = settled({file: read(text, file)})
    assert not changes
    (reason,) = {finding.reason for finding in findings if finding.kind == "client"}
    return reason
