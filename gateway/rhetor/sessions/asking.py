"""What callers ask of sessions, and what they get."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field

from rhetor.core.content import Json
from rhetor.core.value import value
from rhetor.sessions.backend import Permissions, Said
from rhetor.store.base import LoggedEvent, SessionRow


@value(kw_only=True)
class Requirements:
    """What a caller demands who leaves the choice of backend and model to us."""

    model: str = ""
    """Empty or `auto`: any."""
    capabilities: tuple[str, ...] = ()
    """Abilities of the backend and features of its model, as callers write them: `tools`, …"""
    load_balancing: bool = True
    cost_optimization: bool = False
    max_tokens: int | None = None
    """How long an answer may become: the model must be able to say so much."""


@value(kw_only=True)
class NewSession:
    owner: str
    """The principal; "" where nobody is asked for a token."""
    backend: str | None = None
    """None: as the requirements say, else `chat`."""
    model: str = ""
    message: Said | None = None
    """The first one: its turn begins at once."""
    title: str | None = None
    system: str | None = None
    directory: str | None = None
    """Where the agent works; None: a folder of its own."""
    max_turns: int | None = None
    timeout_s: float | None = None
    """How long one turn may take; can only shorten the configured time."""
    temperature: float | None = None
    max_tokens: int | None = None
    permissions: Permissions | None = None
    """None: as configured."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Further variables for the agent; never stored, so they are gone with this process."""
    metadata: Json = field(default_factory=dict)
    requirements: Requirements | None = None
    key: str | None = None
    """Who comes again with the same one gets the same session."""


@value
class Page:
    """A part of a log."""

    events: Sequence[LoggedEvent]
    ended: bool
    """Nothing follows: the session is terminated, and these are its last events."""


@value
class Accepted:
    """A message that was taken: its turn's events follow the number `seq`, which is that of the message."""

    row: SessionRow
    seq: int
    again: bool = False
    """It was taken before: the message has the id of an earlier one."""
