"""A conversation with a running Codex."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress

from rhetor.core.content import Json
from rhetor.core.errors import Code, RhetorError, UpstreamError
from rhetor.core.ids import new_id
from rhetor.services.process import Child
from rhetor.sessions.backend import Happening, Said, Verdict
from rhetor.sessions.codex import writing
from rhetor.sessions.codex.endings import NAME
from rhetor.sessions.codex.reading import Answered, Reader, Reply
from rhetor.sessions.program import Clean, death
from rhetor.wire.lenient import thing, word

WRITE_S = 8.0  # less than its session waits for us
KILL_GRACE_S = 3.0
UNKNOWN = "no rollout found"


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
        self._begun = ""
        """The request that began the turn."""

    async def begin(self, method: str, params: Json) -> None:
        """See whether it works, and begin its thread, or go on with one; no model is asked.

        Raises:
            RhetorError: unavailable, it does not; not_found, it has no such thread.
        """
        await self._ask("initialize", {"clientInfo": writing.CLIENT})
        with suppress(RhetorError):
            await self._child.write(writing.initialized(), WRITE_S)
        answer = await self._ask(method, params)
        self._reader.thread = word(thing(answer.result, "thread"), "id")
        if answer.error or not self._reader.thread:
            code = Code.NOT_FOUND if UNKNOWN in answer.error else Code.UNAVAILABLE
            raise UpstreamError(f"codex cannot begin: {answer.error or 'no thread'}", code, origin=NAME)

    async def _ask(self, method: str, params: Json) -> Answered:
        """Its answer to a request, before anything else is asked."""
        id = new_id("req")
        with suppress(RhetorError):  # it has ended already: why, is in what it has written
            await self._child.write(writing.request(id, method, params), WRITE_S)
        async for line in self._lines:
            for heard in self._reader.feed(line):
                match heard:
                    case Answered(request_id) if request_id == id:
                        return heard
                    case Reply(data):
                        await self._child.write(data, WRITE_S)
        raise await death(self._child, NAME, "codex", self._clean)

    async def happenings(self) -> AsyncIterator[Happening]:
        async for line in self._lines:
            for heard in self._reader.feed(line):
                if self._closing:
                    return
                match heard:
                    case Reply(data):
                        await self._child.write(data, WRITE_S)
                    case Answered(request_id, _, error):
                        if error and request_id == self._begun:
                            for each in self._reader.refuse_turn(error):
                                if not isinstance(each, Reply | Answered):
                                    yield each
                    case _:
                        yield heard
        if not self._closing:
            raise await death(self._child, NAME, "codex", self._clean)

    async def send(self, said: Said) -> None:
        self._reader.begin_turn()
        self._begun = new_id("req")
        await self._child.write(writing.message(self._begun, self._reader.thread, said.text), WRITE_S)

    async def answer(self, request_id: str, verdict: Verdict) -> None:
        for line in self._reader.decide(request_id, verdict):
            await self._child.write(line, WRITE_S)

    async def interrupt(self) -> None:
        if self._reader.in_turn and (line := self._reader.stop()) is not None:
            await self._child.write(line, WRITE_S)

    async def close(self) -> None:
        self._closing = True
        self._child.close_stdin()
        await self._child.stop(KILL_GRACE_S)
