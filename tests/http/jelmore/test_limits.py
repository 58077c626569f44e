"""How often Jelmore's callers may come, and what they are told of it."""

from __future__ import annotations

import pytest

from rhetor.http.jelmore.limits import A_MINUTE
from tests.conftest import MakeGateway
from tests.http.conversing import ANN, BOB, TOKENS, Sessions, house
from tests.sessions.scripted import Scripted


@pytest.fixture
async def jelmore(make_gateway: MakeGateway) -> Sessions:
    return await house(make_gateway, Scripted("claude_code"))


@pytest.mark.promise("J33")
async def test_every_reply_tells_what_is_left(jelmore: Sessions) -> None:
    for left in (19, 18):
        reply = await jelmore.ask("GET", "/api/v1/sessions")
        assert reply.headers["X-RateLimit-Limit"] == "20"
        assert reply.headers["X-RateLimit-Remaining"] == str(left)
        assert int(reply.headers["X-RateLimit-Reset"]) > 1_700_000_000
        assert reply.headers["X-RateLimit-Window"] == "60"
    missing = await jelmore.ask("GET", "/api/v1/sessions/x")
    assert (missing.status, missing.headers["X-RateLimit-Limit"]) == (404, "30")
    id = (await jelmore.said("POST", "/api/v1/sessions", {"query": "hi"}))["id"]
    await jelmore.said("DELETE", f"/api/v1/sessions/{id}")
    stream = await jelmore.ask("GET", f"/api/v1/sessions/{id}/stream")
    assert (stream.status, stream.headers["X-RateLimit-Limit"]) == (200, "5")


@pytest.mark.promise("J33")
@pytest.mark.promise("J52")
async def test_too_many_calls_are_refused(jelmore: Sessions) -> None:
    for _ in range(A_MINUTE["list"]):
        assert (await jelmore.ask("GET", "/api/v1/sessions")).status == 200
    refused = await jelmore.ask("GET", "/api/v1/legacy/sessions")
    assert refused.status == 429
    told = refused.json
    assert (told["error"], told["limit"], told["window_seconds"]) == ("Rate limit exceeded", 20, 60)
    assert (told["remaining"], told["code"]) == (0, "rate_limited")
    assert 1 <= told["retry_after"] <= 60
    assert refused.headers["Retry-After"] == str(told["retry_after"])
    assert told["message"] == told["detail"]
    assert (await jelmore.ask("POST", "/api/v1/sessions", {"query": "hi"})).status == 200
    assert (await jelmore.ask("GET", "/v1/sessions")).status == 200


async def test_callers_are_counted_apart(make_gateway: MakeGateway) -> None:
    jelmore = await house(make_gateway, Scripted("claude_code"), **TOKENS)
    for _ in range(A_MINUTE["list"]):
        await jelmore.ask("GET", "/api/v1/sessions", headers=ANN)
    assert (await jelmore.ask("GET", "/api/v1/sessions", headers=ANN)).status == 429
    assert (await jelmore.ask("GET", "/api/v1/sessions", headers=BOB)).status == 200


async def test_gateways_count_apart(make_gateway: MakeGateway) -> None:
    for _ in range(2):
        jelmore = await house(make_gateway)
        assert (await jelmore.ask("GET", "/api/v1/sessions")).headers["X-RateLimit-Remaining"] == "19"
