"""Whoever asks, and however: what happens behind the doors is the same."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack

from hypothesis import given, settings
from hypothesis import strategies as st

from rhetor.testing import Play, Step, Upstream, cuts, fails, garbage, resets, takes_prefill
from rhetor.testing.seen import Seen
from tests.faults.callers import ASKS, Callers, call
from tests.faults.fault import FALLBACK_USAGE, TEXT
from tests.faults.house import books, gateway, provider
from tests.faults.pace import LoopClock, run

PACE = 10.0
DOORS = ("openai", "anthropic", "tekton", "ws")
OUTCOMES: Mapping[str, Step] = {
    "ok": Step(),
    "500": fails(500),
    "503": fails(503),
    "429": fails(429),
    "reset": resets(),
    "garbage": garbage(at=1),
    "cut": cuts(after="half"),
}
SEQUENCES = st.lists(st.sampled_from(sorted(OUTCOMES)), max_size=4)
Log = Sequence[tuple[str, str]]


@settings(max_examples=30, deadline=None)
@given(SEQUENCES, SEQUENCES, st.booleans())
def test_every_door_sees_the_same_attempts(primary: list[str], fallback: list[str], streamed: bool) -> None:
    logs = run(attempts(primary, fallback, streamed), PACE)
    assert all(log == logs["openai"] for log in logs.values()), logs
    assert logs["openai"], "nobody was asked"


async def attempts(primary: list[str], fallback: list[str], streamed: bool) -> Mapping[str, Log]:
    """The attempts of one call at each door, where the providers do this one after the other."""
    async with AsyncExitStack() as stack:
        given: dict[str, dict[str, object]] = {"providers": {}, "routes": {}}
        for door in DOORS:
            first, second = f"{door}-primary", f"{door}-fallback"
            for name, outcomes in ((first, primary), (second, fallback)):
                upstream = await stack.enter_async_context(Upstream())
                upstream.next(*map(acting, outcomes))
                upstream.always(acting("ok"))
                given["providers"][name] = provider(upstream.base_url, "openai", "PRIMARY_KEY")
            given["routes"][door] = {"targets": [f"{first}/m", f"{second}/m"]}
        given["server"] = {"port": 0, "shutdown_grace_s": 1}
        given["discovery"] = {"enabled": False, "local": False}
        given["logs"] = {"level": "error"}
        app = await stack.enter_async_context(gateway(given, LoopClock()))
        callers = await stack.enter_async_context(Callers())
        await asyncio.gather(*(call(ASKS[door, streamed], callers, app.url, door) for door in DOORS))
        return {trip["model"]: log_of(trip) for trip in await books(app, callers, len(DOORS))}


def acting(outcome: str) -> Play:
    def play(seen: Seen) -> Step:
        answer = takes_prefill(TEXT, FALLBACK_USAGE)
        assert callable(answer)
        return answer(seen).but(OUTCOMES[outcome])

    return play


def log_of(trip: Mapping[str, object]) -> Log:
    """Who was asked, without the door that is part of the name here, and what came of it."""
    made = trip["attempts"]
    assert isinstance(made, list)
    return [(attempt["target"].partition("-")[2], attempt["outcome"]) for attempt in made]
