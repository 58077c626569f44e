"""Canonical parts → content blocks.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html (read 2026-11-21).
Media are bytes, as base64. It could fetch from S3, but with the rights of whoever signs: that is the gateway.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TypeAlias

from rhetor.core.content import (
    Audio,
    CacheTtl,
    File,
    Image,
    Inline,
    JsonValue,
    Opaque,
    Part,
    Refusal,
    Source,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
    Uploaded,
    Url,
)
from rhetor.core.errors import BadRequest, Code
from rhetor.wire.anthropic.blocks import tool_input
from rhetor.wire.anthropic.proofs import is_foreign
from rhetor.wire.anthropic.vocabulary import NAME as ANTHROPIC
from rhetor.wire.bedrock.vocabulary import FAMILY, NAME, is_claude, is_nova
from rhetor.wire.lenient import word

Block: TypeAlias = dict[str, JsonValue]

_IMAGES: Mapping[str, str] = {f"image/{it}": it for it in ("png", "jpeg", "gif", "webp")} | {
    "image/jpg": "jpeg"
}
_AUDIO: Mapping[str, str] = {
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/flac": "flac",
    "audio/aac": "aac",
    "audio/ogg": "ogg",
    "audio/opus": "opus",
    "audio/mp4": "mp4",
    "audio/m4a": "m4a",
    "audio/webm": "webm",
    "audio/pcm": "pcm",
}
_DOCUMENTS: Mapping[str, str] = {
    "application/pdf": "pdf",
    "text/csv": "csv",
    "application/msword": "doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "text/html": "html",
    "text/markdown": "md",
    "text/plain": "txt",
    "application/json": "txt",
    "application/xml": "txt",
    "application/yaml": "txt",
}


class Writer:
    """Writes parts for one model, and remembers what it could not.

    Args:
        model: decides what may be cached, and whether thoughts are taken back.
    """

    def __init__(self, model: str) -> None:
        self.dropped: list[str] = []
        self._caches = is_claude(model) or is_nova(model)
        self._thinks_back = is_claude(model)
        self._documents = 0

    def write(self, parts: Iterable[Part], path: str) -> list[Block]:
        """The blocks for these parts; texts without a character are left out, since models refuse them.

        Raises:
            BadRequest: unsupported, a part cannot be said in this language at all.
        """
        blocks: list[Block] = []
        for number, part in enumerate(parts):
            block = self._block(part, f"{path}[{number}]")
            if block is not None:
                blocks.append(block)
            blocks += self.cache_point(getattr(part, "cache", None))
        return blocks

    def cache_point(self, ttl: CacheTtl | None) -> list[Block]:
        """What ends a cached prefix, for models that have it; five minutes is the language's default."""
        if ttl is None:
            return []
        if not self._caches:
            if "cache_control" not in self.dropped:
                self.dropped.append("cache_control")
            return []
        point: Block = {"type": "default"} if ttl == "5m" else {"type": "default", "ttl": ttl}
        return [{"cachePoint": point}]

    def _block(self, part: Part, path: str) -> Block | None:
        match part:
            case Text(text) | Refusal(text):
                return {"text": text} if text else None
            case ToolUse(id, name, arguments):
                return {"toolUse": {"toolUseId": _id(id), "name": name, "input": tool_input(arguments)}}
            case ToolResult():
                return {"toolResult": self._result(part, path)}
            case Image(source, detail):
                if detail not in (None, "auto"):
                    self.dropped.append(f"{path}.detail")
                return {"image": _media(source, _IMAGES, path, "picture")}
            case Audio(source):
                return {"audio": _media(source, _AUDIO, path, "recording")}
            case File(source, name):
                self._documents += 1
                document = _media(source, _DOCUMENTS, path, "document")
                return {"document": {"name": _name(name, self._documents), **document}}
            case Thinking(text, signature):
                return self._thought(text, signature, path)
            case Opaque(wire, data):
                return self._opaque(wire, dict(data), path)

    def _result(self, result: ToolResult, path: str) -> Block:
        content = self.write(result.parts, f"{path}.content")
        written: Block = {"toolUseId": _id(result.tool_use_id), "content": list(content)}
        return {**written, "status": "error"} if result.is_error else written

    def _thought(self, text: str, signature: str | None, path: str) -> Block | None:
        # Claude's proofs are the same wherever it runs.
        if signature is None or is_foreign(signature) or not self._thinks_back:
            self.dropped.append(f"{path}: a thought without its signature")
            return None
        return {"reasoningContent": {"reasoningText": {"text": text, "signature": signature}}}

    def _opaque(self, wire: str, data: Block, path: str) -> Block | None:
        if wire == NAME:
            return data
        if wire == ANTHROPIC and data.get("type") == "redacted_thinking" and self._thinks_back:
            return {"reasoningContent": {"redactedContent": word(data, "data")}}
        self.dropped.append(f"{path}: opaque {data.get('type', 'unknown')}")
        return None


def _media(source: Source, formats: Mapping[str, str], path: str, what: str) -> Block:
    match source:
        case Inline(media_type, base64):
            return {"format": _format(media_type, formats, path, what), "source": {"bytes": base64}}
        case Url(url) if url.startswith("data:"):
            head, comma, data = url[len("data:") :].partition(",")
            media_type, _, encoding = head.partition(";")
            if not comma or "base64" not in encoding.split(";"):
                raise BadRequest(f"{path}: expected a data URL like data:image/png;base64,…", param=path)
            return {"format": _format(media_type, formats, path, what), "source": {"bytes": data}}
        case Url() | Uploaded():  # also in a bucket: it would be read with the gateway's own rights
            raise _unsayable(path, f"a {what} by its address: send its bytes")


def _format(media_type: str, formats: Mapping[str, str], path: str, what: str) -> str:
    bare = media_type.partition(";")[0].strip().lower()
    if bare not in formats:
        raise _unsayable(path, f"a {what} of type {media_type}")
    return formats[bare]


def _name(name: str | None, number: int) -> str:
    """A document's name as the API takes it: letters, digits, single spaces, hyphens and brackets."""
    said = " ".join(_NOT_IN_NAMES.sub(" ", (name or "").rpartition(".")[0] or name or "").split())
    return f"{said or 'document'} {number}"[-200:].strip()


_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9\s()\[\]-]")


def _id(id: str) -> str:
    """An id as the API takes it; a call and its result change alike."""
    return _NOT_IN_IDS.sub("_", id)


_NOT_IN_IDS = re.compile(r"[^a-zA-Z0-9_.:-]")


def _unsayable(path: str, what: str) -> BadRequest:
    return BadRequest(f"{path}: {FAMILY}'s language cannot carry {what}", Code.UNSUPPORTED, param=path)
