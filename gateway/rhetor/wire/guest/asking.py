"""A canonical request as a guest gets it: JSON, and what media it has as raw bytes behind it."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import StrEnum
from typing import Any

from rhetor.core.content import (
    Audio,
    File,
    Image,
    Inline,
    Json,
    JsonValue,
    Opaque,
    Refusal,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
    Uploaded,
    Url,
)
from rhetor.core.errors import BadRequest, Code
from rhetor.core.media import Bytes
from rhetor.core.request import Request
from rhetor.wire.base import Outgoing
from rhetor.wire.fields import dump

CALL_PATH = "/call"
REQUEST_LIMIT_BYTES = 64 << 20  # of media; more does not come through any door
_KINDS: Mapping[type, str] = {
    Text: "text",
    Image: "image",
    Audio: "audio",
    File: "file",
    ToolUse: "tool_use",
    ToolResult: "tool_result",
    Thinking: "thinking",
    Refusal: "refusal",
}
_UNSAID = frozenset({"cache", "choices"})
"""Marks for vendors' caches, and what `provider.prepare` refuses."""


def write_request(request: Request, model: str) -> Outgoing:
    """The call: a frame without its id, which the transport gives it.

    Raises:
        BadRequest: it holds what only the provider has where it was uploaded, or what is no base64.
    """
    writing = _Writing()
    said = writing.fields(request.input)
    head: dict[str, JsonValue] = {
        "method": "stream" if request.stream else "generate",
        "request": {
            "id": request.id,
            "capability": request.capability.value,
            "model": model,
            "input": said,
            "attachments": writing.attachments,
        },
    }
    body = b"".join(writing.data)
    if len(body) > REQUEST_LIMIT_BYTES:
        raise BadRequest(f"the media are larger than {REQUEST_LIMIT_BYTES >> 20} MiB", Code.TOO_LARGE)
    if writing.data:
        head["bytes"] = len(body)
    return Outgoing(CALL_PATH, dump(head) + b"\n" + body, dropped=tuple(writing.dropped))


class _Writing:
    """One request while it is written: what is attached, and what cannot be said."""

    def __init__(self) -> None:
        self.attachments: list[JsonValue] = []
        self.data: list[bytes] = []
        self.dropped: list[str] = []

    def fields(self, thing: Any) -> dict[str, JsonValue]:
        """What is said; fields that hold their defaults are left out."""
        out: dict[str, JsonValue] = {}
        for field in fields(thing):
            value = getattr(thing, field.name)
            if field.name in _UNSAID:
                if field.name == "cache" and value is not None and "cache_control" not in self.dropped:
                    self.dropped.append("cache_control")
            elif value is not None and value != () and value != {} and value != field.default:
                out[field.name] = self.value(value)
        return out

    def value(self, value: Any) -> JsonValue:
        match value:
            case StrEnum():
                return value.value
            case Bytes() | Inline() | Url() | Uploaded():
                return self.medium(value)
            case tuple() | list():
                return [self.value(each) for each in value if not self.is_opaque(each)]
            case _ if (kind := _KINDS.get(type(value))) is not None:
                return {"type": kind, **self.fields(value)}
            case _ if is_dataclass(value):
                return self.fields(value)
        return value  # type: ignore[no-any-return]  # what is left is JSON

    def medium(self, medium: Bytes | Inline | Url | Uploaded) -> Json:
        match medium:
            case Url(url):
                return {"url": url}
            case Uploaded():
                message = "a file that was uploaded to another provider is not there for this one"
                raise BadRequest(message, Code.UNSUPPORTED)
            case Bytes(media_type, data, name):
                return self.attach(media_type, data, name)
        try:
            return self.attach(medium.media_type, b64decode(medium.base64, validate=True), None)
        except ValueError as error:
            raise BadRequest(f"the content is not base64: {error}") from error

    def attach(self, media_type: str, data: bytes, name: str | None) -> Json:
        number = len(self.attachments)
        entry: dict[str, JsonValue] = {"media_type": media_type, "bytes": len(data)}
        if name is not None:
            entry["name"] = name
        self.attachments.append(entry)
        self.data.append(data)
        return {"attachment": number}

    def is_opaque(self, part: object) -> bool:
        if not isinstance(part, Opaque):
            return False
        self.dropped.append(f"opaque {part.kind}")
        return True
