"""A process that makes children on demand: each stores sessions as fast as it can until it is killed.

It has imported everything before, so a child costs milliseconds.

in:  the folder of the store, a line for each child
out: `child PID`; `SESSION SEQ` for whatever a child was promised to be stored; `dead HOW` once the child is
     dead and everything that it has said is told
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from rhetor.store.base import LoggedEvent, SessionRow
from rhetor.store.sql.opening import open_store

SESSIONS = 8


def content(id: str, seq: int) -> str:
    """What the event of this number says; some are long, so that a write takes a while."""
    return f"{id} {seq} " * (2_000 if seq % 7 == 0 else 5)


def together(seq: int) -> int:
    """How many events are stored in one step after this one."""
    return seq % 4 + 1


async def live(folder: Path) -> None:
    store = open_store(folder).sessions

    async def write(id: str) -> None:
        now = datetime.now(UTC)
        new = SessionRow(id=id, owner="", backend="chat", state="idle", created_at=now, updated_at=now)
        row = new if await store.begin(new) else await store.find(id)
        assert row is not None
        while True:
            seqs = range(row.last_seq + 1, row.last_seq + 1 + together(row.last_seq))
            events = [LoggedEvent(seq, 1, "assistant", content(id, seq), {"of": id}, now) for seq in seqs]
            row = replace(row, last_seq=seqs[-1], document={"last": seqs[-1]})
            await store.append(row, events)
            os.write(1, f"{id} {row.last_seq}\n".encode())

    await asyncio.gather(*(write(f"ses_{n}") for n in range(SESSIONS)))


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            asyncio.run(live(Path(line.strip())))
            os._exit(1)
        os.write(1, f"child {child}\n".encode())
        _, status = os.waitpid(child, 0)
        os.write(1, f"dead {os.waitstatus_to_exitcode(status)}\n".encode())


if __name__ == "__main__":
    main()
