"""Claude Code remembers all that was said, however its processes ended."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from rhetor.services import minder
from rhetor.services.house import House
from rhetor.sessions.backend import Asked, Verdict
from rhetor.sessions.claude_code.backend import ClaudeCode
from rhetor.testing import Upstream, says
from tests.agents.house import PROGRAMS, needs
from tests.agents.test_claude_code import asked_of, use
from tests.sessions.conformance import MakeSetup, Talk, make_setup, talk

pytestmark = needs("claude")
COMMAND = "touch made.txt; sleep 60"


@pytest.fixture
async def house(no_leaks: None) -> AsyncIterator[House]:
    house = House("tests")
    yield house
    await house.close()


@pytest.fixture
def setup(tmp_path: Path, upstream: Upstream) -> MakeSetup:
    return partial(make_setup, tmp_path, upstream.base_url)


async def ends(opened: Talk, house: House, number: int) -> None:
    """The agent gets this signal, and is gone."""
    left = {pid for pid in minder.pids() if minder.environment_of(pid).get(minder.HOUSE) == house.id}
    (agent,) = [pid for pid in left if b"stream-json" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    os.kill(agent, number)
    async with asyncio.timeout(10):
        while minder.environment_of(agent):
            await asyncio.sleep(0.02)


async def test_what_was_said_after_a_tool_was_cut_off_is_remembered(
    house: House, setup: MakeSetup, upstream: Upstream
) -> None:
    """One process is ended while its tool runs, and the next one killed: the third knows what both know."""
    backend = ClaudeCode(str(PROGRAMS / "claude"), house)
    upstream.next(says("answer one"), says("I look", use("Bash", command=COMMAND)))
    async with talk(backend, setup()) as first:
        await first.say("question one")
        await first.send("use it")
        while not isinstance(asked := await first.next(), Asked):
            pass
        first.grammar.on_answered(asked.request_id)
        await first.conversation.answer(asked.request_id, Verdict("allow"))
        async with asyncio.timeout(10):
            while not (setup().directory / "made.txt").exists():
                await asyncio.sleep(0.02)
        await ends(first, house, signal.SIGTERM)
    upstream.next(says("answer two"))
    async with talk(backend, setup(native_id=first.native_id)) as second:
        await second.say("question two")
        await ends(second, house, signal.SIGKILL)

    upstream.next(says("answer three"))
    async with talk(backend, setup(native_id=first.native_id)) as third:
        await third.say("question three")

    told = asked_of(upstream)[-1].body.decode()
    for words in ("question one", "answer one", "use it", "question two", "answer two", "question three"):
        assert words in told, words
