"""A conversation with a running Claude Code."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import suppress

from rhetor.core.errors import Code, RhetorError, UpstreamError
from rhetor.core.ids import new_id
from rhetor.services.process import Child
from rhetor.sessions.backend import Happening, Said, Verdict
from rhetor.sessions.claude_code import writing
from rhetor.sessions.claude_code.endings import NAME
from rhetor.sessions.claude_code.reading import Confirmed, Reader, Refused, Reply
from rhetor.sessions.program import Clean, death, failure

log = logging.getLogger(__name__)

WRITE_S = 8.0  # less than its session waits for us
LEAVE_S = 2.0  # idle it ends within 0.1 s when its input does
KILL_GRACE_S = 3.0


class Talk:
    """One process, and what is said to it and by it.

    Args:
        clean: takes secrets out of what it says.
    """

    def __init__(self, child: Child, reader: Reader, clean: Clean) -> None:
        self._child = child
        self._clean = clean
        self._reader = reader
        self._lines = child.lines()
        self._closing = False

    async def begin(self, system: str | None, resumes: bool) -> None:
        """See whether it works: it says so without asking any model.

        Raises:
            RhetorError: unavailable, it does not, and what it says about it; not_found, it has no such
                conversation.
        """
        id = new_id("req")
        with suppress(RhetorError):  # it has ended already: why, is in what it has written
            await self._child.write(writing.initialize(id, system), WRITE_S)
        why = ""
        async for line in self._lines:
            for heard in self._reader.feed(line):
                match heard:
                    case Confirmed(request_id) if request_id == id:
                        if heard.error:
                            raise failure(NAME, f"claude cannot start: {heard.error}")
                        return
                    case Refused(said):
                        why = said
                    case Reply(data):
                        await self._child.write(data, WRITE_S)
        if resumes and why:
            raise UpstreamError(f"claude cannot go on: {why}", Code.NOT_FOUND, origin=NAME)
        raise await self._death()

    async def happenings(self) -> AsyncIterator[Happening]:
        async for line in self._lines:
            for heard in self._reader.feed(line):
                if self._closing:
                    return
                match heard:
                    case Reply(data):
                        await self._child.write(data, WRITE_S)
                    case Confirmed() | Refused():
                        if isinstance(heard, Refused) or heard.error:
                            log.warning("claude refused", extra={"pid": self._child.pid, "said": str(heard)})
                    case _:
                        yield heard
        if not self._closing:
            raise await self._death()

    async def send(self, said: Said) -> None:
        self._reader.begin_turn()
        await self._child.write(writing.message(said.text), WRITE_S)

    async def answer(self, request_id: str, verdict: Verdict) -> None:
        question = self._reader.open.pop(request_id, None)
        if question is None:
            return  # it was withdrawn while the answer was on its way
        line = writing.verdict(request_id, verdict, question.input, question.lasting)
        await self._child.write(line, WRITE_S)

    async def interrupt(self) -> None:
        if self._reader.in_turn:
            self._reader.stopping = True
            await self._child.write(writing.interrupt(new_id("req")), WRITE_S)

    async def close(self) -> None:
        self._closing = True
        self._child.close_stdin()
        if not self._reader.in_turn:  # in a turn it would answer first
            with suppress(TimeoutError):
                async with asyncio.timeout(LEAVE_S):
                    await self._child.wait()
        await self._child.stop(KILL_GRACE_S)

    async def _death(self) -> RhetorError:
        return await death(self._child, NAME, "claude", self._clean)
