"""Orders of documents, both directions.

https://docs.cohere.com/reference/rerank, https://docs.voyageai.com/reference/reranker-api (read 2026-11-21).
"""

from __future__ import annotations

import orjson

from rhetor.core.content import Json, JsonValue
from rhetor.core.errors import Code
from rhetor.core.events import Event, Finished, FinishReason, Folded, Ranked, UsageReport
from rhetor.core.media import Rank
from rhetor.core.request import Request
from rhetor.core.usage import Usage
from rhetor.wire.base import Narrator, ReplyInfo, WholeDecoder, WholeRenderer
from rhetor.wire.lenient import count, parse, thing, things, word
from rhetor.wire.refusals import page_text

_LISTS = ("results", "data")  # Voyage's is the second


class RankDecoder(WholeDecoder):
    """Decodes an order of documents, told best first whatever order it comes in."""

    def read(self, body: bytes) -> list[Event]:
        narrator = Narrator()
        said = parse(body)
        name = next((it for it in _LISTS if said is not None and isinstance(said.get(it), list)), None)
        if said is None or name is None:
            narrator.fail(f"the provider's reply is no order of documents: {page_text(body)}", Code.PROTOCOL)
            return narrator.take()
        narrator.start(word(said, "id"), word(said, "model"))
        ranked = [_ranked(it) for it in things(said, name)]
        known = [it for it in ranked if it is not None]
        if len(known) < len(ranked):
            narrator.fail("the provider's reply has entries without an index or a score", Code.PROTOCOL)
            return narrator.take()
        for each in sorted(known, key=lambda it: it.score, reverse=True):
            narrator.emit(each)
        if tokens := _tokens(said):
            narrator.emit(UsageReport(Usage(input_tokens=tokens)))
        narrator.end(Finished(FinishReason.STOP))
        return narrator.take()


class RankRenderer(WholeRenderer):
    """Renders an order of documents, with the documents for those who want them back."""

    def __init__(self, request: Request, info: ReplyInfo) -> None:
        super().__init__()
        assert isinstance(request.input, Rank)
        self._asked = request.input
        said = request.original.fields if request.original is not None else {}
        self._with_documents = said.get("return_documents") is True
        self._info = info

    def write(self, folded: Folded) -> bytes:
        documents = len(self._asked.documents)
        best = [it for it in folded.ranked if 0 <= it.index < documents][: self._asked.most]
        body: dict[str, JsonValue] = {
            "id": folded.id or self._info.id,
            "model": folded.model or self._info.model,
            "results": [self._result(it) for it in best],
        }
        if folded.usage is not None and folded.usage.input_tokens:
            tokens = folded.usage.input_tokens
            body["usage"] = {"prompt_tokens": tokens, "total_tokens": tokens}
            body["meta"] = {"tokens": {"input_tokens": tokens}}
        return orjson.dumps(body)

    def _result(self, ranked: Ranked) -> dict[str, JsonValue]:
        said: dict[str, JsonValue] = {"index": ranked.index, "relevance_score": ranked.score}
        if self._with_documents:
            said["document"] = {"text": self._asked.documents[ranked.index]}
        return said


def _ranked(said: Json) -> Ranked | None:
    index, score = said.get("index"), said.get("relevance_score", said.get("score"))
    if type(index) is not int or isinstance(score, bool) or not isinstance(score, int | float):
        return None
    return Ranked(index, float(score))


def _tokens(said: Json) -> int:
    """What was read: Jina, vLLM and Voyage tell it as usage, Cohere, if at all, in `meta`."""
    usage, meta = thing(said, "usage"), thing(said, "meta")
    return (
        count(usage, "total_tokens")
        or count(usage, "prompt_tokens")
        or count(thing(meta, "tokens"), "input_tokens")
    )
