"""A gateway that says how much it holds: `python -m tests.faults.soaked CONFIG`.

Its first line is its address, and then, every second, what it has of memory, tasks and sockets.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import uvloop

from rhetor import config as configuration
from rhetor.app import App
from tests.faults.house import KEYS

EVERY_S = 1.0
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


async def serve(path: Path) -> None:
    app = App(configuration.load(path, KEYS), path, KEYS)
    await app.start()
    print(app.url, flush=True)
    while True:
        print(json.dumps(held()), flush=True)
        await asyncio.sleep(EVERY_S)


def held() -> dict[str, float]:
    """What this process has right now."""
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_BYTES
    return {"rss_mb": resident / 2**20, "tasks": len(asyncio.all_tasks()), "sockets": _sockets()}


def _sockets() -> int:
    count = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            count += os.readlink(f"/proc/self/fd/{name}").startswith("socket:")
        except OSError:
            continue  # the folder's own descriptor is gone by now
    return count


if __name__ == "__main__":
    uvloop.run(serve(Path(sys.argv[1])))
