"""Services by their names: started when they are needed, once, and found again when they have died."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from rhetor.core.errors import BadRequest, Code, RhetorError, UpstreamError
from rhetor.services import minder
from rhetor.services.entry import Entry, Use
from rhetor.services.house import folder_id
from rhetor.services.spec import Health, Requires
from rhetor.services.supervisor import Restart, State
from tests.services.children import is_alive, started, until
from tests.services.conftest import HEALTH, PATIENCE_S, MakeRoster, Roster, spec

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


async def until_state(roster: Roster, name: str, state: State) -> None:
    service = roster.services.get(name).service
    assert service is not None
    await until(lambda: service.state is state, PATIENCE_S)


async def used(entry: Entry) -> str:
    """Where it is, once it is ready."""
    use: Use = await entry.use()
    use.close()
    return use.origin


async def fetch(url: str) -> Any:
    def read() -> Any:
        with urllib.request.urlopen(url, timeout=10) as reply:
            return json.loads(reply.read())

    return await asyncio.to_thread(read)


@pytest.mark.promise("M14")
async def test_two_of_a_kind_run_on_ports_of_their_own(roster: Roster) -> None:
    services = roster.services
    names = ("whisper", "whisper-large")
    for name in names:
        services.define(name, spec(base_path="/v1"))
    first, second = await asyncio.gather(*(services.start(name) for name in names))
    assert first.port != second.port
    assert (first.state, first.url, first.own) == (State.READY, f"http://127.0.0.1:{first.port}/v1", True)
    environment = await fetch(f"http://127.0.0.1:{second.port}/environment")
    assert environment["WHISPER_LARGE_HOST_PORT"] == str(second.port)
    assert services.is_up() == {"whisper": True, "whisper-large": True}
    assert sorted(roster.ready) == sorted(names)


async def test_twenty_cold_starts_at_once(roster: Roster) -> None:
    """Everybody gets the one server that was started."""
    entries = [roster.services.define(f"s{n}", spec("--slow", "0.1")) for n in range(3)]
    found = await asyncio.gather(*(used(entries[n % 3]) for n in range(20)))
    assert len(set(found)) == 3
    assert [len(roster.starts(f"s{n}")) for n in range(3)] == [1, 1, 1]


@pytest.mark.promise("M16")
async def test_it_is_ready_when_it_is_well(roster: Roster) -> None:
    """Listening is not enough: its health on its real port is."""
    roster.services.define("s", spec("--unwell", "3"))
    await roster.services.start("s")
    assert "".join(line.text for line in roster.services.logs("s").latest(20)).count("GET /health") == 4


async def test_words_or_a_connection_will_do(roster: Roster) -> None:
    roster.services.define("says", spec(health=Health(says="listening on")))
    roster.services.define("listens", spec(health=Health()))
    for name in ("says", "listens"):
        status = await roster.services.start(name)
        await fetch(f"{status.url}/health")


@pytest.mark.promise("M17")
async def test_its_life_is_told(roster: Roster) -> None:
    services = roster.services
    services.define("s", spec("--say", "one line"))
    await services.start("s")
    (pid,) = roster.starts("s")
    assert (await services.status("s")).pid == pid
    stopped = await services.stop("s")
    assert (stopped.state, stopped.port, stopped.pid) == (State.STOPPED, None, None)
    assert not is_alive(pid)
    again = await services.restart("s")
    assert again.pid == roster.starts("s")[1]
    assert (again.restarts, again.error) == (0, None)
    remarks = [line.text.partition(" at ")[0] for line in services.logs("s").after(0) if line.ours]
    assert remarks == ["starting", "ready", "stopping", "stopped", "starting", "ready"]
    assert "one line" in [line.text for line in services.logs("s").after(0) if not line.ours]
    with pytest.raises(BadRequest, match="no service is called 'x'; there are s") as raised:
        await services.status("x")
    assert raised.value.code is Code.NOT_FOUND


async def test_a_killed_one_is_there_again_for_the_next(roster: Roster) -> None:
    entry = roster.services.define("s", spec())
    before = await used(entry)
    os.kill(roster.starts("s")[0], signal.SIGKILL)
    await until_state(roster, "s", State.FAILED)
    assert "ended with -9" in str((await roster.services.status("s")).error)
    assert await used(entry) != before
    assert (entry.restarts, roster.restarted) == (1, ["s"])


async def test_one_that_cannot_start_is_left_alone_in_the_end(roster: Roster) -> None:
    """Each failure says why, and after some nobody has to wait for another; by hand it may try again."""
    entry = roster.services.define("s", spec("--leave", restart=Restart(first_s=0.01, most=2)))
    for _ in range(2):
        with pytest.raises(UpstreamError, match="ended with 1 before it was ready; it said: cannot load"):
            await entry.use()
    with pytest.raises(UpstreamError, match="failed 2 times in a row; start it by hand"):
        await entry.use()
    assert len(roster.starts("s")) == 2
    with pytest.raises(RhetorError, match="cannot load the model"):
        await roster.services.start("s")
    assert len(roster.starts("s")) == 3


async def test_whoever_asks_soon_after_a_failure_is_told_when_to_come_again(roster: Roster) -> None:
    entry = roster.services.define("s", spec("--leave", restart=Restart(first_s=60.0, most_s=60.0)))
    with pytest.raises(UpstreamError):
        await entry.use()
    with pytest.raises(UpstreamError, match="cannot load the model") as raised:
        await entry.use()
    assert raised.value.retry_after_s is not None
    assert raised.value.retry_after_s > 30.0


async def test_one_that_nobody_needs_rests(roster: Roster) -> None:
    entry = roster.services.define("s", spec(idle_stop_s=0.05))
    use = await entry.use()
    await asyncio.sleep(0.2)  # nothing happens: there is no event to wait for
    assert entry.is_ready
    use.close()
    await until_state(roster, "s", State.STOPPED)
    await used(entry)
    assert len(roster.starts("s")) == 2


async def test_one_that_always_runs(roster: Roster) -> None:
    roster.services.define("s", spec(always=True))
    assert roster.starts("s") == []
    roster.services.begin()
    await until(lambda: roster.ready == ["s"], PATIENCE_S)
    os.kill(roster.starts("s")[0], signal.SIGKILL)
    await until(lambda: roster.ready == ["s", "s"], PATIENCE_S)


async def test_defined_anew_it_leaves_when_its_last_call_is_over(roster: Roster) -> None:
    services = roster.services
    entry = services.define("s", spec())
    use = await entry.use()
    (pid,) = roster.starts("s")
    assert services.define("s", spec()) is entry  # the same: nothing happens
    services.define("s", spec("--say", "new"))
    assert await used(entry) != use.origin
    assert is_alive(pid)
    use.close()
    await until(lambda: not is_alive(pid), PATIENCE_S)
    services.remove("s")
    assert services.names() == []
    with pytest.raises(UpstreamError, match="there is no service 's' any more"):
        await entry.use()
    await until(lambda: not any(map(is_alive, roster.starts("s"))), PATIENCE_S)


async def test_a_port_that_it_must_have_is_free_before_it_is_started_anew(roster: Roster) -> None:
    services = roster.services
    services.define("found", spec())
    port = (await services.start("found")).port
    await services.stop("found")
    services.define("s", spec(port=port))
    await services.start("s")
    services.define("s", spec("--say", "new", port=port))
    await until(lambda: roster.ready.count("s") == 2, PATIENCE_S)
    assert (await services.status("s")).port == port


async def test_a_port_that_somebody_else_has_is_named(roster: Roster) -> None:
    services = roster.services
    services.define("one", spec())
    port = (await services.start("one")).port
    services.define("two", spec(port=port))
    with pytest.raises(RhetorError, match=f"port {port} is taken by another program"):
        await services.start("two")


async def test_who_is_listed_may_leave_meanwhile(roster: Roster) -> None:
    services = roster.services
    for name in ("a", "b"):
        services.define(name, spec())
    listing = asyncio.gather(services.statuses(), services.status("b"))
    await asyncio.sleep(0)
    services.remove("b")
    told, one = await listing
    assert [it.name for it in told] == ["a", "b"]
    assert one.name == "b"


async def test_closing_ends_it_also_for_whoever_is_starting_it_anew(roster: Roster) -> None:
    services = roster.services
    services.define("s", spec())
    await services.start("s")
    restarting = asyncio.gather(services.restart("s"), return_exceptions=True)
    await asyncio.sleep(0)  # it begins with the stop
    await services.close()
    (error,) = await restarting
    assert "is not started any more" in str(error)
    assert not any(map(is_alive, roster.starts("s")))
    services.define("s", spec("--say", "too late"))
    with pytest.raises(RhetorError, match="the gateway stops"):
        await services.start("s")


@pytest.mark.promise("M15")
async def test_one_that_runs_already_is_used_and_not_ended(make_roster: MakeRoster) -> None:
    owner, user = make_roster(folder="one"), make_roster(folder="two")
    owner.services.define("s", spec())
    running = await owner.services.start("s")
    origin = f"http://127.0.0.1:{running.port}"
    entry = user.services.define("s", spec(reuse=origin, health=HEALTH))
    assert await used(entry) == origin
    status = await user.services.status("s")
    assert (status.own, status.port, status.pid, user.starts("s")) == (False, running.port, None, [])
    await user.services.stop("s")
    assert is_alive(owner.starts("s")[0])
    await owner.services.stop("s")
    assert await used(entry) != origin  # it is gone, so there is one of our own
    assert len(user.starts("s")) == 1


@pytest.mark.promise("M38")
async def test_what_the_machine_has_not_is_said_before_it_starts(roster: Roster) -> None:
    services = roster.services
    wanted = Requires(memory_mb=10**9, commands=("no-such-program",))
    services.define("s", spec(requires=wanted))
    with pytest.raises(
        RhetorError, match="something is missing: command: no-such-program wanted, not on"
    ) as raised:
        await services.start("s")
    assert "memory: 1,000,000,000 MB wanted" in str(raised.value)
    assert roster.starts("s") == []
    found = {
        it.name: it.met for it in (await services.status("s")).requirements if it.wanted != sys.executable
    }
    assert found == {"command": False, "memory": False}
    services.define("s", spec(requires=Requires(memory_mb=10**9, only_warn=True)))
    await services.start("s")
    assert any("may not work, memory" in line.text for line in services.logs("s").after(0))


async def test_secrets_reach_it_and_nobody_else(make_roster: MakeRoster) -> None:
    secrets = {"env:HF": "hf-canary-1f9a", "env:OTHER": "x"}

    def resolve(reference: str) -> str:
        if reference not in secrets:
            raise LookupError("the variable NOPE is not set")
        return secrets[reference]

    roster = make_roster({"OPENAI_API_KEY": "sk-canary-77", "LANG": "C.UTF-8"}, resolve=resolve)
    services = roster.services
    env = {"HF_TOKEN": "env:HF", "PLAIN": "at {port}"}
    services.define("s", spec("--say", "my token is hf-canary-1f9a", env=env))
    status = await services.start("s")
    environment = await fetch(f"{status.url}/environment")
    assert environment["HF_TOKEN"] == "hf-canary-1f9a"
    assert environment["PLAIN"] == f"at {status.port}"
    assert environment["LANG"] == "C.UTF-8"
    assert "OPENAI_API_KEY" not in environment
    said = [line.text for line in services.logs("s").after(0)]
    assert "my token is [redacted]" in said
    services.define("t", spec(env={"HF_TOKEN": "env:NOPE"}))
    with pytest.raises(
        RhetorError, match="cannot start t: the variable NOPE is not set; it is wanted as HF_TOKEN"
    ):
        await services.start("t")


async def test_what_an_earlier_gateway_left_is_removed(roster: Roster, tmp_path: Path) -> None:
    left = started(
        "sleep", "600", env={"PATH": "/usr/bin:/bin", minder.HOUSE: f"{folder_id(roster.folder)}.house_x"}
    )
    try:
        assert (await roster.services.cleanup()).processes == 1
        assert not is_alive(left.pid)
    finally:
        left.kill()
        left.communicate()


async def test_one_that_does_not_answer_any_more_is_given_up(roster: Roster) -> None:
    """Whoever could not reach it says so; it is looked at, and believed again or not."""
    entry = roster.services.define("s", spec())
    use = await entry.use()
    use.doubt()
    assert entry.service is not None
    assert entry.service.state is State.SUSPECT
    assert await used(entry) == use.origin  # it answered
    os.kill(roster.starts("s")[0], signal.SIGKILL)
    use.doubt()
    assert await used(entry) != use.origin
    use.close()
