"""For tests of the gateway, and of what talks to it: a provider that can be scripted, and a clock.

    async with Upstream() as upstream:
        upstream.next(fails(503), says("hello").but(cuts(after=0)))

`rhetor.testing.nowhere` has addresses where nobody answers.
"""

from rhetor.testing.clock import FakeClock
from rhetor.testing.media import PNG, SENTENCE, WAV, draws, ranks, speaks, tone, transcribes
from rhetor.testing.prefill import refuses_prefill, takes_prefill
from rhetor.testing.script import Point, ScriptError, Step
from rhetor.testing.seen import Outcome, Seen
from rhetor.testing.steps import (
    USAGE,
    broken_chunked,
    calls,
    counts,
    cuts,
    embeds,
    error_in_200,
    fails,
    garbage,
    gzip,
    hangs,
    headers,
    lists,
    no_done,
    no_finish_reason,
    raw_frames,
    replies,
    resets,
    says,
    slow,
    usage_in_last_chunk,
)
from rhetor.testing.upstream import Play, Upstream
from rhetor.testing.waiting import WITHIN_S, Gate

__all__ = [
    "PNG",
    "SENTENCE",
    "USAGE",
    "WAV",
    "WITHIN_S",
    "FakeClock",
    "Gate",
    "Outcome",
    "Play",
    "Point",
    "ScriptError",
    "Seen",
    "Step",
    "Upstream",
    "broken_chunked",
    "calls",
    "counts",
    "cuts",
    "draws",
    "embeds",
    "error_in_200",
    "fails",
    "garbage",
    "gzip",
    "hangs",
    "headers",
    "lists",
    "no_done",
    "no_finish_reason",
    "ranks",
    "raw_frames",
    "refuses_prefill",
    "replies",
    "resets",
    "says",
    "slow",
    "speaks",
    "takes_prefill",
    "tone",
    "transcribes",
    "usage_in_last_chunk",
]
