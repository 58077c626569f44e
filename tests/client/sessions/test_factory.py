"""Jelmore's factory and its providers: the gateway's backends, and classes of one's own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from rhetor.sessions.backend import Ability, Condition
from tekton_llm_client.sessions import (
    BaseProvider,
    BaseSession,
    ProviderCapabilities,
    ProviderError,
    ProviderFactory,
    ProviderUnavailableError,
    SessionConfig,
    SessionError,
    SessionStatus,
    StreamEventType,
    StreamResponse,
    create_session_with_auto_selection,
    get_provider_factory,
    load_provider_plugin,
    register_provider,
)
from tekton_llm_client.sessions import (
    factory as factories,
)
from tests.conftest import MakeGateway
from tests.http import conversing
from tests.http.conversing import Sessions, admit
from tests.sessions.scripted import Gate, Scripted, says, uses, waits


class MyCustomProvider(BaseProvider):
    """As the guide writes one."""

    @property
    def capabilities(self) -> ProviderCapabilities:
        return ProviderCapabilities(supports_streaming=True, supports_tools=False, max_concurrent_sessions=15)

    async def create_session(self, query: str, config: Any = None) -> BaseSession:
        return BaseSession(config=config)


@pytest.fixture
async def house(make_gateway: MakeGateway) -> Sessions:
    house = await conversing.house(make_gateway, Scripted("claude_code", models=["offline/echo"]))
    admit(house.gateway, Scripted("opencode", abilities=frozenset({Ability.STREAMING, Ability.TOOLS})))
    return house


@pytest.fixture
async def factory(house: Sessions, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ProviderFactory]:
    monkeypatch.setenv("RHETOR_URL", house.gateway.url)
    monkeypatch.setattr(factories, "_providers", {})
    async with asyncio.timeout(20):
        factory = get_provider_factory()
        assert get_provider_factory() is factory
        yield factory
        await factory.shutdown()


@pytest.mark.promise("J01", "J02", "J03")
async def test_a_provider_as_its_guide_shows_it(factory: ProviderFactory) -> None:
    provider = await factory.get_provider("claude")
    session = await provider.create_session("Hello Claude", SessionConfig(model="offline/echo"))
    assert session.session_id is not None
    said = []
    async for response in session.stream_output():
        assert isinstance(response, StreamResponse)
        match response.event_type:
            case StreamEventType.ASSISTANT:
                said.append(response.content)
            case StreamEventType.ERROR:
                raise AssertionError(response.content)
    assert said == ["You said: Hello Claude"]
    assert session.status == SessionStatus.IDLE
    assert await session.send_message("And now?")
    assert [r.content async for r in session.stream_output() if r.event_type == "user"] == ["And now?"]
    assert await session.terminate()
    assert session.status == SessionStatus.TERMINATED


@pytest.mark.promise("J55")
async def test_a_configuration_reaches_the_agent(
    make_gateway: MakeGateway, tmp_path: Path, monkeypatch: Any
) -> None:
    sections: Any = {"directories": [str(tmp_path)], "environment": ["CI"]}
    house = await conversing.house(make_gateway, Scripted("claude_code"), sessions=sections)
    monkeypatch.setenv("RHETOR_URL", house.gateway.url)
    factory = get_provider_factory()
    provider = await factory.get_provider("claude")
    config = SessionConfig(
        model="offline/echo",
        max_turns=5,
        timeout_seconds=30,
        working_directory=str(tmp_path),
        environment={"CI": "1"},
    )
    session = await provider.create_session("Hi!", config)
    setup = house.backend.last.setup
    assert (setup.directory, setup.max_turns, dict(setup.environment)) == (tmp_path, 5, {"CI": "1"})
    assert session.current_directory == str(tmp_path)
    await factory.shutdown()


@pytest.mark.promise("J20", "J21")
async def test_resumed_in_another_process(factory: ProviderFactory, house: Sessions) -> None:
    provider = await factory.get_provider("claude")
    session = await provider.create_session("one")
    [_ async for _ in session.stream_output()]
    state = json.loads(json.dumps(await session.suspend()))
    assert session.status == SessionStatus.SUSPENDED
    new_session = await provider.create_session("", session_id=session.session_id)
    assert await new_session.resume(state)
    assert await new_session.send_message("two")
    [_ async for _ in new_session.stream_output()]
    assert house.backend.last.setup.native_id == f"native_{session.session_id}"
    with pytest.raises(SessionError):
        await provider.create_session("", session_id="ses_" + "0" * 24)


@pytest.mark.promise("J50")
async def test_what_a_provider_can_do(factory: ProviderFactory) -> None:
    claude, opencode = await factory.get_provider("claude"), await factory.get_provider("opencode")
    assert claude.capabilities.supports_file_operations
    assert not opencode.capabilities.supports_file_operations
    assert opencode.capabilities["supports_tools"]
    assert claude.capabilities.max_concurrent_sessions == 10
    assert [model.name for model in claude.available_models] == ["offline/echo"]


@pytest.mark.promise("J26", "J28")
async def test_health_and_metrics(factory: ProviderFactory, house: Sessions) -> None:
    gate = Gate()
    house.backend.next(waits(gate))
    provider = await factory.get_provider("claude")
    await provider.create_session("Wait!")
    house.backend.condition = Condition(healthy=False, error="it is not installed")
    health = await factory.health_check_all()
    assert {name: each["status"] for name, each in health.items()} == {
        "chat": "healthy", "claude": "unhealthy", "opencode": "healthy",
    }  # fmt: skip
    assert health["claude"]["error"] == "it is not installed"
    metrics = await factory.get_provider_metrics()
    assert metrics["total_providers"] == 3
    assert metrics["providers"]["claude"]["active_sessions"] == 1
    for name in factory.list_active_providers():
        each = await (await factory.get_provider(name)).get_metrics()
        assert each["total_sessions"] == (1 if name == "claude" else 0)
        assert each["capabilities"]["supports_streaming"]


@pytest.mark.promise("J25")
async def test_old_sessions_of_one_provider(factory: ProviderFactory) -> None:
    claude, opencode = await factory.get_provider("claude"), await factory.get_provider("opencode")
    for provider in (claude, opencode):
        [_ async for _ in (await provider.create_session("Hi!")).stream_output()]
    assert await claude.cleanup_expired_sessions(max_age_seconds=3600) == 0
    assert await claude.cleanup_expired_sessions(max_age_seconds=0) == 1
    assert (len(await claude.list_sessions()), len(await opencode.list_sessions())) == (0, 1)


@pytest.mark.promise("J49")
async def test_the_best_provider(factory: ProviderFactory) -> None:
    wanted = {
        "capabilities": ["tools", "file_operations"],
        "load_balancing": True,
        "cost_optimization": False,
    }
    assert await factory.select_best_provider({**wanted, "model": "offline/echo"}) == "claude"
    assert (
        await factory.select_best_provider({"model": "offline/echo", "capabilities": ["multimodal"]})
        == "claude"
    )
    assert await factory.select_best_provider({"model": "none/such", "capabilities": ["multimodal"]}) is None


@pytest.mark.promise("J16", "J17")
async def test_auto_selection(factory: ProviderFactory) -> None:
    session = await create_session_with_auto_selection(
        query="Analyze this codebase",
        requirements={"capabilities": ["tools", "file_operations"], "load_balancing": True},
    )
    assert (session.provider, session["provider"], session["session_id"]) == (
        "claude",
        "claude",
        session.session_id,
    )
    assert {"status", "model"} <= set(session.keys())
    assert json.dumps(dict(session))


@pytest.mark.promise("J18")
async def test_load_is_spread(factory: ProviderFactory) -> None:
    chosen = []
    for n in range(10):
        session = await create_session_with_auto_selection(
            f"Task {n}", {"capabilities": ["tools"], "load_balancing": True}
        )
        chosen.append(session.provider)
    assert (chosen.count("claude"), chosen.count("opencode")) == (5, 5)


async def test_a_cheap_model(factory: ProviderFactory) -> None:
    session = await create_session_with_auto_selection(
        query="Simple task", requirements={"cost_optimization": True, "model": "auto", "max_tokens": 1000}
    )
    assert session["model"]


@pytest.mark.promise("J47")
async def test_a_provider_of_ones_own(factory: ProviderFactory) -> None:
    config = {"colour": "red"}
    register_provider("mycustom", MyCustomProvider)
    provider = await factory.create_provider("mycustom", config)
    session = await provider.create_session("test")
    assert session.session_id is not None
    assert await factory.get_provider("mycustom") is provider
    assert provider.config == config
    assert "mycustom" in await factory.list_available_providers()
    assert (await factory.health_check_all())["mycustom"]["status"] == "healthy"
    assert (await factory.get_provider_metrics())["providers"]["mycustom"]["total_sessions"] == 0


async def test_one_of_ones_own_is_chosen_where_no_other_fits(factory: ProviderFactory) -> None:
    class Local(MyCustomProvider):
        available_models = ("my/model",)

    register_provider("local", Local)
    wanted = {"model": "my/model", "capabilities": ["streaming", "continuation", "multimodal"]}
    assert await factory.select_best_provider(wanted) is None
    assert await factory.select_best_provider({**wanted, "capabilities": ["streaming"]}) == "local"


@pytest.mark.promise("J48")
async def test_a_provider_out_of_a_file(factory: ProviderFactory, tmp_path: Path) -> None:
    plugin = tmp_path / "plugin.py"
    plugin.write_text(
        "from tekton_llm_client.sessions import BaseProvider\n"
        "class Mine(BaseProvider):\n    pass\n"
        "PROVIDER_NAME, PROVIDER_CLASS = 'mine', Mine\n"
    )
    assert load_provider_plugin(plugin) == "mine"
    assert (await factory.get_provider("mine")).config is None
    plugin.write_text("x = 1\n")
    with pytest.raises(ProviderError, match="has no PROVIDER_NAME"):
        load_provider_plugin(str(plugin))


async def test_a_provider_that_there_is_not(factory: ProviderFactory) -> None:
    with pytest.raises(ProviderUnavailableError, match="there are chat, claude, opencode") as raised:
        await factory.get_provider("nobody")
    assert raised.value.provider == "nobody"


async def test_a_provider_for_who_names_none(factory: ProviderFactory) -> None:
    assert (await factory.get_provider()).name in ("claude", "opencode")


async def test_a_providers_own_settings(factory: ProviderFactory, house: Sessions) -> None:
    provider = await factory.create_provider("claude", {"default_model": "offline/echo", "max_turns": 4})
    house.backend.next(uses("Read", {"path": "x"}, "y"), says("done"))
    await provider.create_session("Hi!")
    assert (house.backend.last.setup.model, house.backend.last.setup.max_turns) == ("offline/echo", 4)
