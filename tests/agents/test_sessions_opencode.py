"""Sessions of OpenCode from end to end: the real program, and everything that people see it on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from playwright.async_api import Page

from rhetor.testing import Step, calls
from tekton_llm_client.sessions import SessionsClient
from tests.agents.house import Agent, MakeHouse, needs
from tests.agents.journey import Journey
from tests.agents.secrecy import Secrecy, configured
from tests.cli.conftest import Rhetor

pytestmark = needs("opencode")


def key_in(environ: Mapping[str, str]) -> str:
    given = json.loads(environ["OPENCODE_CONFIG_CONTENT"])
    return str(given["provider"]["rhetor"]["options"]["apiKey"])


def runs(command: str, folder: Path) -> Step:
    """It is in a folder for one command."""
    return calls(("bash", {"command": command, "description": "do it", "workdir": str(folder)}))


def writes(path: Path, text: str) -> Step:
    return calls(("write", {"filePath": str(path), "content": text}))


@pytest.fixture
def agent() -> Agent:
    return Agent(
        backend="opencode",
        program="opencode",
        model="openai/gpt-4.1-mini",
        tool="bash",
        runs=runs,
        writes=writes,
        key_in=key_in,
    )


@pytest.mark.promise("J20", "J21", "J35", "J36", "J37", "J38", "J39", "J40", "J43", "J54")
async def test_a_session_is_the_same_wherever_it_is_seen(
    page: Page, make_house: MakeHouse, rhetor: Rhetor
) -> None:
    house = await make_house()
    async with SessionsClient("tests", house.url) as client:
        await Journey(house, client, rhetor, page).go()


@pytest.mark.promise("J20", "J21", "J35", "J55")
async def test_a_key_of_its_own_and_no_secret_anywhere(make_house: MakeHouse, tmp_path: Path) -> None:
    await Secrecy(await make_house(**configured(tmp_path))).go()
