"""Leads a session through the Python client.

    python -m tests.faults.kills.speaker URL SESSION JOURNAL HEARD KINDS

It says one thing after the other, allows what is asked, and writes down first what it will say, then that it
was taken. Killed and started again, it says again what nobody has told it was taken.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from tekton_llm_client.exceptions import TektonLLMError
from tekton_llm_client.sessions import SessionError, SessionsClient
from tekton_llm_client.sessions.models import SessionEvent
from tests.faults.kills.journal import Journal
from tests.faults.kills.reader import TOKEN

T = TypeVar("T")

AWAY_S = 60.0
SOON_S = 0.05
VARIABLE = "DEPLOY_TOKEN"
"""A variable of the agent's, where this process has one."""


class Speaker:
    def __init__(self, client: SessionsClient, session: str, said: Journal, heard: Journal) -> None:
        self._client = client
        self._session = session
        self._said = said
        self._heard = heard
        self._changed = asyncio.Event()
        self._rested = max((line["seq"] for line in heard.lines if line["ends_turn"]), default=0)
        """The last event that ended a turn."""

    async def listen(self) -> None:
        """Write down what happens, and allow what is asked."""
        after = self._heard.lines[-1]["seq"] if self._heard.lines else 0
        async with asyncio.TaskGroup() as group:
            session = await self._patiently(lambda: self._client.get_session(self._session))
            for request in session.waiting_for:
                group.create_task(self._allow(request.request_id))
            async with self._client.stream(self._session, after) as events:
                async for event in events:
                    self._hear(event)
                    if event.approval is not None:
                        group.create_task(self._allow(event.approval.request_id))

    async def speak(self, kinds: list[str]) -> None:
        while True:
            last = self._said.lines[-1] if self._said.lines else None
            if last is None or "taken" in last:
                n = sum("says" in line for line in self._said.lines)
                id = f"msg-{self._session[-6:]}-{n}"
                self._said.add(says=id, text=f"{kinds[n % len(kinds)]} #{id}")
            line = self._said.lines[-1]
            await self._ended_after(await self._say(line["says"], line["text"]))

    async def _say(self, id: str, text: str) -> int:
        secret = os.environ.get(VARIABLE)
        given = {VARIABLE: secret} if secret else None
        while True:
            try:
                sent = await self._patiently(
                    lambda: self._client.send(self._session, text, id, resume=True, environment=given)
                )
            except SessionError as error:
                if error.code != "conflict":
                    raise
                await self._something()  # an earlier turn is still under way
            else:
                self._said.add(taken=id, seq=sent.seq, again=sent.again)
                return sent.seq

    async def _ended_after(self, seq: int) -> None:
        while self._rested <= seq:
            self._changed.clear()
            await self._changed.wait()

    async def _something(self) -> None:
        self._changed.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(4 * SOON_S):
                await self._changed.wait()

    async def _allow(self, request_id: str) -> None:
        with suppress(SessionError):  # whoever asked is gone, or has heard of it
            await self._patiently(lambda: self._client.approve(self._session, request_id))

    async def _patiently(self, work: Callable[[], Awaitable[T]]) -> T:
        """What comes of it, once there is a gateway."""
        while True:
            try:
                return await work()
            except TektonLLMError as error:
                if error.status is not None and error.status < 500:
                    raise
                await asyncio.sleep(SOON_S)

    def _hear(self, event: SessionEvent) -> None:
        said = {"seq": event.seq, "type": event.type, "content": event.content, "data": event.data}
        self._heard.add(**said, turn=event.turn, ends_turn=event.ends_turn)
        if event.ends_turn:
            self._rested = event.seq
        self._changed.set()


async def main(url: str, session: str, said: str, heard: str, kinds: str) -> None:
    async with SessionsClient("speaker", url, auth_token=os.environ[TOKEN], away_s=AWAY_S) as client:
        speaker = Speaker(client, session, Journal(Path(said)), Journal(Path(heard)))
        async with asyncio.TaskGroup() as group:
            speaking = group.create_task(speaker.speak(kinds.split("|")))
            await speaker.listen()
            speaking.cancel()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
