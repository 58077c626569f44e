from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tekton_llm_client.sessions.client import SessionsClient
from tests.client.scripted import ScriptedGateway
from tests.conftest import MakeGateway
from tests.http import conversing
from tests.http.conversing import Sessions
from tests.sessions.scripted import Scripted


@pytest.fixture
async def sessions(scripted: ScriptedGateway) -> AsyncIterator[SessionsClient]:
    """Asks a gateway that says what a test wants it to say."""
    async with SessionsClient("comp", scripted.url, away_s=5.0) as client:
        yield client


@pytest.fixture
async def house(make_gateway: MakeGateway) -> Sessions:
    """A gateway with a backend that does as it is told."""
    return await conversing.house(make_gateway)


@pytest.fixture
def backend(house: Sessions) -> Scripted:
    return house.backend


@pytest.fixture
async def client(house: Sessions) -> AsyncIterator[SessionsClient]:
    """Asks that gateway."""
    async with SessionsClient("comp", house.gateway.url, away_s=5.0) as client:
        yield client
