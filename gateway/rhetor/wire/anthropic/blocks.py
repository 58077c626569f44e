"""Canonical parts → content blocks of a request."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterable
from typing import assert_never

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
from rhetor.wire.anthropic.proofs import is_foreign
from rhetor.wire.anthropic.vocabulary import INVALID_JSON, NAME, cache_control
from rhetor.wire.lenient import parse

Block = dict[str, JsonValue]
Dropped = list[str]
"""What the caller said and this language cannot, by path."""


def write_blocks(parts: Iterable[Part], path: str, dropped: Dropped) -> list[Block]:
    """The blocks for a message's parts; texts without a character are left out, since the API refuses them.

    Raises:
        BadRequest: unsupported, a part cannot be said in this language at all.
    """
    written = (_write(part, f"{path}[{number}]", dropped) for number, part in enumerate(parts))
    return [block for block in written if block is not None]


def write_content(parts: tuple[Part, ...], path: str, dropped: Dropped) -> str | list[JsonValue]:
    """`content` as short as it can be: one plain text as a string, all else as blocks."""
    match parts:
        case (Text(text, None),):
            return text
        case _:
            return list(write_blocks(parts, path, dropped))


def tool_input(arguments: str) -> Block:
    """A call's arguments as the object that the language demands; other text travels under `INVALID_JSON`."""
    if not arguments:
        return {}
    value = parse(arguments)
    return {INVALID_JSON: arguments} if value is None else dict(value)


def _write(part: Part, path: str, dropped: Dropped) -> Block | None:
    match part:
        case Text(text, cache):
            return _marked({"type": "text", "text": text}, cache) if text else None
        case ToolUse(id, name, arguments, cache):
            use: Block = {"type": "tool_use", "id": _id(id), "name": name, "input": tool_input(arguments)}
            return _marked(use, cache)
        case ToolResult():
            return _result(part, path, dropped)
        case Image(source, detail, cache):
            if detail is not None:
                dropped.append(f"{path}.detail")
            return _marked({"type": "image", "source": _image_source(source, path)}, cache)
        case File(source, name, cache):
            document: Block = {"type": "document", "source": _document_source(source, path)}
            if name is not None:
                document["title"] = name
            return _marked(document, cache)
        case Thinking(text, signature):
            if signature is None or is_foreign(signature):
                dropped.append(f"{path}: a thought without its signature")
                return None
            return {"type": "thinking", "thinking": text, "signature": signature}
        case Refusal(text):
            return {"type": "text", "text": text} if text else None
        case Opaque(wire, data):
            if wire != NAME:
                dropped.append(f"{path}: opaque {part.kind}")
                return None
            return dict(data)
        case Audio():
            raise _unsayable(path, "audio")
        case _:
            assert_never(part)


def _result(part: ToolResult, path: str, dropped: Dropped) -> Block:
    block: Block = {"type": "tool_result", "tool_use_id": _id(part.tool_use_id)}
    if part.parts:
        block["content"] = write_content(part.parts, f"{path}.content", dropped)
    if part.is_error:
        block["is_error"] = True
    return _marked(block, part.cache)


def _marked(block: Block, cache: CacheTtl | None) -> Block:
    if cache is not None:
        block["cache_control"] = cache_control(cache)
    return block


def _id(id: str) -> str:
    """An id as the API takes it. Others write `functions.find:0`; a call and its result change alike."""
    return _NOT_IN_IDS.sub("_", id)


_NOT_IN_IDS = re.compile(r"[^a-zA-Z0-9_-]")


def _image_source(source: Source, path: str) -> Block:
    match _unfolded(source, path):
        case Inline(media_type, base64):
            return {"type": "base64", "media_type": media_type, "data": base64}
        case Url(url):
            return {"type": "url", "url": url}
        case Uploaded(file_id):
            return {"type": "file", "file_id": file_id}


def _document_source(source: Source, path: str) -> Block:
    inline = _unfolded(source, path)
    if not isinstance(inline, Inline) or inline.media_type == "application/pdf":
        return _image_source(inline, path)
    if not inline.media_type.startswith("text/") and inline.media_type not in _TEXTUAL:
        raise _unsayable(path, f"a document of type {inline.media_type}")
    try:
        text = b64decode(inline.base64, validate=True).decode()
    except ValueError as error:
        raise BadRequest(f"{path}: the document is not base64 of UTF-8 text: {error}", param=path) from error
    return {"type": "text", "media_type": "text/plain", "data": text}


_TEXTUAL = frozenset({"application/json", "application/xml", "application/yaml", "application/x-yaml"})


def _unfolded(source: Source, path: str) -> Source:
    """A data URL as the inline content it is; the API fetches only from the network."""
    if not isinstance(source, Url) or not source.url.startswith("data:"):
        return source
    head, comma, data = source.url[len("data:") :].partition(",")
    media_type, _, encoding = head.partition(";")
    if not comma or "base64" not in encoding.split(";"):
        raise BadRequest(f"{path}: expected a data URL like data:image/png;base64,…", param=path)
    return Inline(media_type or "text/plain", data)


def _unsayable(path: str, what: str) -> BadRequest:
    return BadRequest(f"{path}: {what} cannot be sent in the {NAME} language", Code.UNSUPPORTED, param=path)
