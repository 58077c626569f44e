"""`rhetor sessions …` against a gateway whose agent does as it is told: in pipes, as scripts use it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from rhetor.sessions.backend import Condition
from rhetor.testing import Upstream, hangs
from rhetor.testing import says as replies
from rhetor.testing.nowhere import refused
from tests.cli.conftest import PATIENCE_S, Finished, Rhetor, Start
from tests.client.conftest import Restart
from tests.client.conftest import restartable as restartable  # the fixture
from tests.conftest import MakeGateway, settings
from tests.http import conversing
from tests.http.conversing import TOKENS, Sessions
from tests.sessions.scripted import Scripted, asks, breaks, fails, moves, says, uses, waits

UNKNOWN = "ses_" + "0" * 24


@pytest.fixture
async def house(make_gateway: MakeGateway) -> Sessions:
    return await conversing.house(make_gateway)


class Command:
    """`rhetor sessions …`, asked of the house."""

    def __init__(self, rhetor: Rhetor, house: Sessions) -> None:
        self._rhetor = rhetor
        self.house = house

    async def __call__(self, *arguments: str, stdin: str | None = None) -> Finished:
        environ = {"RHETOR_URL": self.house.gateway.url}
        return await self._rhetor("sessions", *arguments, environ=environ, stdin=stdin)

    async def well(self, *arguments: str, stdin: str | None = None) -> str:
        """What it prints, when all is well."""
        finished = await self(*arguments, stdin=stdin)
        assert (finished.code, finished.err) == (0, "")
        return finished.out


@pytest.fixture
def sessions(rhetor: Rhetor, house: Sessions) -> Command:
    return Command(rhetor, house)


@pytest.fixture
def backend(house: Sessions) -> Scripted:
    return house.backend


async def test_begun_spoken_with_and_removed(sessions: Command, backend: Scripted) -> None:
    id = (await sessions.well("new", "--backend", "scripted", "--title", "Greetings")).strip()
    assert id.startswith("ses_")
    backend.next(uses("Bash", {"command": "ls"}, "a\nb"), moves("/src"), says("Hello ", "there."))
    finished = await sessions("send", id, "Hi!")
    assert (finished.code, finished.out) == (0, "Hello there.\n")
    assert finished.err == "⏺ Bash(ls)\n  ⎿ a  (+1 lines)\n→ /src\n"
    assert await sessions.well("send", id, "--quiet", "-", stdin="What else?") == "You said: What else?\n"

    (row,) = (await sessions.well("list")).splitlines()
    assert row.split("\t")[:4] == [id, "idle", "scripted", "2"]
    assert row.endswith("Greetings")
    shown = await sessions.well("show", id[:10])
    assert "turns        2\n" in shown
    assert "/src" in shown
    assert json.loads(await sessions.well("show", "--json"))["id"] == id  # the last one
    assert "What else?" in await sessions.well("export", id)

    assert await sessions.well("rm", "--keep", id) == f"{id}\n"
    assert (await sessions.well("list")).split("\t")[1] == "terminated"
    await sessions.well("rm", id)
    finished = await sessions("list")
    assert (finished.code, finished.out) == (0, "")
    assert "begins one" in finished.err


async def test_settings(sessions: Command, backend: Scripted) -> None:
    id = await sessions.well(
        "new", "Hi!", "--backend", "scripted", "--model", "offline/echo", "--permissions", "plan",
        "--system", "Be short.", "--max-turns", "3",
    )  # fmt: skip
    await sessions.house.until(id.strip(), "idle")
    setup = backend.last.setup
    assert (setup.model, setup.permissions, setup.system, setup.max_turns) == (
        "offline/echo",
        "plan",
        "Be short.",
        3,
    )
    assert [said.text for said in backend.last.said] == ["Hi!"]


@pytest.mark.parametrize(
    ("steps", "told"),
    [(fails("too busy"), "✗ too busy\n● idle (error)"), (breaks("it fell over"), "✗ it fell over\n● failed")],
)
async def test_a_turn_that_does_not_end_well(
    sessions: Command, backend: Scripted, steps: list, told: str
) -> None:  # type: ignore[type-arg]
    id = await sessions.house.begin()
    backend.next(says("well"), steps)
    finished = await sessions("send", id, "Go!")
    assert (finished.code, finished.out, finished.err.strip()) == (1, "well\n", told)


async def test_what_an_agent_asks(sessions: Command, backend: Scripted) -> None:
    id = await sessions.house.begin()
    backend.next(asks("a1", command="make"), says("one "), asks("a2", command="rm x"), says("two"))
    await sessions.house.waiting(id)
    assert "May it use Bash(make)?  (a1)" in await sessions.well("show", id)
    await sessions.well("approve", id, "--always")
    await sessions.house.until(id, "waiting_input")
    await sessions.well("deny", id, "a2", "-m", "keep it")
    await sessions.house.until(id, "idle")
    verdicts = backend.last.verdicts
    assert (verdicts["a1"].always, verdicts["a2"].decision, verdicts["a2"].message) == (
        True,
        "deny",
        "keep it",
    )
    finished = await sessions("approve", id)
    assert (finished.code, finished.err) == (1, "✗ the session is idle: it asks nothing\n")


async def test_who_sends_may_allow_everything(sessions: Command, backend: Scripted) -> None:
    id = await sessions.house.begin()
    backend.next(asks("a1", command="make"), says("made"))
    finished = await sessions("send", id, "Go!", "--yes")
    assert (finished.code, finished.out) == (0, "made\n")
    assert "? May it use Bash(make)?\n" in finished.err
    assert f"rhetor sessions approve {id} a1" in finished.err
    assert "  allowed\n" in finished.err


@pytest.mark.promise("J20", "J21")
async def test_suspended_and_resumed_from_a_file(sessions: Command, tmp_path: Path) -> None:
    id = await sessions.house.begin("Hi!")
    file = tmp_path / "state.json"
    await sessions.well("suspend", id, "-o", str(file))
    state = json.loads(file.read_text())
    assert (state["session_id"], file.stat().st_mode & 0o777) == (id, 0o600)
    finished = await sessions("send", id, "Hello?")
    assert finished.code == 1
    assert "suspended" in finished.err
    assert await sessions.well("resume", id, "--state", str(file)) == "idle\n"
    assert json.loads(await sessions.well("suspend", id))["session_id"] == id
    assert await sessions.well("resume", id, "--state", "-", stdin=json.dumps(state)) == "idle\n"
    await sessions.well("suspend", id)
    finished = await sessions("send", id, "--resume", "Hello?")
    assert (finished.code, finished.out) == (0, "You said: Hello?\n")


async def test_a_turn_is_interrupted(sessions: Command, backend: Scripted, start: Start) -> None:
    id = await sessions.house.begin()
    backend.next(says("one"), waits())
    process = await start(
        "sessions", "send", id, "Count!", environ={"RHETOR_URL": sessions.house.gateway.url}
    )
    await sessions.house.until(id, "active")
    await sessions.well("interrupt", id)
    async with asyncio.timeout(PATIENCE_S):
        out, err = await process.communicate()
    assert (process.returncode, out, err) == (1, b"one\n", "● idle (interrupted)\n".encode())
    finished = await sessions("interrupt", id)
    assert finished.code == 1
    assert "idle" in finished.err


async def test_watched_by_a_pipe(sessions: Command, backend: Scripted, start: Start) -> None:
    """Until the session ends, without questions."""
    id = await sessions.house.begin("one")
    process = await start("sessions", "attach", environ={"RHETOR_URL": sessions.house.gateway.url})
    backend.next(says("well"), says(" then", message_id="m2"))
    await sessions.house.speak(id, "two")
    await sessions.house.said("DELETE", f"/v1/sessions/{id}")
    async with asyncio.timeout(PATIENCE_S):
        out, err = await process.communicate()
    assert err == b""
    assert out.decode() == "› one\nYou said: one\n› two\nwell then\n● terminated\n"


async def test_lists_by_state(sessions: Command) -> None:
    first, second = await sessions.house.begin(), await sessions.house.begin()
    await sessions.well("suspend", first)
    assert (await sessions.well("list", "--state", "suspended")).split("\t")[0] == first
    assert json.loads(await sessions.well("list", "--json", "--limit", "1"))["has_more"]
    assert (await sessions.well("list", "--backend", "scripted")).count(second) == 1


async def test_backends(sessions: Command, backend: Scripted) -> None:
    backend.condition = Condition(healthy=False, error="not installed: npm install it")
    rows = {row.split("\t")[0]: row for row in (await sessions.well("backends")).splitlines()}
    assert "✓ well" in rows["chat"]
    assert "✗ not installed: npm install it" in rows["scripted"]
    assert json.loads(await sessions.well("backends", "--json"))["object"] == "list"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["show", UNKNOWN], "session"),
        (["show", "ses_zz"], "no session's id begins with 'ses_zz'"),
        (["show"], "there is no session yet"),
        (["send", UNKNOWN, "Hi!"], "session"),
        (["send", UNKNOWN, " "], "nothing to say"),
        (["new", "--backend", "nobody"], "nobody"),
        (["resume", UNKNOWN, "--state", "/nowhere.json"], "/nowhere.json"),
        (["rm", UNKNOWN], "session"),
    ],
)
async def test_what_cannot_be_is_a_sentence(sessions: Command, arguments: list[str], told: str) -> None:
    finished = await sessions(*arguments)
    assert (finished.code, finished.out) == (1, "")
    assert finished.err.startswith("✗ ")
    assert told in finished.err
    assert "Traceback" not in finished.err


async def test_the_beginning_of_an_id_that_several_have(sessions: Command) -> None:
    for _ in range(2):
        await sessions.house.begin()
    finished = await sessions("show", "ses_")
    assert (finished.code, finished.err) == (1, "✗ 2 sessions' ids begin with 'ses_': type more of it\n")


async def test_no_gateway(rhetor: Rhetor) -> None:
    with refused() as url:
        finished = await rhetor("sessions", "list", "--url", url)
    assert finished.code == 1
    assert "start it with `rhetor up`" in finished.err


async def test_tokens(rhetor: Rhetor, make_gateway: MakeGateway) -> None:
    house = await conversing.house(make_gateway, **TOKENS)
    finished = await rhetor("sessions", "list", "--url", house.gateway.url)
    assert finished.code == 1
    assert "RHETOR_AUTH_TOKEN" in finished.err
    finished = await rhetor("sessions", "list", "--url", house.gateway.url, "--token", "a" * 20)
    assert finished.code == 0


async def test_who_sends_hears_of_a_gateway_that_was_killed(
    start: Start, rhetor: Rhetor, restartable: Restart, upstream: Upstream, tmp_path: Path
) -> None:
    gateway = await restartable(settings(upstream, store={"folder": str(tmp_path / "state")}))
    environ = {"RHETOR_URL": gateway.url}
    id = (await rhetor("sessions", "new", "--model", "oai/small", environ=environ)).out.strip()
    upstream.next(replies("one two three").but(hangs(after=2)))
    process = await start("sessions", "send", id, "Count!", environ=environ)
    assert process.stdout is not None
    async with asyncio.timeout(30):
        assert await process.stdout.readexactly(7) == b"one two"
        await gateway.kill()
        await gateway.start()
        out, err = await process.communicate()
    assert (process.returncode, out) == (1, b"\n")
    assert "● suspended (gateway restarted)" in err.decode()
