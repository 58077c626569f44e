"""What a session needs of whoever converses in it: one protocol, for agents and for models alike.

A backend opens conversations. A conversation takes one message at a time and
tells what happens, in happenings:

    Bound?                     the backend's own id for the conversation, once it is known
    (Event | Asked | Withdrawn)* TurnEnded      for each message that was sent

`happenings()` ends after `close()`, and raises when the backend broke. After a
turn has ended nothing more is said until the next message is sent.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

from rhetor.core.capability import Feature
from rhetor.core.content import Json
from rhetor.core.errors import RhetorError
from rhetor.core.value import value
from rhetor.sessions.event import Event
from rhetor.store.base import LoggedEvent


class Permissions(StrEnum):
    """What happens when an agent wants to use a tool that it is not allowed beforehand."""

    ASK = "ask"
    """The caller is asked: the session waits for input."""
    ACCEPT_EDITS = "accept_edits"
    """Changes of files below the directory are allowed, the rest is asked."""
    PLAN = "plan"
    """It may read and plan, not act."""
    DENY = "deny"
    """Whatever would be asked is denied."""


class Ability(StrEnum):
    """What a backend can do, in the words that callers use in `requirements.capabilities`."""

    STREAMING = "streaming"
    CONTINUATION = "continuation"
    TOOLS = "tools"
    FILE_OPERATIONS = "file_operations"
    CODE_EXECUTION = "code_execution"
    MULTIMODAL = "multimodal"
    APPROVALS = "approvals"


@value
class Access:
    """How an agent reaches models: through this gateway, with a key that is good for its session only."""

    url: str
    """Without a path: `http://127.0.0.1:8003`."""
    token: str = field(repr=False)


class History(Protocol):
    async def __call__(self, after: int = 0) -> Sequence[LoggedEvent]:
        """All that was said in this session after the event of this number, in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What a conversation is opened with."""

    session_id: str
    owner: str
    model: str
    """As the router knows it; empty: whatever answers who names nobody."""
    directory: Path
    """Where an agent works: it exists, and is allowed."""
    home: Path
    """A folder of the session's own, kept until the session is forgotten: HOME and the like."""
    native_id: str | None
    """Continue this conversation of the backend's; None: begin one."""
    history: History
    access: Access
    system: str | None = None
    max_turns: int | None = None
    """How often an agent may call its model for one message."""
    temperature: float | None = None
    max_tokens: int | None = None
    permissions: Permissions = Permissions.ASK
    environment: Mapping[str, str] = field(default_factory=dict)
    """Further variables for an agent, already checked against what is allowed."""


@value
class Said:
    """A message of the caller's."""

    text: str
    message_id: str


@value
class Verdict:
    """The caller's answer to an approval request."""

    decision: Literal["allow", "deny"]
    message: str | None = None
    """With a denial: what the agent is told."""
    input: Json | None = None
    """With an allowance: use the tool with this input instead."""
    always: bool = False
    """Allow the like of it for the rest of the session."""


@value
class Bound:
    """The backend has an id of its own for the conversation, by which it can be opened again."""

    native_id: str


@value
class Asked:
    """May the agent do this? It waits for `answer`."""

    request_id: str
    tool: str
    input: Json
    question: str
    """For people, one line."""
    always: bool = False
    """Whether it can be allowed for the rest of the session."""


@value
class Withdrawn:
    """The agent does not wait for this answer any more."""

    request_id: str


@value
class TurnEnded:
    reason: Literal["end", "interrupted", "max_turns", "error"]
    error: RhetorError | None = None
    """With `error`: what went wrong with this turn; the conversation can go on."""


Happening: TypeAlias = Event | Bound | Asked | Withdrawn | TurnEnded


class Conversation(Protocol):
    """An open conversation. `send`, `answer` and `interrupt` are called by one task, one after the other."""

    def happenings(self) -> AsyncIterator[Happening]:
        """Iterated once, by one task, from the beginning on.

        Raises:
            RhetorError: the backend broke; the conversation is over, but can be opened again.
        """

    async def send(self, said: Said) -> None:
        """Begin a turn."""

    async def answer(self, request_id: str, verdict: Verdict) -> None:
        """Answer what was asked."""

    async def interrupt(self) -> None:
        """End the turn soon, with TurnEnded("interrupted")."""

    async def close(self) -> None:
        """Give everything back, in bounded time, whatever state it is in; also when called twice."""


@value(kw_only=True)
class Condition:
    """How a backend is."""

    healthy: bool
    version: str | None = None
    binary: str | None = None
    error: str | None = None
    """What is wrong, and what to do."""


class Backend(Protocol):
    name: str
    abilities: frozenset[Ability]
    features: frozenset[Feature]
    """What it needs a model to be capable of."""
    models: tuple[str, ...]
    """The names that it is offered with; empty: any that the router knows."""
    default_model: str
    """Empty: whatever answers who names nobody."""
    max_sessions: int
    """How many may be live at the same time."""
    warm_s: float
    """How long an idle conversation is kept open, in seconds."""

    async def check(self) -> Condition:
        """Whether it can be used; asks no more often than every half minute or so, and never raises."""

    async def open(self, setup: Setup) -> Conversation:
        """Open a conversation; nothing is left behind when it fails, or is cancelled.

        Raises:
            RhetorError: unavailable, it cannot be started; not_found, it does not know this native id.
        """

    async def forget(self, native_id: str, home: Path) -> None:
        """Remove what the backend itself keeps of a conversation, other than in `home`. Never raises."""
