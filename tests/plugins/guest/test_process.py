"""Guests that do not keep to the protocol, and those that die with it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from rhetor.core.errors import Code, RhetorError, UpstreamError
from rhetor.core.events import TextDelta
from rhetor.plugins.guest import process as process_module
from rhetor.plugins.guest.spec import Limits
from rhetor.services import minder
from tests.plugins.guest.guests import Guests, until, written
from tests.plugins.guest.raw import SPEAKING
from tests.services.children import is_alive, with_variable

LIES = {
    "not JSON": 'write(b"moo\\n")',
    "a call that is none": 'say(call=99, event="text", text="x")',
    "a call that is none: None": 'say(event="text", text="x")',
    "bytes must be": 'say(call=1, event="medium_delta", bytes=10**9)',
    "a line of more than": 'write(b"x" * (5 << 20))',
    "more than it was allowed to": """
for _ in range(3000):
    say(call=1, event="text", text="x" * 1000)
""",
}


@pytest.mark.parametrize("why", LIES)
async def test_a_guest_that_breaks_the_protocol_is_ended(guests: Guests, tmp_path: Path, why: str) -> None:
    """What it says cannot be told apart any more: all its calls fail, and another one is asked next."""
    lie = LIES[why]
    spec = written(tmp_path, f"{SPEAKING}\nhear()\nsay(**GREETING)\nheard_call()\n{lie}\ntime.sleep(600)")
    liar = guests.make(spec)
    async with asyncio.timeout(20):
        opened = await liar.open("m")
        first = liar.transport.pid
        await until(lambda: liar.transport.state != "ready")
        error = await opened.failure()
    assert isinstance(error, UpstreamError)
    assert (error.code, why.split(":")[0] in error.message) == (Code.PROTOCOL, True), error.message
    await until(lambda: not os.path.exists(f"/proc/{first}"))


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("import os; os.kill(os.getpid(), 9)", "by signal 9"),
        ("raise ValueError('no cow')", "no cow"),
        ("x = 1", "0 subclasses of Provider"),
        ("import time; time.sleep(600)", "said nothing in 1 s"),
        (
            f"{SPEAKING}\nhear()\nsay(event='hello', protocol=7)\ntime.sleep(600)",
            "protocol 7, and the gateway 1",
        ),
        ("import os; os.close(0); os.write(2, b'bye\\n'); os._exit(1)", "ended with 1: bye"),
    ],
)
async def test_a_guest_that_does_not_start_says_why(
    guests: Guests, tmp_path: Path, code: str, why: str
) -> None:
    guest = guests.make(
        written(tmp_path, code, limits=Limits(start_s=1.0 if code.startswith("import time") else 20.0))
    )
    with pytest.raises(RhetorError, match=why) as caught:
        await guest.ask("m")
    assert caught.value.code in (Code.UNAVAILABLE, Code.PROTOCOL)
    assert guest.transport.state == "failed"


async def test_a_guest_that_does_not_read_is_given_up(
    guests: Guests, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_module, "WRITE_S", 0.5)
    guest = guests.make(written(tmp_path, f"{SPEAKING}\nhear()\nsay(**GREETING)\ntime.sleep(600)"))
    opened = await guest.open("m", "x" * 1_000_000)
    error = await opened.failure()
    assert isinstance(error, UpstreamError)
    assert (error.code, "cannot be asked" in error.message) == (Code.CONNECTION_LOST, True)


async def test_a_guest_of_a_later_version_of_the_sdk_is_talked_to(guests: Guests, tmp_path: Path) -> None:
    """What a greeting says beyond what is known concerns nobody."""
    code = f"""{SPEAKING}
hear()
say(**GREETING, extra=[1])
call = heard_call()["call"]
say(call=call, event="text", text="moo", extra=1)
write(b"\\n")
say(call=call, event="finished")
time.sleep(600)
"""
    assert (await guests.make(written(tmp_path, code)).ask("m")).text == "moo"


GATEWAY = """
import asyncio, sys
from pathlib import Path
from rhetor.services.house import House
from tests.plugins.guest.guests import Guests
from rhetor.core.events import TextDelta

async def main():
    house = House("a")
    guest = Guests(Path(sys.argv[1]), house).make()
    waiting = await guest.open("waits")
    await waiting.until(TextDelta)
    print(house.id, guest.transport.pid, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


async def test_a_guest_ends_with_its_gateway(environments: Path) -> None:
    """However that ends."""
    root = Path(__file__).parents[3]
    gateway = await asyncio.create_subprocess_exec(
        sys.executable, "-c", GATEWAY, str(environments),
        cwd=root, env={**os.environ, "PYTHONPATH": str(root)}, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert gateway.stdout is not None
    async with asyncio.timeout(30):
        house, pid = (await gateway.stdout.readline()).decode().split()
        gateway.send_signal(signal.SIGKILL)
        await gateway.wait()
    await until(lambda: not with_variable(minder.HOUSE, house))
    await until(lambda: not is_alive(int(pid)))


async def test_a_call_that_was_left_is_not_heard(guests: Guests) -> None:
    guest = guests.make()
    first = await guest.open("waits")
    await first.until(TextDelta)
    first.reply.close()
    first.reply.close()
    assert (await guest.ask("counts", "1")).text == "0 "
