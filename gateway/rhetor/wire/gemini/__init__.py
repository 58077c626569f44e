"""Google's own language, towards providers only, in its two dialects: the Gemini API's and Vertex AI's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rhetor.core.capability import Capability
from rhetor.core.errors import UpstreamError
from rhetor.core.request import Request
from rhetor.wire import rpc_status
from rhetor.wire.base import Decoder, ModelEntry, Outgoing, Quirks, Upstream, Wire
from rhetor.wire.gemini import models
from rhetor.wire.gemini.counts import Counts
from rhetor.wire.gemini.decoders import ReplyDecoder, StreamDecoder
from rhetor.wire.gemini.embeddings import Embeddings
from rhetor.wire.gemini.outgoing import build_chat
from rhetor.wire.gemini.pictures import Pictures
from rhetor.wire.gemini.speech import Speech
from rhetor.wire.gemini.transcripts import Transcripts
from rhetor.wire.gemini.vocabulary import NAME, VERTEX_NAME
from rhetor.wire.media.vendor import VendorUpstream, VendorWire

__all__ = ["GEMINI", "VERTEX"]


class _Talk(VendorUpstream):
    """`generateContent`: the model goes on with a conversation."""

    def build(self, request: Request, model: str, quirks: Quirks) -> Outgoing:
        return build_chat(request, model, quirks)

    def decoder(self, stream: bool, outgoing: Outgoing) -> Decoder:
        return StreamDecoder() if stream else ReplyDecoder()


class _Google(VendorWire):
    """https://ai.google.dev/api/generate-content and
    https://docs.cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference (read 2026-11-21).

    Args:
        vertex: the dialect of Vertex AI, which has no list of models below the same address.
    """

    def __init__(self, name: str, vertex: bool) -> None:
        self.name = name
        self.models_path = None if vertex else models.MODELS_PATH
        pictures = Pictures()
        self.upstream: Mapping[Capability, Upstream] = {
            Capability.CHAT: _Talk(),
            Capability.COUNT_TOKENS: Counts(wrapped=not vertex),
            Capability.EMBEDDINGS: Embeddings(configured=vertex),
            Capability.TEXT_TO_IMAGE: pictures,
            Capability.IMAGE_TO_IMAGE: pictures,
            Capability.TEXT_TO_AUDIO: Speech(),
            Capability.AUDIO_TO_TEXT: Transcripts(),
        }

    def read_error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        return rpc_status.read_error(status, headers, body)

    def read_models(self, body: bytes) -> Sequence[ModelEntry]:
        return models.read_models(body)


GEMINI: Wire = _Google(NAME, vertex=False)
VERTEX: Wire = _Google(VERTEX_NAME, vertex=True)
