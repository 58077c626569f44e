"""Content blocks of a request → canonical parts.

Blocks without a canonical form become `Opaque` whole. A block that has one but
carries a field that has none (a document's citations, say) loses the field to
other wires: its path goes into `unsaid`.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping

from rhetor.core.content import (
    CacheTtl,
    File,
    Image,
    Inline,
    Json,
    Opaque,
    Part,
    Source,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
    Uploaded,
    Url,
)
from rhetor.wire import fields
from rhetor.wire.anthropic.vocabulary import NAME

Unsaid = list[str]
"""Paths of what has no canonical form, in the order of reading."""


def read_content(owner: Json, path: str, unsaid: Unsaid) -> tuple[Part, ...]:
    """The `content` of a message or a tool result: a string is short for one text block."""
    value = owner.get("content")
    if isinstance(value, str):
        return (Text(value),)
    if not isinstance(value, list):
        raise fields.wrong(fields.join(path, "content"), "a string or an array of content blocks", value)
    return read_blocks(owner, "content", path, unsaid)


def read_blocks(owner: Json, key: str, path: str, unsaid: Unsaid) -> tuple[Part, ...]:
    return tuple(_read(block, where, unsaid) for block, where in fields.objects(owner, key, path))


def read_cache(block: Json, path: str) -> CacheTtl | None:
    """How long the prefix that ends at this block is to be kept; five minutes when the mark does not say."""
    mark = fields.optional_mapping(block, "cache_control", path)
    if mark is None:
        return None
    ttls: tuple[CacheTtl, ...] = ("5m", "1h")
    return fields.one_of(mark, "ttl", ttls, fields.join(path, "cache_control")) or "5m"


def name_rest(owner: Json, known: frozenset[str], path: str, unsaid: Unsaid) -> None:
    """Names the fields beyond the known ones that say something."""
    if owner.keys() <= known:
        return
    told = (key for key, value in owner.items() if value is not None)
    unsaid += [fields.join(path, key) for key in told if key not in known]


def _read(block: Json, path: str, unsaid: Unsaid) -> Part:
    reader = _READERS.get(fields.text(block, "type", path))
    return Opaque(NAME, block) if reader is None else reader(block, path, unsaid)


def _text(block: Json, path: str, unsaid: Unsaid) -> Part:
    name_rest(block, _TEXT_FIELDS, path, unsaid)
    return Text(fields.text(block, "text", path), read_cache(block, path))


def _image(block: Json, path: str, unsaid: Unsaid) -> Part:
    source = _source(block, path)
    if source is None:
        return Opaque(NAME, block)
    name_rest(block, _IMAGE_FIELDS, path, unsaid)
    return Image(source, cache=read_cache(block, path))


def _document(block: Json, path: str, unsaid: Unsaid) -> Part:
    source = _source(block, path)
    if source is None:
        return Opaque(NAME, block)
    name_rest(block, _DOCUMENT_FIELDS, path, unsaid)
    return File(source, fields.optional_text(block, "title", path), read_cache(block, path))


def _source(block: Json, path: str) -> Source | None:
    """Where content comes from; None for kinds that only this language has."""
    source = fields.mapping(block, "source", path)
    where = fields.join(path, "source")
    match fields.text(source, "type", where):
        case "base64":
            return Inline(fields.text(source, "media_type", where), fields.text(source, "data", where))
        case "url":
            return Url(fields.text(source, "url", where))
        case "file":
            return Uploaded(fields.text(source, "file_id", where))
        case "text":
            text = fields.text(source, "data", where)
            return Inline("text/plain", b64encode(text.encode()).decode())
        case _:
            return None


def _thinking(block: Json, path: str, unsaid: Unsaid) -> Part:
    name_rest(block, _THINKING_FIELDS, path, unsaid)
    signature = fields.optional_text(block, "signature", path)
    return Thinking(fields.text(block, "thinking", path), signature or None)


def _tool_use(block: Json, path: str, unsaid: Unsaid) -> Part:
    # A reply sent back says who called the tool; that the model did it itself says nothing.
    direct = block.get("caller") == {"type": "direct"}
    name_rest(block, _DIRECT_TOOL_USE_FIELDS if direct else _TOOL_USE_FIELDS, path, unsaid)
    return ToolUse(
        fields.text(block, "id", path),
        fields.text(block, "name", path),
        fields.dump(fields.mapping(block, "input", path)).decode(),
        read_cache(block, path),
    )


def _tool_result(block: Json, path: str, unsaid: Unsaid) -> Part:
    name_rest(block, _TOOL_RESULT_FIELDS, path, unsaid)
    return ToolResult(
        fields.text(block, "tool_use_id", path),
        () if block.get("content") is None else read_content(block, path, unsaid),
        fields.flag(block, "is_error", path),
        read_cache(block, path),
    )


_TEXT_FIELDS = frozenset({"type", "text", "cache_control"})
_IMAGE_FIELDS = frozenset({"type", "source", "cache_control"})
_DOCUMENT_FIELDS = frozenset({"type", "source", "title", "cache_control"})
_THINKING_FIELDS = frozenset({"type", "thinking", "signature"})
_TOOL_USE_FIELDS = frozenset({"type", "id", "name", "input", "cache_control"})
_DIRECT_TOOL_USE_FIELDS = _TOOL_USE_FIELDS | {"caller"}
_TOOL_RESULT_FIELDS = frozenset({"type", "tool_use_id", "content", "is_error", "cache_control"})

_READERS: Mapping[str, Callable[[Json, str, Unsaid], Part]] = {
    "text": _text,
    "image": _image,
    "document": _document,
    "thinking": _thinking,
    "tool_use": _tool_use,
    "tool_result": _tool_result,
}
