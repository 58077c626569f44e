"""A service is there when it is asked for, once, and gone when nobody needs it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from rhetor.core.errors import Code, RhetorError
from rhetor.services.launch import Program
from rhetor.services.ports import LOOPBACK, Ports
from rhetor.services.supervisor import Plan, Restart, Service, State
from tests.services.children import HOUSE, is_alive, python, shell, until

pytestmark = [
    pytest.mark.usefixtures("no_leaks"),
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]

SERVER = """
import os, socket, sys, time
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
with open("starts", "a") as file: file.write(f"{os.getpid()}\\n")
print("secret-token now listen", end="", flush=True); time.sleep(0.02); print("ing on it", flush=True)
while True: server.accept()
"""

Make = Callable[..., Service]


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Make]:
    """Make services that are stopped with the test."""
    services: list[Service] = []

    def one(program: str = SERVER, ports: Ports | None = None, **given: Any) -> Service:
        spec = python(program, tmp_path)
        spec.argv = (*spec.argv, "{port}")
        plan = Plan(label="child", **{"ready": b"listening on", "grace_s": 0.5, **given})
        redact = lambda text: text.replace("secret-token", "[redacted]")  # noqa: E731
        services.append(Service(plan, Program(spec, HOUSE, ports or Ports(), mark="m"), redact=redact))
        return services[-1]

    yield one
    for service in services:
        await service.stop()


def starts(tmp_path: Path) -> list[int]:
    return [int(line) for line in (tmp_path / "starts").read_text().split()]


async def test_many_who_ask_at_once_get_one_server(make: Make, tmp_path: Path) -> None:
    service = make()
    assert service.state is State.STOPPED
    ports = await asyncio.gather(*(service.ensure_ready(5.0) for _ in range(20)))
    assert len(set(ports)) == 1
    assert service.state is State.READY
    assert len(starts(tmp_path)) == 1
    with socket.create_connection((LOOPBACK, ports[0]), timeout=5.0):
        pass


async def test_it_is_stopped_and_can_be_started_again(make: Make, tmp_path: Path) -> None:
    service = make()
    await service.ensure_ready(5.0)
    await asyncio.gather(service.stop(), service.stop())
    assert (service.state, service.port) == (State.STOPPED, None)
    assert not any(map(is_alive, starts(tmp_path)))
    await service.ensure_ready(5.0)
    assert len(starts(tmp_path)) == 2


async def test_after_a_crash_it_is_started_when_next_asked(make: Make, tmp_path: Path) -> None:
    service = make(restart=Restart(first_s=0.01))
    await service.ensure_ready(5.0)
    os.kill(starts(tmp_path)[0], signal.SIGKILL)
    await service.ended()
    await until(lambda: service.state is State.FAILED)
    assert service.port is None
    assert "ended with -9" in str(service.error)
    await service.ensure_ready(5.0)
    assert service.state is State.READY


async def test_a_server_that_does_not_start_says_why(make: Make) -> None:
    service = make("import sys; sys.exit('secret-token: no disk')")
    with pytest.raises(
        RhetorError, match=r"ended with 1 before it was ready; it said: \[redacted\]: no disk"
    ) as raised:
        await service.ensure_ready(5.0)
    assert raised.value.code is Code.UNAVAILABLE
    assert service.state is State.FAILED


async def test_all_who_wait_learn_that_it_failed(make: Make) -> None:
    service = make("import sys; sys.exit(3)")
    results = await asyncio.gather(*(service.ensure_ready(5.0) for _ in range(5)), return_exceptions=True)
    assert [type(result) for result in results] == [RhetorError] * 5


async def test_a_failed_one_is_left_alone_for_a_while(make: Make) -> None:
    """Whoever cannot wait so long is told so."""
    service = make("import sys; sys.exit(3)", restart=Restart(first_s=60.0))
    with pytest.raises(RhetorError, match="ended with 3"):
        await service.ensure_ready(5.0)
    with pytest.raises(RhetorError, match=r"is not ready after 0\.1 s"):
        await service.ensure_ready(0.1)


async def test_whoever_starts_it_by_hand_ends_the_pause_that_others_wait_for(make: Make) -> None:
    service = make("import sys; sys.exit(3)", restart=Restart(first_s=600.0, most_s=600.0))
    with pytest.raises(RhetorError, match="ended with 3"):
        await service.ensure_ready(5.0)
    asking = asyncio.gather(service.ensure_ready(600.0), return_exceptions=True)
    await until(lambda: service.state is State.STARTING)
    service.forgive()
    (error,) = await asyncio.wait_for(asking, 10.0)
    assert "ended with 3" in str(error)


def test_the_pause_grows_and_has_an_end() -> None:
    restart = Restart(first_s=0.5, most_s=4.0)
    assert [restart.pause_s(n) for n in range(7)] == [0.0, 0.5, 1.0, 2.0, 4.0, 4.0, 4.0]


async def test_a_server_that_is_never_ready_is_ended(make: Make, tmp_path: Path) -> None:
    service = make(
        "import os, time; open('starts', 'w').write(str(os.getpid())); time.sleep(600)", start_s=0.3
    )
    with pytest.raises(RhetorError, match=r"is not ready after 0\.3 s"):
        await service.ensure_ready(5.0)
    assert not is_alive(starts(tmp_path)[0])


async def test_who_waits_less_than_others_goes_alone(make: Make) -> None:
    service = make("import time; time.sleep(0.3)\n" + SERVER)
    patient = asyncio.gather(service.ensure_ready(5.0))
    with pytest.raises(RhetorError, match=r"is not ready after 0\.05 s"):
        await service.ensure_ready(0.05)
    await patient
    assert service.state is State.READY


async def test_stopping_ends_a_start(make: Make) -> None:
    service = make("import time; time.sleep(600)")
    asking = asyncio.gather(service.ensure_ready(5.0), return_exceptions=True)
    await until(lambda: service.pid is not None)
    await service.stop()
    (error,) = await asking
    assert "was stopped while it started" in str(error)
    assert service.state is State.STOPPED


async def test_a_taken_port_is_not_the_end(make: Make) -> None:
    """Somebody else may bind it between its lease and its use."""

    class Unlucky(Ports):
        def __init__(self) -> None:
            super().__init__()
            self.thief = socket.socket()

        def lease(self) -> int:
            port = super().lease()
            if self.thief.getsockname()[1] == 0:
                self.thief.bind((LOOPBACK, port))
                self.thief.listen()
            return port

    ports = Unlucky()
    with ports.thief:
        assert await make(ports=ports).ensure_ready(10.0) != ports.thief.getsockname()[1]


async def test_a_probe_finds_out(make: Make) -> None:
    asked: list[str] = []

    async def probe(origin: str) -> bool:
        asked.append(origin)
        return len(asked) == 3

    service = make(ready=probe)
    assert f"http://{LOOPBACK}:{await service.ensure_ready(5.0)}" == asked[0] == service.origin
    assert len(asked) == 3


async def test_an_idle_one_stops_and_a_needed_one_does_not(make: Make) -> None:
    service = make(idle_stop_s=0.05)
    await service.ensure_ready(5.0)
    with service.needed():
        await asyncio.sleep(0.2)  # nothing happens: there is no event to wait for
        assert service.state is State.READY
    await until(lambda: service.state is State.STOPPED)


async def test_what_it_says_last_is_told_without_secrets(make: Make) -> None:
    service = make()
    await service.ensure_ready(5.0)
    assert service.said().startswith("[redacted] now listening on")


async def test_a_missing_program(tmp_path: Path) -> None:
    spec = shell("", tmp_path)
    spec.argv = ("no-such-server",)
    service = Service(Plan(label="child", ready=b"x"), Program(spec, HOUSE, Ports(), mark="m"))
    with pytest.raises(RhetorError, match="no program 'no-such-server'"):
        await service.ensure_ready(5.0)
    await service.stop()


class Refusing:
    """A launcher that cannot, in a way that nobody foresaw, until it can."""

    def __init__(self, launcher: Any) -> None:
        self.launcher = launcher
        self.refuses = True

    async def launch(self, on_said: Any) -> Any:
        if self.refuses:
            raise OSError("no space left on device")
        return await self.launcher.launch(on_said)


async def test_whatever_goes_wrong_it_can_be_started_later(make: Make) -> None:
    service = make(restart=Restart(first_s=0.01))
    launcher = service._launcher = Refusing(service._launcher)
    with pytest.raises(RhetorError) as refused:
        await service.ensure_ready(10)
    assert refused.value.code is Code.UNAVAILABLE
    assert service.state is State.FAILED
    launcher.refuses = False
    assert await service.ensure_ready(10)


async def test_start_and_stop_at_the_same_moment_leave_it_usable(make: Make) -> None:
    service = make()
    await asyncio.gather(service.ensure_ready(10), service.stop(), return_exceptions=True)
    assert service.state is State.STOPPED
    assert await service.ensure_ready(10)


def test_a_service_that_has_failed_for_ever_is_left_alone_for_no_longer() -> None:
    assert Restart(first_s=0.5, most_s=30.0, most=None).pause_s(5000) == 30.0
