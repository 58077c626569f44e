"""What goes to the gateway and comes back from it."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, Field, field_validator


class MessageRole(StrEnum):
    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    FUNCTION = "function"


class Message(BaseModel):
    """One turn of a conversation; the role may be written in any case."""

    role: MessageRole
    content: str
    name: str | None = None

    @field_validator("role", mode="before")
    @classmethod
    def _lower(cls, role: object) -> object:
        return role.lower() if isinstance(role, str) else role


ChatMessage = Message


class CompletionResponse(BaseModel):
    """A whole reply."""

    content: str
    model: str
    provider: str
    finish_reason: str | None = None
    usage: dict[str, int] | None = None
    context_id: str = ""
    fallback: bool = False
    """Whether somebody else answered than the one who was asked first."""
    timestamp: str
    latency: float | None = None
    """Seconds from asking to having the reply, as seen by this client."""
    error: str | None = None

    @property
    def success(self) -> bool:
        return self.error is None


class StreamingChunk(BaseModel):
    """A piece of a reply. The last one has `done` set, and either `error` or what only the end can tell."""

    chunk: str = ""
    context_id: str = ""
    model: str = ""
    provider: str = ""
    timestamp: str = ""
    done: bool = False
    finish_reason: str | None = None
    usage: dict[str, int] | None = None
    fallback: bool = False
    error: str | None = None


class ProviderModel(BaseModel):
    id: str
    name: str
    context_length: int | None = None
    description: str | None = None
    pricing: dict[str, float] | None = None
    """Dollars for a million tokens, as `input` and `output`."""
    capabilities: list[str] | None = None


class Provider(BaseModel):
    name: str
    available: bool
    models: list[ProviderModel] = Field(default_factory=list)
    default_model: str | None = None
    description: str | None = None


class AvailableProviders(BaseModel):
    providers: dict[str, Provider]
    default_provider: str
    default_model: str
