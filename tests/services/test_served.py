"""A provider that is a service: whoever calls it wakes it, and finds it wherever it listens."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from rhetor.core.call import Call
from rhetor.core.errors import Code, UpstreamError
from rhetor.services.served import ServedTransport
from rhetor.services.spec import Health, service_url
from rhetor.services.supervisor import State
from rhetor.tasks import spawn
from rhetor.testing.nowhere import refused
from rhetor.transport.base import Phase, Progress
from rhetor.transport.pool import HttpPool
from tests.services.children import until
from tests.services.conftest import PATIENCE_S, Roster, spec

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

URL = service_url("s", "")
CHAT = b'{"stream": true, "messages": [{"role": "user", "content": "slowly"}]}'
JSON = {"content-type": "application/json"}


def transport(roster: Roster) -> ServedTransport:
    return ServedTransport(HttpPool(10, 5.0), roster.services.named("s"), URL)


@pytest.mark.promise("M13")
async def test_the_first_call_starts_it_and_the_next_finds_it(roster: Roster) -> None:
    roster.services.define("s", spec("--slow", "0.1", idle_stop_s=0.01))
    way = transport(roster)
    assert not way.is_ready
    progress = Progress()
    first = await way.open(Call("GET", f"{URL}/health"), progress)
    assert (first.status, progress.phase, way.is_ready) == (200, Phase.READING, True)
    second = await way.open(Call("GET", f"{URL}/v1/models"), Progress())
    assert b"tiny" in await second.read(1000)
    second.close()
    await asyncio.sleep(0.1)  # nothing happens: the first one still needs it
    assert way.is_ready
    first.close()
    first.close()
    entry = roster.services.get("s")
    assert entry.service is not None
    assert entry.service.needed_by == 0
    await way.close()
    assert len(roster.starts("s")) == 1


async def test_a_call_that_leads_elsewhere_goes_there(roster: Roster) -> None:
    way = transport(roster)
    with refused() as url, pytest.raises(UpstreamError, match="cannot connect"):
        await way.open(Call("GET", url), Progress())
    with pytest.raises(UpstreamError, match="there is no service 's'"):
        await way.open(Call("GET", URL), Progress())
    await way.close()


async def test_giving_up_the_wait_leaves_the_start_alone(roster: Roster) -> None:
    """Whoever comes later finds it further on; what was queued speaks against nobody."""
    roster.services.define("s", spec("--slow", "0.3"))
    way = transport(roster)
    progress = Progress()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await way.open(Call("GET", f"{URL}/health"), progress)
    assert progress.phase is Phase.STARTING
    (await way.open(Call("GET", f"{URL}/health"), Progress())).close()
    assert len(roster.starts("s")) == 1
    await way.close()


async def test_killed_in_the_middle_it_is_there_again_for_the_next_call(roster: Roster) -> None:
    roster.services.define("s", spec())
    way = transport(roster)
    response = await way.open(Call("POST", f"{URL}/v1/chat/completions", JSON, CHAT), Progress())
    chunks = response.chunks()
    await anext(chunks)
    os.kill(roster.starts("s")[0], signal.SIGKILL)
    with pytest.raises(UpstreamError) as raised:
        async for _ in chunks:
            pass
    assert raised.value.code is Code.CONNECTION_LOST
    response.close()
    again = await way.open(Call("GET", f"{URL}/health"), Progress())
    assert again.status == 200
    again.close()
    await way.close()
    assert len(roster.starts("s")) == 2


HANGS = Health(path="/health", timeout_s=0.2, silent_s=0.01)


def state(roster: Roster) -> State:
    service = roster.services.get("s").service
    assert service is not None
    return service.state


async def hung(roster: Roster, way: ServedTransport) -> int:
    """The process of a service that was started, and does nothing any more."""
    (await way.open(Call("GET", f"{URL}/health"), Progress())).close()
    (pid,) = roster.starts("s")
    os.kill(pid, signal.SIGSTOP)
    await until(lambda: " T " in Path(f"/proc/{pid}/stat").read_text())
    return pid


async def given_up(way: ServedTransport) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await way.open(Call("GET", f"{URL}/v1/models"), Progress())


async def test_one_that_hangs_is_started_anew_when_a_call_was_given_up(roster: Roster) -> None:
    """Its port still takes connections; it is its health that it does not tell."""
    roster.services.define("s", spec(health=HANGS, grace_s=0.1))
    way = transport(roster)
    await hung(roster, way)
    await given_up(way)
    await until(lambda: state(roster) is not State.READY, PATIENCE_S)
    again = await way.open(Call("GET", f"{URL}/health"), Progress())
    assert again.status == 200
    again.close()
    await way.close()
    assert len(roster.starts("s")) == 2


async def test_one_that_says_that_it_is_ill_does_not_hang(roster: Roster) -> None:
    """It is ready only when it is well; later any answer at its health path will do."""
    health = Health(path="/health", timeout_s=PATIENCE_S, silent_s=0.01)
    roster.services.define("s", spec("--unwell", "1", "--well", "1", health=health))
    way = transport(roster)
    (await way.open(Call("GET", f"{URL}/v1/models"), Progress())).close()
    service = roster.services.get("s").service
    assert service is not None
    service.waited_in_vain()
    await until(lambda: service._checking is None, PATIENCE_S)
    assert state(roster) is State.READY
    said = [line.text for line in roster.services.logs("s").latest(100)]
    assert said.count("GET /health") == 3
    await way.close()


async def test_one_that_may_be_busy_with_somebody_else_is_left_alone(roster: Roster) -> None:
    """However long it is silent: whoever waits for it has a clock. Others wait until it is heard of."""
    roster.services.define("s", spec(health=HANGS))
    way = transport(roster)
    pid = await hung(roster, way)
    patient = spawn(way.open(Call("GET", f"{URL}/v1/models"), Progress()), "patient")
    await asyncio.sleep(0)
    await given_up(way)
    await until(lambda: state(roster) is State.SUSPECT, PATIENCE_S)
    late = spawn(way.open(Call("GET", f"{URL}/v1/models"), Progress()), "late")
    os.kill(pid, signal.SIGCONT)
    for response in (await patient, await late):
        assert b"tiny" in await response.read(1000)
        response.close()
    assert state(roster) is State.READY
    await way.close()
    assert len(roster.starts("s")) == 1
