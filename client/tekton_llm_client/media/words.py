"""What media and those who make them are called, without any I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from tekton_llm_client.exceptions import InvalidRequestError, ServiceUnavailableError, TektonLLMError
from tekton_llm_client.models import MICROS

OURSELVES = "rhetor"  # whose models are the gateway's routes
UNTOLD = "application/octet-stream"


class MediaCapability(StrEnum):
    """What is made of what. The order counts: of what a model could make, the first is meant."""

    TEXT_TO_TEXT = "text-to-text"
    IMAGE_TO_TEXT = "image-to-text"
    AUDIO_TO_TEXT = "audio-to-text"
    TEXT_TO_IMAGE = "text-to-image"
    IMAGE_TO_IMAGE = "image-to-image"
    TEXT_TO_AUDIO = "text-to-audio"
    AUDIO_TO_AUDIO = "audio-to-audio"
    TEXT_TO_VIDEO = "text-to-video"
    IMAGE_TO_VIDEO = "image-to-video"
    VIDEO_TO_VIDEO = "video-to-video"
    VIDEO_TO_IMAGE = "video-to-image"
    VIDEO_TO_AUDIO = "video-to-audio"
    TEXT_TO_3D = "text-to-3d"
    IMAGE_TO_3D = "image-to-3d"
    EMBEDDINGS = "embeddings"
    RERANK = "rerank"


class ProviderType(StrEnum):
    """Where a provider runs: on the gateway's machine, elsewhere, or in a container that it starts."""

    LOCAL = "local"
    REMOTE = "remote"
    DOCKER = "docker"


def _again(kind: type[TektonLLMError], *arguments: str) -> TektonLLMError:
    """How such an error is copied and pickled: its message is not what it is made of."""
    return kind.__new__(kind, *arguments)


class ProviderNotFoundError(InvalidRequestError):
    """The gateway has no such provider, or none that can do it."""

    def __init__(self, id: str, known: Iterable[str] = ()) -> None:
        there = ", ".join(known)
        super().__init__(
            f"Provider {id!r} not found{f'; there are {there}' if there else ''}", code="not_found"
        )
        self.provider = id

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (type(self), *self.args), vars(self)


