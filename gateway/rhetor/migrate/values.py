"""What an expression of a program may stand for, as far as models are concerned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from rhetor.migrate.packages import Package


@dataclass(frozen=True, slots=True)
class Sdk:
    """Something inside a package: `anthropic.AsyncAnthropic`, `litellm.acompletion`."""

    package: Package
    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Client:
    """An object that reaches a model; with a path, something that hangs from it: `client.messages.create`."""

    package: Package
    made_by: str
    """The class's name; empty when only an annotation says what it is."""
    origin: str
    """`file@place` of its making; empty when nobody can tell."""
    at_gateway: bool
    path: tuple[str, ...] = ()

    def attribute(self, name: str) -> Client:
        return replace(self, path=(*self.path, name))


@dataclass(frozen=True, slots=True)
class Web:
    """An HTTP client that knows a vendor's address."""

    base_url: str


@dataclass(frozen=True, slots=True)
class Class:
    """A class of the code base itself, and the file that has it."""

    file: str
    name: str


@dataclass(frozen=True, slots=True)
class Instance:
    """An object of such a class."""

    of: Class


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the code base itself."""

    file: str
    name: str


@dataclass(frozen=True, slots=True)
class Text:
    """A text that begins with a vendor's address."""

    text: str


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What another file of the code base calls so."""

    module: str
    name: str


Value = Sdk | Client | Web | Class | Instance | Function | Text | Elsewhere

Exports = Mapping[str, Value]
"""What a file offers, by name: `client`, `Adapter`, `Adapter.client`, `make()` for what `make` returns."""

World = Mapping[str, Exports]
"""Exports by module, as the importing file spells it, and by file, for the classes that come from there."""
