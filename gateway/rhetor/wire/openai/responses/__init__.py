"""The OpenAI Responses language, both directions. Its errors and its list of models are those of OpenAI."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rhetor.core.capability import Capability
from rhetor.core.content import Json
from rhetor.core.errors import RhetorError, UpstreamError
from rhetor.core.request import Original, Request
from rhetor.wire.base import (
    KEEPALIVE,
    Decoder,
    Door,
    ModelEntry,
    Outgoing,
    Quirks,
    Renderer,
    ReplyInfo,
    Upstream,
    Wire,
)
from rhetor.wire.openai import errors, models
from rhetor.wire.openai.responses.build import build_response, retarget
from rhetor.wire.openai.responses.outline import Outline
from rhetor.wire.openai.responses.render import ResponseStreamRenderer, ResponseWholeRenderer
from rhetor.wire.openai.responses.reply import ResponseStream, ResponseWhole
from rhetor.wire.openai.responses.request import parse_response
from rhetor.wire.openai.responses.vocabulary import NAME

__all__ = ["RESPONSES", "ResponsesDoor"]


class ResponsesUpstream:
    def build(self, request: Request, model: str, quirks: Quirks) -> Outgoing:
        return build_response(request, model, quirks)

    def retarget(self, original: Original, model: str, quirks: Quirks) -> Outgoing:
        return retarget(original, model, quirks)

    def decoder(self, stream: bool, outgoing: Outgoing) -> Decoder:
        return ResponseStream() if stream else ResponseWhole()


class ResponsesDoor:
    """
    Args:
        told: fields of the response that the body does not tell any more, see `Outline`.
    """

    keepalive = KEEPALIVE

    def __init__(self, told: Json | None = None) -> None:
        self._told = told or {}

    def parse(self, body: bytes, headers: Mapping[str, str]) -> Request:
        return parse_response(body, headers)

    def renderer(self, request: Request, info: ReplyInfo) -> Renderer:
        outline = Outline(request, info, self._told)
        return ResponseStreamRenderer(outline) if request.stream else ResponseWholeRenderer(outline)


class Responses:
    """https://platform.openai.com/docs/api-reference/responses (read 2026-11-21)."""

    name = NAME
    upstream: Mapping[Capability, Upstream] = {Capability.CHAT: ResponsesUpstream()}
    doors: Mapping[Capability, Door] = {Capability.CHAT: ResponsesDoor()}
    models_path: str | None = models.PATH

    def read_error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        return errors.read_error(status, headers, body)

    def render_error(self, error: RhetorError, request_id: str) -> bytes:
        return errors.error_body(error)

    def error_status(self, error: RhetorError) -> int:
        return error.status

    def read_models(self, body: bytes) -> Sequence[ModelEntry]:
        return models.read_models(body)


RESPONSES: Wire = Responses()
