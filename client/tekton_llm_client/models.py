"""What goes to the gateway and comes back from it."""

from __future__ import annotations

import json
from contextlib import suppress
from enum import StrEnum
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import to_json

from tekton_llm_client.exceptions import FormatError
from tekton_llm_client.mapping import AsMapping, ProviderAsMapping, ProvidersAsList

MICROS = 1_000_000  # micro-dollars in a dollar


class MessageRole(StrEnum):
    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    FUNCTION = "function"
    TOOL = "tool"


ChatRole = MessageRole
DEVELOPER = "developer"  # OpenAI's newer word for the system


class FunctionCall(BaseModel):
    model_config = ConfigDict(extra="allow")

    name: str = ""
    arguments: str = ""
    """JSON, as the model wrote it."""


class ToolCall(BaseModel):
    """A model wants a tool to be used. Its result goes back as a `Message.result_of` it."""

    model_config = ConfigDict(extra="allow")

    id: str = ""
    type: str = "function"
    function: FunctionCall
    index: int | None = Field(default=None, exclude=True)
    """Of a piece of a large call: which call it belongs to."""

    @property
    def name(self) -> str:
        return self.function.name

    def parse(self) -> dict[str, Any]:
        """The arguments.

        Raises:
            FormatError: they are not a JSON object.
        """
        try:
            said = json.loads(self.function.arguments or "{}")
        except ValueError as error:
            raise FormatError(f"the arguments for {self.name} are not JSON: {error}") from error
        if not isinstance(said, dict):
            raise FormatError(f"the arguments for {self.name} are not an object: {self.function.arguments}")
        return said


class Message(BaseModel):
    """One turn of a conversation; the role may be written in any case, and `developer` is the system's."""

    model_config = ConfigDict(extra="allow", ser_json_inf_nan="constants")  # refused later, not lost here

    role: MessageRole
    content: str | list[dict[str, Any]] | None = None
    """Text, or parts in OpenAI's shape: `{"type": "image_url", "image_url": {"url": …}}`."""
    name: str | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None
    """Of a tool's result: which call it answers."""

    @classmethod
    def result_of(cls, call: ToolCall, content: object) -> Self:
        """What a tool returned; anything but text is sent as JSON."""
        text = content if isinstance(content, str) else to_json(content, fallback=str).decode()
        return cls(role=MessageRole.TOOL, tool_call_id=call.id, content=text)

    @field_validator("role", mode="before")
    @classmethod
    def _lower(cls, role: object) -> object:
        said = role.lower() if isinstance(role, str) else role
        return MessageRole.SYSTEM if said == DEVELOPER else said

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.content is None and not self.tool_calls:
            raise ValueError("content is missing")
        return self


ChatMessage = Message


class CompletionOptions(BaseModel):
    """Settings of one call, for who likes them as an object; a dict does as well."""

    model_config = ConfigDict(extra="allow")

    temperature: float = 0.7
    max_tokens: int | None = None
    stop_sequences: list[str] | None = None
    top_p: float | None = None
    top_k: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    fallback_provider: str | None = None
    fallback_model: str | None = None
    timeout: float = 120
    retry_count: int = 3
    retry_delay: float = 1000


class ChatCompletionOptions(CompletionOptions):
    """The same with the conversation, and how the reply is wanted."""

    messages: list[Message] = Field(default_factory=list)
    stream: bool = False
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    system_message: str | None = None

    def add_system_message(self, content: str) -> None:
        """Put this in front of the conversation, in the place of what stood there."""
        self.system_message = content
        rest = [message for message in self.messages if message.role is not MessageRole.SYSTEM]
        self.messages = [Message(role=MessageRole.SYSTEM, content=content), *rest]


class Attempt(BaseModel):
    """One call to one target, made for a request."""

    target: str
    """Provider and model, as `provider/model`."""
    outcome: str
    """`ok`, or the code of what went wrong."""
    ms: float
    how: str | None = None
    """Of one that went on where another broke off: whether it `continued` or `restarted`."""


class Account(BaseModel):
    """What a reply, whole or at its end, tells of how it came about."""

    finish_reason: str | None = None
    usage: dict[str, int] | None = None
    tool_calls: list[ToolCall] | None = None
    thinking: str | None = None
    fallback: bool = False
    """Another target than the first has answered."""
    error: str | None = None
    code: str | None = None
    """The gateway's stable name for the error."""
    meta: dict[str, Any] = Field(default_factory=dict)
    """Everything that the gateway tells beside the reply."""

    @property
    def generation_id(self) -> str | None:
        """The gateway's name for this reply, also in its log and its books."""
        id = self.meta.get("generation_id")
        return id if isinstance(id, str) else None

    @property
    def attempts(self) -> list[Attempt]:
        """Who was asked, in order."""
        return attempts_of(self.meta)

    @property
    def cost_micros(self) -> int | None:
        """In millionths of a dollar; None where the price is not known."""
        micros = self.meta.get("cost_micros")
        return micros if isinstance(micros, int) else None

    @property
    def cost(self) -> float | None:
        """In dollars; None where the price is not known."""
        return None if self.cost_micros is None else self.cost_micros / MICROS


def attempts_of(meta: dict[str, Any]) -> list[Attempt]:
    """Who was asked, in order; what is not understood is left out."""
    said = meta.get("attempts")
    found = []
    for attempt in said if isinstance(said, list) else ():
        with suppress(ValidationError):
            found.append(Attempt.model_validate(attempt))
    return found


class CompletionResponse(Account):
    """A whole reply."""

    content: str
    model: str
    provider: str
    context_id: str
    timestamp: str
    latency: float | None = None
    """Seconds from the call to the reply, as this client saw it."""

    @property
    def success(self) -> bool:
        return self.error is None

    @property
    def message(self) -> Message:
        """The reply as a turn, to go on with the conversation."""
        return Message(role=MessageRole.ASSISTANT, content=self.content, tool_calls=self.tool_calls)


class StreamingChunk(Account):
    """A piece of a reply. The last one has `done` set, and either `error` or what only the end can tell.

    `thinking` is a piece too; what a model calls comes whole, with the last chunk.
    """

    chunk: str = ""
    context_id: str = ""
    model: str = ""
    provider: str = ""
    timestamp: str = ""
    done: bool = False


class ProviderModel(AsMapping, BaseModel):
    id: str
    name: str
    context_length: int | None = None
    description: str | None = None
    pricing: dict[str, float] | None = None
    """Dollars for a million tokens, as `input` and `output`."""
    capabilities: list[str] | None = None


class Provider(ProviderAsMapping, BaseModel):
    name: str
    available: bool
    models: list[ProviderModel] = Field(default_factory=list)
    default_model: str | None = None
    description: str | None = None


class AvailableProviders(ProvidersAsList, BaseModel):
    providers: dict[str, Provider]
    default_provider: str
    default_model: str


class Embeddings(BaseModel):
    """Texts as vectors, in the order of the texts."""

    vectors: list[list[float]]
    model: str
    provider: str | None = None
    usage: dict[str, int] | None = None
    cost_micros: int | None = None
    generation_id: str | None = None
