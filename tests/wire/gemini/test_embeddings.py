"""Embeddings, of both dialects."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from rhetor.core.capability import Capability
from rhetor.core.errors import BadRequest, Code
from rhetor.core.events import Failed, Finished, FinishReason, Started, UsageReport, Vector
from rhetor.core.request import Embed
from rhetor.core.usage import Usage
from rhetor.wire.base import PLAIN, Outgoing
from rhetor.wire.gemini.embeddings import AT_ONCE, Embeddings
from tests.wire.gemini.speaking import request_of, told

MODEL = "gemini-embedding-001"


def asked(input: Embed, model: str = MODEL, vertex: bool = False) -> tuple[Any, Outgoing]:
    outgoing = Embeddings(configured=vertex).build(request_of(input, Capability.EMBEDDINGS), model, PLAIN)
    return orjson.loads(outgoing.body), outgoing


def one(text: str, **more: Any) -> dict[str, Any]:
    return {**more, "content": {"parts": [{"text": text}]}}


def test_texts_are_a_batch() -> None:
    body, outgoing = asked(Embed(inputs=("a", "b"), dimensions=3, end_user="ann"))
    wishes = {"model": f"models/{MODEL}", "outputDimensionality": 3}
    assert body == {"requests": [one("a", **wishes), one("b", **wishes)]}
    assert outgoing.path == f"/models/{MODEL}:batchEmbedContents"
    assert outgoing.dropped == ("end_user",)


def test_vertex_has_its_own_words() -> None:
    body, _ = asked(Embed(inputs=("a",), dimensions=3), vertex=True)
    assert body == {"requests": [one("a", embedContentConfig={"outputDimensionality": 3})]}
    assert asked(Embed(inputs=("a",)), vertex=True)[0] == {"requests": [one("a")]}
    body, outgoing = asked(Embed(inputs=("a", "b"), dimensions=3), "text-embedding-005", vertex=True)
    assert body == {
        "instances": [{"content": "a"}, {"content": "b"}],
        "parameters": {"outputDimensionality": 3},
    }
    assert outgoing.path == "/models/text-embedding-005:predict"


def test_what_does_not_fit_one_batch_is_asked_for_next() -> None:
    body, outgoing = asked(Embed(inputs=tuple(str(number) for number in range(AT_ONCE + 1))))
    assert len(body["requests"]) == AT_ONCE
    decoder = Embeddings(configured=False).decoder(False, outgoing)
    first = orjson.dumps(
        {"embeddings": [{"values": [0.5]}] * AT_ONCE, "usageMetadata": {"promptTokenCount": 12}}
    )
    follow = [chunk.follow for chunk in (decoder.feed(first), decoder.close())][-1]
    assert follow is not None
    assert (follow.method, follow.url) == ("POST", outgoing.path)
    assert follow.body is not None
    assert orjson.loads(follow.body) == {"requests": [one("100", model=f"models/{MODEL}")]}
    second = b'{"embeddings": [{"values": [1]}], "usageMetadata": {"promptTokenCount": 3}}'
    again = Embeddings(configured=False).decoder(False, outgoing)
    events = told(again, first, second)
    assert [it.index for it in events if isinstance(it, Vector)] == list(range(AT_ONCE + 1))
    assert events[-2:] == [UsageReport(Usage(15)), Finished(FinishReason.STOP)]


def test_predictions_count_one_by_one() -> None:
    outgoing = asked(Embed(inputs=("a", "b")), "text-embedding-005", vertex=True)[1]
    embedding = {"embeddings": {"values": [0.25, -1], "statistics": {"token_count": 4, "truncated": False}}}
    decoder = Embeddings(configured=True).decoder(False, outgoing)
    assert told(decoder, orjson.dumps({"predictions": [embedding, embedding]})) == [
        Started("", ""),
        Vector(0, [0.25, -1]),
        Vector(1, [0.25, -1]),
        UsageReport(Usage(8)),
        Finished(FinishReason.STOP),
    ]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": "no"}}', Code.INVALID_REQUEST),
        (b"{}", Code.PROTOCOL),
        (b'{"embeddings": [{}]}', Code.PROTOCOL),
        (b"<html>", Code.PROTOCOL),
    ],
)
def test_what_is_no_embedding(body: bytes, code: Code) -> None:
    *_, last = told(Embeddings(configured=False).decoder(False, asked(Embed(inputs=("a",)))[1]), body)
    assert isinstance(last, Failed)
    assert last.error.code is code


def test_tokens_are_not_embedded() -> None:
    with pytest.raises(BadRequest) as caught:
        asked(Embed(inputs=("a", (1, 2))))
    assert caught.value.param == "input[1]"
