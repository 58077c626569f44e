"""A conversation stands what its process does, and leaves nothing behind; the processes are in fakes.py."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from rhetor.core.errors import Code, RhetorError
from rhetor.sessions import program
from rhetor.sessions.backend import Asked, Verdict, Withdrawn
from rhetor.sessions.claude_code import conversation
from rhetor.sessions.event import Event, EventType
from tests.sessions.claude_code.conftest import MakeBackend
from tests.sessions.claude_code.fakes import CALM, ID
from tests.sessions.conformance import MakeSetup, Say, allow, talk

REFUSES = """
response = {"subtype": "error", "request_id": hear()["request_id"], "error": "not today"}
say(type="control_response", response=response)
time.sleep(600)
"""
TOKEN = "sk-session-canary-7d41"


async def test_turns(make_backend: MakeBackend, setup: MakeSetup) -> None:
    async with talk(make_backend(CALM), setup()) as opened:
        first, second = await opened.say("one"), await opened.say("two")
    assert (first.text, second.text, opened.native_id) == ("hello", "hello", ID)


async def test_instructions_come_with_the_first_request(make_backend: MakeBackend, setup: MakeSetup) -> None:
    body = """
request = hear()
say(type="control_response", response={"subtype": "success", "request_id": request["request_id"]})
turn()
answer(request["request"]["appendSystemPrompt"])
"""
    async with talk(make_backend(body), setup(system="be brief")) as opened:
        assert (await opened.say("hello")).text == "be brief"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("hear(); sys.exit('the disk is full')", "ended with status 1: the disk is full"),
        ("sys.exit('no such option')", "ended with status 1: no such option"),
        ("os.kill(os.getpid(), 9)", "ended by signal 9"),
        ("os.close(1); time.sleep(600)", "has closed its output"),
        ("hear(); sys.exit(os.environ['ANTHROPIC_AUTH_TOKEN'])", r"status 1: \[redacted\]"),
        (REFUSES, "cannot start: not today"),
    ],
)
async def test_a_process_that_does_not_begin(
    body: str, said: str, make_backend: MakeBackend, setup: MakeSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it said last is in the error; no secret is."""
    monkeypatch.setattr(program, "EXIT_S", 0.5)
    with pytest.raises(RhetorError, match=said) as raised:
        await make_backend(body).open(setup())
    assert (raised.value.code, raised.value.origin) == (Code.UNAVAILABLE, "claude_code")
    assert TOKEN not in str(raised.value)


