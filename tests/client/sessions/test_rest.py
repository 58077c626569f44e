"""The way back: Jelmore's own REST, of the gateway and of something that writes as Jelmore does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

import tekton_llm_client as tekton
from tekton_llm_client.sessions import (
    JelmoreService,
    ProviderError,
    SessionConfig,
    SessionError,
    SessionManager,
    SessionService,
    get_session_service,
)
from tests.client.scripted import ScriptedGateway
from tests.conftest import MakeGateway, free_port
from tests.http import conversing
from tests.http.conversing import Sessions
from tests.sessions.scripted import Scripted, asks, says


@pytest.fixture
async def house(make_gateway: MakeGateway) -> Sessions:
    return await conversing.house(make_gateway, Scripted("claude_code"))


@pytest.fixture
async def service(house: Sessions) -> AsyncIterator[JelmoreService]:
    """The gateway, seen through the door for Jelmore's callers."""
    service = JelmoreService(house.gateway.url)
    async with asyncio.timeout(20):
        yield service
    await service.shutdown()


async def heard(service: JelmoreService | SessionService, id: str) -> list[tuple[str, str]]:
    told = [(each["event_type"], each["content"]) async for each in service.stream_session(id)]
    return [each for each in told if each[0] in ("user", "assistant")]


@pytest.mark.promise("J13", "J14")
async def test_the_flag_takes_a_component_back_and_forth(
    house: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same code, the same session: only the way to it changes."""
    monkeypatch.setenv("RHETOR_URL", house.gateway.url)
    monkeypatch.setenv("JELMORE_URL", f"{house.gateway.url}/api/v1")
    told, id = [], ""
    for flag, kind in (("true", SessionService), ("false", JelmoreService), ("", SessionService)):
        monkeypatch.setenv("USE_PROVIDER_SYSTEM", flag)
        service = await get_session_service()
        assert isinstance(service, kind)
        if id:
            await service.send_message(id, f"{flag}!")
        else:
            id = (await service.create_session("first", provider_name="claude"))["session_id"]
        told.append(await heard(service, id))
        await service.shutdown()
    assert told[0] == [("user", "first"), ("assistant", "You said: first")]
    assert told[1][-2:] == [("user", "false!"), ("assistant", "You said: false!")]
    assert told[2][-2:] == [("user", "!"), ("assistant", "You said: !")]


async def test_the_whole_service(service: JelmoreService, house: Sessions, backend: Scripted) -> None:
    config = SessionConfig(model="offline/echo", max_turns=3, system_prompt="be short")
    session = await service.create_session("one", "claude", config=config)
    id = session["session_id"]
    assert (session["id"], session["provider"]) == (id, "claude")
    assert (backend.last.setup.max_turns, backend.last.setup.system) == (3, "be short")
    assert await heard(service, id) == [("user", "one"), ("assistant", "You said: one")]
    assert await service.send_message(id, "two")
    assert await heard(service, id) == [("user", "two"), ("assistant", "You said: two")]
    assert [each["session_id"] for each in await service.list_sessions("claude")] == [id]
    state = await service.suspend_session(id)
    assert state["session_id"] == id
    assert await service.resume_session(id, state)
    found = await service.get_session(id)
    assert found is not None
    assert found["status"] == "idle"
    assert (await service.get_system_status())["sessions"]["total"] == 1
    assert await service.cleanup_expired_sessions(3600) == 0
    assert await service.terminate_session(id)
    assert await service.get_session("ses_" + "0" * 24) is None


async def test_input(service: JelmoreService, backend: Scripted) -> None:
    backend.next(asks("a1"), says("done"))
    id = (await service.create_session("Go!", "claude"))["session_id"]
    async for event in service.stream_session(id):
        if event["event_type"] == "status_change" and event["content"] == "waiting_input":
            assert await service.send_input(id, "yes")
    assert backend.last.verdicts["a1"].decision == "allow"
    with pytest.raises(SessionError, match="not waiting for input"):
        await service.send_input(id, "yes")


async def test_requirements(service: JelmoreService) -> None:
    wanted = {"capabilities": ["tools"], "load_balancing": True, "model": "auto"}
    assert (await service.create_session("Hi!", requirements=wanted))["provider"] == "claude"


async def test_errors(service: JelmoreService) -> None:
    with pytest.raises(ProviderError, match="not found"):
        await service.create_session("Hi!", "nobody")
    with pytest.raises(SessionError) as raised:
        await service.send_message("ses_" + "0" * 24, "Hi!")
    assert raised.value.session_id == "ses_" + "0" * 24


async def test_what_there_was_before_providers(house: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JELMORE_URL", house.gateway.url)
    session_manager = SessionManager()
    session = await session_manager.create_session("Hello Claude")
    data = [data async for data in session.stream_output()]
    assert "You said: Hello Claude" in [each["content"] for each in data]
    assert [each.id for each in await session_manager.list_sessions()] == [session.session_id]
    again = await session_manager.get_session(session.session_id)
    assert again is not None
    assert again.status == "idle"
    assert await session_manager.terminate_session(session.session_id)
    assert await session_manager.get_session("ses_" + "0" * 24) is None
    await session_manager.shutdown()


# As Jelmore itself answers.


async def test_events_as_jelmore_writes_them(scripted: ScriptedGateway) -> None:
    """Python's own spelling of a dict, or plain text; it never ends while the session is idle."""
    said: list[Any] = [
        {"event_type": "assistant", "content": "it's", "metadata": {}, "timestamp": "t", "session_id": "s"},
        "plain words",
        {"event_type": "status_change", "content": "idle", "metadata": {}, "session_id": "s"},
    ]
    frames = [f"data: {each}\n\n".encode() for each in said]
    scripted.streams(*frames, ending="silence").says(200, {"id": "s", "status": "idle"})
    service = JelmoreService(scripted.url)
    told = [(each["event_type"], each["content"]) async for each in service.stream_session("s")]
    assert told == [("assistant", "it's"), ("system", "plain words"), ("status_change", "idle")]
    await service.shutdown()


async def test_the_first_version(scripted: ScriptedGateway) -> None:
    row = {"id": "s", "status": "active", "current_directory": "/"}
    scripted.says(201, row).says(200, [row]).says(404, {"detail": "Session not found"})
    service = JelmoreService(scripted.url, api_key="jk-1")
    assert (await service.create_session("Hi!"))["session_id"] == "s"
    assert scripted.body == {"query": "Hi!"}
    assert scripted.requests[-1][0].headers["authorization"] == "Bearer jk-1"
    assert [each["session_id"] for each in await service.list_sessions()] == ["s"]
    with pytest.raises(SessionError, match="Session not found"):
        await service.send_message("s", "Hi!")
    await service.shutdown()


async def test_nothing_is_done_twice(scripted: ScriptedGateway) -> None:
    """A Jelmore begins another session when it is asked again."""

    async def cut(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        raise ConnectionResetError

    scripted.then(cut)
    service = JelmoreService(scripted.url)
    with pytest.raises(tekton.ConnectionError):
        await service.create_session("Hi!")
    assert len(scripted.requests) == 1
    await service.shutdown()


async def test_the_gateways_token_is_not_jelmores(
    scripted: ScriptedGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RHETOR_AUTH_TOKEN", "t0ken")
    scripted.says(200, {"sessions": [], "total_count": 0})
    service = JelmoreService(scripted.url)
    assert await service.list_sessions() == []
    assert "authorization" not in scripted.requests[0][0].headers
    await service.shutdown()


async def test_a_stream_that_breaks_off_is_an_error(scripted: ScriptedGateway) -> None:
    scripted.streams(b"data: {'event_type': 'assistant', 'content': 'a'}\n\n", ending="cut")
    service = JelmoreService(scripted.url)
    with pytest.raises(tekton.ConnectionError, match="was lost"):
        [_ async for _ in service.stream_session("s")]
    await service.shutdown()


async def test_no_jelmore() -> None:
    service = JelmoreService(f"http://127.0.0.1:{free_port()}")
    with pytest.raises(tekton.ConnectionError):
        await service.get_system_status()
    await service.shutdown()


@pytest.mark.parametrize("body", [{}, [], {"status": "idle"}])
async def test_a_session_that_is_none(scripted: ScriptedGateway, body: Any) -> None:
    scripted.says(200, body)
    service = JelmoreService(scripted.url)
    with pytest.raises(tekton.AdapterError):
        await service.get_session("s")
    await service.shutdown()
