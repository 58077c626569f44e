"""What a message is made of: the parts that prompts and replies have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

from rhetor.core.value import value

Json: TypeAlias = Mapping[str, "JsonValue"]
JsonValue: TypeAlias = "str | int | float | bool | list[JsonValue] | Mapping[str, JsonValue] | None"

CacheTtl: TypeAlias = Literal["5m", "1h"]
"""How long a provider is asked to keep the prompt prefix that ends at a part."""


@value
class Url:
    """Content that the provider fetches itself."""

    url: str


@value
class Inline:
    """Content carried in the request, base64 as it arrived: it is passed on, so it is never decoded."""

    media_type: str
    base64: str


@value
class Uploaded:
    """Content that the caller put at the provider before; the id means something only there."""

    file_id: str


Source: TypeAlias = Url | Inline | Uploaded


@value
class Text:
    text: str
    cache: CacheTtl | None = None


@value
class Image:
    source: Source
    detail: str | None = None
    """How closely to look: low, high, auto. A hint; wires without the word drop it."""
    cache: CacheTtl | None = None


@value
class Audio:
    source: Source


@value
class File:
    """A document: PDF, plain text, …"""

    source: Source
    name: str | None = None
    cache: CacheTtl | None = None


@value
class ToolUse:
    id: str
    name: str
    arguments: str
    """JSON text exactly as the model wrote it; it may be cut off when the reply ended early."""
    cache: CacheTtl | None = None


@value
class ToolResult:
    tool_use_id: str
    parts: tuple[Part, ...]
    is_error: bool = False
    cache: CacheTtl | None = None


@value
class Thinking:
    text: str
    signature: str | None = None
    """The provider's proof that the thought is its own; without it most refuse the thought back."""


@value
class Refusal:
    """What the model said instead of an answer."""

    text: str


@value
class Opaque:
    """A part that only one wire understands; elsewhere it is named in `dropped`."""

    wire: str
    data: Json

    @property
    def kind(self) -> str:
        return str(self.data.get("type", "unknown"))


Part: TypeAlias = Text | Image | Audio | File | ToolUse | ToolResult | Thinking | Refusal | Opaque
