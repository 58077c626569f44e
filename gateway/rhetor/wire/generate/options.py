"""The settings of a generation, under any of the names that callers of media services know.

`topK` is `top_k`, and `width` and `height` are a size. What is not listed goes to the provider under its own
name where the kind of request has room for that, and is named in `dropped` where it has none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from rhetor.core.content import Json, JsonValue
from rhetor.core.errors import BadRequest
from rhetor.core.media import AUDIO_TYPES, EXTENSIONS, Draw, Make, Rank, Speak, Transcribe
from rhetor.core.request import Chat, Embed, Reasoning, ResponseFormat
from rhetor.wire import fields
from rhetor.wire.openai.request import SHAPED

Reader: TypeAlias = Callable[[Json, str, str], Any]
"""Reads a setting: the object, its key, the object's path. None says nothing."""
Named: TypeAlias = Mapping[str, tuple[str, Reader]]
"""By the setting's name: the field it sets, and how it is read."""

PATH = "options"
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SIZE = re.compile(r"(\d{1,5})\s*[x×*:]\s*(\d{1,5})")
_TYPES: Mapping[str, str] = {
    **{word: media_type for media_type, word in EXTENSIONS.items()},
    "jpeg": "image/jpeg",
    "wav": "audio/wav",
}
_WORDS: Mapping[str, str] = {media_type: word for word, media_type in AUDIO_TYPES.items()}


def snake(name: str) -> str:
    """`maxOutputTokens` as `max_output_tokens`."""
    return _HUMP.sub("_", name).replace("-", "_").lower()


def read_options(options: Json, kind: type) -> tuple[dict[str, Any], dict[str, JsonValue]]:
    """The fields of this kind of request that the options set, and what is left, as it was written.

    Raises:
        BadRequest: says which option is wrong and what was expected.
    """
    known = _KINDS[kind]
    said: dict[str, Any] = {}
    left: dict[str, JsonValue] = {}
    for name, given in options.items():
        if given is None:
            continue
        entry = known.get(snake(name))
        if entry is None:
            left[name] = given
            continue
        field, read = entry
        if (value := read(options, name, PATH)) is not None:
            said[field] = value
    width, height = said.pop("width", None), said.pop("height", None)
    if width is not None and height is not None:
        said.setdefault("size", (width, height))
    return said, left


def _positive(said: Json, key: str, path: str) -> int | None:
    return fields.optional_integer(said, key, path, least=1)


def _stop(said: Json, key: str, path: str) -> tuple[str, ...]:
    given = said.get(key)
    return (given,) if isinstance(given, str) else fields.texts(said, key, path)


def _response_format(said: Json, key: str, path: str) -> ResponseFormat | None:
    """A word, or an object as OpenAI's."""
    given = said.get(key)
    if isinstance(given, str):
        word = given.lower()
        if word in ("text", "text/plain"):
            return ResponseFormat("text")
        if word in ("json", "json_object", "application/json"):
            return ResponseFormat("json")
        where = fields.join(path, key)
        raise BadRequest(f"{where}: expected text, json or an object, got {given[:50]!r}", param=where)
    unsaid: list[str] = []
    read = SHAPED["response_format"][1](said, key, path, unsaid)
    if unsaid:
        raise BadRequest(f"{unsaid[0]}: expected text, json_object or json_schema", param=unsaid[0])
    return read if isinstance(read, ResponseFormat) else None


def _reasoning(said: Json, key: str, path: str) -> Reasoning | None:
    effort = fields.optional_text(said, key, path)
    return None if effort is None else Reasoning(effort=effort, enabled=effort != "none")


def _size(said: Json, key: str, path: str) -> tuple[int, int] | None:
    """`1024x768`, `[1024, 768]` or `{width, height}`; `auto` says nothing."""
    given = said.get(key)
    where = fields.join(path, key)
    sides: list[JsonValue] = []
    if isinstance(given, str):
        if given.lower() == "auto":
            return None
        found = _SIZE.fullmatch(given.strip().lower())
        sides = [int(found[1]), int(found[2])] if found is not None else []
    elif isinstance(given, list):
        sides = given
    elif isinstance(given, Mapping):
        sides = [given.get("width"), given.get("height")]
    numbers = [fields.as_integer(side) for side in sides]
    match numbers:
        case [int(width), int(height)] if width > 0 and height > 0:
            return width, height
    raise BadRequest(f"{where}: expected a size such as 1024x1024", param=where)


