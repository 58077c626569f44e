"""What an upstream serves, and where: the path decides which language is spoken."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from rhetor.core.capability import Capability
from rhetor.core.errors import RhetorError
from rhetor.testing import google
from rhetor.testing.amazon import AmazonVoice
from rhetor.testing.google import GoogleVoice
from rhetor.testing.raw_predict import RawPredictVoice
from rhetor.testing.seen import Seen
from rhetor.testing.voices import CREATED_S, DoorVoice, Voice
from rhetor.wire.anthropic import ANTHROPIC
from rhetor.wire.ollama import OLLAMA
from rhetor.wire.ollama.doors import CHAT_DOOR, EMBED_DOOR, EMBEDDING_DOOR, PROMPT_DOOR
from rhetor.wire.ollama.render import LINES_TYPE
from rhetor.wire.openai import OPENAI
from rhetor.wire.openai.responses import RESPONSES
from rhetor.wire.openai.transcripts import TranscriptsDoor
from rhetor.wire.rerank import RERANK

TRANSLATIONS = TranscriptsDoor(translate=True)
CREATED_AT = "2026-01-01T00:00:00Z"  # as `CREATED_S`


@dataclass(frozen=True, slots=True)
class ModelList:
    """How a language lists its models."""

    shape: Callable[[Sequence[str]], object]
    refuse: Callable[[RhetorError, str], bytes]


Speaker: TypeAlias = Voice | ModelList


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One thing that providers of a language serve.

    Paths are matched by their end, because providers mount a language where they
    like: `/v1/chat/completions`, `/openai/v1/chat/completions`. Anthropic's have
    their version everywhere.
    """

    method: str
    path: str
    speaker: Speaker
    header: str | None = None
    """Must be there, where two languages share a path."""

    def takes(self, seen: Seen) -> bool:
        return (
            seen.method == self.method
            and seen.path.endswith(self.path)
            and (self.header is None or self.header in seen.headers)
        )


def endpoints() -> tuple[Endpoint, ...]:
    """Everything that can be served; the first that takes a request serves it."""
    anthropic_models = ModelList(_anthropic_models, ANTHROPIC.render_error)
    return (
        Endpoint("POST", "/chat/completions", DoorVoice(OPENAI, Capability.CHAT)),
        Endpoint("POST", "/api/embeddings", DoorVoice(OLLAMA, Capability.EMBEDDINGS, EMBEDDING_DOOR)),
        Endpoint("POST", "/responses", DoorVoice(RESPONSES, Capability.CHAT)),
        Endpoint("POST", "/embeddings", DoorVoice(OPENAI, Capability.EMBEDDINGS)),
        Endpoint("POST", "/images/generations", DoorVoice(OPENAI, Capability.TEXT_TO_IMAGE)),
        Endpoint("POST", "/images/edits", DoorVoice(OPENAI, Capability.IMAGE_TO_IMAGE)),
        Endpoint("POST", "/audio/speech", DoorVoice(OPENAI, Capability.TEXT_TO_AUDIO)),
        Endpoint("POST", "/audio/transcriptions", DoorVoice(OPENAI, Capability.AUDIO_TO_TEXT)),
        Endpoint("POST", "/audio/translations", DoorVoice(OPENAI, Capability.AUDIO_TO_TEXT, TRANSLATIONS)),
        Endpoint("POST", "/rerank", DoorVoice(RERANK, Capability.RERANK)),
        Endpoint("POST", "/v1/messages", DoorVoice(ANTHROPIC, Capability.CHAT)),
        Endpoint("POST", "/v1/messages/count_tokens", DoorVoice(ANTHROPIC, Capability.COUNT_TOKENS)),
        Endpoint("POST", "/api/chat", DoorVoice(OLLAMA, Capability.CHAT, CHAT_DOOR, LINES_TYPE)),
        Endpoint("POST", "/api/generate", DoorVoice(OLLAMA, Capability.CHAT, PROMPT_DOOR, LINES_TYPE)),
        Endpoint("POST", "/api/embed", DoorVoice(OLLAMA, Capability.EMBEDDINGS, EMBED_DOOR)),
        Endpoint("GET", "/v1/models", anthropic_models, header="anthropic-version"),
        Endpoint("POST", ":generateContent", GoogleVoice(Capability.CHAT)),
        Endpoint("POST", ":streamGenerateContent", GoogleVoice(Capability.CHAT)),
        Endpoint("POST", ":countTokens", GoogleVoice(Capability.COUNT_TOKENS)),
        Endpoint("POST", ":batchEmbedContents", GoogleVoice(Capability.EMBEDDINGS)),
        Endpoint("POST", "/models/count-tokens:rawPredict", RawPredictVoice(Capability.COUNT_TOKENS)),
        Endpoint("POST", ":rawPredict", RawPredictVoice(Capability.CHAT)),
        Endpoint("POST", ":streamRawPredict", RawPredictVoice(Capability.CHAT)),
        Endpoint("POST", "/converse", AmazonVoice(Capability.CHAT)),
        Endpoint("POST", "/converse-stream", AmazonVoice(Capability.CHAT)),
        Endpoint("POST", "/invoke", AmazonVoice(Capability.EMBEDDINGS)),
        Endpoint("GET", "/models", ModelList(google.models, google.refuse), header="x-goog-api-key"),
        Endpoint("GET", "/models", ModelList(_openai_models, OPENAI.render_error)),
        Endpoint("GET", "/api/tags", ModelList(_ollama_models, OLLAMA.render_error)),
    )


def _openai_models(models: Sequence[str]) -> object:
    data = [{"id": id, "object": "model", "created": CREATED_S, "owned_by": "upstream"} for id in models]
    return {"object": "list", "data": data}


def _anthropic_models(models: Sequence[str]) -> object:
    data = [{"type": "model", "id": id, "display_name": id, "created_at": CREATED_AT} for id in models]
    ends = {"first_id": models[0], "last_id": models[-1]} if models else {"first_id": None, "last_id": None}
    return {"data": data, "has_more": False, **ends}


def _ollama_models(models: Sequence[str]) -> object:
    listed = [{"name": id, "model": id, "modified_at": CREATED_AT} for id in models]
    return {"models": listed}
