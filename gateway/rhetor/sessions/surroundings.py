"""What sessions are handed by the house."""

from __future__ import annotations

from typing import Protocol

from rhetor.core.value import value
from rhetor.sessions.backend import Access


class Passes(Protocol):
    """Keys for agents: each is good for one session, and for model calls only."""

    def give(self, session_id: str, owner: str) -> Access:
        """A new one; an earlier one of the session is good no longer."""

    def revoke(self, session_id: str) -> None:
        """There may be none."""


@value(kw_only=True)
class Limits:
    """As the configuration says, in seconds and numbers."""

    max_live: int
    expire_s: float
    turn_s: float
    environment: frozenset[str] = frozenset()
    """The variables that callers may set for an agent."""
