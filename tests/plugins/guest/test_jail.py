"""What a malicious guest gets: nothing, and at what it tries for."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from rhetor.core.errors import UpstreamError
from rhetor.core.events import TextDelta
from rhetor.plugins.guest import kernel
from rhetor.plugins.guest.sandbox import Means
from rhetor.plugins.guest.spec import CodeSpec, Limits
from tests.plugins.guest.guests import PARROTS, Guest, Guests, until
from tests.services.children import is_alive

CANARY = "canary-5f1e9a7c"
FOLDER = Path(__file__).parent.parent / "malicious"
LIMITS = Limits(memory_mb=200, scratch_mb=16, processes=48)
WAYS = ("own user", "namespaces", "landlock")


@dataclass
class Victim:
    """What there is to be had around a guest."""

    folder: Path
    files: list[Path]
    doors: list[socket.socket]
    neighbour: subprocess.Popen[bytes]
    told: dict[str, Any]

    def visitors(self) -> list[str]:
        """Who got through a door."""
        found = []
        for door in self.doors:
            try:
                if door.type == socket.SOCK_DGRAM:
                    door.recv(10)
                else:
                    door.accept()[0].close()
                found.append(str(door))
            except BlockingIOError:
                continue
        return found


@pytest.fixture
def victim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Victim]:
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    plugin = tmp_path / "malicious"
    shutil.copytree(FOLDER, plugin)
    names = ("etc/rhetor.yaml", "store/rhetor.db", "plugins/other/secret.py", ".ssh/id_ed25519", "code.py")
    files = [tmp_path / name for name in names]
    for path in files:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(CANARY)
    unix, abstract = f"/tmp/{secrets.token_hex(8)}", secrets.token_hex(8)
    with ExitStack() as stack:
        doors = [
            stack.enter_context(socket.socket(*kind))
            for kind in (
                (socket.AF_INET, socket.SOCK_STREAM),
                (socket.AF_INET, socket.SOCK_DGRAM),
                (socket.AF_UNIX, socket.SOCK_STREAM),
                (socket.AF_UNIX, socket.SOCK_STREAM),
            )
        ]
        for door, address in zip(doors, (("", 0), ("", 0), unix, "\0" + abstract), strict=True):
            door.setblocking(False)
            door.bind(address)
            if door.type == socket.SOCK_STREAM:
                door.listen()
        sleeper = subprocess.Popen(["sleep", "600"], env={"NEIGHBOUR": CANARY})
        told = {
            "gateway": os.getpid(),
            "neighbour": sleeper.pid,
            "files": [*map(str, files), "/etc/shadow", str(Path(__file__))],
            "writes": [*map(str, files), *(str(path.parent / "new") for path in files), "/usr/x", "/etc/x"],
            "port": doors[0].getsockname()[1],
            "udp": doors[1].getsockname()[1],
            "unix": unix,
            "abstract": abstract,
            "seconds": f"6{secrets.randbelow(10**6)}",
        }
        told["writes"] += [
            str(plugin / "provider.py"),
            str(plugin / "new"),
            "/dev/shm/../x",
            sys.prefix + "/x",
        ]
        yield Victim(tmp_path, files, doors, sleeper, told)
        sleeper.kill()
        sleeper.wait()
        os.unlink(unix)


def confined(guests: Guests, way: str) -> Means:
    """This machine's means, or fewer of them."""
    has = guests.machine
    assert has is not None
    if way == "landlock":
        has = Means(
            namespaces=False, why_not="a test", landlock=kernel.landlock_abi(), filter=kernel.can_filter()
        )
    elif way == "namespaces":
        has = replace(has, own_user=False)
    elif not has.own_user:
        pytest.skip("only root can give guests a user of their own")
    if has.way == "none" or (way != "landlock" and not has.namespaces):
        pytest.skip(f"there is no such confinement on this machine: {has.why_not}")
    return has


def malicious(guests: Guests, victim: Victim, way: str) -> Guest:
    folder = victim.folder / "malicious"
    spec = CodeSpec(id="malicious", folder=folder, language="python", main="provider.py", limits=LIMITS)
    return guests.make(spec, means=confined(guests, way))


@pytest.mark.parametrize("way", WAYS)
async def test_it_gets_nothing(guests: Guests, victim: Victim, way: str) -> None:
    guest = malicious(guests, victim, way)
    got: dict[str, str] = {}
    for attempt in ("environments", "files", "writes", "connects", "rises", "signals"):
        got[attempt] = (await guest.ask(attempt, json.dumps(victim.told))).text
    assert CANARY not in "".join(got.values())
    assert "GOT" not in "".join(got.values()), "\n".join(
        line for said in got.values() for line in said.splitlines() if "GOT" in line
    )
    for path in victim.files:
        assert path.read_text() == CANARY
        assert not (path.parent / "new").exists()
    assert not victim.visitors()
    assert victim.neighbour.poll() is None
    assert guest.transport.starts == 1


@pytest.mark.parametrize("way", WAYS)
async def test_it_takes_no_more_than_its_share(guests: Guests, victim: Victim, way: str) -> None:
    guest = malicious(guests, victim, way)
    eaten = await guest.ask("eats_memory")
    error, size = eaten.text.split() or (str(eaten.error), "0")
    assert (error, int(size) <= LIMITS.memory_mb) == ("MemoryError", True)
    if way == "landlock":
        return  # the rest is bounded for each process, and each file: see what_is_enforced
    said = (await guest.ask("fills_disk")).text.splitlines()
    assert "No space left" in said[0]
    assert int(said[1]) <= LIMITS.scratch_mb
    if way == "own user" or os.geteuid():
        error, count = (await guest.ask("fork_bomb")).text.split()
        assert (error, int(count) < LIMITS.processes) == ("BlockingIOError", True)
        await guest.transport.stop()
    opened = await guest.open("eats_memory_in_children")
    failure = await opened.failure()
    assert isinstance(failure, UpstreamError)
    await until(lambda: "it uses" in guest.transport.said())


@pytest.mark.parametrize("way", WAYS)
async def test_nobody_outlives_it(guests: Guests, victim: Victim, way: str) -> None:
    """Also not who has left its group, its session and its environment."""
    guest = malicious(guests, victim, way)
    opened = await guest.open("stays", json.dumps(victim.told))
    await opened.until(TextDelta)
    await until(lambda: sleeping(victim.told["seconds"]))
    async with asyncio.timeout(20):
        await guest.transport.close()
    await opened.failure()
    await until(lambda: not sleeping(victim.told["seconds"]))


def sleeping(seconds: str) -> list[int]:
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = Path("/proc", name, "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if words[:2] == [b"sleep", seconds.encode()] and is_alive(int(name)):
            found.append(int(name))
    return found


async def test_a_neighbour_does_not_notice(guests: Guests, victim: Victim) -> None:
    """While one eats memory and forks, another one answers."""
    guest = malicious(guests, victim, "namespaces")
    parrot = guests.make(PARROTS["python"])
    opened = await guest.open("eats_memory_in_children")
    assert (await parrot.ask("counts", "500")).text.endswith("499 ")
    await opened.failure()
    assert (await parrot.ask("counts", "2")).text == "0 1 "
    assert parrot.transport.starts == 1
