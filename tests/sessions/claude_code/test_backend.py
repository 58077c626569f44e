"""What it needs to be opened, and what is said when that is not there; see test_program.py too."""

from __future__ import annotations

from pathlib import Path

import pytest

from rhetor.core.errors import Code, RhetorError
from rhetor.sessions.claude_code.backend import ClaudeCode
from tests.sessions.claude_code.conftest import MakeBackend
from tests.sessions.claude_code.fakes import CALM
from tests.sessions.conformance import MakeSetup


async def test_it_says_its_version(make_backend: MakeBackend) -> None:
    condition = await make_backend("print('2.1.197 (Claude Code)')").check()
    assert (condition.healthy, condition.version) == (True, "2.1.197")


async def test_a_version_that_lacks_something_is_refused(make_backend: MakeBackend) -> None:
    condition = await make_backend("print('2.1.100 (Claude Code)')").check()
    assert "2.1.100 is older than 2.1.150" in str(condition.error)


async def test_a_program_that_is_not_there(setup: MakeSetup) -> None:
    backend = ClaudeCode("no-such-claude", "tests.version", environ={"PATH": "/usr/bin:/bin"})
    with pytest.raises(RhetorError, match=r"npm install .* sessions\.claude_code\.command") as raised:
        await backend.open(setup())
    assert (raised.value.code, raised.value.origin) == (Code.UNAVAILABLE, "claude_code")


async def test_a_home_that_cannot_be_made(make_backend: MakeBackend, setup: MakeSetup) -> None:
    given = setup()
    (given.home / ".claude").write_text("a file is in the way")
    with pytest.raises(RhetorError, match="cannot have its home") as raised:
        await make_backend(CALM).open(given)
    assert raised.value.code is Code.UNAVAILABLE


async def test_a_directory_that_is_gone(make_backend: MakeBackend, setup: MakeSetup) -> None:
    given = setup()
    given.directory.rmdir()
    with pytest.raises(RhetorError, match="no folder") as raised:
        await make_backend(CALM).open(given)
    assert (raised.value.code, raised.value.origin) == (Code.UNAVAILABLE, "claude_code")


async def test_nothing_is_kept_outside_a_session_s_home(make_backend: MakeBackend, tmp_path: Path) -> None:
    await make_backend(CALM).forget("whatever", tmp_path)
    assert tmp_path.is_dir()
