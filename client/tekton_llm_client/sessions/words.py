"""Jelmore's words for sessions: its names of backends, and what it tells of sessions, events and backends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tekton_llm_client.mapping import AsMapping
from tekton_llm_client.sessions.models import Backend, Session, SessionEvent, StreamEventType

BACKENDS: Mapping[str, str] = {"claude": "claude_code"}
"""Providers whose backends have another name here."""
PROVIDERS: Mapping[str, str] = {backend: provider for provider, backend in BACKENDS.items()}

AGENTS = ("claude_code", "opencode", "codex")
"""Whom a session is held with for which nobody names a provider: the first of them that the gateway has."""


def backend_of(provider: str | None) -> str | None:
    return None if provider is None else BACKENDS.get(provider, provider)


def provider_of(backend: str) -> str:
    return PROVIDERS.get(backend, backend)


@dataclass(frozen=True)
class ProviderCapabilities(AsMapping):
    """What a provider can do."""

    supports_streaming: bool = True
    supports_continuation: bool = True
    supports_tools: bool = False
    supports_file_operations: bool = False
    supports_multimodal: bool = False
    supports_code_execution: bool = False
    max_concurrent_sessions: int = 10
    session_persistence: bool = True


@dataclass(frozen=True)
class ModelInfo(AsMapping):
    """A model that a provider offers."""

    name: str
    version: str = ""
    capabilities: list[str] = field(default_factory=list)
    context_length: int | None = None
    supports_streaming: bool = True
    supports_tools: bool = True
    max_tokens: int | None = None
    cost_per_token: float | None = None


@dataclass(frozen=True)
class StreamResponse(AsMapping):
    """Something that happened in a session."""

    event_type: StreamEventType | str
    content: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    timestamp: datetime = field(default_factory=lambda: datetime.now(UTC))
    session_id: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {**vars(self), "event_type": str(self.event_type), "timestamp": self.timestamp.isoformat()}


def capabilities_of(backend: Backend) -> ProviderCapabilities:
    able = backend.abilities
    return ProviderCapabilities(
        supports_streaming="streaming" in able,
        supports_continuation="continuation" in able,
        supports_tools="tools" in able,
        supports_file_operations="file_operations" in able,
        supports_multimodal="multimodal" in able,
        supports_code_execution="code_execution" in able,
        max_concurrent_sessions=backend.max_sessions,
    )


def models_of(backend: Backend) -> list[ModelInfo]:
    """The models it is offered with; none are named where it takes any."""
    names = backend.models or ((backend.default_model,) if backend.default_model else ())
    tools = "tools" in backend.abilities
    return [ModelInfo(name, name, list(backend.abilities), supports_tools=tools) for name in names]


def health_of(backend: Backend) -> dict[str, Any]:
    told = {
        "status": "healthy" if backend.healthy else "unhealthy",
        "provider": provider_of(backend.name),
        "sessions": backend.live,
        "available_models": [model.name for model in models_of(backend)],
        "version": backend.version,
        "binary": backend.binary,
        "error": backend.error,
    }
    return {name: value for name, value in told.items() if value is not None}


def session_fields(session: Session) -> dict[str, Any]:
    """A session as a dict, which is ready for JSON."""
    return {
        "session_id": session.id,
        "id": session.id,
        "provider": provider_of(session.backend),
        "status": str(session.state),
        "model": session.model or "",
        "current_directory": session.current_directory or session.directory or "",
        "created_at": _iso(session.created_at),
        "last_activity": _iso(session.updated_at),
        "output_buffer_size": session.last_seq,
        "metadata": session.metadata,
        "waiting_for": [dict(request.items()) for request in session.waiting_for],
        "usage": dict(session.usage.items()),
    }


def response_of(event: SessionEvent) -> StreamResponse:
    return StreamResponse(
        event.type,
        event.content,
        {**event.data, "seq": event.seq, "turn": event.turn},
        event.at or datetime.now(UTC),
        event.session_id,
    )


def _iso(at: datetime | None) -> str:
    return "" if at is None else at.isoformat()
