"""What can be seen of a fault: what each caller heard, what the providers were asked, what the books say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error as a caller of the door's language reads it."""

    status: int | None
    """None where the language has no place for it: inside a stream."""
    message: str


@dataclass(slots=True)
class Heard:
    """One call as its caller saw it."""

    text: str = ""
    tools: list[tuple[str, Any]] = field(default_factory=list)
    """Names and arguments."""
    usage: tuple[int, int] | None = None
    """Tokens in and out."""
    served_by: str = ""
    """As the reply says it: where a stream was begun by another target, its headers cannot know."""
    refusal: Refusal | None = None
    wrong: list[str] = field(default_factory=list)
    """What no caller of the door's language would understand, a connection that breaks included."""
    began_s: float = 0.0
    ended_s: float = 0.0
    hung: bool = False

    @property
    def elapsed_s(self) -> float:
        return self.ended_s - self.began_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """Everything that was seen while a fault was played."""

    calls: Sequence[Heard]
    primary: Sequence[float]
    """When the primary was asked."""
    fallback: Sequence[float]
    """When the fallback was asked."""
    trips: Sequence[Mapping[str, Any]]
    """The books, oldest first."""
    began_s: float
