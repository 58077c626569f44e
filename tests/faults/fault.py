"""What a fault is: what the providers do, how they are asked, and what it takes to pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, TypeAlias

from rhetor.core.content import JsonValue
from rhetor.core.usage import Usage
from rhetor.testing import Upstream
from tests.faults.observation import Observation
from tests.faults.pace import LoopClock

TEXT = (
    "When a river meets a stone it does not stop to argue but divides and goes around on both sides until "
    "the stone is behind it and somewhere below the two halves find each other again so that whoever drinks "
    "from the water at the mouth of that river will never once taste that there was a stone up there"
)
"""The canonical answer: sixty words."""
TOOL: tuple[str, dict[str, JsonValue]] = ("weather", {"city": "Paris", "unit": "celsius", "days": 3})
PRIMARY_USAGE = Usage(input_tokens=31, output_tokens=60)
FALLBACK_USAGE = Usage(input_tokens=37, output_tokens=66)
ROUTE = "resilient"
PRIMARY, FALLBACK = "primary/small", "fallback/large"


class Score(IntEnum):
    """How a fault went, worst first."""

    FAIL = 0
    """A truncated or invented answer as success, endless silence, words that are not the door's."""
    SAFE = 1
    """An error in the door's own words, and nothing that looks like success."""
    PARTIAL = 2
    """The complete answer, but the provider was treated worse than it should be, or it took too long."""
    PASS = 3
    """The complete answer, and the provider was treated well."""

    def __str__(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Column:
    """One way to ask: a door, streamed or not, and the languages of the two providers behind it."""

    door: str
    streamed: bool
    primary: str = "openai"
    fallback: str = "openai"

    def __str__(self) -> str:
        lane = "" if self.primary == self.fallback == self.own_wire else f" ({self.primary}, {self.fallback})"
        return f"{self.door} {'stream' if self.streamed else 'whole'}{lane}"

    @property
    def own_wire(self) -> str:
        """What the providers speak where nothing else is said."""
        return "anthropic" if self.door == "anthropic" else "openai"


@dataclass(frozen=True, slots=True)
class Stage:
    """Where a fault is played. Unless told otherwise both providers say the canonical answer."""

    primary: Upstream
    fallback: Upstream
    clock: LoopClock
    """The providers' own time, and the gateway's."""
    began_s: float


Complaint: TypeAlias = str
Judge: TypeAlias = Callable[[Observation], list[Complaint]]
"""What there is to complain about in how the providers were treated, and in how long it took."""


def content_with_all(_: Observation) -> list[Complaint]:
    return []


@dataclass(frozen=True, slots=True)
class Less:
    """A lower score that is expected in some columns, and why it cannot be better."""

    score: Score
    reason: str
    where: Callable[[Column], bool]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fault:
    """A line of the table."""

    name: str
    number: int | None = None
    """Among the sixteen that gateways are compared by; None: one of the others."""
    plays: Callable[[Stage], None]
    """Tells the providers what to do."""
    judge: Judge = content_with_all
    judge_whole: Judge | None = None
    """The same for replies in one piece, where something else is asked of them."""
    answer: str = TEXT
    tools: tuple[tuple[str, Any], ...] = ()
    refusal: str | None = None
    """The pass is an error that holds these words; None: the pass is the answer."""
    may_answer: bool = False
    """Whether, with `refusal`, the answer is a pass as well."""
    calls_at_s: tuple[float, ...] = (0.0,)
    """When a caller asks, each after the one before has ended."""
    model: str = ROUTE
    deployments: int = 1
    """Under how many names the primary is known, all with one account."""
    prefill: bool = False
    """Whether the fallback's row says that its model goes on with an answer that was begun."""
    stalled: int = 0
    """Streams that hang at the primary all the while."""
    server: Mapping[str, float] = field(default_factory=dict)
    """What an operator who knows of the fault sets in `server`; the sixteen go without."""
    proxy_idle_s: float | None = None
    """Between caller and gateway stands a proxy that cuts connections on which nobody says anything."""
    patient: bool = False
    """Mostly waits: many are played at the same time, and nothing else beside them."""
    less: tuple[Less, ...] = field(default_factory=tuple)

    def __str__(self) -> str:
        return f"{self.number}. {self.name}" if self.number is not None else self.name

    def expected(self, column: Column) -> Less | None:
        """Where not everything can be had; None: a pass is expected."""
        return next((less for less in self.less if less.where(column)), None)

    def judge_of(self, column: Column) -> Judge:
        whole = self.judge_whole
        return self.judge if column.streamed or whole is None else whole


def columns() -> tuple[Column, ...]:
    """Every way to ask."""
    own = [Column(door, streamed) for door in ("tekton", "ws") for streamed in (False, True)]
    return (
        Column("openai", False),
        Column("openai", True),
        Column("responses", False),
        Column("responses", True),
        Column("anthropic", False, "anthropic", "anthropic"),
        Column("anthropic", True, "anthropic", "anthropic"),
        *own,
        Column("openai", False, "anthropic", "anthropic"),
        Column("openai", True, "anthropic", "anthropic"),
        Column("openai", True, "openai", "anthropic"),
        Column("openai", True, "anthropic", "openai"),
    )
