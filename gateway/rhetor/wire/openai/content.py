"""Content parts of a message, both directions.

https://platform.openai.com/docs/api-reference/chat/create (read 2026-11-20).
Parts of a type that we do not know become `Opaque` whole.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from rhetor.core.content import (
    Audio,
    CacheTtl,
    File,
    Image,
    Inline,
    Json,
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
from rhetor.wire import fields
from rhetor.wire.base import Quirks
from rhetor.wire.openai.vocabulary import NAME, cache_control, read_cache

_DATA_URL = re.compile(r"data:([^,]*);base64,", re.IGNORECASE)
_MEDIA_TYPES = {"mp3": "audio/mpeg"}
_FORMATS = {media_type: word for word, media_type in _MEDIA_TYPES.items()}
_FILE_TYPE = "application/pdf"  # what file data without a data URL's prefix is: the only type documented
BETWEEN_TEXTS = "\n\n"


def read_content(owner: Json, path: str) -> list[Part]:
    """The `content` of a message: a string, an array of parts, or nothing. Empty texts say nothing."""
    value = owner.get("content")
    if value is None:
        return []
    if isinstance(value, str):
        return [Text(value)] if value else []
    if not isinstance(value, list):
        raise fields.wrong(fields.join(path, "content"), "a string or an array of parts", value)
    parts = [_read_part(part, where) for part, where in fields.objects(owner, "content", path)]
    return [part for part in parts if not (isinstance(part, Text) and not part.text)]


def _read_part(part: Json, path: str) -> Part:
    reader = _READERS.get(fields.text(part, "type", path))
    return Opaque(NAME, part) if reader is None else reader(part, path)


def _read_text(part: Json, path: str) -> Part:
    return Text(fields.text(part, "text", path), read_cache(part))


def _read_refusal(part: Json, path: str) -> Part:
    return Refusal(fields.text(part, "refusal", path))


def _read_image(part: Json, path: str) -> Part:
    if isinstance(url := part.get("image_url"), str):  # Mistral's habit
        return Image(source_of(url), cache=read_cache(part))
    image = fields.mapping(part, "image_url", path)
    where = fields.join(path, "image_url")
    return Image(
        source_of(fields.text(image, "url", where)),
        fields.optional_text(image, "detail", where),
        read_cache(part),
    )


def read_audio(part: Json, path: str) -> Part:
    audio = fields.mapping(part, "input_audio", path)
    where = fields.join(path, "input_audio")
    word = fields.text(audio, "format", where)
    return Audio(Inline(_MEDIA_TYPES.get(word, f"audio/{word}"), fields.text(audio, "data", where)))


def _read_file(part: Json, path: str) -> Part:
    file = fields.mapping(part, "file", path)
    where = fields.join(path, "file")
    file_id = fields.optional_text(file, "file_id", where)
    source: Source
    if file_id is not None:
        source = Uploaded(file_id)
    else:
        source = source_of(fields.text(file, "file_data", where), bare=_FILE_TYPE)
    return File(source, fields.optional_text(file, "filename", where), read_cache(part))


_READERS: Mapping[str, Callable[[Json, str], Part]] = {
    "text": _read_text,
    "refusal": _read_refusal,
    "image_url": _read_image,
    "input_audio": read_audio,
    "file": _read_file,
}


def source_of(url: str, bare: str | None = None) -> Source:
    """What a URL points to or carries itself; `bare` is the type of data that may come without a URL."""
    inline = _DATA_URL.match(url)
    if inline is not None:
        return Inline(inline[1], url[inline.end() :])
    if bare is not None and not url.lower().startswith(("http:", "https:", "data:")):
        return Inline(bare, url)
    return Url(url)


class Dropped(list[str]):
    """Paths of what the language, or the provider, cannot take."""

    def __init__(self) -> None:
        super().__init__()
        self._named: set[str] = set()

    def once(self, name: str) -> None:
        """Names what would otherwise be named for every part."""
        if name not in self._named:
            self._named.add(name)
            self.append(name)


def write_content(
    parts: Sequence[tuple[Part, str]], quirks: Quirks, dropped: Dropped
) -> str | list[JsonValue]:
    """The `content` that says these parts, which come with their paths.

    Texts alone become one string, a blank line between them: many compatible
    servers (DeepSeek, Groq, Cerebras) refuse arrays where a string would do.

    Raises:
        BadRequest: unsupported, a part cannot be said at all.
    """
    texts = [part for part, _ in parts if isinstance(part, Text)]
    if len(texts) == len(parts) and not any(mark_of(text.cache, quirks, dropped) for text in texts):
        return BETWEEN_TEXTS.join(text.text for text in texts)
    written = (write_part(part, path, quirks, dropped) for part, path in parts)
    return [part for part in written if part is not None]


def write_part(part: Part, path: str, quirks: Quirks, dropped: Dropped) -> JsonValue:
    """One part; None when it can be left out and was named."""
    match part:
        case Text(text, cache):
            return {"type": "text", "text": text, **mark_of(cache, quirks, dropped)}
        case Image(source, detail, cache):
            image: dict[str, JsonValue] = {"url": _url_of(source, path)}
            if detail is not None:
                image["detail"] = detail
            return {"type": "image_url", "image_url": image, **mark_of(cache, quirks, dropped)}
        case Audio(Inline(media_type, data)):
            word = _FORMATS.get(media_type, media_type.removeprefix("audio/"))
            return {"type": "input_audio", "input_audio": {"data": data, "format": word}}
        case File(source, name, cache):
            file = _file(source, path)
            if name is not None:
                file["filename"] = name
            return {"type": "file", "file": file, **mark_of(cache, quirks, dropped)}
        case Refusal(text):
            return {"type": "refusal", "refusal": text}
        case Opaque(wire, data) if wire == NAME:
            return data
        case Opaque():
            dropped.append(f"{path}: opaque {part.kind}")
            return None
    raise unsayable(path, type(part).__name__.lower())


def unsayable(path: str, what: str) -> BadRequest:
    return BadRequest(f"{path}: OpenAI chat completions cannot carry {what}", Code.UNSUPPORTED, param=path)


def _url_of(source: Source, path: str) -> str:
    match source:
        case Url(url):
            return url
        case Inline(media_type, data):
            return f"data:{media_type};base64,{data}"
    raise unsayable(path, "an uploaded image")


def _file(source: Source, path: str) -> dict[str, JsonValue]:
    match source:
        case Uploaded(file_id):
            return {"file_id": file_id}
        case Inline():
            return {"file_data": _url_of(source, path)}
    raise unsayable(path, "a file by its URL")


def mark_of(ttl: CacheTtl | None, quirks: Quirks, dropped: Dropped) -> dict[str, JsonValue]:
    """The field that marks a cached prefix's end, for providers that take it."""
    if ttl is None:
        return {}
    if quirks.cache_marks:
        return {"cache_control": cache_control(ttl)}
    dropped.once("cache_control")
    return {}
