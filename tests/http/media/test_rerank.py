"""Documents in order, at the door that Cohere's callers know, and Jina's, vLLM's and LiteLLM's."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from rhetor.testing import Upstream, fails, ranks
from tests.conftest import Gateway, MakeGateway
from tests.http.media.recordings import RANKING, media


@pytest.fixture
async def other(no_leaks: None) -> AsyncIterator[Upstream]:
    async with Upstream() as server:
        yield server


@pytest.fixture
async def gateway(make_gateway: MakeGateway, upstream: Upstream, other: Upstream) -> Gateway:
    return await make_gateway(media(upstream, other))


@pytest.mark.parametrize("path", ["/v1/rerank", "/v2/rerank", "/api/llm/v1/rerank"])
async def test_the_best_first(gateway: Gateway, upstream: Upstream, path: str) -> None:
    upstream.next(ranks((1, 0.75), (0, 0.25)))
    status, said = await gateway.post(path, {**RANKING, "return_documents": True, "x": 1})
    assert (status, said["results"]) == (
        200,
        [
            {"index": 1, "relevance_score": 0.75, "document": {"text": "b"}},
            {"index": 0, "relevance_score": 0.25, "document": {"text": "a"}},
        ],
    )
    seen = upstream.requests[0]
    assert (seen.path, seen.json["model"], seen.json["x"]) == ("/v2/rerank", "m", 1)
    (trip,) = await gateway.booked()
    assert (trip["door"], trip["capability"], trip["outcome"]) == ("rerank", "rerank", "ok")


async def test_another_one_may_know_the_order(gateway: Gateway, upstream: Upstream, other: Upstream) -> None:
    """Voyage's words for it are others; the caller need not know."""
    upstream.always(fails(503))
    _, said = await gateway.post("/v1/rerank", {**RANKING, "model": "ranks", "top_n": 1})
    assert [it["index"] for it in said["results"]] == [0]
    assert other.requests[0].json["top_k"] == 1


async def test_what_only_this_language_can_say(gateway: Gateway, upstream: Upstream, other: Upstream) -> None:
    upstream.always(fails(503))
    body = {**RANKING, "model": "ranks", "documents": [{"image": "https://x.test/a.png"}]}
    status, said = await gateway.post("/v1/rerank", body)
    assert (status, other.requests) == (503, [])
    assert said["message"] == said["error"]["message"]


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({**RANKING, "documents": []}, 400, "at least one document"),
        ({**RANKING, "model": "unknown"}, 404, "unknown model"),
        ({**RANKING, "model": "oai/m"}, 400, "does not offer rerank"),
    ],
)
async def test_what_is_refused(gateway: Gateway, body: object, status: int, words: str) -> None:
    got, said = await gateway.post("/v2/rerank", body)
    assert got == status
    assert words in said["message"]


async def test_what_is_not_served_is_refused_in_the_same_language(gateway: Gateway) -> None:
    status, said = await gateway.get("/v2/rerank")
    assert (status, "takes POST" in said["message"]) == (405, True)
