"""Jelmore's providers: who can be had, how they are, and what they hold."""

from __future__ import annotations

import pytest

from rhetor.sessions.backend import Ability, Condition
from tests.conftest import MakeGateway
from tests.http.conversing import ANN, BOB, TOKENS, Sessions, admit, house
from tests.sessions.scripted import Gate, Scripted, asks, waits

ABLE = frozenset({Ability.STREAMING, Ability.TOOLS, Ability.FILE_OPERATIONS})


@pytest.fixture
async def jelmore(make_gateway: MakeGateway) -> Sessions:
    return await house(
        make_gateway, Scripted("claude_code", abilities=ABLE, models=["offline/echo", "later"])
    )


async def test_who_can_be_had(jelmore: Sessions) -> None:
    admit(jelmore.gateway, Scripted("guest"))
    told = await jelmore.said("GET", "/api/v1/providers")
    assert {"claude", "opencode", "chat", "guest", "openai"} <= set(told["available_providers"])
    assert set(told["active_providers"]) >= {"claude", "chat", "guest"}
    assert "opencode" not in told["active_providers"]
    assert told["providers"]


@pytest.mark.promise("J02")
@pytest.mark.promise("J50")
async def test_a_provider_and_what_it_can_do(jelmore: Sessions) -> None:
    for name in ("claude", "claude_code"):
        told = await jelmore.said("GET", f"/api/v1/providers/{name}")
        assert told["name"] == "claude"
        assert told["capabilities"] == {
            "streaming": True, "continuation": False, "tools": True, "file_operations": True,
            "multimodal": False, "code_execution": False, "max_sessions": 10, "session_persistence": True,
        }  # fmt: skip
        assert told["health"]["available_models"] == ["offline/echo", "later"]
    unknown = (await jelmore.ask("GET", "/api/v1/providers/gemini")).json["detail"]
    assert unknown == "Provider 'gemini' not found; there are chat, claude"


@pytest.mark.promise("J34")
@pytest.mark.promise("J41")
async def test_models_have_their_limits_and_prices(jelmore: Sessions) -> None:
    known, unknown = (await jelmore.said("GET", "/api/v1/providers/claude"))["available_models"]
    assert (known["name"], known["version"]) == ("offline/echo", "echo")
    assert (known["context_length"], known["max_tokens"], known["cost_per_token"]) == (
        1_000_000,
        1_000_000,
        0.0,
    )
    assert (known["supports_streaming"], known["supports_tools"]) == (True, True)
    assert {"text", "tools"} <= set(known["capabilities"])
    assert (unknown["name"], unknown["context_length"]) == ("later", None)


@pytest.mark.promise("J26")
@pytest.mark.promise("J53")
async def test_health(jelmore: Sessions) -> None:
    healthy = await jelmore.said("POST", "/api/v1/providers/claude/health")
    assert (healthy["status"], healthy["provider"], healthy["version"]) == ("healthy", "claude", "1.0")
    assert (healthy["binary"], healthy["sessions"]) == ("/bin/scripted", 0)
    jelmore.backend.condition = Condition(healthy=False, error="not installed")
    ill = await jelmore.said("POST", "/api/v1/providers/claude/health")
    assert (ill["status"], ill["error"]) == ("unhealthy", "not installed")
    status = await jelmore.said("GET", "/api/v1/status")
    assert {name: each["status"] for name, each in status["providers"]["health"].items()} == {
        "claude": "unhealthy",
        "chat": "healthy",
    }
    assert (await jelmore.ask("POST", "/api/v1/providers/gemini/health")).status == 404


@pytest.mark.promise("J27")
@pytest.mark.promise("J28")
async def test_how_many_sessions_there_are(jelmore: Sessions) -> None:
    gate = Gate()
    jelmore.backend.next(waits(gate))
    active = await jelmore.begin()
    await jelmore.send(active)
    await jelmore.until(active, "active")
    jelmore.backend.next(asks())
    waiting = await jelmore.begin()
    await jelmore.waiting(waiting)
    suspended = await jelmore.begin("hi")
    await jelmore.said("POST", f"/v1/sessions/{suspended}/suspend")
    await jelmore.begin("hi", backend="chat")
    metrics = (await jelmore.said("GET", "/api/v1/providers/claude"))["metrics"]
    assert metrics == {
        "provider": "claude", "total_sessions": 3, "active_sessions": 1, "idle_sessions": 0,
        "waiting_sessions": 1, "suspended_sessions": 1,
    }  # fmt: skip
    status = await jelmore.said("GET", "/api/v1/status")
    assert (status["status"], status["sessions"]) == ("running", {"total": 4, "active": 2})
    assert status["providers"]["metrics"]["chat"]["idle_sessions"] == 1
    assert (status["providers"]["total"], status["providers"]["default"]) == (2, "claude")
    assert status["timestamp"]
    gate.open()
    await jelmore.until(active, "idle")


@pytest.mark.promise("J25")
async def test_old_sessions_are_cleaned_up(jelmore: Sessions) -> None:
    await jelmore.begin("hi")
    usual = await jelmore.said("POST", "/api/v1/maintenance/cleanup")
    assert usual == {"total_cleaned": 0, "by_provider": {"chat": 0, "claude": 0}, "max_age_seconds": 3600}
    now = await jelmore.said("POST", "/api/v1/maintenance/cleanup?max_age_seconds=0")
    assert (now["total_cleaned"], now["by_provider"]["claude"]) == (1, 1)
    assert (await jelmore.ask("POST", "/api/v1/maintenance/cleanup?max_age_seconds=x")).status == 400


async def test_everybody_hears_of_their_own_sessions_only(make_gateway: MakeGateway) -> None:
    jelmore = await house(make_gateway, Scripted("claude_code"), **TOKENS)
    begun = await jelmore.ask("POST", "/api/v1/sessions", {"query": "hi"}, headers=ANN)
    assert begun.status == 200
    for headers, count in ((ANN, 1), (BOB, 0)):
        status = (await jelmore.ask("GET", "/api/v1/status", headers=headers)).json
        assert status["sessions"]["total"] == count
        assert status["providers"]["metrics"]["claude"]["total_sessions"] == count
        info = (await jelmore.ask("GET", "/api/v1/providers/claude", headers=headers)).json
        assert (info["metrics"]["total_sessions"], info["health"]["sessions"]) == (count, count)
