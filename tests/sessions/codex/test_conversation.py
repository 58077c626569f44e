"""A conversation stands what its process does, and leaves nothing behind; the processes are small scripts."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import pytest

from rhetor.core.errors import Code, RhetorError
from rhetor.core.ids import new_id
from rhetor.services import minder
from rhetor.sessions import program
from rhetor.sessions.backend import TurnEnded
from rhetor.sessions.codex import conversation
from rhetor.sessions.codex.backend import Codex
from tests.sessions.conformance import MakeSetup, Say, make_setup, talk

PRELUDE = """#!{python} -ISu
import json, os, signal, sys, time

def say(**fields):
    sys.stdout.write(json.dumps(fields) + "\\n")
    sys.stdout.flush()

def hear():
    line = sys.stdin.readline()
    if not line:
        sys.exit(0)
    return json.loads(line)

def notify(method, **params):
    say(method=method, params={{"threadId": "t1", **params}})

def begin():
    say(id=hear()["id"], result={{}})
    hear()
    say(id=hear()["id"], result={{"thread": {{"id": "t1"}}}})

def refuse(why):
    say(id=hear()["id"], result={{}})
    hear()
    say(id=hear()["id"], error={{"message": why}})
    hear()

def turn():
    say(id=hear()["id"], result={{}})
    notify("turn/started", turn={{"id": "u1"}})

def answer(text):
    notify("item/agentMessage/delta", itemId="m1", delta=text)
    notify("turn/completed", turn={{"id": "u1", "status": "completed"}})

"""

MakeBackend = Callable[[str], Codex]


@pytest.fixture
async def make_backend(tmp_path: Path, no_leaks: None) -> AsyncIterator[MakeBackend]:
    """Makes backends whose program does as it is told; no process of theirs may be left."""
    house = f"tests.{new_id('house')}"

    def make(body: str) -> Codex:
        path = tmp_path / "codex"
        path.write_text(PRELUDE.format(python=sys.executable) + body)
        path.chmod(0o700)
        return Codex(str(path), house, environ={"PATH": "/usr/bin:/bin"})

    yield make
    left = [pid for pid in minder.pids() if minder.environment_of(pid).get(minder.HOUSE) == house]
    assert not left, f"processes left behind: {left}"


@pytest.fixture
def setup(tmp_path: Path) -> MakeSetup:
    return partial(make_setup, tmp_path, "http://127.0.0.1:9")


async def test_turns(make_backend: MakeBackend, setup: MakeSetup) -> None:
    async with talk(make_backend("begin()\nwhile True: turn(); answer('hello')"), setup()) as opened:
        first, second = await opened.say("one"), await opened.say("two")
    assert (first.text, second.text, opened.native_id) == ("hello", "hello", "t1")


@pytest.mark.parametrize(
    ("body", "said", "code"),
    [
        ("sys.exit('no such option')", "ended with status 1: no such option", Code.UNAVAILABLE),
        ("hear(); os.kill(os.getpid(), 9)", "ended by signal 9", Code.UNAVAILABLE),
        ("hear(); sys.exit(os.environ['RHETOR_SESSION_KEY'])", r"status 1: \[redacted\]", Code.UNAVAILABLE),
        ("refuse('bad config')", "cannot begin: bad config", Code.UNAVAILABLE),
        ("refuse('no rollout found')", "no rollout found", Code.NOT_FOUND),
        ("while True: print('garbage')", "nobody understands", Code.PROTOCOL),
    ],
)
async def test_a_process_that_does_not_begin(
    body: str, said: str, code: Code, make_backend: MakeBackend, setup: MakeSetup
) -> None:
    with pytest.raises(RhetorError, match=said) as raised:
        await make_backend(body).open(setup())
    assert (raised.value.code, raised.value.origin) == (code, "codex")


async def test_a_process_that_never_writes(
    make_backend: MakeBackend, setup: MakeSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rhetor.sessions.codex.backend.OPEN_S", 0.5)
    with pytest.raises(RhetorError, match="did not answer within"):
        await make_backend("time.sleep(600)").open(setup())


async def test_a_process_that_dies_in_a_turn(make_backend: MakeBackend, setup: MakeSetup) -> None:
    body = "begin(); turn(); print('out of memory', file=sys.stderr); sys.exit(3)"
    async with talk(make_backend(body), setup()) as opened:
        with pytest.raises(RhetorError, match="ended with status 3: out of memory"):
            await opened.say("hello")


async def test_a_process_that_floods_stderr(make_backend: MakeBackend, setup: MakeSetup) -> None:
    body = "begin(); turn()\nfor _ in range(2000): sys.stderr.write('x' * 10_000)\nanswer('done')\nhear()"
    async with talk(make_backend(body), setup()) as opened:
        assert (await opened.say("hello")).text == "done"


async def test_a_process_that_does_not_read(
    make_backend: MakeBackend, setup: MakeSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversation, "WRITE_S", 0.3)
    async with talk(make_backend("begin(); time.sleep(600)"), setup()) as opened:
        with pytest.raises(RhetorError, match="does not read its input"):
            await opened.send("x" * 1_000_000)


async def test_a_process_that_ignores_everything_is_killed(
    make_backend: MakeBackend, setup: MakeSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversation, "KILL_GRACE_S", 0.3)
    body = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nbegin()\ntime.sleep(600)"
    async with talk(make_backend(body), setup()) as opened:
        await opened.send("hello")
        await opened.close()
        await opened.close()


async def test_a_process_that_closes_its_output(
    make_backend: MakeBackend, setup: MakeSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "EXIT_S", 0.3)
    async with talk(make_backend("begin(); turn(); os.close(1); time.sleep(600)"), setup()) as opened:
        with pytest.raises(RhetorError, match="has closed its output"):
            await opened.say("hello")


async def test_a_turn_that_is_refused_is_an_error_and_the_next_one_works(
    make_backend: MakeBackend, setup: MakeSetup
) -> None:
    body = "begin(); say(id=hear()['id'], error={'message': 'busy'})\nturn(); answer('hello'); hear()"
    async with talk(make_backend(body), setup()) as opened:
        refused, again = await opened.say("hello"), await opened.say("hello")
    assert str(refused.ended.error) == "busy"
    assert (again.text, again.ended) == ("hello", TurnEnded("end"))


async def test_what_it_asks_is_answered(make_backend: MakeBackend, setup: MakeSetup) -> None:
    body = """
begin()
turn()
say(id=1, method="item/tool/call", params={"threadId": "t1"})
said = [hear()["error"]["code"]]
params = {"threadId": "t1", "itemId": "c1", "command": "ls"}
say(id=2, method="item/commandExecution/requestApproval", params=params)
said.append(hear()["result"]["decision"])
answer(str(said))
hear()
"""
    async with talk(make_backend(body), setup()) as opened:
        turn = await opened.say(Say("hello"))
    assert turn.text == "[-32601, 'accept']"
    assert [asked.question for asked in turn.asked] == ["May it run ls?"]
