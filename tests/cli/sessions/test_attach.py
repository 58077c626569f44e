"""`rhetor sessions attach` in a terminal, as somebody sits at it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from rhetor.testing import Upstream, hangs
from rhetor.testing import says as replies
from tests.cli.sessions.terminal import CTRL_C, CTRL_D, UP, Terminal
from tests.client.conftest import Restart
from tests.client.conftest import restartable as restartable  # the fixture
from tests.conftest import MakeGateway, settings
from tests.http import conversing
from tests.http.conversing import Sessions
from tests.sessions.scripted import Gate, Scripted, asks, fails, says, uses, waits

Sit = Callable[..., Awaitable[Terminal]]


@pytest.fixture
async def house(make_gateway: MakeGateway) -> Sessions:
    return await conversing.house(make_gateway)


@pytest.fixture
def backend(house: Sessions) -> Scripted:
    return house.backend


@pytest.fixture
async def sit(tmp_path: Path) -> AsyncIterator[Sit]:
    """Somebody types `rhetor sessions …`."""
    terminals: list[Terminal] = []

    async def begin(url: str, *arguments: str) -> Terminal:
        terminals.append(await Terminal.of(tmp_path, url, "sessions", *arguments))
        return terminals[-1]

    yield begin
    for terminal in terminals:
        await terminal.close()


async def test_a_conversation(sit: Sit, house: Sessions, backend: Scripted) -> None:
    id = await house.begin("one", title="Greetings")
    terminal = await sit(house.gateway.url, "attach")
    shown = await terminal.until("Ctrl-D leaves")
    for part in ("Greetings", "› one", "You said: one", "● idle · scripted"):
        assert part in shown
    backend.next(uses("Bash", {"command": "ls"}, "a\nb"), says("**Two** ", "words.\n\nAnd ", "more."))
    terminal.say("go on, please")
    assert "› go on, please" in await terminal.until("✓ Bash(ls)")
    await terminal.until("a  (+1 lines)")
    await terminal.until("Two words.")
    await terminal.until("And more.")
    await terminal.until("Enter sends")
    terminal.type(CTRL_D)
    await terminal.until(f"rhetor sessions attach {id}")
    assert await terminal.ended() == 0
    assert terminal.echoes
    assert (await house.get(id))["state"] == "idle"


async def test_what_an_agent_asks_is_answered_there(sit: Sit, house: Sessions, backend: Scripted) -> None:
    id = await house.begin()
    backend.next(
        asks("a1", command="make"),
        asks("a2", command="make test"),
        asks("a3", command="rm -rf /\nrm -rf ~"),
        asks("a4", always=False, command="reboot"),
        says("done"),
    )
    terminal = await sit(house.gateway.url, "attach", id)
    await terminal.until("Enter sends")
    terminal.say("Go!")
    await terminal.until("May it use Bash(make)?")
    terminal.say("y")
    await terminal.until("May it use Bash(make test)?")
    terminal.say("a")
    await terminal.until("? Bash(make test): allowed")
    await terminal.until("Bash with")  # all of it, not only what fits
    await terminal.until("rm -rf /")
    await terminal.until("rm -rf ~")
    await terminal.until("May it use Bash(rm -rf / rm -rf ~)?")
    terminal.say("use git clean instead")
    await terminal.until("May it use Bash(reboot)?")
    await terminal.until("y(es), n(o), or")
    terminal.say("always")
    await terminal.until("only be allowed once")
    terminal.say("no")
    await terminal.until("Enter sends")
    verdicts = backend.last.verdicts
    assert [verdicts[name].decision for name in ("a1", "a2", "a3", "a4")] == [
        "allow",
        "allow",
        "deny",
        "deny",
    ]
    assert (verdicts["a2"].always, verdicts["a3"].message) == (True, "use git clean instead")


async def test_what_is_half_typed_is_no_answer(sit: Sit, house: Sessions, backend: Scripted) -> None:
    gate = Gate()
    id = await house.begin()
    backend.next(waits(gate), asks("a1", command="make"), says("done"))
    terminal = await sit(house.gateway.url, "attach", id)
    await terminal.until("Enter sends")
    terminal.say("Go!")
    await terminal.until("Ctrl-C interrupts")
    terminal.type("y")
    await terminal.until("› y")
    gate.open()
    await terminal.until("May it use Bash(make)?")
    terminal.say("")
    terminal.say("n")
    await terminal.until("Enter sends")
    assert backend.last.verdicts["a1"].decision == "deny"
    terminal.say("es")  # the rest of what was begun
    await terminal.until("You said: yes")


async def test_ctrl_c_interrupts_and_twice_leaves(sit: Sit, house: Sessions, backend: Scripted) -> None:
    id = await house.begin()
    backend.next(says("one"), waits())
    backend.next(says("two"), waits())
    terminal = await sit(house.gateway.url, "attach", id)
    await terminal.until("Enter sends")
    terminal.say("Count!")
    await terminal.until("one")
    terminal.type(CTRL_C)
    await terminal.until("● idle (interrupted)")
    await terminal.until("Enter sends")
    terminal.say("Once more!")
    await terminal.until("two")
    # Within the time of the first one this leaves at once, which is as good here.
    terminal.type(CTRL_C)
    terminal.type(CTRL_C)
    await terminal.until("rhetor sessions attach")
    assert await terminal.ended() == 0
    assert terminal.echoes
    assert (await house.get(id))["state"] in ("active", "idle")


async def test_what_is_said_during_a_turn_is_said_after_it(
    sit: Sit, house: Sessions, backend: Scripted
) -> None:
    gate = Gate()
    id = await house.begin()
    backend.next(says("one"), waits(gate))
    terminal = await sit(house.gateway.url, "attach", id)
    await terminal.until("Enter sends")
    terminal.say("first")
    await terminal.until("Ctrl-C interrupts")
    terminal.say("second")
    await terminal.until("1 waiting")
    gate.open()
    await terminal.until("You said: second")
    terminal.type(UP)
    await terminal.until("› second")


async def test_suspended_resumed_and_ended(sit: Sit, house: Sessions) -> None:
    id = await house.begin("one")
    terminal = await sit(house.gateway.url, "attach", id)
    await terminal.until("Enter sends")
    terminal.say("/suspend")
    await terminal.until("the next message resumes it")
    terminal.say("two")
    await terminal.until("You said: two")
    await terminal.until("Enter sends")
    terminal.say("/help")
    await terminal.until("Alt-Enter begins a new line")
    terminal.say("/end")
    await terminal.until("● terminated")
    assert await terminal.ended() == 0


async def test_a_turn_that_fails_and_a_command_that_is_refused(
    sit: Sit, house: Sessions, backend: Scripted
) -> None:
    id = await house.begin()
    backend.next(fails("the model is overloaded"))
    terminal = await sit(house.gateway.url, "attach", id)
    await terminal.until("Enter sends")
    terminal.say("/resume")
    await terminal.until("✗ cannot resume")
    terminal.say("Go!")
    await terminal.until("✗ the model is overloaded")
    await terminal.until("● idle (error)")


async def test_begun_and_stayed_with(sit: Sit, house: Sessions) -> None:
    terminal = await sit(house.gateway.url, "new", "--backend", "scripted", "--attach", "Hello!")
    await terminal.until("You said: Hello!")
    await terminal.until("Enter sends")
    terminal.type(CTRL_D)
    assert await terminal.ended() == 0


async def test_an_unknown_session(sit: Sit, house: Sessions) -> None:
    terminal = await sit(house.gateway.url, "attach", "ses_" + "0" * 24)
    await terminal.until("✗ ")
    assert await terminal.ended() == 1


async def test_what_a_model_says_moves_no_cursor(sit: Sit, house: Sessions, backend: Scripted) -> None:
    id = await house.begin()
    backend.next(says("a\x1b]0;title\x07b\x1b[2Jc"))
    terminal = await sit(house.gateway.url, "attach", id)
    await terminal.until("Enter sends")
    terminal.say("Go!")
    await terminal.until("a\ufffd]0;title\ufffdb\ufffd[2Jc")


async def test_the_gateway_is_killed_and_comes_back(
    sit: Sit, restartable: Restart, upstream: Upstream, tmp_path: Path
) -> None:
    gateway = await restartable(settings(upstream, store={"folder": str(tmp_path / "state")}))
    upstream.next(replies("one two three").but(hangs(after=2)))
    upstream.next(replies("here again"))
    terminal = await sit(gateway.url, "new", "--model", "oai/small", "--attach", "Count!")
    await terminal.until("one two")
    await gateway.kill()
    await terminal.until("the gateway is away")
    await gateway.start()
    await terminal.until("● suspended (gateway restarted)")
    await terminal.until("the next message resumes it")
    terminal.say("Are you there?")
    await terminal.until("here again")
    terminal.type(CTRL_D)
    assert await terminal.ended() == 0


async def test_a_terminal_that_goes_away_ends_it(sit: Sit, house: Sessions) -> None:
    id = await house.begin()
    terminal = await sit(house.gateway.url, "attach", id)
    await terminal.until("Enter sends")
    terminal.process.terminate()
    assert await terminal.ended() == 0
    assert terminal.echoes
    async with asyncio.timeout(5):
        assert (await house.get(id))["state"] == "idle"
