"""Jelmore's service: what its guides show, with their names and arguments, on this gateway's sessions."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from rhetor.core.errors import Code, RhetorError
from tekton_llm_client.sessions import (
    ModelNotSupportedError,
    ProviderError,
    SessionError,
    SessionsClient,
    get_session_service,
)
from tekton_llm_client.sessions.service import SessionService
from tests.conftest import MakeGateway
from tests.http import conversing
from tests.http.conversing import Sessions, admit
from tests.sessions.scripted import Gate, Scripted, asks, breaks, fails, moves, says, uses, waits

CLAUDE = "claude_code"


@pytest.fixture
async def house(make_gateway: MakeGateway) -> Sessions:
    """A gateway with two agents."""
    house = await conversing.house(make_gateway, Scripted(CLAUDE))
    admit(house.gateway, Scripted("opencode", models=["offline/echo"]))
    return house


@pytest.fixture
async def service(house: Sessions, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    """Found through the environment, as its users have it."""
    monkeypatch.setenv("RHETOR_URL", house.gateway.url)
    async with asyncio.timeout(20):
        service = await get_session_service()
        assert isinstance(service, SessionService)
        yield service
        await service.shutdown()


async def heard(service: SessionService, id: str, **more: Any) -> list[tuple[str, str]]:
    responses = [response async for response in service.stream_session(id, **more)]
    assert all(response["session_id"] == id for response in responses)
    assert json.loads(json.dumps(responses)) == responses
    told = [(each["event_type"], each["content"]) for each in responses]
    return [each for each in told if each[0] != "status_change"]


@pytest.mark.promise("J04", "J05", "J06")
async def test_the_service_as_its_guide_shows_it(service: SessionService, backend: Scripted) -> None:
    session_data = await service.create_session("Hello", provider_name="claude")
    assert session_data["session_id"] == session_data["id"]
    assert session_data["status"] in ["active", "idle"]
    assert session_data["provider"] == "claude"
    id = session_data["session_id"]
    assert await heard(service, id) == [("user", "Hello"), ("assistant", "You said: Hello")]
    assert await service.terminate_session(id)
    found = await service.get_session(id)
    assert found is not None
    assert found["status"] == "terminated"
    assert backend.open_ones == []


@pytest.mark.promise("J05", "J36", "J37", "J38")
async def test_every_kind_of_event(service: SessionService, backend: Scripted) -> None:
    backend.next(uses("Bash", {"command": "cd src"}, "ok"), moves("/src"), says("done"))
    id = (await service.create_session("Go!", "claude"))["session_id"]
    responses = [response async for response in service.stream_session(id)]
    kinds = {response["event_type"]: response for response in responses}
    assert {
        "user",
        "assistant",
        "tool_use",
        "tool_result",
        "directory_change",
        "status_change",
    } <= kinds.keys()
    assert kinds["tool_use"]["metadata"]["name"] == "Bash"
    assert kinds["directory_change"]["content"] == "/src"
    assert [response["metadata"]["seq"] for response in responses] == [*range(1, len(responses) + 1)]
    found = await service.get_session(id)
    assert found is not None
    assert found["current_directory"] == "/src"


@pytest.mark.promise("J15", "J22")
async def test_a_provider_by_name(service: SessionService) -> None:
    claude = await service.create_session("Code review", provider_name="claude", model="offline/echo")
    opencode = await service.create_session("A question", provider_name="opencode", model="offline/echo")
    assert (claude["model"], opencode["provider"]) == ("offline/echo", "opencode")
    listed = await service.list_sessions(provider_name="claude")
    assert [session["id"] for session in listed] == [claude["id"]]
    assert {session["id"] for session in await service.list_sessions()} == {claude["id"], opencode["id"]}


@pytest.mark.promise("J16", "J17")
async def test_requirements(service: SessionService) -> None:
    chosen = await service.create_session("Debug this", requirements={"capabilities": ["tools"]})
    assert chosen["provider"] in ("claude", "opencode")
    agent = await service.create_session("Debug this")  # who names nobody means an agent
    assert agent["provider"] in ("claude", "opencode")


async def test_a_default_provider(house: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JELMORE_DEFAULT_PROVIDER", "opencode")
    async with SessionsClient("comp", house.gateway.url) as client:
        assert (await SessionService(client).create_session("Hi!"))["provider"] == "opencode"


@pytest.mark.promise("J39")
async def test_a_stream_goes_on_where_the_last_one_ended(service: SessionService) -> None:
    id = (await service.create_session("one", "claude"))["session_id"]
    assert await heard(service, id) == [("user", "one"), ("assistant", "You said: one")]
    assert await heard(service, id) == []
    assert await service.send_message(id, "two")
    assert await heard(service, id) == [("user", "two"), ("assistant", "You said: two")]
    assert len(await heard(service, id, after=0)) == 4


async def test_a_stream_that_follows_ends_with_the_session(service: SessionService) -> None:
    id = (await service.create_session("one", "claude"))["session_id"]
    kinds = []
    async for response in service.stream_session(id, follow=True):
        kinds.append(response["content"])
        if response["content"] == "idle":
            await service.terminate_session(id)
    assert kinds[-1] == "terminated"


@pytest.mark.promise("J54")
async def test_input_is_for_who_waits_for_it(service: SessionService, backend: Scripted) -> None:
    backend.next(asks("a1"), asks("a2"), asks("a3"), says("done"))
    id = (await service.create_session("Go!", "claude"))["session_id"]
    answers = iter(["Yes.", "always", "use npm"])
    async for response in service.stream_session(id):
        if response["event_type"] == "approval_request":
            assert await service.send_input(id, next(answers))
    verdicts = backend.last.verdicts
    assert [verdicts[name].decision for name in ("a1", "a2", "a3")] == ["allow", "allow", "deny"]
    assert (verdicts["a2"].always, verdicts["a3"].message) == (True, "use npm")
    with pytest.raises(SessionError, match="waits for no input") as raised:
        await service.send_input(id, "yes")
    assert raised.value.state == "idle"


@pytest.mark.promise("J20", "J21")
async def test_suspended_and_resumed_by_another_service(
    service: SessionService, house: Sessions, backend: Scripted
) -> None:
    id = (await service.create_session("one", "claude"))["session_id"]
    await heard(service, id)
    state = json.loads(json.dumps(await service.suspend_session(id)))
    assert backend.open_ones == []
    async with SessionsClient("other", house.gateway.url) as client:
        other = SessionService(client)
        assert await other.resume_session(id, state)
        assert await other.send_message(id, "two")
        assert [said for kind, said in await heard(other, id) if kind == "user"] == ["one", "two"]
    assert backend.last.setup.native_id is not None


@pytest.mark.promise("J25", "J27")
async def test_status_and_cleaning_up(service: SessionService, backend: Scripted) -> None:
    gate = Gate()
    backend.next(waits(gate))
    await service.create_session("Wait!", "claude")
    id = (await service.create_session("Hi!", "opencode"))["session_id"]
    await heard(service, id)
    status = await service.get_system_status()
    assert (status["sessions"], status["status"]) == ({"total": 2, "active": 1}, "healthy")
    assert status["providers"]["total"] == 3
    assert status["providers"]["health"]["claude"]["status"] == "healthy"
    assert await service.cleanup_expired_sessions(3600) == 0
    assert await service.cleanup_expired_sessions(0) == 1
    assert await service.get_session(id) is None


@pytest.mark.promise("J29", "J30", "J46")
async def test_errors_as_their_readers_catch_them(service: SessionService) -> None:
    with pytest.raises(ModelNotSupportedError) as refused:
        await service.create_session("Hi!", provider_name="opencode", model="invalid-model")
    assert refused.value.provider == "opencode"
    assert 400 <= (refused.value.status or 0) < 500
    with pytest.raises(ProviderError) as unknown:
        await service.create_session("Hi!", provider_name="nobody")
    assert unknown.value.provider == "nobody"
    with pytest.raises(SessionError) as missing:
        await service.send_message("ses_" + "0" * 24, "Hi!")
    assert isinstance(missing.value, ProviderError)
    assert issubclass(ModelNotSupportedError, ProviderError)
    assert await service.get_session("ses_" + "0" * 24) is None


async def test_an_agent_that_cannot_begin_is_an_error(service: SessionService, backend: Scripted) -> None:
    backend.refusal = RhetorError("no program 'claude': install it", Code.UNAVAILABLE, origin=CLAUDE)
    with pytest.raises(ProviderError, match="install it") as raised:
        await service.create_session("Hi!", "claude")
    assert (raised.value.provider, raised.value.state) == ("claude", "failed")


async def test_a_stream_ends_whatever_becomes_of_the_turn(service: SessionService, backend: Scripted) -> None:
    for steps in (fails("too busy"), breaks("fell over")):
        backend.next(says("well"), steps)
        id = (await service.create_session("Go!", "claude"))["session_id"]
        kinds = [kind for kind, _ in await heard(service, id)]
        assert kinds[-1] == "error"


async def test_the_service_is_one_as_long_as_the_environment_is(
    service: SessionService, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await get_session_service() is service
    monkeypatch.setenv("RHETOR_URL", "http://127.0.0.1:9")
    assert await get_session_service() is not service
