"""Chat completions: the side that speaks to providers and the side that listens to callers."""

from __future__ import annotations

from collections.abc import Mapping

from rhetor.core.request import Original, Request
from rhetor.wire.base import KEEPALIVE, Decoder, Outgoing, Quirks, Renderer, ReplyInfo
from rhetor.wire.openai.build import build_chat
from rhetor.wire.openai.demands import retarget
from rhetor.wire.openai.render import ChatStreamRenderer, ChatWholeRenderer
from rhetor.wire.openai.reply import ChatStream, ChatWhole
from rhetor.wire.openai.request import parse_chat

PATH = "/chat/completions"


class ChatUpstream:
    def build(self, request: Request, model: str, quirks: Quirks) -> Outgoing:
        return build_chat(PATH, request, model, quirks)

    def retarget(self, original: Original, model: str, quirks: Quirks) -> Outgoing:
        return retarget(PATH, original, model, quirks)

    def decoder(self, stream: bool, outgoing: Outgoing) -> Decoder:
        return ChatStream(outgoing.withhold_usage) if stream else ChatWhole()


class ChatDoor:
    keepalive = KEEPALIVE

    def parse(self, body: bytes, headers: Mapping[str, str]) -> Request:
        return parse_chat(body, headers)

    def renderer(self, request: Request, info: ReplyInfo) -> Renderer:
        return ChatStreamRenderer(request, info) if request.stream else ChatWholeRenderer(info)
