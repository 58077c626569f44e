"""Words of pictures that both directions need: formats, sizes, and which models OpenAI itself has."""

from __future__ import annotations

import re
from collections.abc import Mapping

from rhetor.core.content import Json, JsonValue
from rhetor.core.usage import Usage
from rhetor.wire.lenient import count

GENERATIONS, EDITS = "/images/generations", "/images/edits"
FORMATS: Mapping[str, str] = {
    "png": "image/png",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "gif": "image/gif",
    "svg": "image/svg+xml",
}
"""`output_format` → media type: https://developers.openai.com/api/reference/resources/images
(read 2026-11-21)."""
_BEGINNINGS: Mapping[bytes, str] = {
    b"iVBORw0KGgo": "image/png",
    b"/9j/": "image/jpeg",
    b"UklGR": "image/webp",
    b"R0lGOD": "image/gif",
    b"PHN2Zy": "image/svg+xml",
    b"PD94bW": "image/svg+xml",
}
"""How files begin, in base64."""
_SIZE = re.compile(r"(\d{1,5})x(\d{1,5})")
_RATIO = re.compile(r"\d{1,3}(?:\.\d+)?:\d{1,3}(?:\.\d+)?")
_NEWER, _OLDER = ("gpt-image", "chatgpt-image"), "dall-e"


def is_newer(model: str) -> bool:
    """Whether it is one of OpenAI's models that always answer in base64, and refuse to be asked for a format.

    https://developers.openai.com/api/reference/resources/images/methods/generate (read 2026-11-21).
    """
    return any(word in model for word in _NEWER)


def is_openais(model: str) -> bool:
    """Whether it is a model of OpenAI's own, which refuse options that other speakers' models take."""
    return is_newer(model) or _OLDER in model


def media_type_of(output_format: str, base64: bytes) -> str:
    """What a picture is: as the reply says, else as it begins."""
    if (said := FORMATS.get(output_format)) is not None:
        return said
    return next((kind for begun, kind in _BEGINNINGS.items() if base64.startswith(begun)), "image/png")


def format_of(media_type: str) -> str | None:
    """The word for a media type."""
    bare = media_type.partition(";")[0].strip().lower()
    return next((word for word, kind in FORMATS.items() if kind == bare), None)


def read_size(text: str) -> tuple[int, int] | None:
    found = _SIZE.fullmatch(text)
    return (int(found[1]), int(found[2])) if found is not None else None


def is_ratio(text: str) -> bool:
    return _RATIO.fullmatch(text) is not None


def size_for(ratio: str) -> str:
    """The nearest of the sizes that all newer models have."""
    width, _, height = ratio.partition(":")
    shape = float(width) / (float(height) or 1.0)
    return "1536x1024" if shape > 1.2 else "1024x1536" if shape < 0.84 else "1024x1024"


def read_usage(fields: Json, images: int) -> Usage:
    return Usage(
        input_tokens=count(fields, "input_tokens"),
        output_tokens=count(fields, "output_tokens"),
        images=images,
    )


def write_usage(usage: Usage) -> dict[str, JsonValue]:
    """What went in is told as text: nobody says how much of it was pictures, and callers want numbers."""
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        "input_tokens_details": {"text_tokens": usage.input_tokens, "image_tokens": 0},
    }
