"""Pictures, from words and of other pictures, both directions."""

from __future__ import annotations

from collections.abc import Mapping

from rhetor.core.request import Original, Request
from rhetor.wire.base import KEEPALIVE, Decoder, Outgoing, Quirks, Renderer, ReplyInfo
from rhetor.wire.openai.images import request, vocabulary
from rhetor.wire.openai.images.render import ImagesRenderer, ImagesStreamRenderer
from rhetor.wire.openai.images.reply import images_decoder
from rhetor.wire.openai.images.request import Drawing

__all__ = ["EditsDoor", "EditsUpstream", "GenerationsDoor", "GenerationsUpstream", "wants_addresses"]


class GenerationsUpstream:
    """Pictures from words, as spoken to providers."""

    path = vocabulary.GENERATIONS

    def build(self, request_: Request, model: str, quirks: Quirks) -> Outgoing:
        return request.build(request_, model, quirks)

    def retarget(self, original: Original, model: str, quirks: Quirks) -> Outgoing:
        return request.retarget(self.path, original, model, quirks)

    def decoder(self, stream: bool, outgoing: Outgoing) -> Decoder:
        if isinstance(outgoing, Drawing):
            return images_decoder(stream, outgoing.count)
        return images_decoder(stream, count=1)


class EditsUpstream(GenerationsUpstream):
    """Pictures of other pictures, as spoken to providers."""

    path = vocabulary.EDITS


class GenerationsDoor:
    """Pictures from words, as heard from callers.

    Args:
        base: where our own addresses lead that a reply has in it, for its caller.
    """

    keepalive = KEEPALIVE
    event = "image_generation"

    def __init__(self, base: str = "") -> None:
        self._base = base

    def parse(self, body: bytes, headers: Mapping[str, str]) -> Request:
        return request.parse_generation(body, headers)

    def renderer(self, request: Request, info: ReplyInfo) -> Renderer:
        if request.stream:
            return ImagesStreamRenderer(request, info, self.event)
        return ImagesRenderer(request, info, self._base)


class EditsDoor(GenerationsDoor):
    """Pictures of other pictures, as heard from callers."""

    event = "image_edit"

    def parse(self, body: bytes, headers: Mapping[str, str]) -> Request:
        return request.parse_edit(body, headers)


def wants_addresses(request: Request) -> bool:
    """Whether a caller wants to be told where the pictures are, instead of getting them."""
    original = request.original
    return original is not None and original.fields.get("response_format") == "url" and not request.stream
