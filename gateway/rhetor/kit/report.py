"""What was found out about a plugin, step by step: for people, for programs, for a page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, TypeAlias

from rhetor import __version__
from rhetor.core.content import Json, JsonValue
from rhetor.core.value import value

FORMAT = 1


class Outcome(StrEnum):
    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"


Part: TypeAlias = Literal["loading", "models", "generation", "errors"]
PARTS: tuple[Part, ...] = ("loading", "models", "generation", "errors")
"""In the order in which they are told."""


@value(kw_only=True)
class Step:
    """One thing that was tried."""

    part: Part
    name: str
    outcome: Outcome
    said: str = ""
    """What was seen, or why it was skipped, in plain words."""
    remedy: str = ""
    """What to do about it."""
    capability: str = ""
    first_event_ms: int | None = None
    total_ms: int | None = None


@dataclass(slots=True, kw_only=True)
class Checked:
    """One provider, and what it did."""

    id: str
    name: str
    kind: str
    """How it is reached: a program, a service, an address, the test upstream."""
    steps: list[Step] = field(default_factory=list)
    models: tuple[str, ...] = ()


@dataclass(slots=True, kw_only=True)
class Report:
    source: str
    plugin: str = ""
    version: str = ""
    checked_at: str = ""
    loading: list[Step] = field(default_factory=list)
    """Of the plugin as a whole."""
    warnings: tuple[str, ...] = ()
    providers: list[Checked] = field(default_factory=list)

    def steps(self) -> Iterator[Step]:
        yield from self.loading
        for provider in self.providers:
            yield from provider.steps

    def count(self, outcome: Outcome) -> int:
        return sum(step.outcome is outcome for step in self.steps())

    @property
    def verdict(self) -> Literal["ok", "failed", "unproven"]:
        """unproven: nothing failed, and nothing was generated either."""
        if self.count(Outcome.FAILED):
            return "failed"
        done = any(step.part == "generation" and step.outcome is Outcome.OK for step in self.steps())
        return "ok" if done else "unproven"

    @property
    def summary(self) -> str:
        counts = ", ".join(f"{self.count(each)} {each}" for each in Outcome)
        meaning = {
            "ok": "it works",
            "failed": "it does not do what it claims",
            "unproven": "nothing failed, and nothing was generated either: see what was skipped",
        }
        return f"{meaning[self.verdict]}: {counts}"

    def as_json(self) -> Json:
        return {
            "report": FORMAT,
            "rhetor": __version__,
            "source": self.source,
            "plugin": self.plugin,
            "version": self.version,
            "checked_at": self.checked_at,
            "verdict": self.verdict,
            "counts": {each.value: self.count(each) for each in Outcome},
            "warnings": list(self.warnings),
            "loading": _steps(self.loading),
            "providers": [
                {
                    "id": each.id,
                    "name": each.name,
                    "kind": each.kind,
                    "models": list(each.models),
                    "steps": _steps(each.steps),
                }
                for each in self.providers
            ],
        }


def _steps(steps: Iterable[Step]) -> list[JsonValue]:
    return [
        {
            "part": step.part,
            "name": step.name,
            "capability": step.capability or None,
            "outcome": step.outcome.value,
            "said": step.said,
            "remedy": step.remedy or None,
            "first_event_ms": step.first_event_ms,
            "total_ms": step.total_ms,
        }
        for step in steps
    ]


def told(part: Part, name: str, said: str, capability: str = "") -> Step:
    return Step(part=part, name=name, outcome=Outcome.OK, said=said, capability=capability)


def failed(part: Part, name: str, said: str, remedy: str, capability: str = "") -> Step:
    return Step(part=part, name=name, outcome=Outcome.FAILED, said=said, remedy=remedy, capability=capability)


def skipped(part: Part, name: str, said: str, remedy: str = "", capability: str = "") -> Step:
    return Step(
        part=part, name=name, outcome=Outcome.SKIPPED, said=said, remedy=remedy, capability=capability
    )
