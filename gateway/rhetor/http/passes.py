"""Passes: keys for agents that this gateway runs, each good for one session, and for model calls only.

An agent that could do more with it could answer its own approval requests.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable

from rhetor.core.value import value
from rhetor.sessions.backend import Access

PREFIX = "sk-rhetor-session-"  # a shape that every log redacts, and a person knows what it is


def digest(token: str) -> bytes:
    """What is kept of a token: comparing digests tells an attacker nothing through time."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


@value
class Bearer:
    """Whom a pass stands for."""

    session: str
    owner: str


class Passes:
    """Those that are good now.

    Args:
        url: where the gateway is reached from this machine.
    """

    def __init__(self, url: Callable[[], str]) -> None:
        self._url = url
        self.given: dict[bytes, Bearer] = {}
        """By their digests."""
        self._by_session: dict[str, bytes] = {}

    def give(self, session_id: str, owner: str) -> Access:
        """A new one; an earlier one of the session is good no longer."""
        self.revoke(session_id)
        token = PREFIX + secrets.token_urlsafe(24)
        self._by_session[session_id] = key = digest(token)
        self.given[key] = Bearer(session_id, owner)
        return Access(self._url(), token)

    def revoke(self, session_id: str) -> None:
        """There may be none."""
        if (key := self._by_session.pop(session_id, None)) is not None:
            del self.given[key]
