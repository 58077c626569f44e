"""Where a cell is played: two providers, a gateway in front of them with the settings that everybody gets."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from rhetor import config as configuration
from rhetor.app import App
from rhetor.tasks import Tasks
from rhetor.testing import Upstream, takes_prefill
from tests.faults.callers import ASKS, Callers, call
from tests.faults.fault import (
    FALLBACK,
    FALLBACK_USAGE,
    PRIMARY,
    PRIMARY_USAGE,
    ROUTE,
    TEXT,
    Column,
    Fault,
    Stage,
)
from tests.faults.observation import Heard, Observation
from tests.faults.pace import LoopClock
from tests.faults.proxy import idle_proxy
from tests.faults.table import Cell

KEYS = {"PRIMARY_KEY": "sk-primary", "FALLBACK_KEY": "sk-fallback"}
BOOKED_S = 10.0
STALLED_S = 60.0  # until those that were started have arrived
AT_ONCE = 20  # streams that begin together: at a fast pace there is little time to connect


@dataclass(frozen=True, slots=True)
class House:
    """A gateway between the two providers of one cell."""

    app: App
    primary: Upstream
    fallback: Upstream
    clock: LoopClock


@asynccontextmanager
async def house(cell: Cell) -> AsyncIterator[House]:
    """Everything a cell needs, running. Unless told otherwise both providers say the canonical answer."""
    async with Upstream() as primary, Upstream() as fallback:
        primary.says(TEXT, usage=PRIMARY_USAGE)
        fallback.always(takes_prefill(TEXT, FALLBACK_USAGE))
        given = settings(primary.base_url, fallback.base_url, cell.column, cell.fault.deployments)
        if cell.fault.prefill:
            given["providers"]["fallback"]["quirks"] = {"prefill": "plain"}
        given["server"].update(cell.fault.server)
        clock = LoopClock()
        async with gateway(given, clock) as app:
            yield House(app, primary, fallback, clock)


async def play(cell: Cell, house: House, callers: Callers) -> Observation:
    """What is seen of one fault at one door."""
    fault, url = cell.fault, house.app.url
    began_s = asyncio.get_running_loop().time()
    fault.plays(Stage(house.primary, house.fallback, house.clock, began_s))
    async with AsyncExitStack() as stack:
        if fault.stalled:
            await stack.enter_async_context(stalled(url, house.primary, fault.stalled, callers))
            house.primary.requests.clear()
        if fault.proxy_idle_s is not None:
            url = await stack.enter_async_context(idle_proxy(url, fault.proxy_idle_s))
        heard = await ask(fault, cell.column, callers, url, began_s)
        return Observation(
            calls=heard,
            primary=[seen.arrived_s for seen in house.primary.requests],
            fallback=[seen.arrived_s for seen in house.fallback.requests],
            trips=await books(house.app, callers, len(heard)),
            began_s=began_s,
        )


async def ask(fault: Fault, column: Column, callers: Callers, url: str, began_s: float) -> list[Heard]:
    """The calls that a fault wants, each in its time."""
    heard: list[Heard] = []
    for at_s in fault.calls_at_s:
        await asyncio.sleep(began_s + at_s - asyncio.get_running_loop().time())
        heard.append(await call(ASKS[column.door, column.streamed], callers, url, fault.model))
        if heard[-1].hung:
            break
    return heard


@asynccontextmanager
async def gateway(given: Mapping[str, Any], clock: LoopClock) -> AsyncIterator[App]:
    """A running gateway with this configuration, whose time is the loop's."""
    with tempfile.TemporaryDirectory(prefix="rhetor-faults-") as folder:
        path = Path(folder, "rhetor.yaml")
        path.write_text(yaml.safe_dump(dict(given)))
        app = App(configuration.load(path, KEYS), path, KEYS, clock)
        await app.start()
        try:
            yield app
        finally:
            await app.stop()


def settings(primary: str, fallback: str, column: Column, deployments: int = 1) -> dict[str, Any]:
    """Two providers and a route; nothing else is said, so that the defaults are what is tested."""
    names = ["primary", *(f"primary{n}" for n in range(2, deployments + 1))]
    providers = {name: provider(primary, column.primary, "PRIMARY_KEY") for name in names}
    model = PRIMARY.partition("/")[2]
    return {
        "server": {"port": 0, "shutdown_grace_s": 1},
        "discovery": {"enabled": False, "local": False},
        "logs": {"level": "error"},
        "providers": {**providers, "fallback": provider(fallback, column.fallback, "FALLBACK_KEY")},
        "routes": {ROUTE: {"targets": [*(f"{name}/{model}" for name in names), FALLBACK]}},
    }


def provider(url: str, wire: str, key: str) -> dict[str, Any]:
    """How a row of one's own looks, for each language."""
    if wire == "anthropic":
        auth = {"header": "x-api-key", "prefix": ""}
        return {"wire": wire, "base_url": url, "key": f"env:{key}", "auth": auth}
    return {"wire": wire, "base_url": f"{url}/v1", "key": f"env:{key}"}


@asynccontextmanager
async def stalled(url: str, primary: Upstream, count: int, callers: Callers) -> AsyncIterator[None]:
    """So many streams that have come to hang at the primary, and stay so."""
    tasks = Tasks()
    body = {"model": PRIMARY, "stream": True, "messages": [{"role": "user", "content": "hi"}]}

    async def hang() -> None:
        async with callers.session.post(f"{url}/v1/chat/completions", json=body) as reply:
            await reply.read()

    try:
        for nth in range(1, count + 1):
            tasks.spawn(hang(), "stalled")
            if nth % AT_ONCE == 0:
                await primary.request(nth, within_s=STALLED_S)
        yield
    finally:
        await tasks.close()


async def books(app: App, callers: Callers, count: int) -> Sequence[Mapping[str, Any]]:
    """The newest trips, oldest first, once so many have been written, or after a while."""
    loop = asyncio.get_running_loop()
    until_s = loop.time() + BOOKED_S
    while True:
        async with callers.session.get(f"{app.url}/api/v1/trips?limit=1000") as reply:
            trips: list[Mapping[str, Any]] = (await reply.json())["trips"]
        if len(trips) >= count or loop.time() > until_s:
            return trips[::-1]
        await asyncio.sleep(0)  # the writer of the books tells nobody
