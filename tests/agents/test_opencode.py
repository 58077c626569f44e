"""OpenCode, for real: its own program, against a scripted provider, without a network."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from rhetor.core.content import Thinking
from rhetor.core.errors import Code, RhetorError
from rhetor.services import minder
from rhetor.services.house import House
from rhetor.sessions.backend import Asked, Permissions, TurnEnded, Verdict, Withdrawn
from rhetor.sessions.event import Event, EventType
from rhetor.sessions.opencode.backend import OpenCode
from rhetor.tasks import spawn
from rhetor.testing import Gate, Upstream, calls, fails, hangs, says
from tests.sessions.conformance import (
    BackendContract,
    MakeSetup,
    Say,
    Talk,
    allow,
    converse,
    deny,
    is_piece,
    make_setup,
    talk,
)

PROGRAM = Path(__file__).parent / "node_modules" / ".bin" / "opencode"

pytestmark = [
    pytest.mark.skipif(not PROGRAM.exists(), reason="opencode is not installed: npm install in tests/agents"),
    pytest.mark.skipif(
        {name for _, name in socket.if_nameindex()} != {"lo"}, reason="only without a network: unshare -n"
    ),
]


@pytest.fixture
async def house(no_leaks: None) -> AsyncIterator[House]:
    house = House("tests")
    yield house
    left = [pid for pid in minder.pids() if minder.environment_of(pid).get(minder.HOUSE) == house.id]
    await house.close()
    assert not left, f"processes left behind: {left}"


@pytest.fixture
def backend(house: House) -> OpenCode:
    return OpenCode(str(PROGRAM), house)


@pytest.fixture
def setup(tmp_path: Path, upstream: Upstream) -> MakeSetup:
    return partial(make_setup, tmp_path, upstream.base_url)


class TestContract(BackendContract):
    """What every backend promises."""


def told(turn_events: list[Event]) -> list[tuple[EventType, str]]:
    return [(event.type, event.content) for event in turn_events]


async def test_thoughts_are_told_apart_from_answers(
    backend: OpenCode, setup: MakeSetup, upstream: Upstream
) -> None:
    upstream.next(says(Thinking("let me see"), "it is four"))
    (turn,) = await converse(backend, setup(), ["what is two and two?"])
    thoughts = "".join(event.content for event in turn.events(EventType.THINKING))
    assert (thoughts, turn.text) == ("let me see", "it is four")


async def test_a_command_runs_when_it_is_allowed(
    backend: OpenCode, setup: MakeSetup, upstream: Upstream
) -> None:
    upstream.next(calls(("bash", {"command": "echo hello >made.txt; cat made.txt", "description": "make"})))
    upstream.next(says("it is made"))
    (turn,) = await converse(backend, setup(), [Say("make it", verdict=allow)])

    (asked,) = turn.asked
    assert (asked.tool, asked.input["command"]) == ("bash", "echo hello >made.txt; cat made.txt")
    assert "echo hello" in asked.question
    use, result = turn.events(EventType.TOOL_USE, EventType.TOOL_RESULT)
    assert use.data["input"] == asked.input
    assert (result.content, result.data["is_error"]) == ("hello\n", False)
    assert result.data["id"] == use.data["id"]
    assert turn.text == "it is made"
    assert (setup().directory / "made.txt").read_text() == "hello\n"


async def test_a_command_that_is_denied_does_not_run_and_the_agent_goes_on(
    backend: OpenCode, setup: MakeSetup, upstream: Upstream
) -> None:
    """It is told why, also when the caller gave no reason."""
    for verdict in (deny, lambda asked: Verdict("deny")):
        upstream.next(calls(("bash", {"command": "touch made.txt", "description": "make"})), says("a pity"))
        (turn,) = await converse(backend, setup(), [Say("make it", verdict=verdict)])
        (result,) = turn.events(EventType.TOOL_RESULT)
        assert result.data["is_error"] is True
        assert (turn.text, turn.ended) == ("a pity", TurnEnded("end"))
        assert not (setup().directory / "made.txt").exists()


async def test_what_is_always_allowed_is_asked_once(
    backend: OpenCode, setup: MakeSetup, upstream: Upstream
) -> None:
    command = calls(("bash", {"command": "echo again", "description": "say"}))
    upstream.next(command, says("one"), command, says("two"))
    always = Say("say it", verdict=lambda asked: Verdict("allow", always=True))
    first, second = await converse(backend, setup(), [always, always])
    assert [len(turn.asked) for turn in (first, second)] == [1, 0]
    assert second.text == "two"


async def test_two_tools_at_once_and_one_denial_for_both(
    backend: OpenCode, setup: MakeSetup, upstream: Upstream
) -> None:
    """OpenCode denies what else is asked together with it: that is withdrawn."""
    upstream.next(
        calls(*(("bash", {"command": f"echo {n}", "description": "say"}) for n in (1, 2))), says("well")
    )
    open_asks: list[Asked] = []

    def deny_when_both_are_there(asked: Asked) -> Verdict | None:
        open_asks.append(asked)
        return Verdict("deny", "no") if len(open_asks) == 2 else None

    (turn,) = await converse(backend, setup(), [Say("say both", verdict=deny_when_both_are_there)])
    assert [it.request_id for it in turn.happenings if isinstance(it, Withdrawn)] == [open_asks[0].request_id]
    assert [event.data["is_error"] for event in turn.events(EventType.TOOL_RESULT)] == [True, True]


async def test_changes_of_files_are_told(backend: OpenCode, setup: MakeSetup, upstream: Upstream) -> None:
    path = setup().directory / "new.txt"
    upstream.next(calls(("write", {"filePath": str(path), "content": "one\n"})), says("written"))
    upstream.next(
        calls(("edit", {"filePath": str(path), "oldString": "one", "newString": "two"})), says("edited")
    )
    upstream.next(calls(("write", {"filePath": str(path), "content": "three\n"})), says("again"))
    turns = await converse(backend, setup(permissions=Permissions.ACCEPT_EDITS), ["write", "edit", "again"])

    changes = [event.data for turn in turns for event in turn.events(EventType.FILE_CHANGE)]
    assert [(change["path"], change["kind"]) for change in changes] == [
        (str(path), "create"),
        (str(path), "edit"),
        (str(path), "edit"),
    ]
    assert not any(turn.asked for turn in turns)
    assert path.read_text() == "three\n"


async def test_a_patch_tells_each_of_its_files(
    backend: OpenCode, setup: MakeSetup, upstream: Upstream
) -> None:
    """Models of one family change files by patches."""
    folder = setup().directory
    for name in ("old.txt", "gone.txt", "here.txt"):
        (folder / name).write_text(f"{name}\n")
    patch = """*** Begin Patch
