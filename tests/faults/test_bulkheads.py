"""What one provider does to its callers is no affair of another provider's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from rhetor.testing import Upstream, hangs
from tests.faults.callers import ASKS, Callers, call
from tests.faults.fault import FALLBACK, TEXT, Column
from tests.faults.house import gateway, settings, stalled
from tests.faults.pace import LoopClock

STALLED, CALLS = 200, 60


async def test_streams_that_stall_leave_other_providers_alone(
    record_property: Callable[[str, object], None],
) -> None:
    """How long the calls take is written down and not judged: machines differ."""
    async with Upstream() as primary, Upstream() as other, Callers() as callers:
        primary.always(hangs(after="headers"))
        other.says(TEXT)
        given = settings(primary.base_url, other.base_url, Column("openai", True))
        async with (
            gateway(given, LoopClock()) as app,
            stalled(app.url, primary, STALLED, callers),
        ):
            asks = list(ASKS.values())
            heard = await asyncio.gather(
                *(call(asks[n % len(asks)], callers, app.url, FALLBACK) for n in range(CALLS))
            )
            under_way = [seen for seen in primary.requests if seen.outcome is None]
    assert [it.text for it in heard] == [TEXT] * CALLS
    assert len(under_way) == STALLED, "the calls were done before the first of the stalled streams ended"
    assert len(other.requests) == CALLS
    record_property("slowest_s", max(it.elapsed_s for it in heard))
