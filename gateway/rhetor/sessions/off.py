"""The backend of sessions whose own is off: they can be read, ended and forgotten, and nothing else."""

from __future__ import annotations

from pathlib import Path

from rhetor.core.capability import Feature
from rhetor.core.errors import Code, RhetorError, UpstreamError
from rhetor.sessions.backend import Ability, Condition, Conversation, Setup


class Off:
    """See `backend.Backend`."""

    abilities: frozenset[Ability] = frozenset()
    features: frozenset[Feature] = frozenset()
    models: tuple[str, ...] = ()
    default_model = ""
    max_sessions = 0
    warm_s = 0.0

    def __init__(self, name: str) -> None:
        self.name = name

    async def check(self) -> Condition:
        return Condition(healthy=False, error=self.refusal().message)

    async def open(self, setup: Setup) -> Conversation:
        raise self.refusal()

    async def forget(self, native_id: str, home: Path) -> None:
        """What is in the session's home goes with that."""

    def refusal(self) -> RhetorError:
        """What is told to whoever wants more of it."""
        message = f"the backend {self.name!r} of this session is off; see sessions.{self.name}"
        return UpstreamError(message, Code.UNAVAILABLE, origin=self.name)
