"""What is found in a code base: integrations, how hard each is to replace, and the changes that do it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """What somebody did to reach a model without the gateway."""

    IMPORT = "import"
    CLIENT = "client"
    CALL = "call"
    STREAM = "stream"
    ADAPTER = "adapter"
    HTTP = "http"
    WEBSOCKET = "websocket"
    KEY = "key"
    SECRET = "secret"
    MODEL = "model"
    DEPENDENCY = "dependency"


DIRECT = frozenset(
    {Kind.IMPORT, Kind.CLIENT, Kind.CALL, Kind.STREAM, Kind.ADAPTER, Kind.HTTP, Kind.WEBSOCKET}
)
"""What reaches a model; the others are what it needs for that."""


class Effort(StrEnum):
    """How hard it is to replace."""

    MECHANICAL = "mechanical"
    """Beyond doubt: `--write` does it."""
    ASSISTED = "assisted"
    """What to write instead is known, and somebody has to look at what surrounds it."""
    BY_HAND = "by-hand"
    """Somebody has to think."""


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One integration at one place."""

    file: str
    """Below the folder that was scanned, with slashes."""
    line: int
    kind: Kind
    what: str
    """What stands there; never a secret."""
    vendor: str
    instead: str
    effort: Effort
    reason: str
    package: str = field(default="", compare=False)
    """The SDK that it belongs to, if any."""
    client: str = field(default="", compare=False)
    """Which client it is about, as `file@place` of its making; empty when nobody can tell."""


Place = tuple[int, int]
"""A part of a file, from its first character up to, and without, its last one."""


@dataclass(frozen=True, slots=True)
class Edit:
    """Text for a part of a file, from the place `start` up to, and without, the place `end`."""

    start: int
    end: int
    text: str


def collide(one: Edit, other: Edit) -> bool:
    """Whether two edits want the same text; those that say the same are one."""
    return one != other and one.start < other.end and other.start < one.end


@dataclass(frozen=True, slots=True)
class Change:
    """Edits that belong together: all of them or none."""

    client: str
    """Whose findings it settles, see `Finding.client`."""
    package: str
    what: str
    edits: tuple[Edit, ...]
    alone: str = ""
    """An attribute that no other file may use, or the change is off: it becomes something else."""
    leaves: bool = False
    """Nothing of the package is needed any more for this client."""
    hides: tuple[Place, ...] = ()
    """The keys that go, which no diff repeats."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A file, or a part of one, that could not be looked at."""

    file: str
    reason: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What is known of one file after it was read."""

    findings: tuple[Finding, ...] = ()
    changes: tuple[Change, ...] = ()
    """Of several for one client, the first that nothing speaks against is made."""
    at_gateway: frozenset[str] = frozenset()
    """Packages with a client that reaches the gateway already; "" for the gateway's own clients."""
    exports: Mapping[str, object] = field(default_factory=dict)
    """What other files may import from this one, in the words of its language's reader."""
    imports: frozenset[str] = frozenset()
    """Modules that it imports, as it spells them."""
    digest: str = ""
    """Of its bytes, so that nobody edits another file by its places."""
    attributes: frozenset[str] = frozenset()
    """Names of attributes that it reads of objects which are not its own."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a code base has to change."""

    root: str
    findings: tuple[Finding, ...]
    problems: tuple[Problem, ...]
    changes: Mapping[str, tuple[Change, ...]]
    """What would be written, by file."""
    digests: Mapping[str, str]
    """Of those files, as they were read."""
    files: int
    """How many were looked at."""
    seconds: float
