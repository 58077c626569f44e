"""Embeddings, each vendor's models in its own words: `InvokeModel`.

Amazon's take one text at a time, so several are asked for one after the other
(https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-embed-text.html); Cohere's take
96 at once (https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-embed.html and
…/model-parameters-embed-v4.html; all read 2026-11-21).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from rhetor.core.content import Json, JsonValue
from rhetor.core.errors import BadRequest, Code
from rhetor.core.events import Failed, UsageReport, Vector
from rhetor.core.request import Embed, Request
from rhetor.core.usage import Usage
from rhetor.core.value import value
from rhetor.wire import fields
from rhetor.wire.base import Decoder, Follow, Outgoing, Quirks
from rhetor.wire.bedrock.errors import error_inside
from rhetor.wire.bedrock.vocabulary import FAMILY, path_of
from rhetor.wire.lenient import count, thing
from rhetor.wire.media.repeated import RepeatedDecoder
from rhetor.wire.media.vendor import VendorUpstream

AT_ONCE = 96
MOST_CALLS = 96  # one after the other takes its time; whoever has more asks more than once
TOKENS = "x-amzn-bedrock-input-token-count"


@value(kw_only=True)
class _Asked(Outgoing):
    rest: tuple[bytes, ...] = ()
    """What is asked afterwards."""


class Embeddings(VendorUpstream):
    def build(self, request: Request, model: str, quirks: Quirks) -> Outgoing:
        asked = request.input
        assert isinstance(asked, Embed)
        texts = list(_texts(asked))
        write = _cohere if "cohere." in model else _titan
        first, *rest = (fields.dump(body) for body in write(texts, asked.dimensions, model))
        if len(rest) >= MOST_CALLS:
            message = (
                f"input: {model} takes one text at a time, and no more than {MOST_CALLS} are asked in a row"
            )
            raise BadRequest(message, Code.TOO_LARGE, param="input")
        dropped = ("end_user",) if asked.end_user is not None else ()
        return _Asked(path=path_of(model, "invoke"), body=first, dropped=dropped, rest=tuple(rest))

    def decoder(self, stream: bool, outgoing: Outgoing) -> Decoder:
        rest = outgoing.rest if isinstance(outgoing, _Asked) else ()
        return EmbeddingsDecoder(Follow(url=outgoing.path, method="POST", body=body) for body in rest)


def _texts(asked: Embed) -> Iterator[str]:
    if not asked.inputs:
        raise BadRequest("input: there is nothing to embed", param="input")
    for number, it in enumerate(asked.inputs):
        if not isinstance(it, str):
            param = f"input[{number}]"
            raise BadRequest(f"{param}: {FAMILY} embeds texts, not tokens", Code.UNSUPPORTED, param=param)
        yield it


def _titan(texts: list[str], dimensions: int | None, model: str) -> Iterator[dict[str, JsonValue]]:
    wishes: dict[str, JsonValue] = {"dimensions": dimensions} if dimensions is not None else {}
    for text in texts:
        yield {"inputText": text, **wishes}


def _cohere(texts: list[str], dimensions: int | None, model: str) -> Iterator[dict[str, JsonValue]]:
    wishes: dict[str, JsonValue] = {"output_dimension": dimensions} if dimensions is not None else {}
    for at in range(0, len(texts), AT_ONCE):
        some: list[JsonValue] = [*texts[at : at + AT_ONCE]]
        yield {"texts": some, "input_type": "search_document", "embedding_types": ["float"], **wishes}


class EmbeddingsDecoder(RepeatedDecoder):
    """`embedding` of the one, `embeddings.float` of the other."""

    def __init__(self, rest: Iterable[Follow] = ()) -> None:
        super().__init__(rest)
        self._told = 0
        self._tokens = 0

    def read(self, said: Json, headers: Mapping[str, str]) -> None:
        if error := error_inside(said):
            self.narrator.end(Failed(error))
            return
        vectors = _vectors(said)
        if not vectors:
            self.narrator.fail("the provider's reply holds no embeddings", Code.PROTOCOL)
        for vector in vectors:
            self.narrator.emit(Vector(self._told, vector))
            self._told += 1
        told = headers.get(TOKENS, "")
        self._tokens += count(said, "inputTextTokenCount") or (int(told) if told.isdecimal() else 0)

    def finish(self) -> None:
        if self._tokens:
            self.narrator.emit(UsageReport(Usage(input_tokens=self._tokens)))
        super().finish()


def _vectors(said: Json) -> list[list[float]]:
    one = said.get("embedding")
    if isinstance(one, list):
        return [one]  # type: ignore[list-item]  # numbers, or the provider broke it
    many = said.get("embeddings")
    listed = many if isinstance(many, list) else thing(said, "embeddings").get("float")
    return [it for it in listed if isinstance(it, list)] if isinstance(listed, list) else []  # type: ignore[misc]
