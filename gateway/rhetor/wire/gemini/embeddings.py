"""Embeddings.

The Gemini API takes a hundred texts at once (`batchEmbedContents`,
https://ai.google.dev/api/embeddings, read 2026-11-21), so more are asked for one after the other. Vertex'
older models take texts as instances of a prediction, Gemini's as the Gemini API does, but with the wishes
in an `embedContentConfig` (google-genai 3.4.0, `models.py`;
https://docs.cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api, both read
2026-11-21).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from rhetor.core.content import Json
from rhetor.core.errors import BadRequest, Code
from rhetor.core.events import Failed, UsageReport, Vector
from rhetor.core.request import Embed, Request
from rhetor.core.usage import Usage
from rhetor.core.value import value
from rhetor.wire import fields
from rhetor.wire.base import Decoder, Follow, Outgoing, Quirks
from rhetor.wire.gemini.parts import Written
from rhetor.wire.gemini.vocabulary import FAMILY, path_of
from rhetor.wire.lenient import count, thing, things
from rhetor.wire.media.repeated import RepeatedDecoder
from rhetor.wire.media.vendor import VendorUpstream
from rhetor.wire.rpc_status import error_inside

AT_ONCE = 100
"""`at most 100 requests can be in one batch`, as the API answers to more."""


@value(kw_only=True)
class _Asked(Outgoing):
    rest: tuple[bytes, ...] = ()
    """What is asked afterwards."""


class Embeddings(VendorUpstream):
    """
    Args:
        configured: whether wishes stand in an `embedContentConfig`, and older models make predictions.
    """

    def __init__(self, configured: bool) -> None:
        self._configured = configured

    def build(self, request: Request, model: str, quirks: Quirks) -> Outgoing:
        asked = request.input
        assert isinstance(asked, Embed)
        texts = list(_texts(asked))
        predicts = self._configured and "gemini" not in model
        write = _predictions if predicts else self._contents
        some = [texts[at : at + AT_ONCE] for at in range(0, max(len(texts), 1), AT_ONCE)]
        first, *rest = (fields.dump(write(it, asked.dimensions, model)) for it in some)
        dropped = ("end_user",) if asked.end_user is not None else ()
        path = path_of(model, "predict" if predicts else "batchEmbedContents")
        return _Asked(path=path, body=first, dropped=dropped, rest=tuple(rest))

    def decoder(self, stream: bool, outgoing: Outgoing) -> Decoder:
        rest = outgoing.rest if isinstance(outgoing, _Asked) else ()
        return EmbeddingsDecoder(Follow(url=outgoing.path, method="POST", body=body) for body in rest)

    def _contents(self, texts: list[str], dimensions: int | None, model: str) -> Written:
        wishes: Written = {"outputDimensionality": dimensions} if dimensions is not None else {}
        common: Written = {"embedContentConfig": wishes} if self._configured and wishes else wishes
        if not self._configured:
            common = {"model": f"models/{model.removeprefix('models/')}", **common}
        return {"requests": [{**common, "content": {"parts": [{"text": text}]}} for text in texts]}


def _predictions(texts: list[str], dimensions: int | None, model: str) -> Written:
    body: Written = {"instances": [{"content": text} for text in texts]}
    return {**body, "parameters": {"outputDimensionality": dimensions}} if dimensions is not None else body


def _texts(asked: Embed) -> Iterator[str]:
    for number, it in enumerate(asked.inputs):
        if not isinstance(it, str):
            param = f"input[{number}]"
            raise BadRequest(f"{param}: {FAMILY} embeds texts, not tokens", Code.UNSUPPORTED, param=param)
        yield it


class EmbeddingsDecoder(RepeatedDecoder):
    """`embeddings` of the one method, `predictions` of the other."""

    def __init__(self, rest: Iterable[Follow] = ()) -> None:
        super().__init__(rest)
        self._told = 0
        self._tokens = 0

    def read(self, said: Json, headers: Mapping[str, str]) -> None:
        if error := error_inside(said):
            self.narrator.end(Failed(error))
            return
        predicted = [thing(it, "embeddings") for it in things(said, "predictions")]
        embeddings = things(said, "embeddings") or predicted
        if not embeddings:
            self.narrator.fail("the provider's reply holds no embeddings", Code.PROTOCOL)
        for embedding in embeddings:
            values = embedding.get("values")
            if not isinstance(values, list):
                self.narrator.fail(f"the provider's reply holds no embedding {self._told}", Code.PROTOCOL)
                return
            self.narrator.emit(Vector(self._told, values))  # type: ignore[arg-type]  # numbers, one hopes
            self._told += 1
        counted = sum(count(thing(it, "statistics"), "token_count") for it in predicted)
        self._tokens += count(thing(said, "usageMetadata"), "promptTokenCount") or counted

    def finish(self) -> None:
        if self._tokens:
            self.narrator.emit(UsageReport(Usage(input_tokens=self._tokens)))
        super().finish()
