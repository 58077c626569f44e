"""What routing decides: a plan, as data."""

from __future__ import annotations

from zlib import crc32

from rhetor.core.content import JsonValue
from rhetor.core.value import value
from rhetor.routing.catalog import Candidate, Route, Target


@value
class Plan:
    """The decision for one request. Pure data: made once, shown to whoever asks."""

    route: Route
    candidates: tuple[Candidate, ...]
    left_out: tuple[Candidate, ...]
    cooling: tuple[Candidate, ...] = ()
    """Those of `left_out` that asked to be left alone for a while: tried when nobody else is left."""
    prefix: int | None = None
    """What the conversation begins with, where it matters who has read it: for `Health.served`."""
    id: str = ""
    """The request's: what is left to chance is drawn from it."""

    @property
    def first(self) -> Target:
        return self.candidates[0].target

    @property
    def targets(self) -> list[Target]:
        return [candidate.target for candidate in self.candidates]

    @property
    def draw(self) -> float:
        """A number from 0 to 1 that is this request's own."""
        return drawn(self.id) / DRAWS


DRAWS = 1 << 32


def drawn(id: str) -> int:
    """Which of `DRAWS` a request draws: always the same, so that a plan can be made again."""
    return crc32(id.encode())


def explained(plan: Plan) -> dict[str, JsonValue]:
    """A plan for people: who would be asked, in which order, and why the others would not."""
    return {
        "route": plan.route.name,
        "strategy": plan.route.strategy,
        "targets": [_row(candidate) for candidate in plan.candidates],
        "left_out": [_row(candidate) for candidate in plan.left_out],
    }


def _row(candidate: Candidate) -> dict[str, JsonValue]:
    row: dict[str, JsonValue] = {"target": candidate.target.name, "reason": candidate.reason}
    if candidate.target.key:
        row["key"] = candidate.target.key
    return row