*** Add File: new.txt
+new
*** Update File: old.txt
@@
-old.txt
+changed
*** Delete File: gone.txt
*** Update File: here.txt
*** Move to: there.txt
@@
-here.txt
+there.txt
*** End Patch"""
    upstream.next(calls(("apply_patch", {"patchText": patch})), says("done"))
    given = setup(model="gpt-5", permissions=Permissions.ACCEPT_EDITS)
    (turn,) = await converse(backend, given, ["patch it"])
    changes = {Path(event.content).name: event.data["kind"] for event in turn.events(EventType.FILE_CHANGE)}
    assert changes == {
        "new.txt": "create",
        "old.txt": "edit",
        "gone.txt": "delete",
        "here.txt": "delete",
        "there.txt": "create",
    }


async def test_a_subagent_s_tools_are_asked_for_too(
    backend: OpenCode, setup: MakeSetup, upstream: Upstream
) -> None:
    task = {"description": "look", "prompt": "look around", "subagent_type": "general"}
    upstream.next(calls(("task", task)), calls(("bash", {"command": "ls", "description": "list"})))
    upstream.next(says("the subagent is done"), says("all is done"))
    (turn,) = await converse(backend, setup(), ["delegate"])
    assert [(it.tool, it.input["command"]) for it in turn.asked] == [("bash", "ls")]
    assert turn.text == "all is done"
    (result,) = turn.events(EventType.TOOL_RESULT)
    assert "the subagent is done" in result.content


@pytest.mark.parametrize("permissions", [Permissions.DENY, Permissions.PLAN])
async def test_who_may_not_act_is_not_asked_either(
    permissions: Permissions, backend: OpenCode, setup: MakeSetup, upstream: Upstream
) -> None:
    path = setup().directory / "made.txt"
    upstream.next(calls(("bash", {"command": f"touch {path}", "description": "make"})))
    upstream.next(calls(("write", {"filePath": str(path), "content": "x"})), says("I cannot"))
    (turn,) = await converse(backend, setup(permissions=permissions), ["make it"])
    assert turn.text == "I cannot"
    assert not turn.asked
    assert not path.exists()


async def test_what_lies_elsewhere_is_asked_for(
    backend: OpenCode, setup: MakeSetup, upstream: Upstream, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere.txt").write_text("secret")
    upstream.next(calls(("read", {"filePath": str(tmp_path / "elsewhere.txt")})), says("well"))
    (turn,) = await converse(backend, setup(), [Say("read it", verdict=deny)])
    (asked,) = turn.asked
    assert asked.tool == "read"
    assert str(tmp_path) in asked.question
    assert all("secret" not in event.content for event in turn.events())


async def test_an_interrupt_while_it_asks_withdraws_the_question(
    backend: OpenCode, setup: MakeSetup, upstream: Upstream
) -> None:
    upstream.next(calls(("bash", {"command": "touch made.txt", "description": "make"})), says("hello again"))
    interrupt = Say("go", verdict=lambda asked: None, interrupt_at=lambda it: isinstance(it, Asked))
    turn, again = await converse(backend, setup(), [interrupt, "hello"])
    assert turn.ended == TurnEnded("interrupted")
    assert [type(it) for it in turn.happenings if isinstance(it, Asked | Withdrawn)] == [Asked, Withdrawn]
    assert again.text == "hello again"
    assert not (setup().directory / "made.txt").exists()


async def test_an_interrupt_ends_a_running_command(
    backend: OpenCode, setup: MakeSetup, upstream: Upstream
) -> None:
    upstream.next(calls(("bash", {"command": "echo $$ >pid; exec sleep 600", "description": "wait"})))
    path = setup().directory / "pid"
    async with talk(backend, setup()) as opened:
        await opened.send("wait")
        while not isinstance(asked := await opened.next(), Asked):
            pass
        opened.grammar.on_answered(asked.request_id)
        await opened.conversation.answer(asked.request_id, Verdict("allow"))
        async with asyncio.timeout(10):
            while not (path.exists() and path.read_text().endswith("\n")):
                await asyncio.sleep(0.01)  # nothing tells that a command has begun
        await opened.conversation.interrupt()
        assert await the_end(opened) == TurnEnded("interrupted")
        assert minder.session_of(int(path.read_text())) is None


async def test_an_interrupt_that_comes_at_once_is_not_lost(
    backend: OpenCode, setup: MakeSetup, upstream: Upstream
) -> None:
    upstream.always(says("one two three").but(hangs(after=1)))
    async with talk(backend, setup()) as opened:
        await opened.send("count")
        await opened.conversation.interrupt()
        assert await the_end(opened) == TurnEnded("interrupted")


async def test_only_so_many_calls_of_its_model(
    backend: OpenCode, setup: MakeSetup, upstream: Upstream
) -> None:
    upstream.always(calls(("bash", {"command": "echo on", "description": "go on"})))
    (turn,) = await converse(backend, setup(max_turns=3), ["go on"])
    assert turn.ended == TurnEnded("max_turns")
    assert 2 <= len(turn.events(EventType.TOOL_USE)) <= 4, "one more may have begun"


async def test_a_model_that_stays_away_ends_the_turn(
    backend: OpenCode, setup: MakeSetup, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenCode itself would try for ever."""
    monkeypatch.setattr("rhetor.sessions.opencode.reducer.MOST_RETRIES", 1)
    upstream.always(fails(503, "nobody is there"))
    (turn,) = await converse(backend, setup(), ["hello"])
    assert turn.ended.reason == "error"
    assert turn.ended.error is not None
    assert "nobody is there" in turn.ended.error.message
    assert [event.data["attempt"] for event in turn.events(EventType.SYSTEM)] == [1, 2]


