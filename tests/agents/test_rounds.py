"""Gateway, agents and clients are killed at random moments: no event is lost, and no process left.

ROUNDS_SEED plays the same rounds again, and ROUNDS more of them.
"""

from __future__ import annotations

import os
from pathlib import Path

from tests.agents.house import PROGRAMS, needs
from tests.faults.kills.rounds import AGENT, GATEWAY, READER, SPEAKER, plan, seeded
from tests.faults.kills.staging import MODEL, Cast, play

pytestmark = needs("claude")

ROUNDS = int(os.environ.get("ROUNDS", "50"))
WITHIN_S = 0.8  # an agent opens, its model speaks, a tool runs: each of them is hit
VICTIMS = (GATEWAY, AGENT, SPEAKER, AGENT, READER)
CLAUDES = Cast(
    backends=("claude_code", "claude_code", "chat"),
    kinds="talk|work|quick",
    settings={
        "claude_code": {"enabled": True, "command": str(PROGRAMS / "claude"), "default_model": MODEL},
    },
)


async def test_nothing_is_lost_and_nobody_left_whoever_is_killed(tmp_path: Path) -> None:
    chance = seeded("ROUNDS_SEED")
    played = await play(tmp_path, CLAUDES, plan(chance, ROUNDS, VICTIMS, WITHIN_S), chance)
    played.tell()
    assert played.counts[GATEWAY] >= ROUNDS // 5
    assert played.counts["agent there"] >= ROUNDS // 4
