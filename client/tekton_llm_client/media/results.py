"""What came of a generation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tekton_llm_client.media.words import MediaCapability

if TYPE_CHECKING:
    from tekton_llm_client.media.gateway import MediaGateway

MOST_DEPTH = 20


@dataclass(frozen=True, slots=True)
class Text:
    """A text, where MediaConduit's callers make one of a string."""

    content: str
    language: str = "auto"

    @classmethod
    def from_string(cls, content: str, language: str = "auto") -> Text:
        return cls(content, language)

    def __str__(self) -> str:
        return self.content


@dataclass(frozen=True, slots=True)
class MediaAsset:
    """Something that the gateway keeps: what was made, or uploaded."""

    id: str | None
    """None of what lies elsewhere."""
    url: str
    media_type: str
    size: int | None
    """In bytes."""
    generation: str | None
    """What made it."""
    _gateway: MediaGateway = field(repr=False, compare=False)

    async def read(self) -> bytes:
        """Its content."""
        return await self._gateway.read(self)

    async def save(self, path: str | Path) -> Path:
        """Write its content into a file while it comes."""
        return await self._gateway.save(self, Path(path))

    async def remove(self) -> None:
        """Have the gateway forget it."""
        await self._gateway.ask("DELETE", f"/v1/assets/{self.id}")

    def __str__(self) -> str:
        return self.url


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaResult:
    """What a model made: the input of the next one, as it is."""

    id: str
    capability: MediaCapability
    text: str
    assets: tuple[MediaAsset, ...]
    embeddings: tuple[Sequence[float], ...]
    ranked: tuple[Mapping[str, Any], ...]
    """Each with `index`, `score` and `document`, the most relevant first."""
    language: str | None
    segments: tuple[Mapping[str, Any], ...]
    """Of a transcript: each with `text`, `start_s`, `end_s`, and `speaker` where it is known."""
    metadata: Mapping[str, Any]
    """How it came about: `generation_prompt`, `generation`, `model`, `provider`, `processing_time_ms`,
    `usage`, `cost_micros`, `attempts`, `dropped`."""
    _gateway: MediaGateway = field(repr=False, compare=False)

    @property
    def content(self) -> str:
        """A text; of media the address of the first."""
        return self.text or (self.assets[0].url if self.assets else "")

    @property
    def asset(self) -> MediaAsset | None:
        """The first medium, where one was made."""
        return self.assets[0] if self.assets else None

    @property
    def url(self) -> str | None:
        """The address of the first medium."""
        return self.assets[0].url if self.assets else None

    async def read(self) -> bytes:
        """The content of the first medium, or the text."""
        return await self.assets[0].read() if self.assets else self.text.encode()

    async def lineage(self, depth: int = MOST_DEPTH) -> dict[str, Any]:
        """What it was made of, so many steps back, 20 at most.

        `generations` are whole entries, the oldest first, and `generation_chain` the same as short steps.
        """
        return await self._gateway.ask("GET", f"/v1/generations/{self.id}/lineage?depth={depth}")

    def __str__(self) -> str:
        return self.content


def read_asset(gateway: MediaGateway, said: Mapping[str, Any]) -> MediaAsset:
    url = str(said.get("url") or "")
    return MediaAsset(
        said.get("id"),
        gateway.url + url if url.startswith("/") else url,
        said.get("media_type") or "",
        said.get("bytes"),
        said.get("generation"),
        gateway,
    )


def read_result(gateway: MediaGateway, said: Mapping[str, Any], text: str, took_s: float) -> MediaResult:
    """The reply of `/v1/generate`, or of a job."""
    meta = said.get("meta")
    return MediaResult(
        id=str(said.get("id")),
        capability=MediaCapability(str(said.get("capability"))),
        text=text,
        assets=tuple(read_asset(gateway, each) for each in said.get("assets") or ()),
        embeddings=tuple(each["embedding"] for each in said.get("embeddings") or ()),
        ranked=tuple(said.get("ranked") or ()),
        language=said.get("language"),
        segments=tuple(said.get("segments") or ()),
        metadata={
            "attempts": [],
            "dropped": [],
            **(meta if isinstance(meta, Mapping) else {}),
            "generation_prompt": said.get("generation_prompt"),
            "generation": said.get("generation"),
            "generation_id": said.get("id"),
            "model": said.get("model"),
            "provider": said.get("provider"),
            "processing_time_ms": round(took_s * 1000, 1),
            "usage": said.get("usage") or {},
            "cost_micros": said.get("cost_micros"),
        },
        _gateway=gateway,
    )
