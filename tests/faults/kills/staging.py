"""Sessions that are led and read, put together for rounds."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rhetor.testing import Upstream
from tests.faults.kills.house import SECRET, Client, House
from tests.faults.kills.judging import Judge
from tests.faults.kills.provider import Provider
from tests.faults.kills.rounds import CHAT, Led, Round, Rounds
from tests.faults.kills.speaker import VARIABLE

MODEL = "ant/small"
READERS = 2
REMEMBERS = {"context_tokens": 1_000_000, "summarize_tokens": 0}
"""A chat's model is told all of it."""


@dataclass(frozen=True)
class Cast:
    """Who is in it."""

    backends: Sequence[str]
    """Of each session."""
    kinds: str
    """What agents are told in turn, see `provider`."""
    settings: dict[str, Any]
    """Of sessions."""
    founds: bool = False
    """Whether somebody begins further sessions all the time."""


async def play(folder: Path, cast: Cast, rounds: Sequence[Round], chance: random.Random) -> Rounds:
    """Play these rounds, and see that all is well."""
    provider = Provider()
    async with Upstream() as upstream:
        upstream.always(provider.play)
        given = {
            "providers": {
                "ant": {
                    "wire": "anthropic",
                    "base_url": upstream.base_url,
                    "key": "env:TEST_KEY",
                    "auth": {"header": "x-api-key", "prefix": ""},
                }
            },
            "routes": {"small": {"targets": [MODEL]}},
            "sessions": {"environment": [VARIABLE], "chat": REMEMBERS, **cast.settings},
        }
        return await asyncio.to_thread(_play, House(folder, given), cast, rounds, provider, chance)


def _play(
    house: House, cast: Cast, rounds: Sequence[Round], provider: Provider, chance: random.Random
) -> Rounds:
    judge = Judge(house, provider)
    led: list[Led] = []
    journal = house.folder / "founded"
    founder = Client("founder", house.url, journal, log=house.folder / "founder.log") if cast.founds else None
    try:
        house.start()
        judge.wait_for_the_gateway()
        led += [_led(house, judge, backend, cast.kinds) for backend in cast.backends]
        for client in _clients(led, founder):
            client.start()
        played = Rounds(house, led, chance, founder)
        played.play(rounds)
        if founder is not None:
            founder.kill()
        _judge(house, judge, led)
        if founder is not None:
            played.counts["founded"] = judge.founded_once(journal)
        return played
    finally:
        for client in _clients(led, founder):
            client.end()
        house.end()


def _judge(house: House, judge: Judge, led: Sequence[Led]) -> None:
    for each in led:
        judge.come_to_rest(each)
    judge.suspend_and_resume(led)
    assert house.agents() or all(each.backend == CHAT for each in led)
    for each in led:
        log = judge.terminate(each)
        judge.the_log_is_whole(each, log)
        judge.readers_have_read_it(each, log)
        judge.messages_are_in_it_once(each, log)
        judge.approvals_are_settled(each, log)
    house.stop()
    assert not house.houses(), house.described(house.left_of(house.houses()))
    assert house.secrets_in(house.folder) == []


def _led(house: House, judge: Judge, backend: str, kinds: str) -> Led:
    is_chat = backend == CHAT
    begun: dict[str, Any] = {"backend": backend, "model": "small"}
    if not is_chat:
        begun["environment"] = {VARIABLE: SECRET}
    id = judge.begin(begun)
    files = {name: house.folder / f"{id}-{name}" for name in ("said", "heard", "log", "read-0", "read-1")}
    speaker = Client(
        "speaker", house.url, id, files["said"], files["heard"], "talk|quick" if is_chat else kinds,
        log=files["log"], secret=not is_chat,
    )  # fmt: skip
    led = Led(id, backend, speaker, files["said"], files["heard"])
    for n in range(READERS):
        led.files.append(files[f"read-{n}"])
        led.readers.append(Client("reader", house.url, id, files[f"read-{n}"], log=files["log"]))
    return led


def _clients(led: Sequence[Led], founder: Client | None) -> list[Client]:
    each = [client for one in led for client in (one.speaker, *one.readers)]
    return [*each, founder] if founder is not None else each
