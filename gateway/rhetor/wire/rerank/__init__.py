"""The language in which documents are put in order: Cohere's, which Jina, vLLM, LiteLLM and others took over.

https://docs.cohere.com/reference/rerank (read 2026-11-21). Voyage has words of its own for the same, and
nobody calls us in these: `voyage`.
"""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from rhetor.core.capability import Capability
from rhetor.core.errors import RhetorError
from rhetor.core.request import Original, Request
from rhetor.wire.base import Decoder, Door, Outgoing, Quirks, Renderer, ReplyInfo, Upstream, Wire
from rhetor.wire.media.vendor import VendorUpstream, VendorWire
from rhetor.wire.rerank import request
from rhetor.wire.rerank.reply import RankDecoder, RankRenderer
from rhetor.wire.rerank.request import MOST, NAME, VOYAGES_MOST

__all__ = ["RERANK", "VOYAGE"]


class RankUpstream:
    """An order of documents, as spoken to providers."""

    def build(self, request_: Request, model: str, quirks: Quirks) -> Outgoing:
        return request.build(request_, model, quirks, MOST)

    def retarget(self, original: Original, model: str, quirks: Quirks) -> Outgoing:
        return request.retarget(original, model, quirks)

    def decoder(self, stream: bool, outgoing: Outgoing) -> Decoder:
        return RankDecoder()


class RankDoor:
    """An order of documents, as heard from callers."""

    keepalive = b""

    def parse(self, body: bytes, headers: Mapping[str, str]) -> Request:
        return request.parse(body)

    def renderer(self, request: Request, info: ReplyInfo) -> Renderer:
        return RankRenderer(request, info)


class Rerank(VendorWire):
    """https://docs.cohere.com/reference/rerank (read 2026-11-21)."""

    name = NAME
    upstream: Mapping[Capability, Upstream] = {Capability.RERANK: RankUpstream()}
    doors: Mapping[Capability, Door] = {Capability.RERANK: RankDoor()}

    def render_error(self, error: RhetorError, request_id: str) -> bytes:
        """For Cohere's callers, who look for a message, and for those of servers that speak OpenAI too."""
        kind = "invalid_request_error" if error.status < 500 else "server_error"
        said = {"message": error.message, "type": kind, "param": error.param, "code": str(error.code)}
        return orjson.dumps({"message": error.message, "id": request_id, "error": said})


class VoyageUpstream(VendorUpstream):
    """The same in Voyage's words."""

    def build(self, request_: Request, model: str, quirks: Quirks) -> Outgoing:
        return request.build(request_, model, quirks, VOYAGES_MOST)

    def decoder(self, stream: bool, outgoing: Outgoing) -> Decoder:
        return RankDecoder()


class Voyage(VendorWire):
    """https://docs.voyageai.com/reference/reranker-api (read 2026-11-21)."""

    name = "voyage"
    upstream: Mapping[Capability, Upstream] = {Capability.RERANK: VoyageUpstream()}


RERANK: Wire = Rerank()
VOYAGE: Wire = Voyage()
