"""Embeddings in Ollama's language: `POST /api/embed`.

https://docs.ollama.com/api/embed (read 2026-11-20).
"""

from __future__ import annotations

from typing import cast

from rhetor.core.content import JsonValue
from rhetor.core.errors import BadRequest, Code
from rhetor.core.events import Event, Failed, Finished, FinishReason, UsageReport, Vector
from rhetor.core.request import Embed
from rhetor.wire.base import Narrator, WholeDecoder
from rhetor.wire.lenient import parse, word
from rhetor.wire.ollama.errors import stream_error
from rhetor.wire.ollama.reading import read_usage


def write_embed(embed: Embed, model: str) -> tuple[dict[str, JsonValue], list[str]]:
    """The body, and what could not be said.

    A text that is too long is asked to be an error, as the others do it: by
    default Ollama embeds the beginning and says nothing.
    """
    texts: list[JsonValue] = []
    for number, given in enumerate(embed.inputs):
        if not isinstance(given, str):
            where = f"input[{number}]"
            message = f"{where}: Ollama embeds texts, not token ids"
            raise BadRequest(message, Code.UNSUPPORTED, param=where)
        texts.append(given)
    body: dict[str, JsonValue] = {"model": model, "input": texts, "truncate": False}
    if embed.dimensions is not None:
        body["dimensions"] = embed.dimensions
    return body, [] if embed.end_user is None else ["end_user"]


class EmbedDecoder(WholeDecoder):
    def read(self, body: bytes) -> list[Event]:
        narrator = Narrator()
        _read(body, narrator)
        return narrator.take()


def _read(body: bytes, narrator: Narrator) -> None:
    said = parse(body)
    if said is None:
        narrator.fail("the provider sent something that is not a JSON object", Code.PROTOCOL)
        return
    if said.get("error") is not None:
        narrator.end(Failed(stream_error(said)))
        return
    vectors = said.get("embeddings")
    if not isinstance(vectors, list) or not all(isinstance(vector, list) for vector in vectors):
        narrator.fail("the provider sent no embeddings", Code.PROTOCOL)
        return
    narrator.start("", word(said, "model"))
    for index, values in enumerate(cast(list[list[float]], vectors)):
        narrator.emit(Vector(index, values))
    usage = read_usage(said)
    if usage is not None:
        narrator.emit(UsageReport(usage))
    narrator.end(Finished(FinishReason.STOP))
