"""Ollama's own language, spoken to local Ollama servers and to ollama.com, and heard from their clients.

Beside it Ollama speaks OpenAI's language, but says less there: nothing of
`think`, `top_k` or why a model was only loaded. We ask by `/api/chat` and
`/api/embed`; `/api/generate` and `/api/embeddings` are asked where a caller did,
since what only they can say has no canonical form.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from rhetor.core.capability import Capability
from rhetor.core.content import Json
from rhetor.core.errors import Code, RhetorError, UpstreamError
from rhetor.core.request import Chat, Embed, Original, Request
from rhetor.wire import fields
from rhetor.wire.base import Decoder, Door, ModelEntry, Outgoing, Quirks, Upstream
from rhetor.wire.lenient import parse, things, word
from rhetor.wire.ollama import errors
from rhetor.wire.ollama.doors import CHAT_DOOR, EMBED_DOOR
from rhetor.wire.ollama.embeddings import EmbedDecoder, write_embed
from rhetor.wire.ollama.outgoing import ChatBody
from rhetor.wire.ollama.reading import ReplyDecoder, StreamDecoder

CHAT_PATH = "/api/chat"
PROMPT_PATH = "/api/generate"
EMBED_PATH = "/api/embed"
EMBEDDING_PATH = "/api/embeddings"
TAGS_PATH = "/api/tags"


class _ChatUpstream:
    def build(self, request: Request, model: str, quirks: Quirks) -> Outgoing:
        body = ChatBody(cast(Chat, request.input), model, request.stream, quirks)
        return _outgoing(CHAT_PATH, body.fields, body.dropped, quirks)

    def retarget(self, original: Original, model: str, quirks: Quirks) -> Outgoing:
        said = original.fields
        path = PROMPT_PATH if said.get("prompt") and not said.get("messages") else CHAT_PATH
        return _outgoing(path, {**original.fields, "model": model}, [], quirks)

    def decoder(self, stream: bool, outgoing: Outgoing) -> Decoder:
        return StreamDecoder() if stream else ReplyDecoder()


class _EmbedUpstream:
    def build(self, request: Request, model: str, quirks: Quirks) -> Outgoing:
        body, dropped = write_embed(cast(Embed, request.input), model)
        return _outgoing(EMBED_PATH, body, dropped, quirks)

    def retarget(self, original: Original, model: str, quirks: Quirks) -> Outgoing:
        said = original.fields
        path = EMBEDDING_PATH if said.get("prompt") and not said.get("input") else EMBED_PATH
        return _outgoing(path, {**original.fields, "model": model}, [], quirks)

    def decoder(self, stream: bool, outgoing: Outgoing) -> Decoder:
        return EmbedDecoder()


def _outgoing(path: str, body: Json, dropped: list[str], quirks: Quirks) -> Outgoing:
    """The call, without the fields that this provider refuses."""
    refused = sorted(quirks.drop_fields & body.keys())
    kept = {name: value for name, value in body.items() if name not in refused}
    return Outgoing(path, fields.dump(kept), dropped=(*dropped, *refused))


class _Ollama:
    name = errors.WIRE
    upstream: Mapping[Capability, Upstream] = {
        Capability.CHAT: _ChatUpstream(),
        Capability.EMBEDDINGS: _EmbedUpstream(),
    }
    doors: Mapping[Capability, Door] = {Capability.CHAT: CHAT_DOOR, Capability.EMBEDDINGS: EMBED_DOOR}
    models_path = TAGS_PATH

    def read_error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        return errors.read_error(status, headers, body)

    def render_error(self, error: RhetorError, request_id: str) -> bytes:
        return errors.error_body(error)

    def error_status(self, error: RhetorError) -> int:
        return error.status

    def read_models(self, body: bytes) -> Sequence[ModelEntry]:
        """The models on the server. The list tells their sizes, not what they can do.

        https://docs.ollama.com/api/tags (read 2026-11-20).

        Raises:
            UpstreamError: protocol_error, this is no list: something else listens there.
        """
        said = parse(body)
        if said is None or not isinstance(said.get("models", 0), list | None):
            raise UpstreamError("the server's list of models is not one", Code.PROTOCOL)
        ids = [word(model, "model") or word(model, "name") for model in things(said, "models")]
        return [ModelEntry(id) for id in ids if id]


OLLAMA = _Ollama()
