"""Sessions, their events, and what else the gateway tells of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field

from tekton_llm_client.mapping import AsMapping
from tekton_llm_client.models import MICROS


class SessionStatus(StrEnum):
    """The states of a session."""

    INITIALIZING = "initializing"
    ACTIVE = "active"
    IDLE = "idle"
    WAITING_INPUT = "waiting_input"
    SUSPENDED = "suspended"
    TERMINATED = "terminated"
    FAILED = "failed"


class StreamEventType(StrEnum):
    """The kinds of events."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    THINKING = "thinking"
    TOOL_USE = "tool_use"
    TOOL_RESULT = "tool_result"
    APPROVAL_REQUEST = "approval_request"
    APPROVAL_RESOLVED = "approval_resolved"
    FILE_CHANGE = "file_change"
    DIRECTORY_CHANGE = "directory_change"
    USAGE = "usage"
    ERROR = "error"
    STATUS_CHANGE = "status_change"


AnyStatus: TypeAlias = Annotated[SessionStatus | str, Field(union_mode="left_to_right")]
"""A state, as text where a newer gateway has another one."""
AnyEventType: TypeAlias = Annotated[StreamEventType | str, Field(union_mode="left_to_right")]

IN_TURN = frozenset({SessionStatus.INITIALIZING, SessionStatus.ACTIVE, SessionStatus.WAITING_INPUT})
"""A turn is under way."""
AT_REST = frozenset(SessionStatus) - IN_TURN
"""Nothing happens until somebody wants something."""


@dataclass(frozen=True)
class ApprovalRequest(AsMapping):
    """An agent asks whether it may use a tool."""

    request_id: str
    """What `approve` and `deny` take."""
    tool: str = ""
    input: dict[str, Any] = field(default_factory=dict)
    question: str = ""
    """For people, one line."""
    always: bool = False
    """Whether it can be allowed for the rest of the session."""


@dataclass(frozen=True)
class SessionUsage(AsMapping):
    """What a session's model calls consumed so far."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_micros: int | None = None
    """In millionths of a dollar; None where the price of a call is not known."""

    @property
    def cost(self) -> float | None:
        """In dollars."""
        return None if self.cost_micros is None else self.cost_micros / MICROS


@dataclass(frozen=True)
class Session(AsMapping):
    """A conversation that the gateway keeps."""

    id: str
    backend: str
    """Who converses in it: `chat`, or an agent."""
    state: AnyStatus
    turn: int = 0
    """How many messages were sent."""
    last_seq: int = 0
    """The number of its last event."""
    created_at: datetime | None = None
    updated_at: datetime | None = None
    title: str | None = None
    model: str | None = None
    system: str | None = None
    directory: str | None = None
    """Where its agent began."""
    current_directory: str | None = None
    """Where its agent works now."""
    permissions: str | None = None
    max_turns: int | None = None
    timeout_s: float | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    waiting_for: tuple[ApprovalRequest, ...] = ()
    """What its agent waits for."""
    usage: SessionUsage = SessionUsage()
    selection: dict[str, Any] | None = None
    """Why this backend and model, where the gateway chose."""
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def in_turn(self) -> bool:
        """A turn is under way."""
        return self.state in IN_TURN


@dataclass(frozen=True)
class SessionEvent(AsMapping):
    """What happened; see the gateway's documentation for what `data` has for each type."""

    seq: int
    """From 1 on, without gaps."""
    type: AnyEventType
    content: str = ""
    data: dict[str, Any] = field(default_factory=dict)
    turn: int = 0
    """Which of the session's messages it belongs to, counted from 1."""
    at: datetime | None = None
    session_id: str = ""

    @property
    def ends_turn(self) -> bool:
        """Nothing more comes of this turn."""
        return (
            self.type == StreamEventType.STATUS_CHANGE
            and self.data.get("from") in IN_TURN
            and self.data.get("to") in AT_REST
        )

    @property
    def ends_session(self) -> bool:
        """The session is terminated."""
        return self.type == StreamEventType.STATUS_CHANGE and self.data.get("to") == SessionStatus.TERMINATED

    @property
    def reason(self) -> str | None:
        """Of a change of state: `end`, `interrupted`, `max_turns`, `error`, `suspended`, `terminated`, …"""
        said = self.data.get("reason")
        return said if isinstance(said, str) else None

    @property
    def approval(self) -> ApprovalRequest | None:
        """What is asked, where this is a question."""
        if self.type != StreamEventType.APPROVAL_REQUEST:
            return None
        return ApprovalRequest(
            request_id=str(self.data.get("request_id")),
            tool=str(self.data.get("tool") or ""),
            input=dict(self.data.get("input") or {}),
            question=self.content,
            always=bool(self.data.get("always")),
        )


@dataclass(frozen=True)
class Sent(AsMapping):
    """A message that the gateway took."""

    session: Session
    message_id: str
    seq: int
    """The message's own number in the log: its turn's events follow."""
    again: bool = False
    """It was taken before, and not once more."""


@dataclass(frozen=True)
class Answer(AsMapping):
    """A turn that has ended."""

    text: str
    reason: str
    """`end`, `interrupted`, `max_turns`, `timeout`, `suspended`, `terminated`, or what else ended it."""
    message_id: str
    seq: int
    """The number of its last event."""
    events: tuple[SessionEvent, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """An answer to an approval request; see `SessionsClient.approve` and `deny`."""

    decision: Literal["allow", "deny"]
    message: str | None = None
    input: dict[str, Any] | None = None
    always: bool = False


@dataclass(frozen=True)
class Backend(AsMapping):
    """Who can converse in sessions."""

    name: str
    abilities: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    """Empty: any that the gateway knows."""
    default_model: str = ""
    max_sessions: int = 0
    live: int = 0
    """Sessions with a turn under way, or that are kept warm."""
    healthy: bool = False
    version: str | None = None
    binary: str | None = None
    error: str | None = None
    """What is wrong, and what to do."""


@dataclass(frozen=True)
class Selection(AsMapping):
    """Who would be chosen, and why."""

    backend: str
    model: str = ""
    reasons: Any = None
    dropped: Any = None


@dataclass(frozen=True)
class Cleaned(AsMapping):
    """What was forgotten."""

    total: int = 0
    by_backend: dict[str, int] = field(default_factory=dict)


class SessionList(list[Session]):
    """A part of the list of sessions; what was changed last comes first."""

    def __init__(self, sessions: list[Session], total: int, has_more: bool) -> None:
        super().__init__(sessions)
        self.total = total
        """How many there are in all."""
        self.has_more = has_more
