"""Services of compose files, with a program that says what `docker compose` says; there is no engine here."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rhetor.core.errors import RhetorError
from rhetor.services.compose import Container, parse_ps
from rhetor.services.entry import Status
from rhetor.services.spec import Compose, ServiceSpec
from rhetor.services.supervisor import Restart, State
from tests.services import docker
from tests.services.children import is_alive, until
from tests.services.conftest import HEALTH, PATIENCE_S, MakeRoster, Roster

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

FILE = """
services:
  whisper:
    image: example/whisper
    ports: ["${WHISPER_HOST_PORT:-0}:80"]
"""


class Lab:
    """A compose file, and the containers of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        (folder / "compose.yaml").write_text(FILE)
        bin = folder / "bin"
        bin.mkdir()
        program = bin / "docker"
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S {docker.__file__} "$@"\n')
        program.chmod(0o755)
        self.path = f"{bin}{os.pathsep}{os.environ['PATH']}"

    def docker(self, verb: str) -> None:
        """What somebody else does with it."""
        for flag in ("no-engine", "no-compose"):
            (self.folder / flag).unlink(missing_ok=True)
        file = str(self.folder / "compose.yaml")
        subprocess.run(
            [sys.executable, docker.__file__, "--file", file, verb], check=True, capture_output=True
        )
        (self.folder / "asked").unlink()

    def spec(self, **given: Any) -> ServiceSpec:
        compose = Compose(file=self.folder / "compose.yaml", service="whisper", port=80)
        usual = {"health": HEALTH, "restart": Restart(first_s=0.01), "start_s": PATIENCE_S, "grace_s": 2.0}
        return ServiceSpec(compose=compose, **{**usual, **given})

    def flag(self, name: str) -> Path:
        path = self.folder / name
        path.touch()
        return path

    @property
    def container(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "container").read_text())
        return found

    @property
    def asked(self) -> list[str]:
        """The verbs of all commands so far."""
        path = self.folder / "asked"
        lines = path.read_text().splitlines() if path.exists() else []
        return [
            next(it for it in line.split() if it in ("up", "ps", "logs", "stop", "down")) for line in lines
        ]


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    lab = Lab(tmp_path / "lab")
    yield lab
    lab.docker("stop")


@pytest.fixture
def roster(make_roster: MakeRoster, lab: Lab) -> Roster:
    return make_roster({"PATH": lab.path})


async def up(roster: Roster, spec: ServiceSpec, name: str = "s") -> Status:
    roster.services.define(name, spec)
    return await roster.services.start(name)


@pytest.mark.promise("M14", "M16", "M17")
@pytest.mark.parametrize("array", [False, True])
async def test_it_is_raised_where_the_engine_has_put_it(roster: Roster, lab: Lab, array: bool) -> None:
    """The port that is published counts, in either shape that compose tells it in."""
    if array:
        lab.flag("array")
    status = await up(roster, lab.spec(base_path="/v1"))
    assert status.url == f"http://127.0.0.1:{lab.container['port']}/v1"
    assert (status.kind, status.own, status.pid) == ("compose", True, None)
    journal = roster.services.logs("s")
    await until(lambda: any("listening on" in it.text for it in journal.after(0)), PATIENCE_S)
    assert any("Container lab-whisper-1  Started" in it.text for it in journal.after(0))
    stopped = await roster.services.stop("s")
    assert stopped.state is State.STOPPED
    assert not is_alive(lab.container["pid"])
    cleaned = await roster.services.cleanup()
    assert (cleaned.composed, cleaned.errors) == (("s",), ())
    assert lab.asked[-1] == "down"


async def test_a_port_that_was_assigned(make_roster: MakeRoster, roster: Roster, lab: Lab) -> None:
    port = docker.free_port()
    assert (await up(roster, lab.spec(port=port), "whisper")).port == port == lab.container["port"]


