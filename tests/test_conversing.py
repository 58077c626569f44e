"""Sessions as a configuration wants them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from rhetor.sessions.asking import NewSession
from rhetor.sessions.backend import Said
from tests.conftest import MakeGateway, settings
from tests.sessions.test_manager import becomes, text_of, until

HELLO = Said("hello", "msg_1")


async def test_chats_are_always_there_and_agents_where_they_are_on(make_gateway: MakeGateway) -> None:
    gateway = await make_gateway(settings())
    assert list(gateway.app.house.sessions.backends) == ["chat"]


@pytest.mark.parametrize("agent", ["claude_code", "opencode", "codex"])
async def test_an_agent_that_is_missing_says_so(
    make_gateway: MakeGateway, tmp_path: Path, agent: str
) -> None:
    setting = {agent: {"enabled": True, "command": str(tmp_path / "missing"), "max_sessions": 3}}
    gateway = await make_gateway(settings(sessions=setting))
    backend = gateway.app.house.sessions.backends[agent]
    condition = await backend.check()
    assert not condition.healthy
    assert "missing" in (condition.error or "")
    assert backend.max_sessions == 3


async def test_a_chat_goes_on_after_a_restart(make_gateway: MakeGateway, tmp_path: Path) -> None:
    given = settings(store={"folder": str(tmp_path / "kept")})
    first = await make_gateway(given)
    sessions = first.app.house.sessions
    row = await sessions.create(NewSession(owner="", message=HELLO))
    told = text_of(await until(sessions, row.id, becomes("idle")))
    assert told
    await first.app.stop()

    second = (await make_gateway(given)).app.house.sessions

    await second.send("", row.id, Said("again", "msg_2"), resume=True)
    events = await until(second, row.id, lambda event: event.turn == 2 and event.content == "idle")
    assert text_of([event for event in events if event.turn == 1]) == told


async def test_a_gateway_without_sessions_opens_no_store(make_gateway: MakeGateway, tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    await make_gateway(settings(store={"folder": str(folder)}))
    assert not folder.exists()


async def test_what_a_chat_used_is_in_its_log(make_gateway: MakeGateway) -> None:
    gateway = await make_gateway(settings())
    sessions = gateway.app.house.sessions
    row = await sessions.create(NewSession(owner="", message=HELLO))
    events = await until(sessions, row.id, lambda event: event.type == "usage")
    assert events[-1].data["served_by"]
    usage = (await sessions.get("", row.id)).document["usage"]
    assert isinstance(usage, dict)
    assert usage["calls"] == 1
    assert usage["output_tokens"]


async def test_in_memory_leaves_nothing_behind(make_gateway: MakeGateway) -> None:
    gateway = await make_gateway(settings())
    sessions = gateway.app.house.sessions
    row = await sessions.create(NewSession(owner=""))
    directory = Path(str(row.document["directory"]))
    directory.mkdir(parents=True)
    await gateway.app.stop()
    assert not directory.exists()


def test_starting_loads_no_database() -> None:
    import subprocess

    code = "import sys, rhetor.app; print([m for m in ('sqlalchemy', 'jwt', 'rich') if m in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
