"""An imitation of the program, for what the real one does not do on request."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from rhetor.services import minder
from rhetor.services.house import House
from rhetor.sessions.backend import Setup
from rhetor.sessions.opencode.backend import OpenCode
from rhetor.testing.nowhere import refused
from tests.sessions.conformance import make_setup

IMITATION = Path(__file__).parent / "imitation.py"


@pytest.fixture
async def house(no_leaks: None) -> AsyncIterator[House]:
    house = House("tests")
    yield house
    left = [pid for pid in minder.pids() if minder.environment_of(pid).get(minder.HOUSE) == house.id]
    await house.close()
    assert not left, f"processes left behind: {left}"


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "bin" / "opencode"
    path.parent.mkdir()
    path.write_text(f'#!/bin/sh\nexec {sys.executable} -P {IMITATION} "$@"\n')
    path.chmod(0o700)
    return path


@pytest.fixture
def backend(house: House, program: Path) -> OpenCode:
    return OpenCode(str(program), house, environ={"PATH": "/usr/bin:/bin"})


@pytest.fixture
def setup(tmp_path: Path) -> Iterator[Callable[..., Setup]]:
    """A setup whose imitation plays these recordings, and misbehaves like this."""

    def make(*plays: str, misbehaves: str = "", **given: Any) -> Setup:
        environment = {"IMITATION": misbehaves, "IMITATION_PLAYS": " ".join(plays)}
        return make_setup(tmp_path, gateway, environment=environment, **given)

    with refused() as gateway:  # nothing asks a model here
        yield make


@pytest.fixture
def calls(tmp_path: Path) -> Callable[[str], list[Any]]:
    """What the imitation was told at paths that end like this."""

    def of(end: str) -> list[Any]:
        lines = (tmp_path / "work" / "calls.jsonl").read_bytes().splitlines()
        return [body for _, path, body in map(orjson.loads, lines) if path.endswith(end)]

    return of
