"""What remains of a trip when it is over: numbers and names, never a prompt, a reply or a secret."""

from __future__ import annotations

from datetime import datetime

from rhetor.core.content import JsonValue
from rhetor.core.usage import Usage
from rhetor.core.value import value


@value
class AttemptRecord:
    target: str
    """`provider/model`."""
    outcome: str
    """`ok`, or the code of the error."""
    ms: int
    how: str = ""
    """`continued` or `restarted`: it went on with another one's reply; `hedged`: it was asked early."""

    def as_json(self) -> dict[str, JsonValue]:
        """As callers and operators read it."""
        told: dict[str, JsonValue] = {"target": self.target, "outcome": self.outcome, "ms": self.ms}
        if self.how:
            told["how"] = self.how
        return told


@value(kw_only=True)
class TripRecord:
    """One generation as the books keep it."""

    id: str
    at: datetime
    door: str
    capability: str
    requested_model: str
    served_by: str | None
    """`provider/model` of the target that answered; None when none did."""
    model_known: bool
    """Whether the catalogue lists that model; others are not worth a metric label."""
    outcome: str
    """`ok`, or the code of the error the caller got."""
    stream: bool
    fallback: bool
    attempts: tuple[AttemptRecord, ...]
    usage: Usage
    cost_micros: int | None
    """None: the price is not known."""
    first_event_ms: int | None
    total_ms: int
    component: str | None = None
    principal: str | None = None
    session: str | None = None
    cached: bool = False
