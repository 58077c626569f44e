"""A process that puts assets into a store as fast as it can until it is killed.

in:  the folder of the store
out: the id of each asset, once it was promised to be kept
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from rhetor.core.clock import SystemClock
from rhetor.store.assets import Assets
from rhetor.store.blobs import FileBlobs
from rhetor.store.sql.assets import SqlAssets
from rhetor.store.sql.opening import open_store


async def live(folder: Path) -> None:
    store = open_store(folder)

    async def open_books() -> SqlAssets:
        return store.assets

    blobs = FileBlobs(folder / "assets")
    assets = Assets(blobs, open_books, SystemClock(), keep_s=3600, each_mb=64, all_mb=640)

    async def write() -> None:
        while True:
            async with assets.begin("ann", "application/octet-stream") as writing:
                for _ in range(24):
                    await writing.write(os.urandom(1 << 16))
                asset = await writing.keep()
            os.write(1, f"{asset.id}\n".encode())

    await asyncio.gather(*(write() for _ in range(4)))


if __name__ == "__main__":
    asyncio.run(live(Path(sys.argv[1])))
