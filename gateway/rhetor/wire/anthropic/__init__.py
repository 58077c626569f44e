"""The Anthropic language: messages, counts of tokens and the list of models, both directions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rhetor.core.capability import Capability
from rhetor.core.errors import Code, RhetorError, UpstreamError
from rhetor.core.request import Original, Request
from rhetor.wire.anthropic import errors, models
from rhetor.wire.anthropic.decoders import CountDecoder, MessageDecoder, StreamDecoder
from rhetor.wire.anthropic.incoming import read_request
from rhetor.wire.anthropic.outgoing import COUNT_PATH, MESSAGES_PATH, build_count, build_messages, retarget
from rhetor.wire.anthropic.stream_renderer import StreamRenderer
from rhetor.wire.anthropic.vocabulary import NAME
from rhetor.wire.anthropic.whole_renderers import CountRenderer, MessageRenderer
from rhetor.wire.base import Decoder, Door, ModelEntry, Outgoing, Quirks, Renderer, ReplyInfo, Upstream, Wire
from rhetor.wire.sse import frame

__all__ = ["ANTHROPIC"]


class _Messages:
    """`/v1/messages`: the model goes on with a conversation."""

    keepalive = frame(b'{"type": "ping"}', "ping")

    def parse(self, body: bytes, headers: Mapping[str, str]) -> Request:
        return read_request(Capability.CHAT, body, headers)

    def renderer(self, request: Request, info: ReplyInfo) -> Renderer:
        return StreamRenderer(info) if request.stream else MessageRenderer(info)

    def build(self, request: Request, model: str, quirks: Quirks) -> Outgoing:
        return build_messages(request, model, quirks)

    def retarget(self, original: Original, model: str, quirks: Quirks) -> Outgoing:
        return retarget(MESSAGES_PATH, original, model, quirks)

    def decoder(self, stream: bool, outgoing: Outgoing) -> Decoder:
        return StreamDecoder() if stream else MessageDecoder()


class _TokenCounts:
    """`/v1/messages/count_tokens`: how large a conversation is for the model."""

    keepalive = b""

    def parse(self, body: bytes, headers: Mapping[str, str]) -> Request:
        return read_request(Capability.COUNT_TOKENS, body, headers)

    def renderer(self, request: Request, info: ReplyInfo) -> Renderer:
        return CountRenderer()

    def build(self, request: Request, model: str, quirks: Quirks) -> Outgoing:
        return build_count(request, model, quirks)

    def retarget(self, original: Original, model: str, quirks: Quirks) -> Outgoing:
        return retarget(COUNT_PATH, original, model, quirks)

    def decoder(self, stream: bool, outgoing: Outgoing) -> Decoder:
        return CountDecoder()


class _Anthropic:
    """https://platform.claude.com/docs/en/api/messages (read 2026-11-20)."""

    name = NAME
    upstream: Mapping[Capability, Upstream] = {
        Capability.CHAT: _Messages(),
        Capability.COUNT_TOKENS: _TokenCounts(),
    }
    doors: Mapping[Capability, Door] = {
        Capability.CHAT: _Messages(),
        Capability.COUNT_TOKENS: _TokenCounts(),
    }
    models_path: str | None = models.MODELS_PATH

    def read_error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        return errors.read_error(status, headers, body)

    def render_error(self, error: RhetorError, request_id: str) -> bytes:
        return errors.render_error(error, request_id)

    def error_status(self, error: RhetorError) -> int:
        return errors.OVERLOADED_STATUS if error.code is Code.OVERLOADED else error.status

    def read_models(self, body: bytes) -> Sequence[ModelEntry]:
        return models.read_models(body)


ANTHROPIC: Wire = _Anthropic()
