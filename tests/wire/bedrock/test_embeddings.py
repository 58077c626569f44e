"""Embeddings of Amazon's and of Cohere's models."""

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
from rhetor.wire.bedrock.embeddings import AT_ONCE, MOST_CALLS, Embeddings
from tests.wire.bedrock.speaking import request_of, told

TITAN, COHERE = "amazon.titan-embed-text-v2:0", "cohere.embed-v4:0"


def asked(model: str, *texts: Any, dimensions: int | None = None) -> tuple[Any, Outgoing]:
    wanted = Embed(inputs=texts, dimensions=dimensions, end_user="ann")
    outgoing = Embeddings().build(request_of(wanted, Capability.EMBEDDINGS), model, PLAIN)
    return orjson.loads(outgoing.body), outgoing


def test_amazons_models_take_one_text_at_a_time() -> None:
    body, outgoing = asked(TITAN, "a", "b", dimensions=256)
    assert body == {"inputText": "a", "dimensions": 256}
    assert outgoing.path == "/model/amazon.titan-embed-text-v2%3A0/invoke"
    assert outgoing.dropped == ("end_user",)
    decoder = Embeddings().decoder(False, outgoing)
    replies = (b'{"embedding":[0.5],"inputTextTokenCount":3}', b'{"embedding":[-1],"inputTextTokenCount":4}')
    assert told(decoder, *replies) == [
        Started("", ""),
        Vector(0, [0.5]),
        Vector(1, [-1]),
        UsageReport(Usage(7)),
        Finished(FinishReason.STOP),
    ]


def test_coheres_models_take_many() -> None:
    body, outgoing = asked(COHERE, *("a" for _ in range(AT_ONCE)), dimensions=256)
    assert len(body.pop("texts")) == AT_ONCE
    assert body == {"input_type": "search_document", "embedding_types": ["float"], "output_dimension": 256}
    decoder = Embeddings().decoder(False, outgoing)
    decoder.begin(200, {"x-amzn-bedrock-input-token-count": "9"})
    decoder.feed(b'{"embeddings":{"float":[[1],[2]]}}')
    events = decoder.close().events
    assert events[-3:] == [Vector(1, [2]), UsageReport(Usage(9)), Finished(FinishReason.STOP)]


def test_older_models_of_cohere_answer_with_a_list() -> None:
    events = told(Embeddings().decoder(False, asked(COHERE, "a")[1]), b'{"embeddings":[[1],[2]]}')
    assert [it for it in events if isinstance(it, Vector)] == [Vector(0, [1]), Vector(1, [2])]


@pytest.mark.parametrize(
    ("body", "code"),
    [(b'{"__type":"ThrottlingException","message":"x"}', Code.RATE_LIMITED), (b"{}", Code.PROTOCOL)],
)
def test_what_is_no_embedding(body: bytes, code: Code) -> None:
    *_, last = told(Embeddings().decoder(False, asked(TITAN, "a")[1]), body)
    assert isinstance(last, Failed)
    assert last.error.code is code


@pytest.mark.parametrize(
    ("texts", "code"),
    [
        ((), Code.INVALID_REQUEST),
        (((1, 2),), Code.UNSUPPORTED),
        (("a",) * (MOST_CALLS + 1), Code.TOO_LARGE),
    ],
)
def test_what_cannot_be_asked(texts: tuple[Any, ...], code: Code) -> None:
    with pytest.raises(BadRequest) as caught:
        asked(TITAN, *texts)
    assert caught.value.code is code