async def test_a_process_that_never_writes(
    make_backend: MakeBackend, setup: MakeSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rhetor.sessions.claude_code.backend.OPEN_S", 0.5)
    with pytest.raises(RhetorError, match="did not answer within") as raised:
        await make_backend("time.sleep(600)").open(setup())
    assert raised.value.code is Code.UNAVAILABLE


async def test_who_gives_up_while_it_opens_leaves_nothing_behind(
    make_backend: MakeBackend, setup: MakeSetup
) -> None:
    """See the fixture."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await make_backend("time.sleep(600)").open(setup())


async def test_a_process_that_writes_garbage(make_backend: MakeBackend, setup: MakeSetup) -> None:
    with pytest.raises(RhetorError, match="nobody understands") as raised:
        await make_backend("while True: print('garbage')").open(setup())
    assert raised.value.code is Code.PROTOCOL


async def test_a_process_that_begins_to_write_garbage(make_backend: MakeBackend, setup: MakeSetup) -> None:
    """A few lines are told, more are an error."""
    async with talk(make_backend("begin(); turn()\nwhile True: print('garbage')"), setup()) as opened:
        with pytest.raises(RhetorError, match="nobody understands"):
            await opened.say("hello")
        events = [it for it in opened.told if isinstance(it, Event) and it.type is EventType.SYSTEM]
        assert {event.content for event in events} == {"init", "garbage"}


async def test_a_line_without_an_end(make_backend: MakeBackend, setup: MakeSetup) -> None:
    body = "begin(); turn()\nwhile True: sys.stdout.write('x' * 65536)"
    async with talk(make_backend(body), setup()) as opened:
        with pytest.raises(RhetorError, match="a line of more than") as raised:
            await opened.say("hello")
    assert raised.value.code is Code.PROTOCOL


async def test_a_process_that_dies_in_a_turn(make_backend: MakeBackend, setup: MakeSetup) -> None:
    body = "begin(); turn(); print('out of memory', file=sys.stderr); sys.exit(3)"
    async with talk(make_backend(body), setup()) as opened:
        with pytest.raises(RhetorError, match="ended with status 3: out of memory") as raised:
            await opened.say("hello")
    assert (raised.value.code, raised.value.origin) == (Code.UNAVAILABLE, "claude_code")


async def test_a_process_that_is_killed_between_turns(make_backend: MakeBackend, setup: MakeSetup) -> None:
    body = "begin(); turn(); answer(str(os.getpid())); time.sleep(600)"
    async with talk(make_backend(body), setup()) as opened:
        os.kill(int((await opened.say("hello")).text), signal.SIGKILL)
        with pytest.raises(RhetorError, match="ended by signal 9"):
            await opened.next()


async def test_a_process_that_floods_stderr(make_backend: MakeBackend, setup: MakeSetup) -> None:
    """It is read, or the process would stand still; of it little is kept."""
    body = """
begin()
turn()
for _ in range(2000):
    sys.stderr.write("x" * 10_000 + "\\n")
answer("done")
sys.exit("the last words")
"""
    async with talk(make_backend(body), setup()) as opened:
        assert (await opened.say("hello")).text == "done"
        with pytest.raises(RhetorError, match="the last words") as raised:
            await opened.next()
    assert len(str(raised.value)) < 2 * program.LAST_WORDS


async def test_a_process_that_does_not_read(
    make_backend: MakeBackend, setup: MakeSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversation, "WRITE_S", 0.3)
    async with talk(make_backend("begin(); time.sleep(600)"), setup()) as opened:
        with pytest.raises(RhetorError, match="does not read its input") as raised:
            await opened.send("x" * 1_000_000)
    assert raised.value.code is Code.UNAVAILABLE


@pytest.mark.parametrize("in_turn", [False, True])
async def test_a_process_that_ignores_everything_is_killed(
    in_turn: bool, make_backend: MakeBackend, setup: MakeSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversation, "LEAVE_S", 0.3)
    monkeypatch.setattr(conversation, "KILL_GRACE_S", 0.3)
    body = """
signal.signal(signal.SIGTERM, signal.SIG_IGN)
begin()
say(type="system", subtype="ready")
time.sleep(600)
"""
    async with talk(make_backend(body), setup()) as opened:
        if in_turn:
            await opened.send("hello")
        await opened.close()
        await opened.close()


async def test_what_it_started_is_ended_too(make_backend: MakeBackend, setup: MakeSetup) -> None:
    """Also what has left its group, see the fixture."""
    body = "subprocess.Popen(['sleep', '600'], start_new_session=True)\ncalm()"
    async with talk(make_backend(body), setup()) as opened:
        await opened.say("hello")


async def test_an_answer_that_comes_too_late_is_dropped(make_backend: MakeBackend, setup: MakeSetup) -> None:
    body = """
begin()
turn()
ask()
say(type="control_cancel_request", request_id="r1")
answer("done")
turn()
answer("still here")
"""
    async with talk(make_backend(body), setup()) as opened:
        turn = await opened.say(Say("hello", verdict=lambda asked: None))
        assert [type(it) for it in turn.happenings if isinstance(it, Asked | Withdrawn)] == [Asked, Withdrawn]
        await opened.conversation.answer("r1", Verdict("allow"))
        assert (await opened.say("hello")).text == "still here"


async def test_hooks_and_strange_requests_are_answered_at_once(
    make_backend: MakeBackend, setup: MakeSetup
) -> None:
    body = """
begin()
turn()
said = []
for subtype in ("hook_callback", "unheard_of"):
    say(type="control_request", request_id=subtype, request={"subtype": subtype})
    said.append(hear()["response"]["subtype"])
ask()
said.append(hear()["response"]["response"]["behavior"])
answer(" ".join(said))
"""
    async with talk(make_backend(body), setup()) as opened:
        assert (await opened.say(Say("hello", verdict=allow))).text == "success error allow"


async def test_an_interrupt_without_a_turn_is_none(make_backend: MakeBackend, setup: MakeSetup) -> None:
    """The next turn would hear it."""
    async with talk(make_backend("begin(); turn(); answer('hello'); hear()"), setup()) as opened:
        await opened.conversation.interrupt()
        assert (await opened.say("hello")).text == "hello"


async def test_a_conversation_that_it_does_not_know(make_backend: MakeBackend, setup: MakeSetup) -> None:
    body = "say(type='result', subtype='error_during_execution', is_error=True, errors=['none']); sys.exit(1)"
    with pytest.raises(RhetorError, match="cannot go on: none") as raised:
        await make_backend(body).open(setup(native_id=ID))
    assert raised.value.code is Code.NOT_FOUND
