"""Embeddings in Ollama's language: `/api/embed`, and the older `/api/embeddings` for a single text.

https://docs.ollama.com/api/embed (read 2026-11-20); the older one as the `ollama` package asks it
(0.6.3, read 2026-11-21). Its vectors have another length, so whoever asks an Ollama by it is not
given those of the newer one.
"""

from __future__ import annotations

from array import array
from base64 import b64decode
from collections.abc import Iterator
from typing import cast

import orjson

from rhetor.core.capability import Capability
from rhetor.core.content import Json, JsonValue
from rhetor.core.errors import BadRequest, Code, UpstreamError
from rhetor.core.events import Event, Failed, Finished, FinishReason, Folded, UsageReport, Vector
from rhetor.core.request import Embed, Original, Request
from rhetor.wire import fields
from rhetor.wire.base import Narrator, ReplyInfo, WholeDecoder, WholeRenderer
from rhetor.wire.lenient import parse, word
from rhetor.wire.ollama.errors import WIRE, stream_error
from rhetor.wire.ollama.incoming import KEEP_ALIVE, unknown
from rhetor.wire.ollama.reading import read_usage
from rhetor.wire.ollama.render import durations

_OF_EMBED = frozenset({"model", "input", "dimensions", KEEP_ALIVE})
_OF_EMBEDDING = frozenset({"model", "prompt", KEEP_ALIVE})


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
    vectors = [said["embedding"]] if "embedding" in said else said.get("embeddings")
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


def parse_embed(body: bytes) -> Request:
    """A body of `/api/embed`; without a text it is about nothing.

    What is too long fails at most providers, so only who does not want it cut is understood everywhere.
    """
    said = fields.parse_object(body)
    unsaid = unknown(said, _OF_EMBED)
    dimensions = fields.optional_integer(said, "dimensions", least=1)
    return _request(body, said, _texts(said), unsaid, dimensions)


def parse_embedding(body: bytes) -> Request:
    """A body of `/api/embeddings`; without a text it is about nothing."""
    said = fields.parse_object(body)
    if said.get("input"):
        raise BadRequest("input: it belongs to /api/embed; here is only a prompt", param="input")
    prompt = fields.optional_text(said, "prompt")
    return _request(body, said, (prompt,) if prompt else (), unknown(said, _OF_EMBEDDING))


def _request(
    body: bytes, said: Json, texts: tuple[str, ...], unsaid: list[str], dimensions: int | None = None
) -> Request:
    return Request(
        id="",
        capability=Capability.EMBEDDINGS,
        model=fields.text(said, "model"),
        input=Embed(inputs=texts, dimensions=dimensions),
        original=Original(WIRE, body, said),
        unsaid=tuple(unsaid),
    )


def _texts(said: Json) -> tuple[str, ...]:
    """One text, or an array of them."""
    given = said.get("input")
    if isinstance(given, str):
        return (given,) if given else ()
    return fields.texts(said, "input")


class EmbeddingsRenderer(WholeRenderer):
    """The reply of `/api/embed`."""

    def __init__(self, info: ReplyInfo) -> None:
        super().__init__()
        self._info = info

    def write(self, folded: Folded) -> bytes:
        took = durations(self._info.meta)
        reply: dict[str, JsonValue] = {
            "model": folded.model or self._info.model,
            "embeddings": list(_vectors(folded)),
            "total_duration": took["total_duration"],
            "load_duration": took["load_duration"],
        }
        if folded.usage is not None:
            reply["prompt_eval_count"] = folded.usage.input_tokens
        return orjson.dumps(reply)


class EmbeddingRenderer(WholeRenderer):
    """The reply of `/api/embeddings`: the vector, and nothing else."""

    def write(self, folded: Folded) -> bytes:
        return orjson.dumps({"embedding": next(_vectors(folded), [])})


def no_embeddings(model: str) -> bytes:
    """The reply of `/api/embed` to who gives no text."""
    return orjson.dumps({"model": model, "embeddings": []})


def no_embedding() -> bytes:
    """The reply of `/api/embeddings` to who gives no text."""
    return orjson.dumps({"embedding": []})


def _vectors(folded: Folded) -> Iterator[JsonValue]:
    for _, values in sorted(folded.vectors.items()):
        yield cast(JsonValue, values if isinstance(values, list) else _unpacked(values))


def _unpacked(text: str) -> list[float]:
    """The numbers of a vector in base64, which some providers send unasked.

    Raises:
        UpstreamError: protocol_error, the provider sent something else.
    """
    try:
        return array("f", b64decode(text, validate=True)).tolist()
    except ValueError as error:
        message = f"the provider's embedding is no base64 of floats: {error}"
        raise UpstreamError(message, Code.PROTOCOL) from error
