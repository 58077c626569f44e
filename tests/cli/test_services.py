"""`rhetor services`: a running gateway's local servers, from a terminal."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import pytest

from rhetor.cli import main, services
from tests.cli.conftest import PATIENCE_S, Start
from tests.conftest import Gateway, MakeGateway, settings
from tests.services.children import is_alive
from tests.test_serving import PROVIDER, service, starts

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@pytest.fixture
async def lab(make_gateway: MakeGateway, tmp_path: Path) -> Gateway:
    services = {"tiny": service(tmp_path, "--say", "loading \x1b[31mred"), "broken": {"command": ["no-such"]}}
    given = settings(services=services, providers={"local": PROVIDER})
    return await make_gateway(given, {"PATH": os.environ["PATH"]})


class Terminal:
    """The command, run in a thread of this process, as it only asks the gateway."""

    def __init__(self, url: str, capsys: pytest.CaptureFixture[str]) -> None:
        self._url = url
        self._capsys = capsys

    async def __call__(self, *words: str) -> tuple[int, str, str]:
        """Exit code, stdout, stderr."""
        code = await asyncio.to_thread(main, ["services", *words, "--url", self._url])
        return code, *self._capsys.readouterr()


@pytest.fixture
def rhetor(lab: Gateway, capsys: pytest.CaptureFixture[str]) -> Terminal:
    return Terminal(lab.url, capsys)


async def test_started_looked_at_and_stopped(rhetor: Terminal, tmp_path: Path) -> None:
    code, out, err = await rhetor("start", "tiny")
    (pid,) = starts(tmp_path)
    assert (code, err) == (0, "")
    assert out.startswith("tiny is ready at http://127.0.0.1:")
    head, broken, tiny = (await rhetor("list"))[1].splitlines()
    assert head.split() == ["service", "state", "port", "pid", "restarts", "for", "error"]
    assert tiny.split()[:2] + tiny.split()[3:] == ["tiny", "ready", str(pid), "0", "local"]
    assert broken.split() == ["broken", "stopped", "0"]
    told = (await rhetor("status", "tiny"))[1]
    assert f"pid          {pid}\n" in told
    assert "needs        ✓ command:" in told
    assert json.loads((await rhetor("status", "tiny", "--json"))[1])["pid"] == pid
    logs = (await rhetor("logs", "tiny"))[1].splitlines()
    assert "loading �[31mred" in logs
    assert logs[0] == "— starting"
    assert (await rhetor("stop", "tiny"))[:2] == (0, "tiny is stopped\n")
    assert not is_alive(pid)
    assert (await rhetor("cleanup"))[1] == "0 left processes ended; containers removed: none\n"


async def test_what_does_not_work_is_a_sentence(rhetor: Terminal) -> None:
    code, out, err = await rhetor("start", "broken")
    assert (code, out) == (1, "")
    assert "✗ broken is not started, since something is missing: command: no-such wanted" in err
    unknown = await rhetor("restart", "nobody")
    assert unknown[2] == "✗ no service is called 'nobody'; there are broken, tiny\n"


def test_no_words_of_others_steer_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    odd = "red\x1b[2J\nreal"
    needed = {"name": "command", "wanted": odd, "found": "it", "met": True}
    told = dict.fromkeys(("state", "since", "url", "pid", "own", "needed_by", "restarts", "error"))
    services._print({**told, "name": "s", "requirements": [needed]})
    services._print_table([["s"] * 6 + [odd]])
    out = capsys.readouterr().out
    assert "needs        ✓ command: red\ufffd[2J real (it)\n" in out
    assert out.endswith("  s  red\ufffd[2J real\n")


async def test_lines_are_followed_until_ctrl_c(start: Start, lab: Gateway) -> None:
    following = await start("services", "logs", "tiny", "--follow", "--url", lab.url)
    assert following.stdout is not None
    async with asyncio.timeout(PATIENCE_S):
        await lab.app.house.services.start("tiny")
        while b"listening on" not in await following.stdout.readline():
            pass
        following.send_signal(signal.SIGINT)
        await following.communicate()