class ProviderCreationError(ServiceUnavailableError):
    """A provider that cannot be had: its plugin is refused, or it lacks what it needs."""

    def __init__(self, id: str, reason: str | TektonLLMError) -> None:
        said = reason.message if isinstance(reason, TektonLLMError) else reason
        super().__init__(
            f"Failed to create provider {id!r}: {said}",
            status=getattr(reason, "status", None),
            code=getattr(reason, "code", None) or "unavailable",
        )
        self.provider = id

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (type(self), *self.args), vars(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderModel:
    """A model that a provider lists."""

    id: str
    """As the provider calls it."""
    provider: str
    name: str
    description: str = ""
    capabilities: tuple[MediaCapability, ...] = ()
    features: tuple[str, ...] = ()
    pricing: Mapping[str, Any] | None = field(default=None, hash=False)
    """`input_cost` and `output_cost` for a million tokens, `image_cost`, `currency`; None: nobody knows."""
    max_input_tokens: int | None = None
    max_tokens: int | None = None
    free: bool | None = None
    """Whether it costs nothing; None: nobody knows."""
    tags: tuple[str, ...] = ()
    """What else tells it from others, such as `cloned` or `professional` of a voice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderFacts:
    """What is known of a provider."""

    id: str
    name: str
    type: ProviderType
    available: bool
    default_model: str | None
    capabilities: tuple[MediaCapability, ...]
    models: tuple[ProviderModel, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaProgress:
    """How far a generation is."""

    fraction: float | None = None
    """From 0 to 1, where the provider tells."""
    note: str = ""
    """In its own words."""


@dataclass(slots=True)
class Given:
    """An input as the gateway takes it."""

    kind: str
    """`text`, `image`, `audio`, `video`, `ranking`; empty: nobody knows."""
    said: Any
    text: str | None = None
    parents: list[str] = field(default_factory=list)


def read_model(said: Mapping[str, Any]) -> ProviderModel:
    """One of `/v1/models`; of a model that is not listed, `id` and `owned_by` are all there is."""
    provider, pricing = said["owned_by"], said.get("pricing")
    id = said["id"].removeprefix(f"{provider}/")
    targets = said.get("targets")
    return ProviderModel(
        id=id,
        provider=provider,
        name=said.get("name") or id,
        description=f"a route to {', '.join(targets)}" if targets else "",
        capabilities=known(said.get("capabilities") or ()),
        features=tuple(said.get("features") or ()),
        pricing=_dollars(pricing) if isinstance(pricing, Mapping) else None,
        max_input_tokens=said.get("max_input_tokens"),
        max_tokens=said.get("max_tokens"),
        free=said.get("free"),
        tags=tuple(said.get("tags") or ()),
    )


def _dollars(pricing: Mapping[str, Any]) -> dict[str, Any]:
    names = {
        "input_cost": "input_micros_per_million",
        "output_cost": "output_micros_per_million",
        "image_cost": "micros_per_image",
    }
    return {name: pricing.get(micros, 0) / MICROS for name, micros in names.items()} | {"currency": "USD"}


def known(words: Iterable[str]) -> tuple[MediaCapability, ...]:
    """In our order, and only those that we know."""
    said = set(words)
    return tuple(each for each in MediaCapability if each in said)


def capability_for(kind: str, *able: Sequence[MediaCapability]) -> MediaCapability:
    """What is to be made of something of this kind. A text comes of it where it may.

    Args:
        able: what the model is known for; else what its provider is.
    """
    if kind == "ranking":
        return MediaCapability.RERANK
    for words in able:
        for each in words:
            if each.startswith(f"{kind}-to-"):
                return each
        if kind == "text" and MediaCapability.EMBEDDINGS in words:
            return MediaCapability.EMBEDDINGS
        if words:  # the gateway says what it lacks
            return next((each for each in words if not each.startswith("text-")), words[0])
    return MediaCapability(f"{kind if kind in ('image', 'audio') else 'text'}-to-text")


def is_job(capability: MediaCapability) -> bool:
    """Whether it takes so long that it goes on by itself."""
    return capability.endswith(("-to-video", "-to-3d"))


def joined(given: Sequence[Given], capability: MediaCapability) -> Any:
    """Several inputs as one: texts are joined, media are named after their kind."""
    texts = [each.text for each in given if each.text is not None]
    if capability is MediaCapability.EMBEDDINGS and len(texts) > 1:
        return texts
    if len(given) == 1:
        return given[0].said
    if len(texts) == len(given):
        return "\n\n".join(texts)
    said: dict[str, Any] = {"prompt": "\n\n".join(texts)} if texts else {}
    for each in given:
        if each.text is None:
            name = "audio" if each.kind == "audio" else f"{each.kind}s" if each.kind else "sources"
            said.setdefault(name, []).append(each.said)
    return said


def types_of(capabilities: Iterable[MediaCapability], side: int) -> list[str]:
    """The media types that go in (0), or come out (1)."""
    kinds = dict.fromkeys(each.split("-to-")[side] for each in capabilities if "-to-" in each)
    named = {"text": "text/plain", "3d": "model/*"}
    return [named.get(kind, f"{kind}/*") for kind in kinds]


def kind_of(media_type: str) -> str:
    kind = media_type.partition("/")[0]
    return kind if kind in ("text", "image", "audio", "video") else ""


_MARKS = (
    (0, b"\x89PNG", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF8", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (8, b"WAVE", "audio/wav"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"OggS", "audio/ogg"),
    (4, b"ftyp", "video/mp4"),
)
"""Where it stands, what, and what that is."""


def sniffed(data: bytes) -> str:
    """What bytes are, by how they begin."""
    return next((kind for at, mark, kind in _MARKS if data.startswith(mark, at)), UNTOLD)
