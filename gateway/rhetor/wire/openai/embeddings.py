"""Embeddings, both directions.

https://platform.openai.com/docs/api-reference/embeddings/create (read 2026-11-20).
Vectors keep the form in which they came, numbers or base64 of little-endian
float32, unless the caller asked for the other one.
"""

from __future__ import annotations

import struct
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Literal

import orjson

from rhetor.core.capability import Capability
from rhetor.core.content import Json, JsonValue
from rhetor.core.errors import BadRequest, Code, UpstreamError
from rhetor.core.events import Event, Failed, Finished, FinishReason, Folded, UsageReport, Vector
from rhetor.core.request import Embed, Original, Request
from rhetor.core.usage import Usage
from rhetor.wire import fields
from rhetor.wire.base import (
    Decoder,
    Narrator,
    Outgoing,
    Quirks,
    Renderer,
    ReplyInfo,
    WholeDecoder,
    WholeRenderer,
)
from rhetor.wire.lenient import count, parse, thing, things, word
from rhetor.wire.openai.demands import demands, retarget
from rhetor.wire.openai.errors import error_inside
from rhetor.wire.openai.request import unknown
from rhetor.wire.openai.vocabulary import NAME
from rhetor.wire.refusals import page_text

PATH = "/embeddings"
_SAID = frozenset({"model", "input", "encoding_format", "dimensions", "user", "fallbacks"})
_ENCODINGS: tuple[Literal["float"], Literal["base64"]] = ("float", "base64")
_FLOAT_BYTES = 4


class EmbeddingsUpstream:
    """Embeddings, as spoken to providers."""

    def build(self, request: Request, model: str, quirks: Quirks) -> Outgoing:
        asked = request.input
        assert isinstance(asked, Embed)
        body: dict[str, JsonValue] = {"model": model, "input": [_written(it) for it in asked.inputs]}
        if asked.encoding != "float":
            body["encoding_format"] = asked.encoding
        if asked.dimensions is not None:
            body["dimensions"] = asked.dimensions
        if asked.end_user is not None:
            body["user"] = asked.end_user
        wanted = demands(body, quirks)
        return Outgoing(PATH, fields.dump(wanted.apply(body)), dropped=tuple(wanted.dropped))

    def retarget(self, original: Original, model: str, quirks: Quirks) -> Outgoing:
        return retarget(PATH, original, model, quirks)

    def decoder(self, stream: bool, outgoing: Outgoing) -> Decoder:
        return EmbeddingsDecoder()


class EmbeddingsDoor:
    """Embeddings, as heard from callers."""

    keepalive = b""

    def parse(self, body: bytes, headers: Mapping[str, str]) -> Request:
        said = fields.parse_object(body)
        asked = Embed(
            inputs=_inputs(said),
            dimensions=fields.optional_integer(said, "dimensions", least=1),
            encoding=fields.one_of(said, "encoding_format", _ENCODINGS) or "float",
            end_user=fields.optional_text(said, "user"),
        )
        return Request(
            id="",
            capability=Capability.EMBEDDINGS,
            model=fields.text(said, "model"),
            input=asked,
            original=Original(NAME, body, said),
            unsaid=tuple(unknown(said, _SAID)),
            fallbacks=fields.texts(said, "fallbacks"),
        )

    def renderer(self, request: Request, info: ReplyInfo) -> Renderer:
        return EmbeddingsRenderer(request, info)


class EmbeddingsDecoder(WholeDecoder):
    """Decodes a list of embeddings."""

    def read(self, body: bytes) -> list[Event]:
        narrator = Narrator()
        said = parse(body)
        if said is None:
            narrator.fail(f"the provider's reply is not JSON: {page_text(body)}", Code.PROTOCOL)
        elif error := error_inside(said):
            narrator.end(Failed(error))
        else:
            narrator.start(word(said, "id"), word(said, "model"))
            _tell(narrator, said)
        return narrator.take()


