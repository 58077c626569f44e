"""Guests that are ended with their test; environments are made once."""

from __future__ import annotations

import asyncio
import secrets
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rhetor.plugins.guest.sandbox import Means, Sandbox
from rhetor.services.house import House
from tests.plugins.guest.guests import Guests

if sys.platform != "linux":
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="session")
def environments(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("environments")


@pytest.fixture(scope="session")
def machine() -> Means:
    """What this machine has to confine guests with, found out once."""

    async def find() -> Means:
        house = House(secrets.token_hex(8))
        try:
            return await Sandbox(house).means()
        finally:
            await house.close()

    return asyncio.run(find())


@pytest.fixture
async def guests(environments: Path, machine: Means, no_leaks: None) -> AsyncIterator[Guests]:
    made = Guests(environments, House(secrets.token_hex(8)), machine)
    yield made
    await made.close()