@pytest.mark.parametrize(("status", "code"), [(401, Code.UPSTREAM_AUTH), (400, Code.INVALID_REQUEST)])
async def test_a_refusal_keeps_its_meaning(
    status: int, code: Code, backend: OpenCode, setup: MakeSetup, upstream: Upstream
) -> None:
    upstream.next(fails(status, "so it is"))
    (turn,) = await converse(backend, setup(), ["hello"])
    assert turn.ended.error is not None
    assert (turn.ended.error.code, turn.ended.error.origin) == (code, "opencode")


async def test_what_was_asked_for_reaches_the_model(
    backend: OpenCode, setup: MakeSetup, upstream: Upstream
) -> None:
    given = setup(system="SYSTEM-WORDS", temperature=0.25, max_tokens=321, model="oai/small:1")
    (given.directory / "AGENTS.md").write_text("PROJECT-WORDS")
    (given.directory / "opencode.json").write_text('{"permission": "allow", "model": "rhetor/other"}')
    upstream.next(calls(("bash", {"command": "echo hi", "description": "say"})))
    (turn,) = await converse(backend, given, ["hello"])
    asked = next(it for it in upstream.requests if it.method == "POST")
    assert (asked.model, asked.json["temperature"], asked.json["max_tokens"]) == ("oai/small:1", 0.25, 321)
    assert asked.headers["authorization"] == "Bearer sk-session-canary-7d41"
    assert b"SYSTEM-WORDS" in asked.body
    assert b"PROJECT-WORDS" in asked.body
    assert len(turn.asked) == 1, "a folder's own configuration allows itself everything"


