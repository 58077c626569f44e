"""What is asked for beside conversations: pictures, speech, transcripts, an order of documents."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import field
from typing import TypeAlias

from rhetor.core.content import Inline, Json, Url
from rhetor.core.errors import BadRequest
from rhetor.core.value import value


@value
class Bytes:
    """Content that came as it is: an uploaded file, or what another generation made."""

    media_type: str
    """`audio/wav`; parameters such as codecs stay with it."""
    data: bytes
    name: str | None = None
    """Of the file, as the caller calls it."""


Material: TypeAlias = Bytes | Inline | Url
"""A picture, a recording, a film that a request is about."""


@value(kw_only=True)
class Draw:
    """Pictures, from words alone (text-to-image) or of other pictures (image-to-image)."""

    prompt: str
    images: tuple[Material, ...] = ()
    """To be changed, or to be followed; none for text-to-image."""
    mask: Material | None = None
    """What is transparent there may be changed."""
    count: int = 1
    size: tuple[int, int] | None = None
    """Width and height in pixels."""
    aspect_ratio: str | None = None
    """`16:9`; instead of a size."""
    quality: str | None = None
    style: str | None = None
    background: str | None = None
    """`transparent`, `opaque` or `auto`."""
    negative_prompt: str | None = None
    seed: int | None = None
    steps: int | None = None
    guidance: float | None = None
    format: str | None = None
    """The media type that is wanted: `image/png`, `image/jpeg`, `image/webp`."""
    end_user: str | None = None
    extra: Json = field(default_factory=dict)
    """What only some models understand, by their own names: passed on as it is."""


@value(kw_only=True)
class Speak:
    """A text, or a description of sounds, to be heard (text-to-audio)."""

    text: str
    voice: str | None = None
    instructions: str | None = None
    """How to speak: in which mood, how fast."""
    format: str | None = None
    """`mp3`, `opus`, `aac`, `flac`, `wav` or `pcm`; None: as the model likes."""
    sample_rate: int | None = None
    """In Hz."""
    speed: float | None = None
    """1.0 is as people speak."""
    language: str | None = None
    """ISO 639-1, `en`."""
    extra: Json = field(default_factory=dict)


@value(kw_only=True)
class Transcribe:
    """A recording to be written down (audio-to-text)."""

    audio: Material
    language: str | None = None
    """ISO 639-1; None: to be found out."""
    prompt: str | None = None
    """Words that may occur, or what was said before."""
    temperature: float | None = None
    translate: bool = False
    """Into English."""
    segments: bool = False
    """With the times of sentences."""
    words: bool = False
    """With the times of words."""
    speakers: bool = False
    """With who speaks."""
    extra: Json = field(default_factory=dict)


@value(kw_only=True)
class Rank:
    """Documents to be put in the order in which they answer a query."""

    query: str
    documents: tuple[str, ...]
    most: int | None = None
    """How many of the best are wanted; None: all."""
    extra: Json = field(default_factory=dict)


@value(kw_only=True)
class Make:
    """Whatever else is made of words and of other media: films, their sounds, things in three dimensions."""

    prompt: str = ""
    sources: tuple[Material, ...] = ()
    seconds: float | None = None
    """How long the film or the sound shall be."""
    size: tuple[int, int] | None = None
    aspect_ratio: str | None = None
    seed: int | None = None
    format: str | None = None
    """The media type that is wanted."""
    extra: Json = field(default_factory=dict)


def data_of(material: Bytes | Inline) -> bytes:
    """The content itself.

    Raises:
        BadRequest: it is said to be base64 and is not.
    """
    if isinstance(material, Bytes):
        return material.data
    try:
        return b64decode(material.base64, validate=True)
    except ValueError as error:
        raise BadRequest(f"the content is not base64: {error}") from error


def base64_of(material: Bytes | Inline) -> str:
    """The content as text."""
    return material.base64 if isinstance(material, Inline) else b64encode(material.data).decode()


def url_of(material: Material) -> str:
    """Where the content is, or a `data:` URL that holds it."""
    if isinstance(material, Url):
        return material.url
    return f"data:{material.media_type};base64,{base64_of(material)}"


LONGEST_HEAD = 256  # characters of a `data:` URL before its content; a media type has 127 at most


def inlined(address: str) -> tuple[str, int] | None:
    """The media type of a `data:` URL in base64, empty where it names none, and where its content begins.

    None: it is something else. Takes the same time however long it is.
    """
    comma = address.find(",", 0, LONGEST_HEAD)
    head = address[:comma].lower() if comma > 0 else ""
    if not head.startswith("data:") or not head.endswith(";base64"):
        return None
    return address[len("data:") : comma].partition(";")[0].strip(), comma + 1


EXTENSIONS: Mapping[str, str] = {
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/webp": "webp",
    "image/gif": "gif",
    "image/svg+xml": "svg",
    "audio/mpeg": "mp3",
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/flac": "flac",
    "audio/aac": "aac",
    "audio/ogg": "ogg",
    "audio/opus": "opus",
    "audio/mp4": "m4a",
    "audio/webm": "webm",
    "audio/pcm": "pcm",
    "video/mp4": "mp4",
    "video/webm": "webm",
    "text/plain": "txt",
    "application/json": "json",
    "model/gltf-binary": "glb",
}
"""Of files, by media type; what is not listed has none that everybody knows."""

AUDIO_TYPES: Mapping[str, str] = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}
"""Media types by the short names of `Speak.format`."""


def extension_of(media_type: str) -> str:
    """How files of this type end, without the dot; `bin` when nobody says."""
    return EXTENSIONS.get(media_type.partition(";")[0].strip().lower(), "bin")
