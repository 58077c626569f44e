"""A program that misbehaves is an error that says how, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rhetor.core.errors import Code, RhetorError
from rhetor.services.house import House
from rhetor.sessions.backend import Setup, TurnEnded
from rhetor.sessions.opencode import backend as module
from rhetor.sessions.opencode.backend import OpenCode, _limits
from rhetor.sessions.opencode.setting import Limits
from rhetor.testing import Upstream
from tests.sessions.conformance import converse, talk

MakeSetup = Callable[..., Setup]


async def test_it_converses(backend: OpenCode, setup: MakeSetup) -> None:
    first, second = await converse(backend, setup("answer", "command"), ["one", "two"])
    assert (first.text, first.ended) == ("hello there, dear friend", TurnEnded("end"))
    assert (second.text, len(second.asked)) == ("it says hi there", 1)


@pytest.mark.parametrize(
    ("misbehaves", "ready_s", "said"),
    [
        ("dies at once", 60.0, r"ended with 1 before it was ready; it said: cannot read \[redacted\]"),
        ("never ready", 1.0, "is not ready after"),
    ],
)
async def test_what_does_not_start_says_why(
    misbehaves: str,
    ready_s: float,
    said: str,
    backend: OpenCode,
    setup: MakeSetup,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "READY_S", ready_s)
    with pytest.raises(RhetorError, match=said) as raised:
        await backend.open(setup(misbehaves=misbehaves))
    assert raised.value.code is Code.UNAVAILABLE


@pytest.mark.parametrize("misbehaves", ["floods", "cuts", "garbled events"])
async def test_what_is_no_harm(misbehaves: str, backend: OpenCode, setup: MakeSetup) -> None:
    """Nothing is lost, and nothing told twice."""
    (turn,) = await converse(backend, setup("files", misbehaves=misbehaves), ["go"])
    assert (turn.text, turn.ended) == ("written and changed", TurnEnded("end"))


async def test_a_server_that_ignores_sigterm_is_killed(
    backend: OpenCode, setup: MakeSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STOP_S", 0.2)
    async with talk(backend, setup(misbehaves="ignores SIGTERM")) as opened:
        begun = time.monotonic()
        await opened.close()
        assert time.monotonic() - begun < 3.0


async def test_what_cannot_be_its_id_is_not_found(backend: OpenCode, setup: MakeSetup) -> None:
    for native_id in ("unknown", "../../session", "ses_unknown"):
        with pytest.raises(RhetorError) as raised:
            await backend.open(setup(native_id=native_id))
        assert raised.value.code is Code.NOT_FOUND


async def test_its_home_is_its_own(backend: OpenCode, setup: MakeSetup) -> None:
    """What an earlier start forgot in the temporary folder goes."""
    home = setup().home
    forgotten = home / "tmp" / "library.so"
    forgotten.parent.mkdir()
    forgotten.write_bytes(b"x")
    await converse(backend, setup("answer"), ["hello"])
    assert not forgotten.exists()
    assert stat.S_IMODE((home / "data").stat().st_mode) == 0o700


async def test_its_version_is_asked_for_now_and_then(backend: OpenCode) -> None:
    first, second = await asyncio.gather(backend.check(), backend.check())
    assert first is second
    assert (first.healthy, first.version) == (True, "1.18.33")
    assert str(first.binary).endswith("/bin/opencode")


async def test_a_program_without_version_is_not_healthy(house: House, tmp_path: Path) -> None:
    program = tmp_path / "opencode"
    program.write_text("#!/bin/sh\necho broken >&2\nexit 3\n")
    program.chmod(0o700)
    condition = await OpenCode(str(program), house, environ={"PATH": "/bin"}).check()
    assert not condition.healthy
    assert "ended with 3: broken" in str(condition.error)


async def test_a_missing_program_is_not_healthy(house: House) -> None:
    condition = await OpenCode("no-such-opencode", house, environ={"PATH": "/bin"}).check()
    assert not condition.healthy
    assert "npm install" in str(condition.error)


async def test_limits_that_nobody_knows_are_usual_ones(upstream: Upstream, setup: MakeSetup) -> None:
    assert await _limits(setup().access, "small") == Limits()
    assert await _limits(type(setup().access)(upstream.base_url, "t"), "small") == Limits()


async def test_forgetting_is_a_matter_of_its_home(backend: OpenCode, tmp_path: Path) -> None:
    await backend.forget("ses_1", tmp_path)
    assert tmp_path.exists()
