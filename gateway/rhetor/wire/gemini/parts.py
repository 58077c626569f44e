"""Canonical parts → parts of a content.

https://ai.google.dev/api/caching#Part (read 2026-11-21). Files by their address are `fileData`: the provider
fetches public addresses itself (https://ai.google.dev/gemini-api/docs/file-input-methods, read 2026-11-21).
"""

from __future__ import annotations

import mimetypes
from typing import TypeAlias
from urllib.parse import urlsplit

from rhetor.core.content import (
    Audio,
    File,
    Image,
    Inline,
    JsonValue,
    Opaque,
    Part,
    Refusal,
    Source,
    Text,
    Uploaded,
    Url,
)
from rhetor.core.errors import BadRequest, Code
from rhetor.core.media import Bytes, Material, base64_of
from rhetor.wire.gemini.vocabulary import FAMILY, NAME

Written: TypeAlias = dict[str, JsonValue]


class Dropped(list[str]):
    """What the caller said and this language cannot, by path."""

    def once(self, name: str) -> None:
        """Names what would otherwise be named for every part."""
        if name not in self:
            self.append(name)


def write_part(part: Part, path: str, dropped: Dropped) -> list[Written]:
    """The parts that say one of a message; calls, results and thoughts have their own place.

    Raises:
        BadRequest: unsupported, it cannot be said in this language at all.
    """
    if getattr(part, "cache", None) is not None:
        dropped.once("cache_control")  # prefixes are cached unasked
    match part:
        case Text(text) | Refusal(text):
            return [{"text": text}] if text else []
        case Image(source, detail):
            if detail not in (None, "auto"):
                dropped.append(f"{path}.detail")
            return [_source(source, path, "image/jpeg")]
        case Audio(source):
            return [_source(source, path, "audio/wav")]
        case File(source, name):
            # A file has no name in this language, and who speaks of several needs theirs.
            named: list[Written] = [{"text": name}] if name else []
            return [*named, _source(source, path, "application/pdf")]
        case Opaque(wire, data) if wire == NAME:
            return [dict(data)]
        case Opaque():
            dropped.append(f"{path}: opaque {part.kind}")
            return []
    raise unsayable(path, type(part).__name__.lower())


def write_material(material: Material, path: str, otherwise: str) -> Written:
    """A picture or a recording that a request is about.

    Args:
        otherwise: its type, when neither it nor its address says one.
    """
    if isinstance(material, Bytes):
        bare = material.media_type.partition(";")[0].strip() or otherwise
        return {"inlineData": {"mimeType": bare, "data": base64_of(material)}}
    return _source(material, path, otherwise)


def unsayable(path: str, what: str) -> BadRequest:
    return BadRequest(f"{path}: {FAMILY}'s language cannot carry {what}", Code.UNSUPPORTED, param=path)


def _source(source: Source, path: str, otherwise: str) -> Written:
    match source:
        case Inline(media_type, base64):
            return {"inlineData": {"mimeType": media_type, "data": base64}}
        case Uploaded(uri) | Url(uri) if uri.startswith("gs://"):
            # It would be read with the gateway's own rights, and callers have none there.
            message = f"{path}: what lies in a bucket is not passed on; send its bytes"
            raise BadRequest(message, Code.UNSUPPORTED, param=path)
        case Uploaded(file_id):
            return {"fileData": {"fileUri": file_id}}
        case Url(url) if url.startswith("data:"):
            return _data_url(url, path)
        case Url(url):
            guessed, _ = mimetypes.guess_type(urlsplit(url).path)
            return {"fileData": {"mimeType": guessed or otherwise, "fileUri": url}}


def _data_url(url: str, path: str) -> Written:
    head, comma, data = url[len("data:") :].partition(",")
    media_type, _, encoding = head.partition(";")
    if not comma or "base64" not in encoding.split(";"):
        raise BadRequest(f"{path}: expected a data URL like data:image/png;base64,…", param=path)
    return {"inlineData": {"mimeType": media_type or "text/plain", "data": data}}
