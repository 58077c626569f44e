"""What it needs to be opened; see test_program.py too."""

from __future__ import annotations

from pathlib import Path

import pytest

from rhetor.core.errors import Code, RhetorError
from rhetor.sessions.codex.backend import MAKE, Codex
from tests.sessions.conformance import make_setup

ENVIRON = {"PATH": "/usr/bin:/bin"}


def test_its_version_is_found() -> None:
    match = MAKE.version.search("warning: old kernel\ncodex-cli 0.169.0\n")
    assert match is not None
    assert match.groups() == ("0", "169", "0")


async def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    backend = Codex("no-such-codex", "tests.version", environ=ENVIRON)
    with pytest.raises(RhetorError, match=r"npm install .* sessions\.codex\.command") as raised:
        await backend.open(make_setup(tmp_path, "http://x"))
    assert (raised.value.code, raised.value.origin) == (Code.UNAVAILABLE, "codex")
    assert not (await backend.check()).healthy


async def test_a_home_that_cannot_be_made(tmp_path: Path) -> None:
    given = make_setup(tmp_path, "http://x")
    (given.home / ".codex").write_text("a file is in the way")
    with pytest.raises(RhetorError, match="cannot have its home"):
        await Codex("true", "tests.version", environ=ENVIRON).open(given)


async def test_nothing_is_kept_outside_a_session_s_home(tmp_path: Path) -> None:
    await Codex("true", "tests.version", environ=ENVIRON).forget("whatever", tmp_path)
    assert tmp_path.is_dir()
