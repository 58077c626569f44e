"""Begins one session after the other, each with a message.

    python -m tests.faults.kills.founder URL JOURNAL

Killed and started again, it begins the last one again, with the same key.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from tekton_llm_client.exceptions import TektonLLMError
from tekton_llm_client.sessions import SessionsClient
from tests.faults.kills.journal import Journal
from tests.faults.kills.reader import TOKEN
from tests.faults.kills.speaker import SOON_S

PAUSE_S = 0.02  # more of them would only fill the disk


async def main(url: str, file: str) -> None:
    journal = Journal(Path(file))
    async with SessionsClient("founder", url, auth_token=os.environ[TOKEN]) as client:
        while True:
            if not journal.lines or "id" in journal.lines[-1]:
                key = f"key-{len(journal.lines)}"
                journal.add(begins=key, text=f"quick #{key}")
            last = journal.lines[-1]
            try:
                session = await client.create_session(
                    last["text"], backend="chat", key=last["begins"], title=last["begins"]
                )
            except TektonLLMError as error:
                if error.status is not None and error.status < 500:
                    raise
                await asyncio.sleep(SOON_S)
            else:
                journal.add(begun=last["begins"], id=session.id)
                await asyncio.sleep(PAUSE_S)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
