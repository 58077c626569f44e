"""Amazon Bedrock's language, towards providers only: conversations, and what models are invoked for."""

from __future__ import annotations

from collections.abc import Mapping

from rhetor.core.capability import Capability
from rhetor.core.errors import UpstreamError
from rhetor.core.request import Request
from rhetor.wire.base import Decoder, Outgoing, Quirks, Upstream, Wire
from rhetor.wire.bedrock import errors
from rhetor.wire.bedrock.decoders import ReplyDecoder, StreamDecoder
from rhetor.wire.bedrock.embeddings import Embeddings
from rhetor.wire.bedrock.outgoing import build_chat
from rhetor.wire.bedrock.pictures import Pictures
from rhetor.wire.bedrock.vocabulary import NAME
from rhetor.wire.media.vendor import VendorUpstream, VendorWire

__all__ = ["BEDROCK"]


class _Talk(VendorUpstream):
    """`Converse`: the model goes on with a conversation."""

    def build(self, request: Request, model: str, quirks: Quirks) -> Outgoing:
        return build_chat(request, model, quirks)

    def decoder(self, stream: bool, outgoing: Outgoing) -> Decoder:
        return StreamDecoder() if stream else ReplyDecoder()


_PICTURES = Pictures()


class _Bedrock(VendorWire):
    """https://docs.aws.amazon.com/bedrock/latest/APIReference/API_Operations_Amazon_Bedrock_Runtime.html
    (read 2026-11-21). Models are listed by another service, at another address.
    """

    name = NAME
    upstream: Mapping[Capability, Upstream] = {
        Capability.CHAT: _Talk(),
        Capability.EMBEDDINGS: Embeddings(),
        Capability.TEXT_TO_IMAGE: _PICTURES,
        Capability.IMAGE_TO_IMAGE: _PICTURES,
    }

    def read_error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        return errors.read_error(status, headers, body)


BEDROCK: Wire = _Bedrock()
