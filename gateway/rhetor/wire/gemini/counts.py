"""How large a conversation is for the model: `countTokens`.

https://ai.google.dev/api/tokens#method:-models.counttokens (read 2026-11-21): the Gemini API takes the
request that is meant as a whole. Vertex takes its fields instead
(https://docs.cloud.google.com/vertex-ai/generative-ai/docs/model-reference/count-tokens, read 2026-11-21).
"""

from __future__ import annotations

from rhetor.core.request import Chat, Request
from rhetor.wire import fields
from rhetor.wire.base import Decoder, Outgoing, Quirks
from rhetor.wire.gemini.decoders import CountDecoder
from rhetor.wire.gemini.generations import generation_of
from rhetor.wire.gemini.outgoing import write_talk
from rhetor.wire.gemini.parts import Dropped, Written
from rhetor.wire.gemini.vocabulary import path_of
from rhetor.wire.media.vendor import VendorUpstream


class Counts(VendorUpstream):
    """
    Args:
        wrapped: whether the request is counted as a whole.
    """

    def __init__(self, wrapped: bool) -> None:
        self._wrapped = wrapped

    def build(self, request: Request, model: str, quirks: Quirks) -> Outgoing:
        chat = request.input
        assert isinstance(chat, Chat)
        dropped = Dropped()
        body: Written = write_talk(chat, generation_of(model), dropped)
        if self._wrapped:
            body = {"generateContentRequest": {"model": f"models/{model.removeprefix('models/')}", **body}}
        return Outgoing(path_of(model, "countTokens"), fields.dump(body), dropped=tuple(dropped))

    def decoder(self, stream: bool, outgoing: Outgoing) -> Decoder:
        return CountDecoder()
