"""A gateway in a process of its own, with real agents in it and a scripted provider behind it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from rhetor.services import minder
from rhetor.services.minder import environment_of as environment_of
from rhetor.testing import Step, Upstream
from tests.client.conftest import Restartable

Json = dict[str, Any]

PROGRAMS = Path(__file__).parent / "node_modules" / ".bin"
WITHIN_S = 30.0  # a real agent on a busy machine; only a broken promise takes this long
ORPHANS_S = 5.0  # how long after the gateway's death its agents may live
EVENTS_AT_ONCE = 1000
IN_TURN = ("initializing", "active", "waiting_input")


def needs(program: str) -> list[pytest.MarkDecorator]:
    """What tests of an agent are skipped without."""
    missing = not (PROGRAMS / program).exists()
    connected = {name for _, name in socket.if_nameindex()} != {"lo"}
    return [
        pytest.mark.skipif(missing, reason=f"{program} is not installed: npm install in tests/agents"),
        pytest.mark.skipif(connected, reason="only without a network: tests/alone"),
    ]


@dataclass(frozen=True, kw_only=True)
class Agent:
    """What differs from agent to agent."""

    backend: str
    program: str
    model: str
    tool: str
    """What it runs commands with."""
    runs: Callable[[str, Path], Step]
    """A model that wants to run this command, in this folder."""
    writes: Callable[[Path, str], Step]
    """A model that wants to write this into a file."""
    key_in: Callable[[Mapping[str, str]], str]
    """Its own key, in its environment."""


class House(Restartable):
    """
    Args:
        more: of the configuration, section by section.
    """

    def __init__(self, folder: Path, upstream: Upstream, agent: Agent, more: Mapping[str, Json]) -> None:
        self.folder = folder
        self.kept = folder / "kept"
        self.work = folder / "work"
        self.agent = agent
        self.upstream = upstream
        self.headers: dict[str, str] = {}
        """Of whoever asks."""
        (self.work / "deep").mkdir(parents=True)
        on = {"enabled": True, "command": str(PROGRAMS / agent.program)}
        given: dict[str, Json] = {
            "server": {"shutdown_grace_s": 1, "keepalive_s": 1},
            "discovery": {"enabled": False, "local": False},
            "logs": {"level": "info"},
            "store": {"folder": str(self.kept)},
            "providers": {  # of these the prices are known
                "anthropic": {"base_url": upstream.base_url, "key": "env:TEST_KEY"},
                "openai": {"base_url": f"{upstream.base_url}/v1", "key": "env:TEST_KEY"},
            },
            "sessions": {"directories": [str(self.work)], agent.backend: on},
        }
        for section, settings in more.items():
            given[section] = {**given.get(section, {}), **settings}
        super().__init__(folder, given)
        self._session = aiohttp.ClientSession()

    async def close(self) -> None:
        await self._session.close()
        await self.kill()

    @property
    def log_file(self) -> Path:
        return self.folder / "gateway.log"

    # What callers ask.

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Status and parsed body, or its text."""
        async with self._session.request(
            method, self.url + path, json=body, headers={**self.headers, **headers}
        ) as reply:
            is_json = reply.content_type == "application/json"
            return reply.status, await (reply.json() if is_json else reply.text())

    async def well(self, method: str, path: str, body: Any = None) -> Any:
        """The body of a reply that says that all is well."""
        status, said = await self.ask(method, path, body)
        assert status < 300, f"{method} {path}: {status} {said}"
        return said

    async def session(self, id: str) -> Json:
        found: Json = await self.well("GET", f"/v1/sessions/{id}")
        return found

    async def begin(self, **given: Any) -> str:
        wanted = {"backend": self.agent.backend, "model": self.agent.model, "directory": str(self.work)}
        return str((await self.well("POST", "/v1/sessions", {**wanted, **given}))["id"])

    async def say(self, id: str, text: str, **more: Any) -> None:
        await self.well("POST", f"/v1/sessions/{id}/messages", {"message": text, **more})

    async def answer(self, id: str, decision: str = "allow") -> None:
        """Answer the only thing that is asked, once it is."""
        (asked,) = (await self.becomes(id, "waiting_input"))["waiting_for"]
        path = f"/v1/sessions/{id}/approvals/{asked['request_id']}"
        await self.well("POST", path, {"decision": decision})

    async def becomes(self, id: str, *states: str) -> Json:
        """The session, once it is in one of these states."""

        async def there() -> Json | None:
            session = await self.session(id)
            return session if session["state"] in states else None

        found: Json = await until(there, f"{id} is {' or '.join(states)}")
        return found

    async def log(self, id: str) -> list[Json]:
        """Everything that happened, as a plain list tells it."""
        events: list[Json] = []
        while True:
            path = f"/v1/sessions/{id}/events?after={len(events)}&limit={EVENTS_AT_ONCE}&follow=false"
            page = await self.well("GET", path)
            events += page["data"]
            if len(events) >= page["last_seq"]:
                return events

    async def trips(self, id: str, count: int) -> list[Json]:
        """The session's model calls, once so many are in the books."""

        async def booked() -> list[Json] | None:
            said = await self.well("GET", "/api/v1/trips?limit=500")
            trips = [trip for trip in said["trips"] if trip["session"] == id]
            return trips if len(trips) >= count else None

        found: list[Json] = await until(booked, f"{count} calls of {id} are booked")
        return found

    # What runs.

    def processes(self, id: str) -> list[int]:
        """Those of a session."""
        return [pid for pid in minder.pids() if environment_of(pid).get(minder.MARK) == id]

    def leaders(self, id: str) -> list[int]:
        """Of these the ones that the gateway itself has started."""
        return [pid for pid in self.processes(id) if minder.session_of(pid) == pid]

    @property
    def runs_now(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def gone(self, id: str) -> None:
        """Return once nothing of a session runs."""

        async def none() -> bool:
            return not self.processes(id)

        await until(none, f"nothing of {id} runs")

    def ours(self) -> list[int]:
        """Everything that any of our gateways has started."""
        names = (minder.HOUSE, minder.MINDS)
        kept = self.kept.stat() if self.kept.exists() else None
        house = f"{kept.st_dev:x}-{kept.st_ino:x}." if kept else "nothing has been started"
        return [
            pid
            for pid in minder.pids()
            if any(environment_of(pid).get(name, "").startswith(house) for name in names)
        ]

    async def nothing_left(self, within_s: float = ORPHANS_S) -> None:
        async def gone() -> bool:
            return not self.ours()

        def told() -> str:
            return f"gone: {[Path(f'/proc/{pid}/cmdline').read_bytes()[:80] for pid in self.ours()]}"

        await until(gone, told, within_s)


async def until(
    found: Callable[[], Awaitable[Any]], what: str | Callable[[], str], within_s: float = WITHIN_S
) -> Any:
    """What is found, once there is something; for what nobody tells of by itself."""
    try:
        async with asyncio.timeout(within_s):
            while not (it := await found()):
                await asyncio.sleep(0.02)
            return it
    except TimeoutError:
        raise AssertionError(f"not within {within_s:g} s: {what() if callable(what) else what}") from None


MakeHouse = Callable[..., Awaitable[House]]


@asynccontextmanager
async def houses(folder: Path, agent: Agent) -> AsyncIterator[MakeHouse]:
    """Gateways, each with a provider of its own; they are killed in the end, and leave nothing running."""
    async with AsyncExitStack() as stack:

        async def make(**more: Json) -> House:
            upstream = await stack.enter_async_context(Upstream())
            house = House(folder, upstream, agent, more)
            stack.push_async_callback(house.nothing_left)
            stack.push_async_callback(house.close)
            await house.start()
            return house

        yield make


def holding(folder: Path, *secrets: str) -> list[tuple[Path, str]]:
    """The files in and below a folder with any of these in them."""
    found: list[tuple[Path, str]] = []
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            data = path.read_bytes()
            found += [(path, secret) for secret in secrets if secret.encode() in data]
    return found


def told_of(pid: int) -> bytes:
    """A process's arguments and environment, as others on the machine may read them."""
    return b"".join(Path(f"/proc/{pid}/{name}").read_bytes() for name in ("cmdline", "environ"))


def texts(events: Sequence[Json], turn: int) -> str:
    """What was answered in a turn."""
    return "".join(it["content"] for it in events if it["turn"] == turn and it["type"] == "assistant")


def ends_turn(event: Json) -> bool:
    data = event["data"]
    return event["type"] == "status_change" and data["from"] in IN_TURN and data["to"] not in IN_TURN