def _tell(narrator: Narrator, said: Json) -> None:
    entries = things(said, "data")
    if not entries:
        narrator.fail("the provider's reply holds no embeddings", Code.PROTOCOL)
    for number, entry in enumerate(entries):
        values = entry.get("embedding")
        if not isinstance(values, str | list):
            narrator.fail(f"the provider's reply holds no embedding at data[{number}]", Code.PROTOCOL)
            return
        index = entry.get("index")
        narrator.emit(Vector(index if isinstance(index, int) else number, values))  # type: ignore[arg-type]  # numbers
    if usage := thing(said, "usage"):
        used = count(usage, "prompt_tokens") or count(usage, "total_tokens")
        narrator.emit(UsageReport(Usage(input_tokens=used)))
    narrator.end(Finished(FinishReason.STOP))


class EmbeddingsRenderer(WholeRenderer):
    """Renders a list of embeddings, in the encoding that the caller asked for."""

    def __init__(self, request: Request, info: ReplyInfo) -> None:
        super().__init__()
        assert isinstance(request.input, Embed)
        self._as_text = request.input.encoding == "base64"
        self._info = info

    def write(self, folded: Folded) -> bytes:
        used = folded.usage.input_tokens if folded.usage is not None else 0
        return orjson.dumps(
            {
                "object": "list",
                "data": [
                    {"object": "embedding", "index": index, "embedding": self._encoded(values)}
                    for index, values in sorted(folded.vectors.items())
                ],
                "model": folded.model or self._info.model,
                "usage": {"prompt_tokens": used, "total_tokens": used},
            }
        )

    def _encoded(self, values: list[float] | str) -> list[float] | str:
        if isinstance(values, str):
            return values if self._as_text else _unpacked(values)
        return _packed(values) if self._as_text else values


def _packed(values: list[float]) -> str:
    """A vector in base64.

    Raises:
        UpstreamError: protocol_error, the provider sent something else than numbers.
    """
    try:
        return b64encode(struct.pack(f"<{len(values)}f", *values)).decode()
    except (struct.error, OverflowError) as error:
        raise UpstreamError(
            f"the provider's embedding is no list of floats: {error}", Code.PROTOCOL
        ) from error


def _unpacked(text: str) -> list[float]:
    """The numbers of a vector in base64.

    Raises:
        UpstreamError: protocol_error, the provider sent something else.
    """
    try:
        data = b64decode(text, validate=True)
        return list(struct.unpack(f"<{len(data) // _FLOAT_BYTES}f", data))
    except (ValueError, struct.error) as error:
        raise UpstreamError(
            f"the provider's embedding is no base64 of floats: {error}", Code.PROTOCOL
        ) from error


def _inputs(said: Json) -> tuple[str | tuple[int, ...], ...]:
    """One text, one list of token ids, or an array of either."""
    value = said.get("input")
    if isinstance(value, str):
        return (value,)
    entries = fields.items(said, "input")
    if not entries:
        raise BadRequest("input: expected at least one text", param="input")
    if fields.as_integer(entries[0]) is not None:
        return (_tokens(entries, "input"),)
    return tuple(_one_input(entry, f"input[{number}]") for number, entry in enumerate(entries))


def _one_input(entry: JsonValue, path: str) -> str | tuple[int, ...]:
    if isinstance(entry, str):
        return entry
    if isinstance(entry, list):
        return _tokens(entry, path)
    raise fields.wrong(path, "a string or an array of token ids", entry)


def _tokens(entries: list[JsonValue], path: str) -> tuple[int, ...]:
    tokens = []
    for number, entry in enumerate(entries):
        token = fields.as_integer(entry)
        if token is None:
            raise fields.wrong(f"{path}[{number}]", "a token id", entry)
        tokens.append(token)
    return tuple(tokens)


def _written(entry: str | tuple[int, ...]) -> JsonValue:
    return entry if isinstance(entry, str) else list(entry)
