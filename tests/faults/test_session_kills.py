"""Gateway and clients are killed at random moments: no event of a session is lost, doubled or reordered.

Chats need no agent, so that this runs everywhere; `tests/agents/test_rounds.py` does the same with agents.
KILLS_SEED plays the same rounds again, and KILLS_ROUNDS more of them.
"""

from __future__ import annotations

import os
from pathlib import Path

from tests.faults.kills.rounds import FOUNDER, GATEWAY, READER, SPEAKER, plan, seeded
from tests.faults.kills.staging import Cast, play

ROUNDS = int(os.environ.get("KILLS_ROUNDS", "50"))
WITHIN_S = 0.2
VICTIMS = (GATEWAY, SPEAKER, FOUNDER, READER)
CHATS = Cast(backends=("chat", "chat"), kinds="", settings={}, founds=True)


async def test_nothing_is_lost_whoever_is_killed(tmp_path: Path) -> None:
    chance = seeded("KILLS_SEED")
    played = await play(tmp_path, CHATS, plan(chance, ROUNDS, VICTIMS, WITHIN_S), chance)
    played.tell()
    assert played.counts[GATEWAY] >= ROUNDS // 4
