"""What tests of sessions with real agents share; each of their modules says which `agent`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.browser.conftest import page as page
from tests.cli.conftest import rhetor as rhetor
from tests.cli.conftest import start as start

for name in ("house", "journey", "secrecy", "surfaces"):
    pytest.register_assert_rewrite(f"tests.agents.{name}")

from tests.agents.house import Agent, MakeHouse, houses  # noqa: E402  # once they are rewritten


@pytest.fixture
async def make_house(tmp_path: Path, agent: Agent, no_leaks: None) -> AsyncIterator[MakeHouse]:
    """Gateways with real agents in them."""
    async with houses(tmp_path, agent) as make:
        yield make
