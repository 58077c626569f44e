"""Sessions of Claude Code from end to end: the real program, and everything that people see it on."""

from __future__ import annotations

import json
from itertools import count
from pathlib import Path

import pytest
from playwright.async_api import Page

from rhetor.core.content import ToolUse
from rhetor.testing import Step, says
from tekton_llm_client.sessions import SessionsClient
from tests.agents.house import Agent, MakeHouse, needs
from tests.agents.journey import Journey
from tests.agents.secrecy import Secrecy, configured
from tests.cli.conftest import Rhetor

pytestmark = needs("claude")
_uses = count(1)


def runs(command: str, folder: Path) -> Step:
    """It stays in a folder to the end of the turn."""
    return uses("Bash", command=f"cd {folder} && {{ {command}; }}")


def writes(path: Path, text: str) -> Step:
    return uses("Write", file_path=str(path), content=text)


def uses(tool: str, **given: str) -> Step:
    """Each use has an id of its own."""
    return says(ToolUse(f"toolu_{next(_uses)}", tool, json.dumps(given)))


@pytest.fixture
def agent() -> Agent:
    return Agent(
        backend="claude_code",
        program="claude",
        model="anthropic/claude-haiku-4-5",
        tool="Bash",
        runs=runs,
        writes=writes,
        key_in=lambda environ: environ["ANTHROPIC_AUTH_TOKEN"],
    )


@pytest.mark.promise("J20", "J21", "J35", "J36", "J37", "J38", "J39", "J43", "J54")
async def test_a_session_is_the_same_wherever_it_is_seen(
    page: Page, make_house: MakeHouse, rhetor: Rhetor
) -> None:
    house = await make_house()
    async with SessionsClient("tests", house.url) as client:
        await Journey(house, client, rhetor, page).go()


@pytest.mark.promise("J20", "J21", "J35", "J55")
async def test_a_key_of_its_own_and_no_secret_anywhere(make_house: MakeHouse, tmp_path: Path) -> None:
    await Secrecy(await make_house(**configured(tmp_path))).go()
