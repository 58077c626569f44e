"""Who listens to Ollama's callers: chats, prompts, and two generations of embeddings."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rhetor.core.request import Request
from rhetor.wire.base import Renderer, ReplyInfo
from rhetor.wire.ollama.embeddings import (
    EmbeddingRenderer,
    EmbeddingsRenderer,
    no_embedding,
    no_embeddings,
    parse_embed,
    parse_embedding,
)
from rhetor.wire.ollama.incoming import parse_chat, parse_prompt, unloads
from rhetor.wire.ollama.render import CHAT, KEEPALIVE, PROMPT, Form, Lines, Whole, loaded


class TextDoor:
    """`/api/chat` or `/api/generate`."""

    keepalive = KEEPALIVE

    def __init__(self, parse: Callable[[bytes, Mapping[str, str]], Request], form: Form) -> None:
        self.parse = parse
        self._form = form

    def renderer(self, request: Request, info: ReplyInfo) -> Renderer:
        return Lines(info, self._form) if request.stream else Whole(info, self._form)

    def idle(self, request: Request, now_s: int) -> bytes:
        """The reply to a request that is about nothing."""
        return loaded(request.model, now_s, self._form, unloads(request))


class EmbedDoor:
    """`/api/embed`."""

    keepalive = b""

    def parse(self, body: bytes, headers: Mapping[str, str]) -> Request:
        return parse_embed(body)

    def renderer(self, request: Request, info: ReplyInfo) -> Renderer:
        return EmbeddingsRenderer(info)

    def idle(self, request: Request, now_s: int) -> bytes:
        """The reply to a request that is about nothing."""
        return no_embeddings(request.model)


class EmbeddingDoor:
    """`/api/embeddings`, the older one, for a single text."""

    keepalive = b""

    def parse(self, body: bytes, headers: Mapping[str, str]) -> Request:
        return parse_embedding(body)

    def renderer(self, request: Request, info: ReplyInfo) -> Renderer:
        return EmbeddingRenderer()

    def idle(self, request: Request, now_s: int) -> bytes:
        """The reply to a request that is about nothing."""
        return no_embedding()


CHAT_DOOR = TextDoor(parse_chat, CHAT)
PROMPT_DOOR = TextDoor(parse_prompt, PROMPT)
EMBED_DOOR = EmbedDoor()
EMBEDDING_DOOR = EmbeddingDoor()
