"""One call to a provider: what goes out, how long it may take, and what it may cost in time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rhetor.core.value import value


@value
class Deadlines:
    """Seconds for each phase of an attempt.

    `first_event_s` is one clock over waiting for a slot, connecting, headers
    and the first event of a stream, `whole_s` the same for a reply in one piece,
    both only while another target could answer; `idle_s` restarts with every read after it; `total_s`
    spans all attempts of a trip.
    """

    connect_s: float = 5.0
    first_event_s: float = 12.0
    whole_s: float = 120.0
    idle_s: float = 20.0
    total_s: float = 600.0
    job_s: float = 3600.0
    """The same for a job, which nobody waits for on the line."""


USUAL = Deadlines()


@dataclass(slots=True)
class Call:
    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    caller: str = ""
    """For whom; where calls have to wait, callers take turns."""
