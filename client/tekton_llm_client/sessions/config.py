"""How a session shall be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

DEFAULT_TURNS = 10
DEFAULT_TIMEOUT_S = 300


@dataclass
class SessionConfig:
    """The settings of a session, in the words of Jelmore's callers."""

    model: str = ""
    """Empty: the backend's own; `auto`: the gateway chooses one."""
    max_turns: int | None = DEFAULT_TURNS
    """How often an agent may call its model for one message."""
    timeout_seconds: float | None = DEFAULT_TIMEOUT_S
    """How long one turn may take."""
    temperature: float | None = None
    max_tokens: int | None = None
    system_prompt: str | None = None
    working_directory: str | None = None
    """Where an agent works: a folder of the gateway's machine that its configuration allows. None: one of the
    session's own."""
    environment: dict[str, str] = field(default_factory=dict)
    """Further variables for an agent, as far as the gateway allows; they are never stored."""
    permissions: str | None = None
    """Whether an agent must ask before it acts: `ask`, `accept_edits`, `plan` or `deny`; None: as the gateway
    has it."""


AS_SENT: Mapping[str, str] = {
    "timeout_seconds": "timeout_s",
    "timeout": "timeout_s",
    "system_prompt": "system",
    "working_directory": "directory",
    "provider": "backend",
    "provider_name": "backend",
}
"""Jelmore's words, and the gateway's."""
