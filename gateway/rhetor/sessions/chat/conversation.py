"""An open chat: for each message its log is told to a model, and the answer handed on as it comes.

There is no queue: whoever pulls what happens pulls the model's reply.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from contextlib import aclosing, suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial

from rhetor.core.clock import Clock
from rhetor.core.content import JsonValue, Text
from rhetor.core.errors import BadRequest, Code, RhetorError
from rhetor.core.events import Event as Told
from rhetor.core.events import (
    Failed,
    Finished,
    FinishReason,
    RefusalDelta,
    TextDelta,
    ThinkingDelta,
    UsageReport,
)
from rhetor.core.ids import new_id
from rhetor.core.request import Chat, Request
from rhetor.core.usage import Usage, estimate_tokens
from rhetor.core.value import value
from rhetor.sessions.backend import Bound, Happening, Said, Setup, TurnEnded, Verdict
from rhetor.sessions.chat.asking import Ask, Asker, Telling, named, request_for
from rhetor.sessions.chat.summary import due, sum_up, summary_request
from rhetor.sessions.chat.transcript import Recollection, Transcript, asked, summarized, told
from rhetor.sessions.chat.turn import Stopped, Turn
from rhetor.sessions.event import Event, EventType, merged

log = logging.getLogger(__name__)

TASK = "chat"
CHARS_PER_TOKEN = 4  # as in `estimate_tokens`, where nobody reports how many
CLOSE_S = 5.0  # a turn that was stopped ends at once
LEAST_TOKENS = 500  # of what a model is told: one that refuses so little as too long refuses the message
_PIECES: Mapping[type[Told], EventType] = {
    TextDelta: EventType.ASSISTANT,
    RefusalDelta: EventType.ASSISTANT,
    ThinkingDelta: EventType.THINKING,
}


@value(kw_only=True)
class Memory:
    """How much of a chat its model is told."""

    context_tokens: int
    summarize_tokens: int
    """From how much on older messages are summed up; 0: never."""
    keep_s: float
    """What is younger is not."""


class ChatConversation:
    """See `sessions.backend.Conversation`."""

    def __init__(self, ask: Ask, setup: Setup, memory: Memory, clock: Clock) -> None:
        self._ask = ask
        self._setup = setup
        self._memory = memory
        self._clock = clock
        self._asker = Asker(owner=setup.owner, session_id=setup.session_id, model=setup.model)
        self._recollection = Recollection()
        self._turn: Turn | None = None
        self._news = asyncio.Event()
        self._closed = False
        self._sums_up = memory.summarize_tokens > 0
        """Until it failed: nobody waits for that again with every message."""

    async def happenings(self) -> AsyncIterator[Happening]:
        yield Bound(self._setup.session_id)
        while (turn := await self._next_turn()) is not None:
            try:
                transcript = asked(await turn.wait(self._remember), turn.said, self._clock.utc())
                if (summary := await self._summary(turn, transcript)) is not None:
                    yield summary[0]
                    transcript = summary[1]
                async with aclosing(self._answer(turn, transcript)) as answer:
                    async for event in answer:
                        yield event
                ended = TurnEnded("end")
            except Stopped:
                ended = TurnEnded("interrupted")
            except RhetorError as error:
                ended = TurnEnded("error", error)
            finally:
                self._turn = None
                turn.over.set()
            if not self._closed:
                yield ended

    async def send(self, said: Said) -> None:
        if self._closed or self._turn is not None:
            raise BadRequest("a turn is under way, or the chat is closed", Code.CONFLICT)
        self._turn = Turn(said)
        self._news.set()

    async def answer(self, request_id: str, verdict: Verdict) -> None:
        raise BadRequest("a chat asks for nothing", Code.NOT_FOUND, param="request_id")

    async def interrupt(self) -> None:
        if self._turn is not None:
            self._turn.stop()

    async def close(self) -> None:
        self._closed = True
        self._news.set()
        if (turn := self._turn) is None:
            return
        turn.stop()
        if turn.waits:
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_S):
                    await turn.over.wait()
        await turn.held.aclose()  # nobody may ever pull what would give it back

    async def _next_turn(self) -> Turn | None:
        """The next one; None when the chat is closed."""
        while not self._closed:
            if self._turn is not None:
                return self._turn
            self._news.clear()
            await self._news.wait()
        return None

    async def _remember(self) -> Transcript:
        """Only what is new is read: else each turn would cost as much as all of those before."""
        for event in await self._setup.history(self._recollection.last_seq):
            self._recollection.read(event)
        return self._recollection.result()

    async def _summary(self, turn: Turn, transcript: Transcript) -> tuple[Event, Transcript] | None:
        """A summary of what is older, where it is time for one, and what is left to be told beside it."""
        before = self._clock.utc() - timedelta(seconds=self._memory.keep_s)
        found = due(transcript, self._memory.summarize_tokens, before) if self._sums_up else ()
        if not found:
            return None
        asker = named(self._asker, transcript.model)
        request = summary_request(asker, transcript.summary, found, self._memory.context_tokens)
        try:
            text = await turn.wait(lambda: sum_up(self._ask, request))
        except Stopped:
            raise
        except RhetorError as error:
            self._sums_up = False
            session = self._setup.session_id
            log.warning("chat not summed up", extra={"session": session, "code": error.code})
            return None
        rest = transcript.spoken[len(found) :]
        return summarized(text, found[-1].seq), replace(transcript, summary=text, spoken=rest)

    async def _answer(self, turn: Turn, transcript: Transcript) -> AsyncGenerator[Event, None]:
        """What the model says, and then how it came about.

        Raises:
            RhetorError: the call failed, before or after its first words.
        """
        answer = _Answer(new_id("msg"))
        async with turn.held:
            call = await self._call(turn, transcript)
            chunks = call.telling.chunks()
            while (chunk := await turn.wait(lambda: anext(chunks, None))) is not None:
                for event in answer.tell(chunk.events):
                    yield event
        if answer.error is not None:
            raise answer.error
        yield answer.told(call)

    async def _call(self, turn: Turn, transcript: Transcript) -> _Call:
        """Somebody answers. Who finds all of it too long is told less."""
        most_tokens = self._memory.context_tokens
        while True:
            messages, left_out = told(transcript, self._setup.system, most_tokens)
            request = request_for(
                named(self._asker, transcript.model),
                messages,
                TASK,
                max_tokens=self._setup.max_tokens,
                temperature=self._setup.temperature,
            )
            enter = partial(turn.held.enter_async_context, self._ask(request))
            try:
                return _Call(request, await turn.wait(enter), left_out)
            except RhetorError as error:
                too_long = error.code is Code.CONTEXT_LENGTH and left_out < len(transcript.spoken) - 1
                if not too_long or most_tokens <= LEAST_TOKENS:
                    raise
            most_tokens = max(min(most_tokens, transcript.tokens) // 2, LEAST_TOKENS)


@value
class _Call:
    """A call that somebody answers."""

    request: Request
    telling: Telling
    left_out: int
    """Messages that were not told."""


ANSWERED = "answered"
"""The key of a system event that ends a turn: how its answer came about."""


class _Answer:
    """An answer as it comes."""

    def __init__(self, message_id: str) -> None:
        self.error: RhetorError | None = None
        self._id = message_id
        self._finish: FinishReason | None = None
        self._usage: Usage | None = None
        self._chars = 0

    def tell(self, events: Iterable[Told]) -> list[Event]:
        """What of it a session's readers are told."""
        pieces = []
        for event in events:
            match event:
                case TextDelta() | RefusalDelta() | ThinkingDelta() if event.text:
                    self._chars += len(event.text)
                    pieces.append(Event(_PIECES[type(event)], event.text, {"message_id": self._id}))
                case UsageReport():
                    self._usage = event.usage
                case Finished():
                    self._finish = event.reason
                case Failed():
                    self.error = event.error
        return merged(pieces)

    def told(self, call: _Call) -> Event:
        """How the answer came about. The books say what it cost, a moment later."""
        request, telling = call.request, call.telling
        served_by = telling.served_by
        usage = self._usage or Usage(
            _tokens_of(request), -(-self._chars // CHARS_PER_TOKEN), source="estimated"
        )
        answered: dict[str, JsonValue] = {
            "message_id": self._id,
            "generation_id": request.id,
            "provider": served_by.provider if served_by is not None else None,
            "model": served_by.model if served_by is not None else None,
            "finish_reason": self._finish.value if self._finish is not None else None,
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
            "estimated": "estimated" in (usage.source, telling.meta.get("usage_source")),
            "fallback": bool(telling.meta.get("fallback")),
            "left_out": call.left_out,
        }
        return Event(EventType.SYSTEM, "", {ANSWERED: answered})


def _tokens_of(request: Request) -> int:
    """About how much the model was told."""
    assert isinstance(request.input, Chat)
    parts = (part for each in request.input.messages for part in each.parts)
    return sum(estimate_tokens(part.text) for part in parts if isinstance(part, Text))
