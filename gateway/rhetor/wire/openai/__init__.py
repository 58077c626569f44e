"""The OpenAI language: chat completions, embeddings, pictures, speech and transcripts, both directions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rhetor.core.capability import Capability
from rhetor.core.errors import RhetorError, UpstreamError
from rhetor.wire.base import Door, ModelEntry, Upstream, Wire
from rhetor.wire.openai import errors, models
from rhetor.wire.openai.chat import ChatDoor, ChatUpstream
from rhetor.wire.openai.embeddings import EmbeddingsDoor, EmbeddingsUpstream
from rhetor.wire.openai.images import EditsDoor, EditsUpstream, GenerationsDoor, GenerationsUpstream
from rhetor.wire.openai.speech import SpeechDoor, SpeechUpstream
from rhetor.wire.openai.transcripts import TranscriptsDoor, TranscriptsUpstream
from rhetor.wire.openai.videos import VideosUpstream
from rhetor.wire.openai.vocabulary import NAME

__all__ = ["OPENAI", "OpenAI"]


class OpenAI:
    """https://platform.openai.com/docs/api-reference (read 2026-11-20)."""

    name = NAME
    upstream: Mapping[Capability, Upstream] = {
        Capability.CHAT: ChatUpstream(),
        Capability.EMBEDDINGS: EmbeddingsUpstream(),
        Capability.TEXT_TO_IMAGE: GenerationsUpstream(),
        Capability.IMAGE_TO_IMAGE: EditsUpstream(),
        Capability.TEXT_TO_AUDIO: SpeechUpstream(),
        Capability.AUDIO_TO_TEXT: TranscriptsUpstream(),
        Capability.TEXT_TO_VIDEO: VideosUpstream(),
        Capability.IMAGE_TO_VIDEO: VideosUpstream(),
    }
    doors: Mapping[Capability, Door] = {
        Capability.CHAT: ChatDoor(),
        Capability.EMBEDDINGS: EmbeddingsDoor(),
        Capability.TEXT_TO_IMAGE: GenerationsDoor(),
        Capability.IMAGE_TO_IMAGE: EditsDoor(),
        Capability.TEXT_TO_AUDIO: SpeechDoor(),
        Capability.AUDIO_TO_TEXT: TranscriptsDoor(),
    }
    models_path: str | None = models.PATH

    def read_error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        return errors.read_error(status, headers, body)

    def render_error(self, error: RhetorError, request_id: str) -> bytes:
        return errors.error_body(error)

    def error_status(self, error: RhetorError) -> int:
        return error.status

    def read_models(self, body: bytes) -> Sequence[ModelEntry]:
        return models.read_models(body)


OPENAI: Wire = OpenAI()