async def test_no_secret_is_left_in_what_is_stored(
    backend: OpenCode, setup: MakeSetup, upstream: Upstream
) -> None:
    await converse(backend, setup(), ["hello"])
    for path in setup().home.rglob("*"):
        if path.is_file():
            assert b"canary" not in path.read_bytes(), path


def server_pid(house: House) -> int:
    (pid,) = [
        pid
        for pid in minder.pids()
        if minder.environment_of(pid).get(minder.HOUSE) == house.id and minder.session_of(pid) == pid
    ]
    return pid


async def test_a_server_that_is_killed_in_a_turn_is_an_error_and_goes_on_when_opened_again(
    house: House, backend: OpenCode, setup: MakeSetup, upstream: Upstream
) -> None:
    upstream.next(says("the first"), says("one two three").but(hangs(after=2)), says("here again"))
    async with talk(backend, setup()) as opened:
        await opened.say("hello")
        await opened.send("count")
        while not is_piece(await opened.next()):
            pass
        os.kill(server_pid(house), signal.SIGKILL)
        with pytest.raises(RhetorError, match="ended with -9") as raised:
            await the_end(opened)
    assert raised.value.code is Code.UNAVAILABLE

    async with talk(backend, setup(native_id=opened.native_id)) as again:
        turn = await again.say("are you there?")
    assert (turn.text, turn.ended) == ("here again", TurnEnded("end"))
    assert b"the first" in upstream.requests[-1].body


async def the_end(opened: Talk) -> TurnEnded:
    while not isinstance(it := await opened.next(), TurnEnded):
        pass
    return it


async def test_a_server_that_is_killed_while_idle_is_an_error(
    house: House, backend: OpenCode, setup: MakeSetup, upstream: Upstream
) -> None:
    async with talk(backend, setup()) as opened:
        await opened.say("hello")
        os.kill(server_pid(house), signal.SIGKILL)
        with pytest.raises(RhetorError, match="ended with -9"):
            await opened.next()


async def test_events_that_were_cut_off_are_made_up_for(
    backend: OpenCode, setup: MakeSetup, upstream: Upstream
) -> None:
    """The connection of the events breaks in a turn; what was missed is told, and nothing twice."""

    gate = Gate()
    upstream.next(says("one two three four").but(hangs(gate, after=2)), says("afterwards"))
    async with talk(backend, setup()) as opened:
        await opened.send("count")
        heard = ""
        while not isinstance(it := await opened.next(), TurnEnded):
            if is_piece(it):
                assert isinstance(it, Event)
                heard += it.content
                if heard == "one two":
                    cut_events(opened)
                    gate.open()
        assert (heard, it) == ("one two three four", TurnEnded("end"))
        assert (await opened.say("and now?")).text == "afterwards"


def cut_events(opened: Talk) -> None:
    """Break every connection off."""
    pool = opened.conversation._server._pool  # type: ignore[attr-defined]
    for connection in list(pool._connections):
        connection.break_off("cut by the test")


async def test_a_missing_program_is_said_to_be_missing(house: House, setup: MakeSetup) -> None:
    backend = OpenCode("no-such-opencode", house)
    condition = await backend.check()
    assert not condition.healthy
    assert "npm install" in str(condition.error)
    with pytest.raises(RhetorError, match="no program 'no-such-opencode'") as raised:
        await backend.open(setup())
    assert raised.value.code is Code.UNAVAILABLE


async def test_opening_can_be_cancelled(backend: OpenCode, setup: MakeSetup) -> None:
    for after_s in (0.05, 0.5, 1.2):
        opening = spawn(backend.open(setup()), "open")
        await asyncio.wait([opening], timeout=after_s)
        opening.cancel()
        await asyncio.wait([opening])
        assert opening.cancelled()


async def test_many_look_at_its_version_once(backend: OpenCode) -> None:
    conditions = await asyncio.gather(*(backend.check() for _ in range(5)))
    assert all(condition is conditions[0] for condition in conditions)
    assert conditions[0].version
