"""A provider in a process of its own, which can be killed: `python -m tests.faults.provider STREAMS`.

Its first line is its address; the second comes once so many streams are under way at the same time.
"""

from __future__ import annotations

import asyncio
import sys

from rhetor.testing import Upstream, says, slow
from tests.faults.fault import PRIMARY_USAGE, TEXT

GAP_S = 0.1  # a reply takes six seconds: long enough for many of them to be in the middle of theirs
SPOKEN = 3  # words, until a stream counts as under way
ARRIVED_S = 60.0
UNDER_WAY = "under way"


async def serve(streams: int) -> None:
    async with Upstream() as upstream:
        upstream.always(says(TEXT, usage=PRIMARY_USAGE).but(slow(gap_s=GAP_S)))
        print(upstream.base_url, flush=True)
        await upstream.request(streams, ARRIVED_S)
        while any(seen.sent_events < SPOKEN for seen in upstream.requests):
            await asyncio.sleep(GAP_S)
        print(UNDER_WAY, flush=True)
        await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