def _media_type(said: Json, key: str, path: str) -> str | None:
    word = fields.optional_text(said, key, path)
    return None if word is None else _TYPES.get(word.lower(), word)


def _sound(said: Json, key: str, path: str) -> str | None:
    word = fields.optional_text(said, key, path)
    return None if word is None else _WORDS.get(word.lower(), word)


_text, _flag, _number, _integer = (
    fields.optional_text,
    fields.optional_flag,
    fields.optional_number,
    fields.optional_integer,
)

_CHAT: Named = {
    "temperature": ("temperature", _number),
    "top_p": ("top_p", _number),
    "top_k": ("top_k", _integer),
    "max_tokens": ("max_tokens", _positive),
    "max_output_tokens": ("max_tokens", _positive),
    "seed": ("seed", _integer),
    "stop": ("stop", _stop),
    "stop_sequences": ("stop", _stop),
    "presence_penalty": ("presence_penalty", _number),
    "frequency_penalty": ("frequency_penalty", _number),
    "response_format": ("response_format", _response_format),
    "reasoning_effort": ("reasoning", _reasoning),
    "user": ("end_user", _text),
}
_DRAW: Named = {
    "n": ("count", _positive),
    "count": ("count", _positive),
    "num_images": ("count", _positive),
    "number_of_images": ("count", _positive),
    "size": ("size", _size),
    "width": ("width", _positive),
    "height": ("height", _positive),
    "aspect_ratio": ("aspect_ratio", _text),
    "quality": ("quality", _text),
    "style": ("style", _text),
    "background": ("background", _text),
    "negative_prompt": ("negative_prompt", _text),
    "seed": ("seed", _integer),
    "steps": ("steps", _positive),
    "num_inference_steps": ("steps", _positive),
    "guidance": ("guidance", _number),
    "guidance_scale": ("guidance", _number),
    "format": ("format", _media_type),
    "output_format": ("format", _media_type),
    "user": ("end_user", _text),
}
_SPEAK: Named = {
    "voice": ("voice", _text),
    "voice_id": ("voice", _text),
    "instructions": ("instructions", _text),
    "format": ("format", _sound),
    "response_format": ("format", _sound),
    "output_format": ("format", _sound),
    "sample_rate": ("sample_rate", _positive),
    "speed": ("speed", _number),
    "language": ("language", _text),
}
_TRANSCRIBE: Named = {
    "language": ("language", _text),
    "prompt": ("prompt", _text),
    "temperature": ("temperature", _number),
    "translate": ("translate", _flag),
    "segments": ("segments", _flag),
    "words": ("words", _flag),
    "word_timestamps": ("words", _flag),
    "speakers": ("speakers", _flag),
    "diarize": ("speakers", _flag),
}
_EMBED: Named = {"dimensions": ("dimensions", _positive), "user": ("end_user", _text)}
_RANK: Named = {"top_n": ("most", _positive), "top_k": ("most", _positive), "most": ("most", _positive)}
_MAKE: Named = {
    "seconds": ("seconds", _number),
    "duration": ("seconds", _number),
    "duration_s": ("seconds", _number),
    "size": ("size", _size),
    "width": ("width", _positive),
    "height": ("height", _positive),
    "aspect_ratio": ("aspect_ratio", _text),
    "seed": ("seed", _integer),
    "format": ("format", _media_type),
    "output_format": ("format", _media_type),
}
_KINDS: Mapping[type, Named] = {
    Chat: _CHAT,
    Embed: _EMBED,
    Draw: _DRAW,
    Speak: _SPEAK,
    Transcribe: _TRANSCRIBE,
    Rank: _RANK,
    Make: _MAKE,
}
