"""Documents in order: Cohere's language and its relatives, both directions."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from rhetor.core.capability import Capability
from rhetor.core.errors import BadRequest, Code, RhetorError
from rhetor.core.events import Event, Failed, Finished, FinishReason, Ranked, Started, UsageReport
from rhetor.core.media import Rank
from rhetor.core.request import Request
from rhetor.core.usage import Usage
from rhetor.wire.base import PLAIN, Outgoing, Quirks, ReplyInfo
from rhetor.wire.rerank import RERANK, VOYAGE
from tests.wire.openai.speech import decode

UPSTREAM, DOOR = RERANK.upstream[Capability.RERANK], RERANK.doors[Capability.RERANK]
VOYAGES = VOYAGE.upstream[Capability.RERANK]
INFO = ReplyInfo("gen", 1, "asked")
STOPPED = Finished(FinishReason.STOP)

# https://docs.cohere.com/reference/rerank (read 2026-11-21).
COHERE = b"""{
  "results": [
    {"index": 3, "relevance_score": 0.999071},
    {"index": 4, "relevance_score": 0.7867867},
    {"index": 0, "relevance_score": 0.32713068}
  ],
  "id": "07734bd2-2473-4f07-94e1-0d9f0e6843cf",
  "meta": {"api_version": {"version": "2", "is_experimental": false}, "billed_units": {"search_units": 1}}
}"""
# https://docs.newapi.pro/en/api/jinaai-rerank (read 2026-11-21), the texts shortened.
JINA = b"""{
  "results": [
    {"document": {"text": "Organic skincare"}, "index": 0, "relevance_score": 0.8783142566680908},
    {"document": {"text": "Bio-Hautpflege"}, "index": 2, "relevance_score": 0.7624675869941711}
  ],
  "usage": {"prompt_tokens": 815, "completion_tokens": 0, "total_tokens": 815}
}"""
# https://docs.voyageai.com/reference/reranker-api (read 2026-11-21): its fields, with numbers of ours.
VOYAGE_SAID = b"""{
  "object": "list",
  "data": [{"relevance_score": 0.25, "index": 1}, {"relevance_score": 0.4375, "index": 0}],
  "model": "rerank-2.5",
  "usage": {"total_tokens": 26}
}"""


def parse(**said: Any) -> Request:
    return DOOR.parse(orjson.dumps({"model": "m", "query": "q", "documents": ["a", "b", "c"], **said}), {})


def read(body: bytes) -> list[Event]:
    return decode(UPSTREAM.decoder(False, Outgoing("", b"")), body).events


def render(events: list[Event], **asked: Any) -> Any:
    return orjson.loads(DOOR.renderer(parse(**asked), INFO).render(events))


def test_everything_that_has_a_word() -> None:
    request = parse(
        documents=["a", {"text": "b"}],
        top_n=2,
        return_documents=True,
        max_tokens_per_doc=9,
        fallbacks=["a/b"],
    )
    assert request.input == Rank(query="q", documents=("a", "b"), most=2, extra={"max_tokens_per_doc": 9})
    assert (request.capability, request.fallbacks, request.bound) == (Capability.RERANK, ("a/b",), None)


@pytest.mark.parametrize(
    ("said", "param"),
    [
        ({"query": None}, "query"),
        ({"documents": None}, "documents"),
        ({"documents": []}, "documents"),
        ({"documents": ["a", 5]}, "documents[1]"),
        ({"documents": [{"text": 5}]}, "documents[0].text"),
        ({"top_n": 0}, "top_n"),
    ],
)
def test_a_mistake_is_named_by_its_path(said: Any, param: str) -> None:
    with pytest.raises(BadRequest) as refused:
        parse(**said)
    assert refused.value.param == param


def test_a_document_that_is_no_text_is_for_speakers_of_this_language() -> None:
    request = parse(documents=["a", {"image": "https://x.test/a.png"}])
    assert request.bound is not None
    assert request.bound.code is Code.UNSUPPORTED
    assert request.original is not None
    assert b'{"image":"https://x.test/a.png"}' in UPSTREAM.retarget(request.original, "t", PLAIN).body


def test_what_is_sent() -> None:
    asked = Rank(query="q", documents=("a",), most=1, extra={"truncation": False, "model": "evil"})
    request = Request(id="", capability=Capability.RERANK, model="m", input=asked)
    said = {"model": "t", "query": "q", "documents": ["a"], "truncation": False}
    outgoing = UPSTREAM.build(request, "t", PLAIN)
    assert (outgoing.path, orjson.loads(outgoing.body)) == ("/rerank", {**said, "top_n": 1})
    assert orjson.loads(VOYAGES.build(request, "t", PLAIN).body) == {**said, "top_k": 1}
    refusing = UPSTREAM.build(request, "t", Quirks(drop_fields=frozenset({"top_n"})))
    assert (orjson.loads(refusing.body), refusing.dropped) == (said, ("top_n",))


def test_the_callers_own_body() -> None:
    original = DOOR.parse(b'{"query":"q", "model":"m","documents":["a"],"x":1}', {}).original
    assert original is not None
    assert (
        UPSTREAM.retarget(original, "t", PLAIN).body == b'{"query":"q", "model":"t","documents":["a"],"x":1}'
    )
    ours = parse(fallbacks=["a/b"]).original
    assert ours is not None
    assert orjson.loads(UPSTREAM.retarget(ours, "t", PLAIN).body) == {
        "model": "t",
        "query": "q",
        "documents": ["a", "b", "c"],
    }


@pytest.mark.parametrize(
    ("body", "events"),
    [
        (
            COHERE,
            [
                Started("07734bd2-2473-4f07-94e1-0d9f0e6843cf", ""),
                Ranked(3, 0.999071),
                Ranked(4, 0.7867867),
                Ranked(0, 0.32713068),
            ],
        ),
        (
            JINA,
            [
                Started("", ""),
                Ranked(0, 0.8783142566680908),
                Ranked(2, 0.7624675869941711),
                UsageReport(Usage(815)),
            ],
        ),
        (
            VOYAGE_SAID,
            [Started("", "rerank-2.5"), Ranked(0, 0.4375), Ranked(1, 0.25), UsageReport(Usage(26))],
        ),
        (b'{"results":[],"meta":{"tokens":{"input_tokens":5}}}', [Started("", ""), UsageReport(Usage(5))]),
    ],
    ids=["cohere", "jina", "voyage", "nothing"],
)
def test_what_is_heard(body: bytes, events: list[Event]) -> None:
    assert read(body) == [*events, STOPPED]


@pytest.mark.parametrize(
    "body",
    [b"<html>", b"{}", b'{"results":[{"index":"0"}]}', b'{"data":[{"index":0,"relevance_score":true}]}'],
)
def test_a_200_that_is_no_order_is_a_failure(body: bytes) -> None:
    failed = read(body)[-1]
    assert isinstance(failed, Failed)
    assert failed.error.code is Code.PROTOCOL


def test_what_is_told() -> None:
    events = [
        Started("", "served"),
        Ranked(2, 0.9),
        Ranked(0, 0.5),
        Ranked(7, 0.4),
        UsageReport(Usage(5)),
        STOPPED,
    ]
    assert render(events) == {
        "id": "gen",
        "model": "served",
        "results": [{"index": 2, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.5}],
        "usage": {"prompt_tokens": 5, "total_tokens": 5},
        "meta": {"tokens": {"input_tokens": 5}},
    }
    assert render(events, top_n=1, return_documents=True)["results"] == [
        {"index": 2, "relevance_score": 0.9, "document": {"text": "c"}}
    ]


def test_what_is_refused_is_told_to_callers_of_both_kinds() -> None:
    body = orjson.loads(RERANK.render_error(RhetorError("no", Code.RATE_LIMITED), "req"))
    assert (body["message"], body["error"]["message"], body["error"]["code"]) == ("no", "no", "rate_limited")


@pytest.mark.parametrize(
    ("status", "body", "code", "words"),
    [
        (401, b'{"id":"1","message":"invalid api token sk-1"}', Code.UPSTREAM_AUTH, "does not accept"),
        (429, b'{"message":"slow down"}', Code.RATE_LIMITED, "slow down"),
        (400, b'{"detail":"too many documents"}', Code.INVALID_REQUEST, "too many documents"),
    ],
)
def test_what_providers_refuse(status: int, body: bytes, code: Code, words: str) -> None:
    for wire in (RERANK, VOYAGE):
        error = wire.read_error(status, {}, body)
        assert error.code is code
        assert words in error.message
