"""Services with real servers behind them, which are stopped with the test."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from rhetor.services.house import House, folder_id
from rhetor.services.making import Surroundings
from rhetor.services.roster import Services
from rhetor.services.spec import Health, ServiceSpec
from rhetor.services.supervisor import Restart

SERVER = Path(__file__).with_name("server.py")
HEALTH = Health(path="/health", timeout_s=10.0)
PATIENCE_S = 30.0


def command(*options: str) -> tuple[str, ...]:
    return (sys.executable, "-I", "-S", "-u", str(SERVER), "{port}", *options)


def spec(*options: str, **given: Any) -> ServiceSpec:
    """A server that is ready at once, unless its options say otherwise."""
    usual = {"health": HEALTH, "restart": Restart(first_s=0.01), "start_s": PATIENCE_S, "grace_s": 2.0}
    return ServiceSpec(command=command(*options), **{**usual, **given})


class Roster:
    """Services in a folder of the test's."""

    def __init__(self, folder: Path, environ: Mapping[str, str], **around: Any) -> None:
        self.folder = folder
        self.ready: list[str] = []
        self.restarted: list[str] = []
        folder.mkdir()
        self.house = House(folder_id(folder))
        self.services = Services(
            Surroundings(
                house=lambda: self.house,
                folder=folder,
                environ=environ,
                on_ready=self.ready.append,
                on_restart=self.restarted.append,
                **around,
            )
        )

    def starts(self, name: str) -> list[int]:
        """The processes that were started for a service, so far."""
        path = self.folder / name / "starts"
        return [int(line) for line in path.read_text().split()] if path.exists() else []

    async def close(self) -> None:
        await self.services.close()
        await self.house.close()


MakeRoster = Callable[..., Roster]


@pytest.fixture
async def make_roster(tmp_path: Path, no_leaks: None) -> AsyncIterator[MakeRoster]:
    rosters: list[Roster] = []

    def make(environ: Mapping[str, str] | None = None, folder: str = "services", **around: Any) -> Roster:
        environ = {"PATH": os.environ["PATH"], **(environ or {})}
        rosters.append(Roster(tmp_path / folder, environ, **around))
        return rosters[-1]

    yield make
    for roster in rosters:
        await roster.close()


@pytest.fixture
def roster(make_roster: MakeRoster) -> Roster:
    return make_roster()
