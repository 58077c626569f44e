"""A backend whose program is a fake, and a look at what it leaves behind."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import pytest

from rhetor.core.ids import new_id
from rhetor.services import minder
from rhetor.sessions.claude_code.backend import ClaudeCode
from tests.sessions.claude_code.fakes import fake
from tests.sessions.conformance import MakeSetup, make_setup

MakeBackend = Callable[[str], ClaudeCode]


@pytest.fixture
async def make_backend(tmp_path: Path, no_leaks: None) -> AsyncIterator[MakeBackend]:
    """Makes backends whose program does as it is told; no process of theirs may be left."""
    house = f"tests.{new_id('house')}"
    yield lambda body: ClaudeCode(fake(tmp_path, body), house, environ={"PATH": "/usr/bin:/bin"})
    left = [pid for pid in minder.pids() if minder.environment_of(pid).get(minder.HOUSE) == house]
    assert not left, f"processes left behind: {left}"


@pytest.fixture
def setup(tmp_path: Path) -> MakeSetup:
    return partial(make_setup, tmp_path, "http://127.0.0.1:9")