@pytest.mark.promise("M15")
async def test_a_container_that_runs_is_used_and_left_running(roster: Roster, lab: Lab) -> None:
    lab.docker("up")
    status = await up(roster, lab.spec())
    assert (status.port, status.own) == (lab.container["port"], False)
    await roster.services.stop("s")
    assert is_alive(lab.container["pid"])
    assert "up" not in lab.asked


async def test_one_that_an_earlier_gateway_has_raised_is_ours(roster: Roster, lab: Lab) -> None:
    lab.docker("up")
    (roster.folder / "s").mkdir()
    (roster.folder / "s" / ".raised").touch()
    assert (await up(roster, lab.spec())).own
    await roster.services.stop("s")
    assert not is_alive(lab.container["pid"])
    assert not (roster.folder / "s" / ".raised").exists()


async def test_one_that_died_is_raised_again(
    roster: Roster, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rhetor.services.compose.WATCH_S", 0.05)
    await up(roster, lab.spec())
    pid = lab.container["pid"]
    os.kill(pid, signal.SIGKILL)
    entry = roster.services.get("s")
    assert entry.service is not None
    service = entry.service
    await until(lambda: service.state is State.FAILED, PATIENCE_S)
    assert "ended with 137" in str(service.error)
    (await entry.use()).close()
    assert lab.container["pid"] != pid


@pytest.mark.parametrize(
    ("flag", "said"),
    [
        (
            "no-engine",
            "s: no container engine runs here, or this user may not use it; it said: Cannot connect",
        ),
        (
            "no-compose",
            "s: `docker` has no compose: install docker-compose-plugin; it said: unknown shorthand",
        ),
    ],
)
async def test_without_an_engine_it_says_so(roster: Roster, lab: Lab, flag: str, said: str) -> None:
    lab.flag(flag)
    with pytest.raises(RhetorError) as raised:
        await up(roster, lab.spec())
    assert str(raised.value).startswith(said)
    cleaned = await roster.services.cleanup()
    assert (cleaned.composed, len(cleaned.errors)) == ((), 1)


async def test_without_the_command_it_says_so(make_roster: MakeRoster, lab: Lab) -> None:
    roster = make_roster({"PATH": str(lab.folder)}, folder="other")
    with pytest.raises(RhetorError, match="something is missing: command: docker wanted, not on the PATH"):
        await up(roster, lab.spec())


REAL = (
    '{"Command":"\\"docker-entrypoint.s…\\"","CreatedAt":"2024-05-02 12:21:53 +0400 +04","ExitCode":0,'
    '"Health":"","ID":"d2763e024a10","Image":"redis:latest","Name":"test-docker-json-ps-db-1",'
    '"Ports":"6379/tcp","Project":"test-docker-json-ps","Publishers":[{"URL":"","TargetPort":6379,'
    '"PublishedPort":0,"Protocol":"tcp"}],"Service":"db","State":"running"}'
)
"""Of Compose 2.26.1, https://github.com/docker/compose/issues/11784 (read 2026-11-21), shortened."""
DOCUMENTED = (
    '[{"ID":"1553b0236cf4","Name":"example-bar-1","Command":"nginx","Project":"example","Service":"bar",'
    '"State":"exited","Health":"","ExitCode":0,"Publishers":null},{"ID":"f02a4efaabb6","Name":"example-foo-1",'
    '"Command":"nginx","Project":"example","Service":"foo","State":"running","Health":"","ExitCode":0,'
    '"Publishers":[{"URL":"0.0.0.0","TargetPort":80,"PublishedPort":8080,"Protocol":"tcp"}]}]'
)
"""https://docs.docker.com/reference/cli/docker/compose/ps/ (read 2026-11-21), ids shortened."""


def test_what_ps_tells() -> None:
    assert list(parse_ps(f"time=… level=warning msg=…\n{REAL}\n")) == [("db", Container("running", 0, {}))]
    assert list(parse_ps(DOCUMENTED)) == [
        ("bar", Container("exited", 0, {})),
        ("foo", Container("running", 0, {80: ("0.0.0.0", 8080)})),
    ]
    assert list(parse_ps("")) == []
