"""Transcripts and translations, both directions."""

from __future__ import annotations

from collections.abc import Mapping

from rhetor.core.request import Original, Request
from rhetor.wire.base import KEEPALIVE, Decoder, Outgoing, Quirks, Renderer, ReplyInfo
from rhetor.wire.openai.transcripts import request
from rhetor.wire.openai.transcripts.render import TranscriptRenderer, TranscriptStreamRenderer
from rhetor.wire.openai.transcripts.reply import transcript_decoder
from rhetor.wire.openai.transcripts.request import DIARIZED, JSON, Listening, format_of

__all__ = ["TranscriptsDoor", "TranscriptsUpstream"]


class TranscriptsUpstream:
    """Transcripts and translations, as spoken to providers."""

    def build(self, request_: Request, model: str, quirks: Quirks) -> Outgoing:
        return request.build(request_, model, quirks)

    def retarget(self, original: Original, model: str, quirks: Quirks) -> Outgoing:
        return request.retarget(original, model, quirks)

    def decoder(self, stream: bool, outgoing: Outgoing) -> Decoder:
        asked = outgoing if isinstance(outgoing, Listening) else Listening("", b"")
        return transcript_decoder(stream, asked)


class TranscriptsDoor:
    """Transcripts, as heard from callers.

    Args:
        translate: into English: translations have a path of their own.
    """

    keepalive = KEEPALIVE

    def __init__(self, translate: bool = False) -> None:
        self._translate = translate

    def parse(self, body: bytes, headers: Mapping[str, str]) -> Request:
        return request.parse(body, headers, self._translate)

    def renderer(self, request: Request, info: ReplyInfo) -> Renderer:
        format = JSON if request.original is None else format_of(request.original.fields)
        if request.stream:
            return TranscriptStreamRenderer(format == DIARIZED)
        return TranscriptRenderer(request, format)
